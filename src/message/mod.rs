//! What travels: a Kafka record as Lazaret sees it, its identity, its headers and its payloads. Pure.

#[cfg(test)]
pub(crate) mod arbitrary;
pub mod deadletter;
pub mod foreign;
pub mod headers;
pub mod id;
pub mod payload;
pub mod record;
pub mod spent;
pub mod trail;

pub use deadletter::DeadLetter;
pub use headers::Headers;
pub use id::{Correlation, JobId, SpanId};
pub use record::{Coordinates, OutRecord, Record, Topic, TopicPartition};
pub use spent::Spent;
pub use trail::{Envelope, Trail};
