//! Documents and questions from files into the input topic of a pipeline. Never reads a file into memory that is
//! larger than a record may be: such a document travels as a reference.

pub mod documents;
pub mod questions;

use futures::{StreamExt as _, stream};
use serde::Serialize;
use uuid::Uuid;

use crate::config::{Config, Format, Kind, Pipeline, Subject};
use crate::flow::Topology;
use crate::kafka::{KafkaProblem, ProduceError, Producer, Sent};
use crate::message::headers::{JOB_ID, RESOURCE_ID, TENANT_ID, TRACEPARENT};
use crate::message::id::derived_traceparent;
use crate::message::{Headers, JobId, OutRecord};

/// Header that says what the value is (RFC 9110 media type).
pub const CONTENT_TYPE: &str = "content-type";
/// Header with a document's file name, for values that are the document itself.
pub const FILE_NAME: &str = "file-name";
/// Records on their way at the same time; bounds the memory of a large folder.
const IN_FLIGHT_MAX: usize = 32;

/// Why nothing, or not everything, was submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// What was asked for makes no sense: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Nothing to submit was found: exit code 3.
    #[error("{0}")]
    Nothing(String),
    #[error("cannot read {place}: {source}")]
    Read { place: String, source: std::io::Error },
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error("'{resource}' was not submitted: {source}")]
    Produce { resource: String, source: ProduceError },
}

/// One thing to submit, not yet a record: large folders are not held in memory.
pub trait Item: Send {
    /// Id of the document or question; its job id when it has none.
    fn resource(&self) -> Option<String>;
    /// Reads it and makes the value: bytes, and headers besides the correlation.
    fn load(self, format: Format, tenant: &str, job: &JobId) -> Result<(Vec<u8>, Headers), SubmitError>;
}

/// What was submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Submitted {
    pub job: JobId,
    pub resource: String,
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// The pipeline to submit to: the one named, or the only one whose first stage takes such records.
pub fn pipeline<'a>(
    config: &'a Config,
    named: Option<&str>,
    subject: Subject,
) -> Result<(&'a str, &'a Pipeline), SubmitError> {
    let known = || config.pipelines.keys().cloned().collect::<Vec<_>>().join(", ");
    if let Some(name) = named {
        let found = config.pipelines.get_key_value(name).map(|(name, p)| (name.as_str(), p));
        return found.ok_or_else(|| {
            SubmitError::Usage(format!("there is no pipeline '{name}'; the configuration has {}", known()))
        });
    }
    let takes = |pipeline: &Pipeline| match pipeline.stages.first().map(|stage| &stage.kind) {
        Some(Kind::Validate(validate)) => validate.of == subject,
        _ => false,
    };
    let mut fitting = config.pipelines.iter().filter(|(_, p)| takes(p));
    match (fitting.next(), fitting.next()) {
        (Some((name, pipeline)), None) => Ok((name.as_str(), pipeline)),
        (None, _) => Err(SubmitError::Usage(format!(
            "no pipeline begins with a validate stage for {}; name one with --pipeline ({})",
            noun(subject),
            known()
        ))),
        (Some(_), Some(_)) => Err(SubmitError::Usage(format!(
            "several pipelines take {}; name one with --pipeline ({})",
            noun(subject),
            known()
        ))),
    }
}

fn noun(subject: Subject) -> &'static str {
    match subject {
        Subject::Document => "documents",
        Subject::Question => "questions",
    }
}

/// Writes the items to the pipeline's input topic and reports each acknowledged one to `on_sent`. Stops at the first error;
/// what was reported before it stays submitted.
pub async fn submit<I: Item>(
    config: &Config,
    pipeline: &Pipeline,
    tenant: &str,
    items: Vec<I>,
    mut on_sent: impl FnMut(&Submitted),
) -> Result<Vec<Submitted>, SubmitError> {
    check_tenant(tenant)?;
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "submit")?;
    let topic = &pipeline.input;
    let one = async |item: I| {
        let job = JobId(Uuid::now_v7().to_string());
        let resource = item.resource().unwrap_or_else(|| job.to_string());
        let (value, extra) = item.load(topic.format, tenant, &job)?;
        let record = record(&topic.topic, tenant, &job, &resource, value, extra);
        match producer.send(record).await {
            Ok(Sent { partition, offset }) => {
                Ok(Submitted { job, resource, topic: topic.topic.clone(), partition, offset })
            }
            Err(source) => Err(SubmitError::Produce { resource, source }),
        }
    };
    let mut sending = stream::iter(items).map(one).buffered(IN_FLIGHT_MAX);
    let mut submitted = Vec::new();
    while let Some(sent) = sending.next().await {
        let sent = sent?;
        on_sent(&sent);
        submitted.push(sent);
    }
    drop(sending);
    Ok(submitted)
}

fn check_tenant(tenant: &str) -> Result<(), SubmitError> {
    if tenant.trim().is_empty() || tenant.chars().any(char::is_control) {
        return Err(SubmitError::Usage(
            "the tenant is empty or has control characters; name one with --tenant".into(),
        ));
    }
    Ok(())
}

/// The key is the resource's id, so that versions of one document keep their order.
fn record(
    topic: &str,
    tenant: &str,
    job: &JobId,
    resource: &str,
    value: Vec<u8>,
    extra: Headers,
) -> OutRecord {
    let mut headers = Headers::new();
    headers.push_text(JOB_ID, job.to_string());
    headers.push_text(TENANT_ID, tenant);
    headers.push_text(RESOURCE_ID, resource);
    headers.push_text(TRACEPARENT, derived_traceparent(job));
    for (name, value) in extra.iter() {
        headers.push(name, value.map(<[u8]>::to_vec));
    }
    OutRecord {
        topic: topic.to_owned(),
        partition: None,
        key: Some(resource.as_bytes().to_vec()),
        value: Some(value),
        headers,
        timestamp: None,
    }
}

/// A payload as JSON with its header; other formats are said to be impossible here.
fn json_value<T: Serialize>(
    payload: &T,
    format: Format,
    resource: &str,
) -> Result<(Vec<u8>, Headers), SubmitError> {
    if format != Format::Json {
        return Err(SubmitError::Usage(format!(
            "'{resource}' cannot be written as {}: `submit` writes JSON, and documents also as bytes; set the input topic's format, or produce with a tool that writes it",
            if format == Format::Avro { "Avro" } else { "bytes" }
        )));
    }
    let value = serde_json::to_vec(payload)
        .map_err(|e| SubmitError::Usage(format!("'{resource}' cannot be written as JSON: {e}")))?;
    let mut headers = Headers::new();
    headers.push_text(CONTENT_TYPE, "application/json");
    Ok((value, headers))
}

#[cfg(test)]
mod tests;
