//! What is done to a record: one file per kind of stage. A stage knows nothing of Kafka, retries or offsets.

pub mod build;
pub mod chunk;
pub mod embed;
pub mod fetch;
pub mod generate;
pub mod ground;
pub mod index;
mod marks;
pub mod own;
pub mod parse;
mod prompt;
pub mod retrieve;
pub mod validate;

#[cfg(test)]
mod fakes;

use std::sync::Arc;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use build::{BuildError, Resources, build};

use crate::flow::{Code, Fault};
use crate::llm::Bill;
use crate::message::Correlation;

/// A decoded record, ready to be worked on.
#[derive(Clone, Debug)]
pub struct Job {
    pub correlation: Correlation,
    /// The record's timestamp where the job entered the pipeline, ms since the Unix epoch.
    pub origin_timestamp: i64,
    pub payload: Value,
    /// What providers take for it.
    pub bill: Arc<Bill>,
}

impl Job {
    /// The payload as the type this stage works on.
    pub fn payload_as<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_path(&self.payload)
    }
}

fn serde_path<T: DeserializeOwned>(value: &Value) -> Result<T, Fault> {
    T::deserialize(value)
        .map_err(|e| Fault::new(Code::RecordSchemaViolation, format!("the payload does not fit: {e}")))
}

/// One record a stage wants to send on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Set on fan-out: the child's job id is the parent's with `/n`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child: Option<u32>,
    pub payload: Value,
}

impl Output {
    pub fn new<T: Serialize>(payload: &T) -> Result<Self, Fault> {
        let payload = serde_json::to_value(payload).map_err(|e| {
            Fault::new(Code::StagePanicked, format!("the output cannot be written as JSON: {e}"))
        })?;
        Ok(Self { child: None, payload })
    }

    pub fn child(mut self, n: u32) -> Self {
        self.child = Some(n);
        self
    }
}

/// The work of a stage. Must be safe to repeat: delivery is at least once.
#[async_trait]
pub trait Stage: Send + Sync {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault>;
}
