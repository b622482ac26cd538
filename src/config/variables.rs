//! Puts environment variables into one scalar: `${NAME}`, `${NAME:-default}`, `$$` for a dollar sign. Pure.

/// Why a scalar cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableError {
    /// The variable is not set and has no default.
    Missing(String),
    /// `${` without `}`, or a name that no variable can have.
    Malformed(String),
}

/// True when the scalar has something to put in or to unescape.
pub fn has_variables(text: &str) -> bool {
    text.contains("${") || text.contains("$$")
}

/// The scalar with its variables filled in. A default counts when the variable is unset or empty.
/// What a variable holds is taken as it is and not looked at again.
pub fn fill(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, VariableError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        if let Some(tail) = from.strip_prefix("$$") {
            filled.push('$');
            rest = tail;
        } else if let Some(tail) = from.strip_prefix("${") {
            let (reference, tail) =
                tail.split_once('}').ok_or_else(|| VariableError::Malformed(from.to_owned()))?;
            filled.push_str(&look_up(reference, env)?);
            rest = tail;
        } else {
            filled.push('$');
            rest = &from[1..];
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn look_up(reference: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, VariableError> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(legal) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(VariableError::Malformed(format!("${{{reference}}}")));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(VariableError::Missing(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("kafka-1".into()),
            "EMPTY" => Some(String::new()),
            "DOLLARS" => Some("${HOST} $$".into()),
            _ => None,
        }
    }

    #[test]
    fn a_variable_is_put_in_wherever_it_stands() {
        assert_eq!(fill("${HOST}:9092,${HOST}:9093", &env), Ok("kafka-1:9092,kafka-1:9093".into()));
    }

    #[test]
    fn a_default_stands_in_for_an_unset_or_empty_variable() {
        assert_eq!(fill("${NONE:-localhost:9092}", &env), Ok("localhost:9092".into()));
        assert_eq!(fill("${EMPTY:-x}", &env), Ok("x".into()));
        assert_eq!(fill("${NONE:-}", &env), Ok(String::new()));
        assert_eq!(fill("${EMPTY}", &env), Ok(String::new()));
    }

    #[test]
    fn two_dollars_are_one_and_a_lone_one_stays() {
        assert_eq!(fill("$${HOST} costs $5", &env), Ok("${HOST} costs $5".into()));
    }

    #[test]
    fn the_value_of_a_variable_is_not_filled_in_again() {
        assert_eq!(fill("${DOLLARS}", &env), Ok("${HOST} $$".into()));
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(fill("a ${NONE}", &env), Err(VariableError::Missing("NONE".into())));
    }

    #[test]
    fn a_reference_that_cannot_be_read_is_an_error() {
        for text in ["${HOST", "${}", "${9X}", "${A B}", "${HOST:?no}"] {
            assert!(matches!(fill(text, &env), Err(VariableError::Malformed(_))), "{text}");
        }
    }
}
