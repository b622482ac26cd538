//! Says in our words what the YAML reader found wrong: which setting, on which line, and what is allowed there.

use serde_saphyr::{Error, MessageFormatter, UserMessageFormatter};

use super::problem::Problem;
use super::source::Source;
use super::suggest;

/// The problem behind an error of the YAML reader, with its place.
pub fn explain(error: &Error, source: &Source<'_>) -> Problem {
    let error = innermost(error);
    let (line, column) = match error.location() {
        Some(at) => (at.line() as usize, at.column() as usize),
        None => (0, 0),
    };
    let path = match error {
        Error::SerdeMissingField { field, .. } if !lacks_settings(field, source.path_at(line, column)) => {
            source.path_lacking(line, column)
        }
        _ => source.path_at(line, column),
    };
    let path = path.unwrap_or_default().to_owned();
    // What is missing is missing from the whole mapping, so that one's own line is shown.
    let line = (line > 0 && !matches!(error, Error::SerdeMissingField { .. })).then_some(line);
    let (message, hint) = match is_secret(&path) {
        true => (
            "a secret is never written into this file".to_owned(),
            Some("name where it stands: { env: VARIABLE } or { file: PATH }".to_owned()),
        ),
        false => in_words(error),
    };
    source.located(Problem { hint, line, ..Problem::error(path, message) })
}

fn innermost(error: &Error) -> &Error {
    match error.without_snippet() {
        Error::AliasError { error, .. } => innermost(error),
        error => error,
    }
}

/// True when a kind stands alone and needs settings: what it lacks is not lacking in the stage.
fn lacks_settings(field: &str, path: Option<&str>) -> bool {
    path.is_some_and(|p| p.ends_with("].kind")) && !["name", "kind"].contains(&field)
}

/// What stands at or below these keys must not be quoted, however wrong it is.
fn is_secret(path: &str) -> bool {
    path.split('.').any(|key| ["password", "api_key", "access_key", "secret_key"].contains(&key))
        || path.contains(".postgres.url")
}

fn in_words(error: &Error) -> (String, Option<String>) {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            let hint = match expected.is_empty() {
                true => "nothing can be set here".to_owned(),
                false => suggest::hint(field, "allowed here are", expected.iter().copied()),
            };
            (format!("unknown key '{field}'"), Some(hint))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            let hint = suggest::hint(variant, "allowed here are", expected.iter().copied());
            (format!("unknown word '{variant}'"), Some(hint))
        }
        Error::SerdeMissingField { field, .. } => {
            (format!("the key '{field}' is missing"), Some(format!("add '{field}: …' here")))
        }
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            (format!("found {unexpected} where {expected} belongs"), None)
        }
        Error::InvalidScalar { ty, .. } => (format!("this is not {}", in_english(ty)), None),
        Error::Eof { .. } => ("the file is empty".to_owned(), None),
        Error::Unexpected { expected: "mapping start", .. } => {
            ("keys with values belong here".to_owned(), Some("write 'key: value' lines".to_owned()))
        }
        Error::Unexpected { expected: "sequence start", .. } => {
            ("a list belongs here".to_owned(), Some("write '- item' lines or [a, b]".to_owned()))
        }
        Error::MultipleDocuments { .. } => {
            ("a second YAML document begins here".to_owned(), Some("remove the line '---'".to_owned()))
        }
        Error::Message { msg, .. } => match msg.split_once("; ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (msg.clone(), None),
        },
        other => (UserMessageFormatter.format_message(other).trim_end_matches('.').to_owned(), None),
    }
}

/// The reader's type names, for people.
fn in_english(ty: &str) -> String {
    match ty {
        "bool" | "boolean" => "true or false".to_owned(),
        _ if ty.starts_with(['u', 'i']) => "a whole number that fits here".to_owned(),
        _ if ty.starts_with('f') => "a number".to_owned(),
        other => format!("a {other}"),
    }
}
