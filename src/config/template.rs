//! URLs with places in them that are filled in later: `https://logs.example/?job={job_id}`. Pure.

use std::fmt::Write as _;

/// A template that cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTemplate {
    /// There is nothing by this name that could be filled in.
    Unknown(String),
    /// A brace that belongs to no placeholder.
    Brace,
}

/// A piece of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// The template with what `value` says for each of its placeholders, percent-encoded; `None` when it says nothing for one,
/// or the template is none.
pub fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut filled = String::with_capacity(template.len());
    for piece in pieces(template).ok()? {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Place(name) => filled.push_str(&encoded(&value(name)?)),
        }
    }
    Some(filled)
}

/// Checks that all placeholders of a template are among these.
pub fn check(template: &str, known: &[&str]) -> Result<(), BadTemplate> {
    for piece in pieces(template)? {
        if let Piece::Place(name) = piece
            && !known.contains(&name)
        {
            return Err(BadTemplate::Unknown(name.to_owned()));
        }
    }
    Ok(())
}

fn pieces(template: &str) -> Result<Vec<Piece<'_>>, BadTemplate> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or(BadTemplate::Brace)?;
        if text.contains('}') || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') || name.is_empty()
        {
            return Err(BadTemplate::Brace);
        }
        pieces.extend([Piece::Text(text), Piece::Place(name)]);
        rest = after;
    }
    if rest.contains('}') {
        return Err(BadTemplate::Brace);
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// RFC 3986: all but letters, digits and `-._~`.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_filled_in_cannot_be_syntax_of_the_url() {
        let value = |name: &str| Some(format!("{name} a/b&c?é#%"));
        assert_eq!(
            fill("https://h/{job_id}?q=1", value).as_deref(),
            Some("https://h/job_id%20a%2Fb%26c%3F%C3%A9%23%25?q=1")
        );
        assert_eq!(fill("https://h/", value).as_deref(), Some("https://h/"));
        assert_eq!(fill("{a}{b}", |name| (name == "a").then(|| "-._~".into())), None, "one is not known");
        assert_eq!(fill("{a}{a}", |_| Some("-._~".into())).as_deref(), Some("-._~-._~"));
    }

    #[test]
    fn a_brace_without_a_placeholder_and_an_unknown_placeholder_are_found() {
        let check = |template| check(template, &["job_id", "from"]);
        assert_eq!(check("https://h/?a={job_id}&b={from}"), Ok(()));
        assert_eq!(check("https://h/?a={job}"), Err(BadTemplate::Unknown("job".into())));
        for bad in ["{", "}", "{job_id", "job_id}", "{{job_id}}", "{}", "{app=\"x\"}", "{ job_id }"] {
            assert_eq!(check(bad), Err(BadTemplate::Brace), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_in_a_template_or_a_value_panics(template in "[a-z{}_%é ]{0,20}", text in ".{0,9}") {
            let _ = check(&template, &["a"]);
            if let Some(filled) = fill(&template, |_| Some(text.clone())) {
                prop_assert!(!filled.contains('{'), "nothing is left to be filled in");
            }
        }
    }
}
