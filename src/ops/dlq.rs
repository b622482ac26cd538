//! Dead letters one by one: found in the index, told with everything that is known of them, and, in `redrive`, sent back.

pub mod account;
pub mod care;
pub mod explain;
pub mod life;
pub mod links;
pub mod list;
pub mod original;
pub mod redrive;
pub mod runbook;

use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::advice::Advice;
use super::quarantine::FollowError;
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::kafka::client::reach;
use crate::kafka::read::{End, Reading, Start, read};
use crate::message::deadletter::DeadLetter;
use crate::message::{Headers, Record};
use crate::quarantine::{Filter, QuarantineError};

/// How long one look at the topics may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// A dead letter and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// `topic-partition@offset` of the dead letter itself.
    pub at: String,
    /// `topic-partition@offset` of the original record.
    pub from: String,
    /// Bytes of the original value; absent when it was null.
    pub size: Option<usize>,
}

/// A dead letter with everything it carries.
#[derive(Clone, Debug)]
pub struct Opened {
    pub found: Found,
    /// The headers the original record had.
    pub original: Headers,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// There is no such dead letter, or the topics cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    #[error("{0}")]
    NotFound(Advice),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error(transparent)]
    Index(#[from] FollowError),
}

impl From<QuarantineError> for DlqError {
    fn from(error: QuarantineError) -> Self {
        Self::Index(error.into())
    }
}

fn not_found(message: String, hint: &str) -> DlqError {
    DlqError::NotFound(Advice::new(message, hint))
}

async fn scan<S: Send + 'static>(
    config: &Config,
    topics: Vec<String>,
    state: S,
    visit: impl FnMut(&mut S, Record) -> ControlFlow<()> + Send + 'static,
) -> Result<(S, bool), DlqError> {
    reach(&config.kafka, "dlq").await?;
    let reading = Reading { topics, start: Start::Beginning, deadline: DEADLINE };
    let message_max = Topology::derive(config).message_max();
    let (state, report) = read(&config.kafka, message_max, reading, state, visit).await?;
    Ok((state, report.end != End::Deadline))
}

/// The dead letter topics of the stages that the filter names.
fn topics(config: &Config, filter: &Filter) -> Result<Vec<String>, DlqError> {
    let wanted = |w: &Option<String>, value: &str| w.as_deref().is_none_or(|w| w == value);
    let stages = Topology::derive(config).stages;
    let all: Vec<String> = stages.iter().map(|s| format!("{}.{}", s.pipeline, s.stage)).collect();
    let topics: Vec<String> = stages
        .into_iter()
        .filter(|s| wanted(&filter.pipeline, &s.pipeline) && wanted(&filter.stage, &s.stage))
        .map(|s| s.dlq)
        .collect();
    if topics.is_empty() {
        let stages = all.join(", ");
        return Err(not_found("no such stage".into(), &format!("the configuration has {stages}")));
    }
    Ok(topics)
}

fn found(letter: DeadLetter, record: &Record) -> Found {
    let (at, from) = (record.at.to_string(), letter.origin.to_string());
    Found { letter, at, from, size: record.value.as_ref().map(Bytes::len) }
}

#[cfg(test)]
pub(crate) mod fixture;
