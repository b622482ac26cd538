//! The `retrieve` stage: finds the passages that speak about a question, in its tenant's documents only.

use std::sync::Arc;

use async_trait::async_trait;

use super::embed::embed;
use super::index::unavailable;
use super::{Job, Output, Stage};
use crate::config;
use crate::flow::{Code, Fault};
use crate::index::{Index, IndexError, Query};
use crate::llm::Model;
use crate::message::payload::{Question, Retrieved};

/// Question to evidence.
pub struct Retrieve {
    provider: Arc<dyn Model>,
    index: Arc<dyn Index>,
    model: String,
    top_k: usize,
}

impl Retrieve {
    pub fn new(settings: &config::Retrieve, provider: Arc<dyn Model>, index: Arc<dyn Index>) -> Self {
        Self { provider, index, model: settings.model.clone(), top_k: settings.top_k }
    }
}

#[async_trait]
impl Stage for Retrieve {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let question: Question = job.payload_as()?;
        // Checked here too: a pipeline may have no validate stage, and this is where tenants could mix.
        if job.correlation.tenant.as_ref().is_some_and(|header| *header != question.tenant) {
            let message = "the header tenant-id names another tenant than the question";
            return Err(Fault::new(Code::RecordTenantMismatch, message));
        }
        let texts = std::slice::from_ref(&question.text);
        let vectors = embed(self.provider.as_ref(), job, &self.model, texts).await?;
        let query = Query {
            tenant: &question.tenant,
            text: &question.text,
            embedding: vectors.first().map_or(&[], Vec::as_slice),
            limit: self.top_k,
        };
        let evidence = self.index.search(query).await.map_err(|e| unavailable(&e))?;
        if evidence.iter().any(|found| found.document.tenant != question.tenant) {
            // Filtering it out would hide a broken index.
            return Err(unavailable(&IndexError("it returned another tenant's passage".into())));
        }
        Ok(vec![Output::new(&Retrieved { question, evidence })?])
    }
}

#[cfg(test)]
mod tests;
