//! Writes records and says what became of each. Retries inside the delivery timeout are librdkafka's; what comes
//! after is the caller's decision.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{FutureProducer, Producer as _};

use super::client::{self, dispose};
use super::context::Context;
use super::convert;
use super::problem::KafkaProblem;
use super::produce_error::ProduceError;
use crate::config::Kafka;
use crate::flow::Topology;
use crate::message::OutRecord;

/// Where an acknowledged record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub partition: i32,
    pub offset: i64,
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
        match client.send(convert::outgoing(&record), self.queue_timeout).await {
            Ok(delivery) => {
                self.context.clear();
                Ok(Sent { partition: delivery.partition, offset: delivery.offset })
            }
            Err((error, _)) => {
                let fatal = client.client().fatal_error();
                if let Some((code, reason)) = &fatal {
                    self.replace(*code, reason);
                }
                Err(ProduceError::sort(&record, &error, fatal, &self.context))
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
