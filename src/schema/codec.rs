//! One topic's values to JSON and back. Never drops a field in silence, never writes what its schema forbids.

use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::config::Format;
use crate::flow::fault::one_line;
use crate::flow::{Code, Fault};
use crate::message::Record;

use super::plan::Plan;
use super::registry::{CAUSE_MAX, Registry};
use super::shape::Shape;
use super::{avro, document, json, wire};

/// Largest value that is decoded at all.
const VALUE_MAX: usize = 64 << 20;

/// The configuration asks for a codec that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("topic '{0}' has format avro, but there is no schema registry: add `registry: {{ url: … }}`")]
    NoRegistry(String),
    #[error("topic '{0}' has format bytes, which is for input topics of documents only; use json or avro")]
    NotDocuments(String),
    #[error("the schema {name} is not Avro")]
    Schema { name: &'static str, source: Box<apache_avro::Error> },
}

/// Reads and writes the values of one topic.
#[derive(Debug)]
pub struct Codec {
    topic: String,
    format: Inner,
}

#[derive(Debug)]
enum Inner {
    Json,
    Bytes,
    Avro(Box<AvroCodec>),
}

#[derive(Debug)]
struct AvroCodec {
    registry: Arc<Registry>,
    subject: String,
    shape: Shape,
    schema: Schema,
    /// What the registry calls `schema` in `subject`; asked for once, when the first value is written.
    id: OnceCell<u32>,
}

impl Codec {
    /// The registry is needed for Avro only. Asks nobody yet.
    pub fn new(plan: &Plan, registry: Option<&Arc<Registry>>) -> Result<Self, CodecError> {
        let format = match plan.format {
            Format::Json => Inner::Json,
            Format::Bytes if plan.shape == Shape::Document => Inner::Bytes,
            Format::Bytes => return Err(CodecError::NotDocuments(plan.topic.clone())),
            Format::Avro => {
                let registry = registry.ok_or_else(|| CodecError::NoRegistry(plan.topic.clone()))?;
                Inner::Avro(Box::new(AvroCodec::new(plan, registry.clone())?))
            }
        };
        Ok(Self { topic: plan.topic.clone(), format })
    }

    /// The record's value as a stage reads it.
    ///
    /// Faults: `record.null`, `record.undecodable`, `record.schema_unknown`, `record.schema_violation`,
    /// `record.missing_field` (format bytes), `registry.unavailable`, `registry.unauthorized`.
    pub async fn decode(&self, record: &Record) -> Result<Value, Fault> {
        let value = record
            .value
            .as_deref()
            .ok_or_else(|| Fault::new(Code::RecordNull, format!("{}: the record has no value", record.at)))?;
        if value.len() > VALUE_MAX {
            let message =
                format!("the value has {} bytes, more than the {VALUE_MAX} that are read", value.len());
            return Err(Fault::new(Code::RecordUndecodable, message));
        }
        match &self.format {
            Inner::Json => json::decode(value),
            Inner::Bytes => document::decode(record, value),
            Inner::Avro(codec) => codec.decode(value).await,
        }
    }

    /// What a stage made, as it stands in the topic.
    ///
    /// Faults: `record.schema_violation`, `registry.unavailable` (also when the schema is not registered),
    /// `registry.unauthorized`, and `output.unwritable` for a topic of format bytes.
    pub async fn encode(&self, value: &Value) -> Result<Vec<u8>, Fault> {
        match &self.format {
            Inner::Json => serde_json::to_vec(value)
                .map_err(|e| Fault::new(Code::RecordSchemaViolation, format!("the output is not JSON: {e}"))),
            Inner::Bytes => Err(Fault::new(
                Code::OutputUnwritable,
                format!("topic '{}' has format bytes, which can be read but not written", self.topic),
            )),
            Inner::Avro(codec) => codec.encode(value).await,
        }
    }
}

impl AvroCodec {
    fn new(plan: &Plan, registry: Arc<Registry>) -> Result<Self, CodecError> {
        let schema = plan
            .shape
            .schema()
            .map_err(|e| CodecError::Schema { name: plan.shape.name(), source: Box::new(e) })?;
        Ok(Self { registry, subject: plan.subject(), shape: plan.shape, schema, id: OnceCell::new() })
    }

    /// Reads with the writer's schema, then resolves to ours: defaults fill in what the writer did not know.
    async fn decode(&self, wire: &[u8]) -> Result<Value, Fault> {
        let written = self.registry.read(wire).await?;
        let resolved = written.resolve(&self.schema).map_err(|e| self.violation(&e))?;
        avro::to_json(resolved).map_err(|e| self.violation(&e))
    }

    async fn encode(&self, value: &Value) -> Result<Vec<u8>, Fault> {
        let value = avro::from_json(value, &self.schema).map_err(|e| self.violation(&e))?;
        let writer = GenericDatumWriter::builder(&self.schema).build().map_err(|e| self.violation(&e))?;
        let datum = writer.write_value_to_vec(value).map_err(|e| self.violation(&e))?;
        let id = self.id.get_or_try_init(|| self.registered_id()).await?;
        Ok(wire::join(*id, &datum))
    }

    /// Schemas are registered by a person or a deployment, not by whichever worker comes first.
    async fn registered_id(&self) -> Result<u32, Fault> {
        self.registry.id_of(&self.subject, self.shape).await?.ok_or_else(|| {
            Fault::new(
                Code::RegistryUnavailable,
                format!(
                    "the registry at {} does not have the schema {} in subject '{}'; register it with \
                     `lazaret schemas register`",
                    self.registry.url(),
                    self.shape.name(),
                    self.subject
                ),
            )
        })
    }

    fn violation(&self, error: &dyn std::error::Error) -> Fault {
        let cause = one_line(&error.to_string(), CAUSE_MAX);
        let message = format!("the value does not fit the schema {}: {cause}", self.shape.name());
        Fault::new(Code::RecordSchemaViolation, message)
    }
}

#[cfg(test)]
mod tests;
