//! Documents and questions from files into the input topic of a pipeline. Never reads a file into memory that is
//! larger than a record may be: such a document travels as a reference.

pub mod documents;
pub mod questions;

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::advice::Advice;
use crate::config::{Config, Format, Kind, Pipeline, Subject};
use crate::flow::{Fault, Topology};
use crate::kafka::client::reach;
use crate::kafka::{KafkaProblem, ProduceError, Producer, Sent};
use crate::message::headers::{JOB_ID, RESOURCE_ID, TENANT_ID, TRACEPARENT};
use crate::message::id::derived_traceparent;
use crate::message::{Headers, JobId, OutRecord};
use crate::schema::{Codec, Plan, Registry};

/// Header that says what the value is (RFC 9110 media type).
pub const CONTENT_TYPE: &str = "content-type";
/// Header with a document's file name, for values that are the document itself.
pub const FILE_NAME: &str = "file-name";
const CHECK: &str = "`lazaret check` says what the configuration lacks";
const REPORT: &str = concat!("please report it at ", env!("CARGO_PKG_REPOSITORY"), "/issues");
/// Records on their way at the same time; bounds the memory of a large folder.
const IN_FLIGHT_MAX: usize = 32;

/// Why nothing, or not everything, was submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// What was asked for makes no sense: exit code 2.
    #[error("{0}")]
    Usage(Advice),
    /// Nothing to submit was found: exit code 3.
    #[error("{0}")]
    Nothing(Advice),
    #[error("cannot read {place}: {source}")]
    Read { place: String, source: std::io::Error },
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    /// The schema or the registry is against it.
    #[error("'{resource}' was not submitted: {source}")]
    Encode { resource: String, source: Box<Fault> },
    #[error("'{resource}' was not submitted: {source}")]
    Produce { resource: String, source: ProduceError },
}

fn usage(message: impl Into<String>, hint: impl Into<String>) -> SubmitError {
    SubmitError::Usage(Advice::new(message, hint))
}

/// One thing to submit, not yet a record: large folders are not held in memory.
pub trait Item: Send {
    /// Id of the document or question; its job id when it has none.
    fn resource(&self) -> Option<String>;
    /// Reads it.
    fn load(self, format: Format, tenant: &str, job: &JobId) -> Result<Loaded, SubmitError>;
    /// Refuses items that the stages of this configuration could only bury, before anything is sent.
    fn check(_items: &[Self], _config: &Config, _format: Format) -> Result<(), SubmitError>
    where
        Self: Sized,
    {
        Ok(())
    }
}

/// What goes into a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    pub body: Body,
    /// Media type of the value, where it is known.
    pub content_type: Option<&'static str>,
    pub file_name: Option<String>,
}

/// The value before it is written in the topic's format.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// One of `message::payload`.
    Payload(Value),
    /// A document as it is.
    Bytes(Vec<u8>),
}

impl Loaded {
    fn payload<T: Serialize>(payload: &T) -> Result<Self, SubmitError> {
        let value = serde_json::to_value(payload)
            .map_err(|e| usage(format!("the record cannot be written as JSON: {e}"), REPORT))?;
        Ok(Self { body: Body::Payload(value), content_type: Some("application/json"), file_name: None })
    }
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
            usage(format!("there is no pipeline '{name}'"), format!("the configuration has {}", known()))
        });
    }
    let takes = |pipeline: &Pipeline| match pipeline.stages.first().map(|stage| &stage.kind) {
        Some(Kind::Validate(validate)) => validate.of == subject,
        _ => false,
    };
    let mut fitting = config.pipelines.iter().filter(|(_, p)| takes(p));
    match (fitting.next(), fitting.next()) {
        (Some((name, pipeline)), None) => Ok((name.as_str(), pipeline)),
        (None, _) => Err(usage(
            format!("no pipeline begins with a validate stage for {}", noun(subject)),
            format!("name one with --pipeline: {}", known()),
        )),
        (Some(_), Some(_)) => Err(usage(
            format!("several pipelines take {}", noun(subject)),
            format!("name one with --pipeline: {}", known()),
        )),
    }
}

fn noun(subject: Subject) -> &'static str {
    match subject {
        Subject::Document => "documents",
        Subject::Question => "questions",
    }
}

