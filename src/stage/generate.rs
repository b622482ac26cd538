//! The `generate` stage: a model drafts an answer from the evidence. Without evidence nobody is asked.

use std::sync::Arc;

use async_trait::async_trait;

use super::prompt::Prompt;
use super::{BuildError, Job, Output, Stage};
use crate::config;
use crate::flow::{Code, Fault};
use crate::llm::{ChatRequest, Model};
use crate::message::payload::{Draft, Retrieved, Usage};

/// What the model is told to say when the passages do not answer the question.
pub const NO_ANSWER: &str = "NO_ANSWER";

/// Evidence to a draft answer.
pub struct Generate {
    provider: Arc<dyn Model>,
    prompt: Prompt,
    model: String,
    max_tokens: u32,
    temperature: f64,
}

impl Generate {
    /// Fails when the prompt template cannot be read or rendered.
    pub fn new(settings: &config::Generate, provider: Arc<dyn Model>) -> Result<Self, BuildError> {
        Ok(Self {
            provider,
            prompt: Prompt::new(settings.prompt_file.as_deref())?,
            model: settings.model.clone(),
            max_tokens: settings.max_tokens,
            temperature: settings.temperature,
        })
    }
}

#[async_trait]
impl Stage for Generate {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let retrieved: Retrieved = job.payload_as()?;
        let (text, model, usage) = if retrieved.evidence.is_empty() {
            (NO_ANSWER.to_owned(), self.model.clone(), Usage::default())
        } else {
            let request = ChatRequest {
                model: self.model.clone(),
                messages: self.prompt.messages(&retrieved)?,
                max_tokens: self.max_tokens,
                temperature: self.temperature,
            };
            let completion = self.provider.chat(&job.correlation.job, &job.bill, request).await?;
            (completion.text, completion.model, completion.usage)
        };
        if text.trim().is_empty() {
            return Err(Fault::new(Code::LlmMalformed, format!("{model} answered with an empty text")));
        }
        let Retrieved { question, evidence } = retrieved;
        Ok(vec![Output::new(&Draft { question, evidence, text, model, usage })?])
    }
}

#[cfg(test)]
mod tests;
