//! The `embed` stage: one provider call gives every passage of a part its vector.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Job, Output, Stage};
use crate::flow::{Code, Fault};
use crate::llm::Model;
use crate::message::payload::{DocumentRef, Passage, Passages};

/// Passages to vectors.
pub struct Embed {
    provider: Arc<dyn Model>,
    model: String,
}

impl Embed {
    pub fn new(provider: Arc<dyn Model>, model: impl Into<String>) -> Self {
        Self { provider, model: model.into() }
    }
}

#[async_trait]
impl Stage for Embed {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let mut part: Passages = job.payload_as()?;
        let texts: Vec<String> =
            part.passages.iter().map(|passage| embedded_text(&part.document, passage)).collect();
        let vectors = embed(self.provider.as_ref(), job, &self.model, &texts).await?;
        for (passage, vector) in part.passages.iter_mut().zip(vectors) {
            passage.embedding = Some(vector);
        }
        part.model = Some(self.model.clone());
        Ok(vec![Output::new(&part)?])
    }
}

/// What a passage means depends on where it stands: title and headings are embedded with it.
fn embedded_text(document: &DocumentRef, passage: &Passage) -> String {
    let above = [document.title.as_deref(), passage.heading.as_deref()];
    let lines: Vec<&str> = above.into_iter().flatten().chain([passage.text.as_str()]).collect();
    lines.join("\n")
}

/// One call, and one usable vector for each text. No call for no texts.
pub async fn embed(
    provider: &dyn Model,
    job: &Job,
    model: &str,
    texts: &[String],
) -> Result<Vec<Vec<f32>>, Fault> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let vectors = provider.embed(&job.correlation.job, &job.bill, model, texts).await?.vectors;
    let malformed = |what: String| Err(Fault::new(Code::LlmMalformed, what));
    if vectors.len() != texts.len() {
        return malformed(format!("asked {model} for {} embeddings, got {}", texts.len(), vectors.len()));
    }
    let length = vectors.first().map_or(0, Vec::len);
    if length == 0 || vectors.iter().any(|v| v.len() != length) {
        return malformed(format!("the embeddings of {model} are empty or differ in length"));
    }
    if vectors.iter().flatten().any(|x| !x.is_finite()) {
        return malformed(format!("the embeddings of {model} hold values that are not numbers"));
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests;