/// Writes the items to the pipeline's input topic and reports each acknowledged one to `on_sent`. Begins nothing more after
/// the first failure; what was reported, before it or while the rest was waited for, stays submitted.
pub async fn submit<I: Item>(
    config: &Config,
    pipeline: &Pipeline,
    tenant: &str,
    items: Vec<I>,
    on_sent: impl FnMut(&Submitted),
) -> Result<Vec<Submitted>, SubmitError> {
    check_tenant(tenant)?;
    check_ids(&items)?;
    I::check(&items, config, pipeline.input.format)?;
    reach(&config.kafka, "submit").await?;
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "submit")?;
    let topic = &pipeline.input;
    let codec = codec(config, pipeline)?;
    let one = async |item: I| {
        let job = JobId(Uuid::now_v7().to_string());
        let resource = item.resource().unwrap_or_else(|| job.to_string());
        let loaded = item.load(topic.format, tenant, &job)?;
        let headers = headers(tenant, &job, &resource, topic.format, &loaded);
        let out = OutRecord {
            topic: topic.topic.clone().into(),
            partition: None,
            // Versions of one document keep their order.
            key: Some(resource.as_bytes().to_vec().into()),
            value: Some(encode(loaded.body, &codec, topic.format, &resource).await?.into()),
            headers,
            timestamp: None,
        };
        match producer.send(out).await {
            Ok(Sent { partition, offset }) => {
                Ok(Submitted { job, resource, topic: topic.topic.clone(), partition, offset })
            }
            Err(source) => Err(SubmitError::Produce { resource, source }),
        }
    };
    in_order(items, one, on_sent).await
}

/// Works on some items at the same time, and reports those that are done in the order of the items. After a failure no item
/// is begun, but those that were begun are waited for: Kafka may have them already. Returns the failure of the first item
/// that has one.
async fn in_order<I, T, F: Future<Output = Result<T, SubmitError>>>(
    items: Vec<I>,
    work: impl Fn(I) -> F,
    mut on_done: impl FnMut(&T),
) -> Result<Vec<T>, SubmitError> {
    let has_failed = AtomicBool::new(false);
    let unless_failed = |item| {
        let work = work(item);
        let has_failed = &has_failed;
        async move {
            if has_failed.load(Ordering::Relaxed) {
                return None;
            }
            let result = work.await;
            has_failed.fetch_or(result.is_err(), Ordering::Relaxed);
            Some(result)
        }
    };
    let mut working = stream::iter(items).map(unless_failed).buffered(IN_FLIGHT_MAX);
    let (mut all, mut failure) = (Vec::new(), None);
    while let Some(ended) = working.next().await {
        match ended {
            Some(Ok(done)) => {
                on_done(&done);
                all.push(done);
            }
            Some(Err(error)) => failure = failure.or(Some(error)),
            None => {}
        }
    }
    failure.map_or(Ok(all), Err)
}

fn check_tenant(tenant: &str) -> Result<(), SubmitError> {
    if tenant.trim().is_empty() || tenant.chars().any(char::is_control) {
        return Err(usage("the tenant is empty or has control characters", "name one with --tenant"));
    }
    Ok(())
}

/// The validate stage takes no such id, and no terminal should be shown it.
fn check_ids<I: Item>(items: &[I]) -> Result<(), SubmitError> {
    let is_refused = |id: &String| id.chars().any(char::is_control);
    let mut refused = items.iter().filter_map(Item::resource).filter(is_refused);
    let Some(first) = refused.next() else { return Ok(()) };
    let message = match refused.count() {
        0 => format!("the id {first:?} has control characters"),
        others => format!("the id {first:?} and {others} more have control characters"),
    };
    Err(usage(message, "rename the file or folder, or give the question another id; nothing was submitted"))
}

fn headers(tenant: &str, job: &JobId, resource: &str, format: Format, loaded: &Loaded) -> Headers {
    let mut headers = Headers::new();
    headers.push_text(JOB_ID, job.to_string());
    headers.push_text(TENANT_ID, tenant);
    headers.push_text(RESOURCE_ID, resource);
    headers.push_text(TRACEPARENT, derived_traceparent(job));
    // The wire format of Avro values has no media type.
    if let Some(content_type) = loaded.content_type.filter(|_| format != Format::Avro) {
        headers.push_text(CONTENT_TYPE, content_type);
    }
    if let Some(file_name) = &loaded.file_name {
        headers.push_text(FILE_NAME, file_name.clone());
    }
    headers
}

/// Writes the values of the input topic. Avro needs the registry, which is not asked before the first value.
fn codec(config: &Config, pipeline: &Pipeline) -> Result<Codec, SubmitError> {
    let plan = Plan::of_input(pipeline).ok_or_else(|| usage("the pipeline has no stage", "give it one"))?;
    let registry = match plan.format {
        Format::Avro => Registry::of(config).map_err(|e| usage(e.to_string(), CHECK))?,
        Format::Json | Format::Bytes => None,
    };
    Codec::new(&plan, registry.as_ref()).map_err(|e| usage(e.to_string(), CHECK))
}

/// The value in the format of the input topic.
async fn encode(body: Body, codec: &Codec, format: Format, resource: &str) -> Result<Vec<u8>, SubmitError> {
    match (body, format) {
        (Body::Bytes(bytes), _) => Ok(bytes),
        (Body::Payload(_), Format::Bytes) => Err(usage(
            format!("'{resource}' is no document, and the input topic takes documents as bytes"),
            "name another pipeline with --pipeline",
        )),
        (Body::Payload(payload), Format::Json | Format::Avro) => {
            codec.encode(&payload).await.map_err(|source| SubmitError::Encode {
                resource: resource.to_owned(),
                source: Box::new(source),
            })
        }
    }
}

#[cfg(test)]
mod tests;
