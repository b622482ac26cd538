//! A record as it was read from Kafka, and a record that is about to be written. Plain data.

use std::fmt;

use super::Headers;

/// A topic and one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Where a record stands in the log, and the time the log gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinates {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Kafka record timestamp, milliseconds since the Unix epoch; `None` when the broker has none.
    pub timestamp: Option<i64>,
}

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}@{}", self.topic, self.partition, self.offset)
    }
}

/// A record read from Kafka: bytes and headers exactly as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub at: Coordinates,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
}

impl Record {
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(self.at.topic.clone(), self.at.partition)
    }

    /// Bytes of key, value and headers: what the record costs in memory and, roughly, on the wire.
    pub fn size(&self) -> usize {
        size(&self.key, &self.value, &self.headers)
    }
}

/// A record that is about to be produced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutRecord {
    pub topic: String,
    /// `None` lets the partitioner choose by key.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
    /// Milliseconds since the Unix epoch; `None` means the time of producing.
    pub timestamp: Option<i64>,
}

impl OutRecord {
    /// Bytes of key, value and headers.
    pub fn size(&self) -> usize {
        size(&self.key, &self.value, &self.headers)
    }
}

fn size(key: &Option<Vec<u8>>, value: &Option<Vec<u8>>, headers: &Headers) -> usize {
    key.as_ref().map_or(0, Vec::len) + value.as_ref().map_or(0, Vec::len) + headers.size()
}
