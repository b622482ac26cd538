//! What masking rules are made of: paths to fields of JSON, and patterns. They are read once, when the configuration is,
//! so that a rule that cannot work is found then and not when somebody sees what was to be hidden.

use std::fmt;

use regex::Regex;

use super::text::as_text;

/// Fields of JSON, such as `$.user.email`, `$.messages[*].content` or `$..password`. Lists are gone through whether the path
/// says so or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into the field of this name.
    Name(String),
    /// Into every field, and every element of a list.
    Any,
    /// Into the field of this name, however deep it lies.
    Deep(String),
}

impl FieldPath {
    /// Reads `$.user.email`; the error says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "'{text}' is not a path: {why}; write it like $.user.email, $.messages[*].content or $..password"
            )
        };
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        // The first name may stand without a dot.
        let mut is_bare = !text.starts_with('$');
        while !rest.is_empty() {
            if let Some(tail) = rest.strip_prefix("[*]") {
                steps.push(Step::Any);
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix("['") {
                let (name, tail) = tail.split_once("']").ok_or_else(|| wrong("a bracket is not closed"))?;
                steps.push(Step::Name(name.into()));
                rest = tail;
            } else {
                let (is_deep, tail) = match (rest.strip_prefix(".."), rest.strip_prefix('.')) {
                    (Some(tail), _) => (true, tail),
                    (None, Some(tail)) => (false, tail),
                    (None, None) if is_bare => (false, rest),
                    (None, None) => return Err(wrong("a dot or [*] is missing")),
                };
                let end = tail.find(['.', '[']).unwrap_or(tail.len());
                let (name, tail) = tail.split_at(end);
                steps.push(match (name, is_deep) {
                    ("", _) => return Err(wrong("a name is missing")),
                    ("*", false) => Step::Any,
                    ("*", true) => return Err(wrong("everything below would be hidden; leave it out")),
                    (name, true) => Step::Deep(name.into()),
                    (name, false) => Step::Name(name.into()),
                });
                rest = tail;
            }
            is_bare = false;
        }
        match steps.is_empty() {
            true => Err(wrong("it names nothing")),
            false => Ok(Self { text: text.to_owned(), steps }),
        }
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

/// A regular expression (syntax of the crate `regex`, which takes linear time).
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|error| {
            // Its text has several lines, of which the last one says what is wrong.
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("'{text}' is not a regular expression: {why}")
        })?;
        match regex.is_match("") {
            true => Err(format!(
                "'{text}' is found in every text, even in an empty one; say what is to be hidden"
            )),
            false => Ok(Self(regex)),
        }
    }

    pub fn regex(&self) -> &Regex {
        &self.0
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

as_text!(FieldPath, "description": "Fields of JSON: `$.user.email`, `$.messages[*].content`, `$..password`");
as_text!(Pattern, "description": "A regular expression");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_by_names_into_lists_and_however_deep() {
        let name = |name: &str| Step::Name(name.into());
        for (text, steps) in [
            ("$.user.email", vec![name("user"), name("email")]),
            ("user.email", vec![name("user"), name("email")]),
            ("$.messages[*].content", vec![name("messages"), Step::Any, name("content")]),
            ("$.a.*.b", vec![name("a"), Step::Any, name("b")]),
            ("$..password", vec![Step::Deep("password".into())]),
            ("$['first name'].x", vec![name("first name"), name("x")]),
            ("[*].id", vec![Step::Any, name("id")]),
        ] {
            assert_eq!(FieldPath::parse(text).expect(text).steps(), steps, "{text}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused_with_an_example() {
        for text in ["", "$", "$user", "$.", "$.a..", "$.a[0]", "$['a", "$..*"] {
            let why = FieldPath::parse(text).expect_err(text);
            assert!(why.contains("$.user.email"), "{why}");
        }
    }

    #[test]
    fn a_pattern_says_what_is_to_be_hidden() {
        assert!(Pattern::parse("[0-9]{16}").expect("a pattern").regex().is_match("4111111111111111"));
        assert!(Pattern::parse("(").expect_err("no pattern").contains("unclosed group"));
        assert!(Pattern::parse("x*").expect_err("no pattern").contains("even in an empty one"));
    }
}
