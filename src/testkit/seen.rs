//! What a test writes and what it gets to see.

use bytes::Bytes;
use jiff::Timestamp;

use crate::flow::Code;
use crate::message::{DeadLetter, Headers, Record, trail};

/// A record for the input topic.
#[derive(Clone, Debug)]
pub struct TestRecord {
    pub(super) partition: i32,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Headers,
    pub(super) timestamp: Option<i64>,
}

impl TestRecord {
    /// On partition 0, without key and headers, of the time when it is written.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into().into()), ..Self::tombstone() }
    }

    /// The same with a null value.
    pub fn tombstone() -> Self {
        Self { partition: 0, key: None, value: None, headers: Headers::new(), timestamp: None }
    }

    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into().into());
        self
    }

    /// Appends a header. `job-id`, `tenant-id` and `resource-id` are those that Lazaret reads.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name.into(), Some(value.into()));
        self
    }

    pub fn partition(mut self, partition: u16) -> Self {
        self.partition = partition.into();
        self
    }

    /// Milliseconds since the Unix epoch.
    pub fn timestamp(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }
}

impl<T: Into<Vec<u8>>> From<T> for TestRecord {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

/// A record that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written(pub(super) Record);

impl Written {
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key.as_deref()
    }

    /// `None` for a tombstone.
    pub fn payload(&self) -> Option<&[u8]> {
        self.0.value.as_deref()
    }

    /// The value as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.payload().unwrap_or_default()).into_owned()
    }

    /// The last header of this name, if it is there and is UTF-8 text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.text(name)
    }

    /// All of it, with its place and all headers in their order.
    pub fn record(&self) -> &Record {
        &self.0
    }
}

/// A record on a rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    pub record: Written,
    /// The rung's topic.
    pub rung: String,
    /// It is tried again then, and never before.
    pub due: Timestamp,
    /// Failed attempts so far.
    pub failures: u32,
    /// Why the last one failed.
    pub code: Option<Code>,
}

impl Retry {
    pub(super) fn read(record: &Record) -> Option<Self> {
        let trail = trail::open(record, true).trail;
        let rung = record.at.topic.to_string();
        let due = trail.due?;
        Some(Self { record: Written(record.clone()), rung, due, failures: trail.attempt, code: trail.code })
    }
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The record as it stands in the dead letter topic: the original's key and value, and its headers followed by the
    /// `dlq.*` ones.
    pub record: Written,
    /// What the `dlq.*` headers say.
    pub letter: DeadLetter,
    /// The headers of the original record.
    pub original: Headers,
}

impl Dead {
    pub(super) fn read(record: &Record) -> Option<Self> {
        let (letter, original) = DeadLetter::read(record).ok()?;
        Some(Self { record: Written(record.clone()), letter, original })
    }
}
