//! Writes records and says what became of each. Retries inside the delivery timeout are librdkafka's; what comes
//! after is the caller's decision.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::client::{self, dispose};
use super::context::Context;
use super::convert::owned_headers;
use super::problem::KafkaProblem;
use crate::config::Kafka;
use crate::flow::Topology;
use crate::message::OutRecord;

/// Where an acknowledged record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub partition: i32,
    pub offset: i64,
}

/// Why a record was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    #[error("the record has {size} bytes, more than topic '{topic}' takes (max.message.bytes)")]
    TooLarge { topic: String, size: usize },
    #[error(
        "topic '{0}' or the partition asked for does not exist; `lazaret topics apply` makes missing topics"
    )]
    UnknownTopic(String),
    #[error("topic '{topic}' refuses the record's timestamp ({cause}; message.timestamp.*.max.ms)")]
    Timestamp { topic: String, cause: String },
    #[error("this user may not write to topic '{0}'; grant it the right to write")]
    NotAuthorized(String),
    /// The brokers did not take it in time. It may still have been written.
    #[error("Kafka did not acknowledge the record for topic '{topic}': {cause}")]
    Unavailable { topic: String, cause: String },
    #[error("Kafka refuses the record for topic '{topic}': {cause}")]
    Other { topic: String, cause: String },
}

/// An idempotent producer, shared by reference. Closing it is bounded in time.
pub struct Producer {
    config: ClientConfig,
    context: Context,
    /// `None` only while it is being dropped. Replaced as a whole after a fatal error.
    client: Mutex<Option<FutureProducer<Context>>>,
    /// How long a full queue may hold a record back.
    queue_timeout: Duration,
}

impl Producer {
    /// Makes the client; does not wait for the cluster (see `client::ensure_reachable`).
    pub fn new(kafka: &Kafka, topology: &Topology, verb: &str) -> Result<Self, KafkaProblem> {
        let config = client::producer(kafka, verb, topology.message_max(), topology.batch_max())?;
        let context = Context::default();
        let first = create(&config, &context)?;
        let queue_timeout = kafka.delivery_timeout.0;
        Ok(Self { config, context, client: Mutex::new(Some(first)), queue_timeout })
    }

    /// Writes one record and waits until all replicas have it. A full queue holds the caller back.
    pub async fn send(&self, record: OutRecord) -> Result<Sent, ProduceError> {
        let client = self.client().ok_or_else(|| ProduceError::Unavailable {
            topic: record.topic.clone(),
            cause: "the producer is closed".into(),
        })?;
        let out: FutureRecord<'_, [u8], [u8]> = FutureRecord {
            topic: &record.topic,
            partition: record.partition,
            payload: record.value.as_deref(),
            key: record.key.as_deref(),
            timestamp: record.timestamp,
            headers: (!record.headers.is_empty()).then(|| owned_headers(&record.headers)),
        };
        match client.send(out, self.queue_timeout).await {
            Ok(delivery) => {
                self.context.clear();
                Ok(Sent { partition: delivery.partition, offset: delivery.offset })
            }
            Err((error, _)) => {
                let fatal = client.client().fatal_error();
                if let Some((code, reason)) = &fatal {
                    self.replace(*code, reason);
                }
                Err(self.sort(&record, &error, fatal))
            }
        }
    }

    /// Waits until everything handed over is acknowledged or failed; false when the deadline came first.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let Some(client) = self.client() else { return true };
        tokio::task::spawn_blocking(move || client.flush(deadline).is_ok()).await.unwrap_or(false)
    }

    fn client(&self) -> Option<FutureProducer<Context>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After a fatal error an idempotent producer refuses everything for ever; a new one starts a new sequence.
    fn replace(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let already = current.as_ref().is_some_and(|c| c.client().fatal_error().is_none());
        if already {
            return;
        }
        tracing::warn!("the kafka producer failed for good and is replaced: {code}: {reason}");
        match create(&self.config, &self.context) {
            Ok(fresh) => *current = Some(fresh),
            Err(problem) => tracing::error!("{problem}"),
        }
    }

    /// `fatal` is why the client failed for good, if it did: the record's own error says no more than that then.
    fn sort(
        &self,
        record: &OutRecord,
        error: &KafkaError,
        fatal: Option<(RDKafkaErrorCode, String)>,
    ) -> ProduceError {
        use RDKafkaErrorCode as Code;
        let topic = record.topic.clone();
        let own = error.rdkafka_error_code();
        let code = match (own, &fatal) {
            (Some(Code::Fatal | Code::PurgeQueue | Code::PurgeInflight), Some((code, _))) => Some(*code),
            _ => own,
        };
        match code {
            Some(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) => {
                ProduceError::TooLarge { topic, size: record.size() }
            }
            Some(
                Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::InvalidTopic,
            ) => ProduceError::UnknownTopic(topic),
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                ProduceError::NotAuthorized(topic)
            }
            Some(Code::InvalidTimestamp) => ProduceError::Timestamp { topic, cause: error.to_string() },
            Some(Code::InvalidRecord | Code::PolicyViolation | Code::UnsupportedForMessageFormat) => {
                ProduceError::Other { topic, cause: error.to_string() }
            }
            // What else can happen concerns the way to the broker or its state, not this record.
            _ => {
                let cause = fatal.map_or_else(|| self.cause(error), |(_, reason)| reason);
                ProduceError::Unavailable { topic, cause }
            }
        }
    }

    fn cause(&self, error: &KafkaError) -> String {
        match self.context.trouble() {
            Some(trouble) => format!("{error} (last trouble: {})", trouble.text),
            None => error.to_string(),
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(client) = self.client.lock().unwrap_or_else(PoisonError::into_inner).take() {
            dispose(client);
        }
    }
}

fn create(config: &ClientConfig, context: &Context) -> Result<FutureProducer<Context>, KafkaProblem> {
    config.create_with_context(context.clone()).map_err(|e| KafkaProblem::properties(&e))
}

#[cfg(test)]
mod tests;
