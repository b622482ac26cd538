//! The `index` stage: a part of a document's passages goes into the search index. Safe to repeat.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Job, Output, Stage};
use crate::flow::{Code, Fault};
use crate::index::{Index, IndexError, Put};
use crate::message::payload::{Indexed, Passages};

/// Vectors and text into the search index.
pub struct IndexStage {
    index: Arc<dyn Index>,
}

impl IndexStage {
    pub fn new(index: Arc<dyn Index>) -> Self {
        Self { index }
    }
}

#[async_trait]
impl Stage for IndexStage {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let part: Passages = job.payload_as()?;
        if let Some(passage) = part.passages.iter().find(|passage| passage.embedding.is_none()) {
            let message = format!("passage {} has no embedding; is there an embed stage?", passage.ordinal);
            return Err(Fault::new(Code::RecordSchemaViolation, message));
        }
        let put = self.index.put(&part).await.map_err(|e| unavailable(&e))?;
        let passages = u32::try_from(part.passages.len()).unwrap_or(u32::MAX);
        let Passages { document, part, parts, .. } = part;
        let complete = put == Put::Complete;
        let superseded = put == Put::Superseded;
        Ok(vec![Output::new(&Indexed { document, part, parts, passages, complete, superseded })?])
    }
}

/// The index failed: not this record's fault.
pub fn unavailable(error: &IndexError) -> Fault {
    Fault::new(Code::IndexUnavailable, format!("the search index failed: {error}"))
}

#[cfg(test)]
mod tests;
