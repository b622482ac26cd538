//! What the tests of the stages put in the place of provider, index and extractor.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Job, Output, Stage};
use crate::extract::{Extract, Extraction, Limits, Text};
use crate::flow::{Code, Fault};
use crate::index::{Index, IndexError, Put, Query, Stats};
use crate::llm::{Bill, ChatRequest, Completion, Embeddings, Model};
use crate::message::payload::{DocumentRef, Evidence, Passages, Usage};
use crate::message::{Correlation, JobId};

/// When the jobs of the tests entered their pipeline.
pub const ORIGIN: i64 = 1_763_800_000_000;

pub fn job(payload: impl Serialize) -> Job {
    let job = JobId("job-1".into());
    let traceparent = crate::message::id::derived_traceparent(&job);
    Job {
        correlation: Correlation { job, tenant: None, resource: None, traceparent },
        origin_timestamp: ORIGIN,
        payload: serde_json::to_value(payload).expect("a payload"),
        bill: Arc::default(),
    }
}

/// The only output of a run, as its type.
pub async fn run_one<T: DeserializeOwned>(stage: &dyn Stage, job: Job) -> Result<T, Fault> {
    let outputs = stage.run(&job).await?;
    let [output] = outputs.as_slice() else { panic!("{} outputs", outputs.len()) };
    Ok(payload(output))
}

pub fn payload<T: DeserializeOwned>(output: &Output) -> T {
    serde_json::from_value(output.payload.clone()).expect("the stage's output type")
}

/// The code with which a run failed.
pub async fn code_of(stage: &dyn Stage, job: Job) -> Code {
    stage.run(&job).await.expect_err("a fault").code
}

pub fn document_ref(id: &str) -> DocumentRef {
    DocumentRef { id: id.into(), tenant: "acme".into(), version: 1, ..DocumentRef::default() }
}

pub fn evidence(document: &str, text: &str) -> Evidence {
    Evidence { document: document_ref(document), text: text.into(), ..Evidence::default() }
}

/// A provider that answers as it was told and remembers what it was asked.
#[derive(Default)]
pub struct FakeModel {
    /// Answers of `embed`; without any, every text gets the vector `[1, 0]`.
    pub vectors: Option<Vec<Vec<f32>>>,
    pub answer: String,
    pub fault: Option<Fault>,
    pub embedded: Mutex<Vec<Vec<String>>>,
    pub asked: Mutex<Vec<ChatRequest>>,
}

#[async_trait]
impl Model for FakeModel {
    async fn embed(&self, _: &JobId, _: &Bill, _: &str, texts: &[String]) -> Result<Embeddings, Fault> {
        self.embedded.lock().expect("no panic").push(texts.to_vec());
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let vectors = self.vectors.clone().unwrap_or_else(|| vec![vec![1.0, 0.0]; texts.len()]);
        Ok(Embeddings { vectors, usage: Usage::default() })
    }

    async fn chat(&self, _: &JobId, _: &Bill, request: ChatRequest) -> Result<Completion, Fault> {
        self.asked.lock().expect("no panic").push(request);
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        Ok(Completion {
            text: self.answer.clone(),
            usage: Usage { prompt_tokens: 7, completion_tokens: 3 },
            finish_reason: "stop".into(),
            model: "chat-2026-01-01".into(),
        })
    }
}

/// A search as the index saw it.
#[derive(Debug, PartialEq)]
pub struct Search {
    pub tenant: String,
    pub text: String,
    pub embedding: Vec<f32>,
    pub limit: usize,
}

/// An index that answers as it was told and remembers who asked.
#[derive(Default)]
pub struct FakeIndex {
    pub put: Option<Put>,
    pub found: Vec<Evidence>,
    pub parts: Mutex<Vec<Passages>>,
    pub searches: Mutex<Vec<Search>>,
}

#[async_trait]
impl Index for FakeIndex {
    async fn put(&self, part: &Passages) -> Result<Put, IndexError> {
        self.parts.lock().expect("no panic").push(part.clone());
        self.put.ok_or_else(|| IndexError("the disk is full".into()))
    }

    async fn search(&self, query: Query<'_>) -> Result<Vec<Evidence>, IndexError> {
        let Query { tenant, text, embedding, limit } = query;
        let seen = Search { tenant: tenant.into(), text: text.into(), embedding: embedding.to_vec(), limit };
        self.searches.lock().expect("no panic").push(seen);
        Ok(self.found.clone())
    }

    async fn stats(&self) -> Result<Stats, IndexError> {
        Ok(Stats::default())
    }
}

/// An extractor that returns what it was told and remembers what it was given.
#[derive(Default)]
pub struct FakeExtract {
    pub text: Text,
    pub given: Mutex<Vec<(Extraction, Limits)>>,
}

#[async_trait]
impl Extract for FakeExtract {
    async fn extract(&self, what: Extraction, limits: Limits) -> Result<Text, Fault> {
        self.given.lock().expect("no panic").push((what, limits));
        Ok(self.text.clone())
    }
}
