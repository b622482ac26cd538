//! One dead letter as the index knows it. Plain data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::message::foreign::Origin;
use crate::message::{Coordinates, Spent, TopicPartition};

/// Whose way of writing dead letters it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    Lazaret,
    Spring,
    KafkaConnect,
    KafkaStreams,
    /// KIP-1191.
    ShareGroup,
    Karafka,
    SmallRye,
    NServiceBus,
    /// Nothing says.
    Unknown,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Entry {
    /// `dlq.id`; for what others wrote, derived from where it stands. One entry each: of several copies, that which
    /// stands last.
    pub id: String,
    pub writer: Writer,
    /// Where it stands, with the time that Kafka counts its retention from.
    #[serde(with = "place")]
    #[schemars(with = "place::Place")]
    pub at: Coordinates,
    /// Empty when a topic of others is indexed that no stage is named for.
    pub pipeline: String,
    pub stage: String,
    pub revision: Option<String>,
    /// A failure code, or the class of an exception.
    pub code: String,
    /// `transient`, `permanent`, `systemic`, or empty where nobody said.
    pub class: String,
    pub message: String,
    /// Causes, outermost first; a stack trace, of those who write one.
    pub chain: Vec<String>,
    /// The same for failures that look alike.
    pub fingerprint: String,
    pub attempts: u32,
    pub first_failure: Timestamp,
    /// When it died.
    pub last_failure: Timestamp,
    pub origin: Option<Origin>,
    pub redrives: u32,
    pub job: String,
    pub tenant: Option<String>,
    pub resource: Option<String>,
    /// 32 hex digits.
    pub trace: Option<String>,
    /// Who produced the original record, for what feature, and the model it was meant for, where headers say so.
    pub producer: Option<String>,
    pub feature: Option<String>,
    pub model: Option<String>,
    /// Bytes of key, value and headers.
    pub size: u64,
    /// What it has taken of a provider since it was sent back last; absent where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
}

impl Entry {
    /// The partition and the offset where it stands.
    pub fn place(&self) -> (TopicPartition, i64) {
        (TopicPartition::new(self.at.topic.clone(), self.at.partition), self.at.offset)
    }

    /// Names the job in its stage: deaths of one job in one stage follow one another.
    pub fn subject(&self) -> (&str, &str, &str) {
        (&self.pipeline, &self.stage, &self.job)
    }

    /// The time that Kafka counts its retention from, milliseconds since 1970; that of the death where there is none.
    pub fn logged(&self) -> i64 {
        self.at.timestamp.unwrap_or(self.last_failure.as_millisecond())
    }
}

/// Coordinates as one piece of JSON.
mod place {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::message::Coordinates;

    #[derive(Serialize, Deserialize, schemars::JsonSchema)]
    pub struct Place {
        topic: String,
        partition: i32,
        offset: i64,
        timestamp: Option<i64>,
    }

    pub fn serialize<S: Serializer>(at: &Coordinates, serializer: S) -> Result<S::Ok, S::Error> {
        let Coordinates { topic, partition, offset, timestamp } = at.clone();
        Place { topic: topic.to_string(), partition, offset, timestamp }.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Coordinates, D::Error> {
        let Place { topic, partition, offset, timestamp } = Place::deserialize(deserializer)?;
        Ok(Coordinates { topic: topic.into(), partition, offset, timestamp })
    }
}
