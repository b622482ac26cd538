//! Writes records and says what became of each. Retries inside the delivery timeout are librdkafka's; what comes
//! after is the caller's decision.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::Producer as _;

use super::client::{self, dispose};
use super::context::Context;
use super::delivery::{self, Client, Deliveries, Loading, Refused, Reports, Sent};
use super::problem::KafkaProblem;
use super::produce_error::ProduceError;
use crate::config::Kafka;
use crate::flow::Topology;
use crate::message::OutRecord;

/// An idempotent producer, shared by reference. Closing it is bounded in time.
pub struct Producer {
    config: ClientConfig,
    context: Context,
    /// `None` only while it is being dropped. Replaced as a whole after a fatal error.
    client: Mutex<Option<Client>>,
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
        let (topic, reports) = (record.topic.to_string(), Arc::new(Reports::default()));
        self.ship(Arc::from([record]), 0, &reports);
        match reports.next().await.pop() {
            Some((_, Ok(Some(sent)))) => Ok(sent),
            Some((_, Err(refused))) => Err(self.explain(refused)),
            _ => {
                Err(ProduceError::Unavailable { topic, cause: "the client does not say where it is".into() })
            }
        }
    }

    /// Writes records without waiting; what became of them is reported under `tag`, once for all of them. Those that
    /// a full queue holds back go on in the background.
    pub fn ship(&self, records: Arc<[OutRecord]>, tag: u64, to: &Arc<Reports>) {
        let mut loading = Loading::new(records, tag, to.clone());
        // There is always one, but while the producer is dropped.
        let Some(client) = self.client() else { return };
        if !loading.load(&client) {
            let patience = self.queue_timeout;
            tokio::spawn(async move { loading.finish(&client, patience).await });
        }
    }

    /// What a refusal means. A client that has failed for good is replaced.
    pub fn explain(&self, refused: Refused) -> ProduceError {
        let fatal = self.client().and_then(|client| delivery::fatal(&client));
        if let Some((code, reason)) = &fatal {
            self.replace(*code, reason);
        }
        ProduceError::sort(refused, fatal, &self.context)
    }

    /// Waits until everything handed over is acknowledged or failed; false when the deadline came first.
    pub async fn flush(&self, deadline: Duration) -> bool {
        let Some(client) = self.client() else { return true };
        tokio::task::spawn_blocking(move || client.flush(deadline).is_ok()).await.unwrap_or(false)
    }

    fn client(&self) -> Option<Client> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// After a fatal error an idempotent producer refuses everything for ever; a new one starts a new sequence.
    fn replace(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let already = current.as_ref().is_some_and(|client| delivery::fatal(client).is_none());
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

fn create(config: &ClientConfig, context: &Context) -> Result<Client, KafkaProblem> {
    config.create_with_context(Deliveries(context.clone())).map_err(|e| KafkaProblem::properties(&e))
}

#[cfg(test)]
mod tests;
