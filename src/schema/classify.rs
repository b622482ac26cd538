//! Whose fault an error of the registry client is. Pure.
//!
//! `schema_registry_converter` tells apart what may be tried again and what may not, which is another question: it
//! counts 500, 504 and 429 among the latter. Here only what the registry itself says about a schema is held
//! against a record.

use std::error::Error;

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;

/// Why the registry client failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The registry answered that it has no such schema or subject.
    Unknown,
    /// The registry refuses the credentials.
    Unauthorized,
    /// Anything else: the registry could not be reached, failed, or is no registry.
    Unavailable,
}

/// Error codes of the Confluent API for a subject and a schema that do not exist. A bare 404 is something else: then
/// the URL does not lead to a registry.
const UNKNOWN: [u32; 2] = [40401, 40403];

pub fn classify(error: &SRCError) -> Failure {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(answer) = cause.downcast_ref::<RawError>() {
            return of_answer(answer.error_code, status(error));
        }
        next = cause.source();
    }
    Failure::Unavailable
}

fn of_answer(code: u32, status: Option<u16>) -> Failure {
    match (code, status) {
        (code, _) if UNKNOWN.contains(&code) => Failure::Unknown,
        (401 | 403 | 40101 | 40301, _) | (_, Some(401 | 403)) => Failure::Unauthorized,
        _ => Failure::Unavailable,
    }
}

/// The HTTP status, which the client gives as text only.
pub fn status(error: &SRCError) -> Option<u16> {
    let (_, after) = error.error.split_once("with status ")?;
    after.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: &str, body: &str) -> SRCError {
        let raw: RawError = serde_json::from_str(body).unwrap();
        let text = format!("HTTP request to schema registry failed with status {status}");
        SRCError::non_retryable_with_cause(raw, &text)
    }

    #[test]
    fn only_the_registrys_own_word_makes_a_schema_unknown() {
        let unknown = answered("404 Not Found", r#"{"error_code": 40403, "message": "Schema 7 not found"}"#);
        assert_eq!(classify(&unknown), Failure::Unknown);
        assert_eq!(classify(&unknown.into_cache()), Failure::Unknown);
        let no_registry = answered("404 Not Found", r#"{"error_code": 0, "message": "not JSON"}"#);
        assert_eq!(classify(&no_registry), Failure::Unavailable);
    }

    #[test]
    fn refused_credentials_are_told_by_code_or_by_status() {
        for error in [
            answered("401 Unauthorized", r#"{"error_code": 401, "message": "Unauthorized"}"#),
            answered("403 Forbidden", r#"{"error_code": 40301, "message": "denied"}"#),
            answered("401 Unauthorized", r#"{"error_code": 0, "message": "not JSON"}"#),
            answered("403 Forbidden", r#"{"error_code": 0, "message": "not JSON"}"#),
        ] {
            assert_eq!(classify(&error), Failure::Unauthorized, "{error}");
        }
    }

    #[test]
    fn a_registry_in_trouble_is_never_held_against_a_record() {
        for error in [
            answered("500 Internal Server Error", r#"{"error_code": 50001, "message": "store"}"#),
            answered("504 Gateway Timeout", r#"{"error_code": 0, "message": "not JSON"}"#),
            answered("429 Too Many Requests", r#"{"error_code": 42901, "message": "slow down"}"#),
            SRCError::new("Could not get raw schema from response", None, false),
            SRCError::retryable_with_cause(std::io::Error::other("refused"), "http call failed"),
        ] {
            assert_eq!(classify(&error), Failure::Unavailable, "{error}");
        }
    }
}
