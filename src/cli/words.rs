//! Names and reasons that are written down on the topic of operations.

use super::{ExitCode, Failure};
use crate::message::trail::is_id;

/// Stands for who does something where the shell does not know.
pub const NOBODY: &str = "unknown";

/// What is written down has to be short and plain.
pub fn words<'a>(flag: &str, text: &'a str) -> Result<&'a str, Failure> {
    match is_id(text) {
        true => Ok(text),
        false => {
            let message = format!("{flag} is empty, longer than 512 bytes, or has control characters");
            Err(Failure::new(ExitCode::Usage, message))
        }
    }
}
