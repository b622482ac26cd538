//! A failure as data: it is stored in the ledger, written into headers and read back, so it is no error chain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::code::{Class, Code};

/// Longest message kept, in bytes. Provider errors quote prompts; headers must stay small.
pub const MESSAGE_MAX: usize = 1024;
/// Most causes kept below the message.
pub const CHAIN_MAX: usize = 8;

/// Why one attempt at a record failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    pub code: Code,
    pub class: Class,
    /// What was being done and what went wrong, one line, at most [`MESSAGE_MAX`] bytes.
    pub message: String,
    /// The causes below the message, outermost first, bounded like it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// How long the other side asked us to wait, counted from when it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Fault {
    pub fn new(code: Code, message: impl AsRef<str>) -> Self {
        Self {
            code,
            class: code.class(),
            message: one_line(message.as_ref(), MESSAGE_MAX),
            chain: Vec::new(),
            retry_after: None,
            status: None,
        }
    }

    /// Adds the error and everything below it as causes.
    pub fn caused_by(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            if self.chain.len() == CHAIN_MAX {
                break;
            }
            self.chain.push(one_line(&cause.to_string(), MESSAGE_MAX));
            next = cause.source();
        }
        self
    }

    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

/// What a panic said, as far as it said it in words. It may quote data.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Folds white space and control characters, and cuts at a character boundary.
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::with_capacity(text.len().min(max));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > max {
            break;
        }
    }
    if line.len() > max {
        let mut cut = max.saturating_sub('…'.len_utf8());
        while !line.is_char_boundary(cut) {
            cut -= 1;
        }
        line.truncate(cut);
        line.push('…');
    }
    line
}
