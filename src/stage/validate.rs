//! The `validate` stage: checks a document or a question before anything is spent on it, and sends on its
//! normalised form. It reads no document.

use async_trait::async_trait;
use serde_json::Value;

use super::fetch::Fetcher;
use super::{Job, Output, Stage};
use crate::config::{self, Subject};
use crate::flow::fault::one_line;
use crate::flow::{Code, Fault};
use crate::message::Correlation;
use crate::message::payload::{Document, Question};

/// Longest document id, question id and tenant, bytes: they become header values and index keys.
const ID_MAX: usize = 512;
/// Longest title and file name kept, bytes.
const NAME_MAX: usize = 512;
/// Longest reference and media type taken, bytes.
const URI_MAX: usize = 4096;

/// Checks records of one subject.
pub struct Validate {
    of: Subject,
    size_max: u64,
    fetcher: Fetcher,
}

impl Validate {
    pub fn new(settings: &config::Validate, fetcher: Fetcher) -> Self {
        Self { of: settings.of, size_max: settings.size_max.0, fetcher }
    }

    async fn document(&self, job: &Job) -> Result<Output, Fault> {
        let mut document = document(job)?;
        self.fetcher.check(&document, self.size_max).await?;
        document.version.get_or_insert(job.origin_timestamp);
        document.title = named(document.title);
        document.file_name = named(document.file_name);
        Output::new(&document)
    }

    fn question(&self, job: &Job) -> Result<Output, Fault> {
        let mut question = question(job, self.size_max)?;
        question.text = question.text.trim().to_owned();
        Output::new(&question)
    }
}

#[async_trait]
impl Stage for Validate {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let output = match self.of {
            Subject::Document => self.document(job).await?,
            Subject::Question => self.question(job)?,
        };
        Ok(vec![output])
    }
}

/// What can be said of a record without looking at the document that it refers to.
pub fn check(settings: &config::Validate, job: &Job) -> Result<(), Fault> {
    match settings.of {
        Subject::Document => document(job).map(drop),
        Subject::Question => question(job, settings.size_max.0).map(drop),
    }
}

fn document(job: &Job) -> Result<Document, Fault> {
    required(&job.payload, &["id", "tenant"])?;
    let document: Document = job.payload_as()?;
    identified(&document.id, &document.tenant, &job.correlation)?;
    same_resource(&document.id, &job.correlation)?;
    exactly_one_carrier(&document)?;
    for (name, value) in [("uri", &document.uri), ("media_type", &document.media_type)] {
        bounded(name, value.as_deref().unwrap_or_default(), URI_MAX)?;
    }
    let inline = document.text.as_deref().or(document.content.as_deref());
    if inline.is_some_and(|inline| inline.trim().is_empty()) {
        return Err(Fault::new(Code::DocumentEmpty, "the document has no bytes"));
    }
    Ok(document)
}

fn question(job: &Job, size_max: u64) -> Result<Question, Fault> {
    required(&job.payload, &["id", "tenant", "text"])?;
    let question: Question = job.payload_as()?;
    identified(&question.id, &question.tenant, &job.correlation)?;
    let size = question.text.len() as u64;
    if size > size_max {
        let message = format!("the question has {size} bytes; {size_max} are allowed (size_max)");
        return Err(Fault::new(Code::DocumentTooLarge, message));
    }
    Ok(question)
}

/// Missing, null and blank are the same to whoever has to mend the producer, and deserve their own code.
fn required(payload: &Value, names: &[&str]) -> Result<(), Fault> {
    for name in names {
        let missing = match payload.get(name) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            Some(_) => false,
        };
        if missing && payload.is_object() {
            return Err(Fault::new(
                Code::RecordMissingField,
                format!("the field `{name}` is missing or empty"),
            ));
        }
    }
    Ok(())
}

fn identified(id: &str, tenant: &str, correlation: &Correlation) -> Result<(), Fault> {
    for (name, value) in [("id", id), ("tenant", tenant)] {
        bounded(name, value, ID_MAX)?;
        if value.chars().any(char::is_control) {
            let message = format!("the field `{name}` holds control characters");
            return Err(Fault::new(Code::RecordSchemaViolation, message));
        }
    }
    match &correlation.tenant {
        Some(header) if header != tenant => Err(Fault::new(
            Code::RecordTenantMismatch,
            format!("the header tenant-id says '{header}', the payload says '{tenant}'"),
        )),
        _ => Ok(()),
    }
}

fn same_resource(id: &str, correlation: &Correlation) -> Result<(), Fault> {
    match &correlation.resource {
        Some(header) if header != id => Err(Fault::new(
            Code::RecordSchemaViolation,
            format!("the header resource-id says '{header}', the document's id is '{id}'"),
        )),
        _ => Ok(()),
    }
}

fn bounded(name: &str, value: &str, max: usize) -> Result<(), Fault> {
    if value.len() <= max {
        return Ok(());
    }
    let message = format!("the field `{name}` has {} bytes; {max} are allowed", value.len());
    Err(Fault::new(Code::RecordSchemaViolation, message))
}

fn exactly_one_carrier(document: &Document) -> Result<(), Fault> {
    let carriers = [
        ("text", document.text.is_some()),
        ("content", document.content.is_some()),
        ("uri", document.uri.as_deref().is_some_and(|uri| !uri.is_empty())),
    ];
    let present: Vec<&str> = carriers.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    match present.as_slice() {
        [_] => Ok(()),
        [] => Err(Fault::new(
            Code::RecordMissingField,
            "the document has none of `text`, `content` and `uri`; give one",
        )),
        several => Err(Fault::new(
            Code::RecordSchemaViolation,
            format!("the document has `{}`; give only one of them", several.join("` and `")),
        )),
    }
}

/// A name for people: one line, not too long, or none.
fn named(name: Option<String>) -> Option<String> {
    name.map(|name| one_line(&name, NAME_MAX)).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
