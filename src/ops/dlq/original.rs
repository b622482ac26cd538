//! The record that died, as it stands in Kafka or in the archive: key, headers, and the payload by its schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::config::{Config, Format};
use crate::flow::Topology;
use crate::kafka::client::reach;
use crate::message::payload::Usage;
use crate::message::{DeadLetter, Record};
use crate::ops::archive::find::Finder;
use crate::quarantine::{Entry, Known, Mask, Writer};
use crate::schema::{Plan, Registry, Shape, shown};

/// What Kafka, or the archive, has of a dead letter.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Standing {
    There(Box<Original>),
    /// It was deleted; what the index knows is all there is.
    Gone,
    /// Kafka, or the archive, did not tell.
    Unread {
        why: String,
    },
}

/// Key, headers and value of a record. Contents are absent where they are not to be shown.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Original {
    pub key: Part,
    /// Of a letter of ours, those that the record had before it died.
    pub headers: Vec<Header>,
    pub payload: Part,
    /// Tokens that the payload tells of.
    #[serde(skip)]
    pub usage: Option<Usage>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Header {
    pub name: String,
    #[serde(flatten)]
    pub value: Part,
}

/// Bytes, and what they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Part {
    /// Absent when it is null.
    pub bytes: Option<usize>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// Why it is not shown by its schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Bytes as people can read them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "format", rename_all = "snake_case")]
pub enum Content {
    Json {
        value: Value,
    },
    /// With the id of the schema that it was written with.
    Avro {
        schema: u32,
        value: Value,
    },
    Text {
        text: String,
    },
    Binary {
        base64: String,
    },
}

/// Reads the record of a letter.
pub async fn standing(config: &Config, known: &Known) -> Standing {
    let entry = &known.entry;
    // Who asks for one record does not wait as long as who asks for many.
    if let Err(problem) = reach(&config.kafka, "dlq").await {
        return Standing::Unread { why: problem.to_string() };
    }
    let found = Finder::new(config, "dlq").find([(entry, known.archived.as_deref())]).await;
    let record = match found {
        Ok(mut found) => found.remove(&entry.id),
        Err(problem) => return Standing::Unread { why: problem.to_string() },
    };
    match record {
        Some(record) => Standing::There(Box::new(original(config, entry, &record).await)),
        None => Standing::Gone,
    }
}

/// Without what is masked.
async fn original(config: &Config, entry: &Entry, record: &Record) -> Original {
    let mask = &Mask::of(&config.quarantine.masking);
    let own = DeadLetter::read(record).ok().filter(|_| entry.writer == Writer::Lazaret);
    let is_ours = own.is_some();
    let headers = own.map_or_else(|| record.headers.clone(), |(_, original)| original);
    let header = |(name, value): (&str, Option<&Bytes>)| {
        // In those of others stands what went wrong.
        let hidden = |value: &Bytes| match (mask.header(name, value.clone()), is_ours) {
            (value, true) => value,
            (value, false) => mask.said(value),
        };
        let shown = value.map(hidden);
        Header { name: name.to_owned(), value: Part::of(shown.as_deref()).of_length(value) }
    };
    let payload = payload(config, mask, entry, record.value.as_ref()).await;
    let key = record.key.as_ref();
    let shown_key = key.map(|key| mask.key(key.clone()));
    Original {
        key: Part::of(shown_key.as_deref()).of_length(key),
        headers: headers.shared().map(header).collect(),
        usage: usage(&payload, plan(config, entry).as_ref()),
        payload,
    }
}

impl Original {
    /// Without everything that not everybody may see.
    pub fn without_contents(mut self) -> Self {
        let parts = self.headers.iter_mut().map(|header| &mut header.value);
        for part in parts.chain([&mut self.key, &mut self.payload]) {
            part.content = None;
        }
        self
    }
}

impl Part {
    /// The length is that of the record, whatever is hidden of it.
    fn of_length(self, bytes: Option<&Bytes>) -> Self {
        Self { bytes: bytes.map(Bytes::len), ..self }
    }

    /// JSON objects and lists as such, other text as text, anything else as bytes.
    pub fn of(bytes: Option<&[u8]>) -> Self {
        let content = bytes.map(|bytes| match (serde_json::from_slice(bytes), std::str::from_utf8(bytes)) {
            (Ok(value @ (Value::Object(_) | Value::Array(_))), _) => Content::Json { value },
            (_, Ok(text)) => Content::Text { text: text.to_owned() },
            (_, Err(_)) => Content::Binary { base64: STANDARD.encode(bytes) },
        });
        Self { bytes: bytes.map(<[u8]>::len), content, problem: None }
    }
}

/// By the schema that the registry has for it, where there is one: a record that is no Avro says so, and one that is Avro
/// where none is expected is shown as such, since that may be why it died.
///
/// What is masked of a payload that is not JSON is hidden as a whole, and what stands in Avro is looked at as JSON.
async fn payload(config: &Config, mask: &Mask, entry: &Entry, value: Option<&Bytes>) -> Part {
    let is_avro = plan(config, entry).is_some_and(|plan| plan.format == Format::Avro);
    let shown_plain = value.map(|value| mask.payload(value.clone()));
    let plain = Part::of(shown_plain.as_deref()).of_length(value);
    let Some(bytes) = value.filter(|value| is_avro || value.first() == Some(&0)) else { return plain };
    let decoded = match Registry::of(config) {
        Ok(Some(registry)) => shown(&registry, bytes).await.map_err(|fault| fault.message),
        Ok(None) => return plain,
        Err(error) => Err(error.to_string()),
    };
    match decoded {
        Ok((schema, value)) => match masked(mask, value) {
            Some(value) => Part { content: Some(Content::Avro { schema, value }), ..plain },
            None => plain,
        },
        Err(why) if is_avro => Part { problem: Some(mask.error(&why).into_owned()), ..plain },
        Err(_) => plain,
    }
}

/// A decoded payload without what is hidden of it; `None` when all of it is.
fn masked(mask: &Mask, value: Value) -> Option<Value> {
    let text = serde_json::to_vec(&value).ok()?;
    serde_json::from_slice(&mask.payload(text.into())).ok()
}

/// What the stage reads.
fn plan(config: &Config, entry: &Entry) -> Option<Plan> {
    let topology = Topology::derive(config);
    let (pipeline, stage) =
        (config.pipelines.get(&entry.pipeline)?, topology.stage(&entry.pipeline, &entry.stage)?);
    Plan::around(pipeline, stage).map(|(read, _)| read)
}

/// A draft says what the model that wrote it has counted.
fn usage(payload: &Part, plan: Option<&Plan>) -> Option<Usage> {
    plan.filter(|plan| plan.shape == Shape::Draft)?;
    let (Content::Json { value } | Content::Avro { value, .. }) = payload.content.as_ref()? else {
        return None;
    };
    serde_json::from_value(value.get("usage")?.clone()).ok()
}

#[cfg(test)]
mod tests;
