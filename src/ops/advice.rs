//! What went wrong and what to do about it, apart from each other, so that a surface can show them as it likes.

/// Both one line, lower case, without a full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What is wrong and where.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Advice {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for Advice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}
