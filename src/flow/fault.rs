//! A failure as data: it is stored in the ledger, written into headers and read back, so it is no error chain.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::code::{Class, Code};
use crate::message::Spent;

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
    /// What was taken of a provider all the same, as far as it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
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
            spent: None,
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

    pub fn with_spent(mut self, spent: Option<Spent>) -> Self {
        self.spent = spent;
        self
    }

    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

/// A panic as the record's failure. The message may quote data, but no more than any other fault does.
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> Fault {
    Fault::new(Code::StagePanicked, format!("the stage panicked: {}", panic_text(panic)))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An error below which there are so many others.
    #[derive(Debug, thiserror::Error)]
    #[error("cause {0}")]
    struct Deep(usize, #[source] Option<Box<Deep>>);

    fn deep(causes: usize) -> Deep {
        Deep(causes, (causes > 0).then(|| Box::new(deep(causes - 1))))
    }

    #[test]
    fn white_space_and_control_characters_fold_into_one_space() {
        assert_eq!(one_line("  a\n\t b  c\u{0}d\u{1b}\r\n", 100), "a b c d");
        assert_eq!(one_line("\n\t ", 100), "");
    }

    #[test]
    fn a_line_is_cut_only_where_it_is_longer_than_it_may_be_and_it_shows() {
        assert_eq!(one_line("abcd", 4), "abcd");
        assert_eq!(one_line("abcd  \n", 4), "abcd", "nothing but white space is left out");
        assert_eq!(one_line("abcd e", 4), "a…");
        assert_eq!(one_line("ab cd", 4), "a…");
        assert_eq!(one_line("éé", 4), "éé");
        assert_eq!(one_line("ééé", 5), "é…");
        assert_eq!(one_line("ééé", 4), "…", "no half of a character is left");
    }

    #[test]
    fn causes_are_kept_from_the_outermost_on_up_to_a_limit() {
        let fault = Fault::new(Code::LlmTimeout, "slow").caused_by(&deep(2));
        assert_eq!(fault.chain, ["cause 2", "cause 1", "cause 0"]);
        let fault = fault.caused_by(&deep(20));
        assert_eq!(fault.chain.len(), CHAIN_MAX);
        assert_eq!(fault.chain[3..5], ["cause 20", "cause 19"]);
    }

    #[test]
    fn what_a_panic_said_is_told_if_it_was_said_in_words() {
        assert_eq!(panic_text(&"literal"), "literal");
        assert_eq!(panic_text(&format!("number {}", 7)), "number 7");
        assert_eq!(panic_text(&7), "no message");
    }
}
