//! A record as it was read from Kafka, and a record that is about to be written. Plain data.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Headers;

/// The name of a topic. Every record has it, and they share it.
pub type Topic = Arc<str>;

/// A topic and one of its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Topic,
    pub partition: i32,
}

impl TopicPartition {
    pub fn new(topic: impl Into<Topic>, partition: i32) -> Self {
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
    pub topic: Topic,
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

/// A record read from Kafka: bytes and headers exactly as they came. What becomes of it shares its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub at: Coordinates,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
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
    pub topic: Topic,
    /// `None` lets the partitioner choose by key.
    pub partition: Option<i32>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
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

fn size(key: &Option<Bytes>, value: &Option<Bytes>, headers: &Headers) -> usize {
    key.as_ref().map_or(0, Bytes::len) + value.as_ref().map_or(0, Bytes::len) + headers.size()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let at = Coordinates { topic: "docs".into(), partition: 3, offset: 42, timestamp: None };
        let mut headers = Headers::new();
        headers.push("h", Some(vec![0; 16]));
        Record { at, key: Some(vec![0; 2].into()), value: Some(vec![0; 4].into()), headers }
    }

    #[test]
    fn a_place_in_a_log_is_written_with_partition_and_offset() {
        assert_eq!(record().at.to_string(), "docs-3@42");
        assert_eq!(record().topic_partition().to_string(), "docs-3");
    }

    #[test]
    fn the_size_of_a_record_is_that_of_key_value_and_headers() {
        let Record { key, value, headers, .. } = record();
        assert_eq!(record().size(), 2 + 4 + 1 + 16);
        let (topic, partition, timestamp) = ("docs".into(), None, None);
        let mut out = OutRecord { topic, partition, key, value, headers, timestamp };
        assert_eq!(out.size(), record().size());
        (out.key, out.value) = (None, None);
        assert_eq!(out.size(), 17);
    }
}
