//! A record as a stage of one's own sees it.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::Fault;
use crate::flow::Code;
use crate::message::{self, Envelope, Headers};

/// A record that was read from Kafka: bytes and headers as the producer wrote them, and what Lazaret knows of it.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Record {
    record: Arc<message::Record>,
    envelope: Arc<Envelope>,
}

impl Record {
    pub(crate) fn new(record: Arc<message::Record>, envelope: Arc<Envelope>) -> Self {
        Self { record, envelope }
    }

    pub fn key(&self) -> Option<&[u8]> {
        self.record.key.as_deref()
    }

    /// The record's value; empty when it is null. [`is_tombstone`](Self::is_tombstone) tells the two apart.
    pub fn payload(&self) -> &[u8] {
        self.record.value.as_deref().unwrap_or_default()
    }

    pub(crate) fn value(&self) -> Option<&Bytes> {
        self.record.value.as_ref()
    }

    /// Whether the value is null.
    pub fn is_tombstone(&self) -> bool {
        self.record.value.is_none()
    }

    /// The value as UTF-8 text. Anything else is a permanent failure (`record.undecodable`).
    pub fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(self.payload()).map_err(|error| {
            Fault::of(Code::RecordUndecodable, "the value is not UTF-8 text").caused_by(&error)
        })
    }

    /// The value as JSON. Permanent failures: `record.null`, `record.undecodable` (not JSON),
    /// `record.schema_violation` (JSON that is no `T`).
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        if self.is_tombstone() {
            return Err(Fault::of(Code::RecordNull, "the record has no value"));
        }
        serde_json::from_slice(self.payload()).map_err(|error| match error.is_data() {
            true => Fault::of(Code::RecordSchemaViolation, format!("the value does not fit: {error}")),
            false => Fault::of(Code::RecordUndecodable, format!("the value is not JSON: {error}")),
        })
    }

    /// The last header of this name, if it is there and is UTF-8 text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.envelope.original.text(name)
    }

    /// All headers as the producer wrote them, in their order. Lazaret's own are not among them.
    pub fn headers(&self) -> &Headers {
        &self.envelope.original
    }

    /// The input topic. This and the other coordinates say where the record stood first, also when it comes back from
    /// a rung.
    pub fn topic(&self) -> &str {
        &self.envelope.trail.origin.topic
    }

    pub fn partition(&self) -> i32 {
        self.envelope.trail.origin.partition
    }

    pub fn offset(&self) -> i64 {
        self.envelope.trail.origin.offset
    }

    /// Milliseconds since the Unix epoch; `None` when the broker has no time for it.
    pub fn timestamp(&self) -> Option<i64> {
        self.envelope.trail.origin.timestamp
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.envelope.trail.attempt.saturating_add(1)
    }

    /// How often it was sent back from the dead letter topic.
    pub fn redrives(&self) -> u32 {
        self.envelope.trail.redrives
    }

    /// Names the unit of work, the same in every attempt and after every redelivery: header `job-id`, or else derived
    /// from where the record stands. The right idempotency key for calls to others.
    pub fn job_id(&self) -> &str {
        &self.envelope.correlation.job.0
    }

    /// Header `tenant-id`.
    pub fn tenant(&self) -> Option<&str> {
        self.envelope.correlation.tenant.as_deref()
    }

    /// Header `resource-id`: the document, order, device … that the record is about.
    pub fn resource(&self) -> Option<&str> {
        self.envelope.correlation.resource.as_deref()
    }

    /// W3C trace context: header `traceparent`, or derived from the job id.
    pub fn traceparent(&self) -> &str {
        &self.envelope.correlation.traceparent
    }
}
