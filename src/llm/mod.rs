//! Who is asked: an OpenAI-compatible provider over HTTP, and what its failures mean.

pub mod classify;
pub mod openai;

use crate::message::payload::Usage;

/// Vectors in the order of the texts, each of unit length.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    pub vectors: Vec<Vec<f32>>,
    pub usage: Usage,
}

/// One chat message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    pub content: String,
}

/// What the model answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    pub text: String,
    pub usage: Usage,
    /// `stop`, `length`, …; `content_filter` never arrives here, it is a fault.
    pub finish_reason: String,
    /// The model that answered, as the provider names it.
    pub model: String,
}
