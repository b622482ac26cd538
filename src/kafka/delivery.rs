//! Kafka's acknowledgements, brought together: the thread of librdkafka puts them down, and who waits for them is
//! woken once for as many as there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::Message as _;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::context::Context;
use super::convert;
use crate::message::{OutRecord, Topic};

/// How often it is looked whether a full queue has room again.
const LOOK: Duration = Duration::from_millis(20);

/// The client under every producer of ours.
pub type Client = ThreadedProducer<Deliveries>;

/// [`Context`], and what is done with acknowledgements.
#[derive(Clone, Default)]
pub struct Deliveries(pub Context);

/// Records that are acknowledged together.
pub struct Shipment {
    /// The caller's name for it.
    tag: u64,
    /// Records of it that are on their way.
    left: AtomicUsize,
    refused: Mutex<Option<Refused>>,
    to: Arc<Reports>,
}

/// Records that are handed over to the client, as far as it has room.
pub struct Loading {
    shipment: Arc<Shipment>,
    records: Arc<[OutRecord]>,
    next: usize,
}

/// Why a record was not taken, as librdkafka says it.
#[derive(Clone, Debug)]
pub struct Refused {
    pub error: KafkaError,
    pub topic: Topic,
    /// Bytes of the record.
    pub size: usize,
}

/// What became of shipments.
#[derive(Default)]
pub struct Reports {
    came: Mutex<Vec<Report>>,
    news: Notify,
}

/// What became of one, by its tag: all its records are acknowledged, the last of them there, or one that was not says
/// why.
pub type Report = (u64, Result<Option<Sent>, Refused>);

/// Where an acknowledged record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub partition: i32,
    pub offset: i64,
}

impl Reports {
    /// What has come, at least one. Safe to cancel.
    pub async fn next(&self) -> Vec<Report> {
        loop {
            let came = self.take();
            if !came.is_empty() {
                return came;
            }
            self.news.notified().await;
        }
    }

    /// What has come.
    pub fn take(&self) -> Vec<Report> {
        std::mem::take(&mut *lock(&self.came))
    }

    fn put(&self, report: Report) {
        let mut came = lock(&self.came);
        came.push(report);
        if came.len() == 1 {
            self.news.notify_one();
        }
    }
}

impl Loading {
    /// What becomes of the records is reported to `to` under `tag`, once for all of them.
    pub fn new(records: Arc<[OutRecord]>, tag: u64, to: Arc<Reports>) -> Self {
        if records.is_empty() {
            to.put((tag, Ok(None)));
        }
        let left = AtomicUsize::new(records.len());
        Self { shipment: Arc::new(Shipment { tag, left, refused: Mutex::default(), to }), records, next: 0 }
    }

    /// Hands over what the client has room for. False: its queue is full.
    pub fn load(&mut self, client: &Client) -> bool {
        while let Some(record) = self.records.get(self.next) {
            let outgoing: BaseRecord<'_, [u8], [u8], Arc<Shipment>> =
                convert::outgoing(record, self.shipment.clone());
            match client.send(outgoing) {
                Ok(()) => self.next += 1,
                Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    return false;
                }
                Err((error, _)) => {
                    self.give_up(error);
                    return true;
                }
            }
        }
        true
    }

    /// Hands everything over, and waits for room as long as this.
    pub async fn finish(mut self, client: &Client, patience: Duration) {
        let deadline = Instant::now() + patience;
        while !self.load(client) {
            if Instant::now() >= deadline {
                return self.give_up(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
            }
            sleep(LOOK).await;
        }
    }

    /// What follows is not sent, since the whole has failed already.
    fn give_up(&mut self, error: KafkaError) {
        let Some(record) = self.records.get(self.next) else { return };
        self.shipment.refuse(Refused { error, topic: record.topic.clone(), size: record.size() });
        self.shipment.arrived(self.records.len() - self.next, None);
        self.next = self.records.len();
    }
}

impl Shipment {
    fn refuse(&self, refused: Refused) {
        lock(&self.refused).get_or_insert(refused);
    }

    /// So many more of its records have come to an end.
    fn arrived(&self, records: usize, sent: Option<Sent>) {
        if self.left.fetch_sub(records, Ordering::AcqRel) == records {
            let refused = lock(&self.refused).take();
            self.to.put((self.tag, refused.map_or(Ok(sent), Err)));
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.0.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Shipment>;

    fn delivery(&self, result: &DeliveryResult<'_>, shipment: Arc<Shipment>) {
        let sent = match result {
            Ok(message) => {
                self.0.clear();
                Some(Sent { partition: message.partition(), offset: message.offset() })
            }
            Err((error, message)) => {
                let topic: Topic = message.topic().into();
                let size = convert::record(message, topic.clone()).size();
                shipment.refuse(Refused { error: error.clone(), topic, size });
                None
            }
        };
        shipment.arrived(1, sent);
    }
}

/// Why the client failed for good, if it did.
pub fn fatal(client: &Client) -> Option<(RDKafkaErrorCode, String)> {
    client.client().fatal_error()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
