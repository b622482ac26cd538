//! Who is asked: an OpenAI-compatible provider over HTTP, and what its failures mean.

mod bill;
pub mod classify;
mod error_body;
pub mod openai;
pub(crate) mod wire;
pub(crate) mod withhold;

use async_trait::async_trait;

pub use self::bill::{Bill, Purpose};

use crate::flow::Fault;
use crate::message::JobId;
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

/// What a chat model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    pub model: String,
    pub messages: Vec<ChatMessage>,
    /// Most tokens of the answer.
    pub max_tokens: u32,
    /// 0 to 2; 0 is as repeatable as the provider can be.
    pub temperature: f64,
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

/// A provider as the stages see it. Calls name their job, so that a repeated one can be told from a new one, and what they take
/// goes on a bill.
#[async_trait]
pub trait Model: Send + Sync {
    /// One vector for each text, in their order.
    async fn embed(
        &self,
        job: &JobId,
        bill: &Bill,
        model: &str,
        texts: &[String],
    ) -> Result<Embeddings, Fault>;

    async fn chat(&self, job: &JobId, bill: &Bill, request: ChatRequest) -> Result<Completion, Fault>;
}

#[async_trait]
impl Model for openai::Client {
    async fn embed(
        &self,
        job: &JobId,
        bill: &Bill,
        model: &str,
        texts: &[String],
    ) -> Result<Embeddings, Fault> {
        self.keyed(&job.0).embed(bill, model, texts).await
    }

    async fn chat(&self, job: &JobId, bill: &Bill, request: ChatRequest) -> Result<Completion, Fault> {
        self.keyed(&job.0).chat(bill, request).await
    }
}
