//! What a database says when it cannot be used, whichever it is.

/// One message with place, cause and remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub String);
