//! The callbacks of librdkafka for a stage's consumer, which come on the consumer's thread, and what that thread
//! and the worker share. Nothing is decided here: changes are handed over, and a rebalance waits for the worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use rdkafka::bindings::rd_kafka_resp_err_t as RespErr;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, TopicPartitionList};
use tokio::sync::{Notify, mpsc};

use super::{Change, Partition, Release};
use crate::kafka::context::Context;
use crate::message::TopicPartition;

/// How long lost partitions are held for their queues to be dropped.
const LOST: Duration = Duration::from_secs(10);

/// What the thread of librdkafka and the worker both see.
#[derive(Default)]
pub(super) struct Shared {
    pub news: Notify,
    pub closing: AtomicBool,
    pub broken: AtomicBool,
    pub commit_failed: AtomicBool,
    pub unreachable: AtomicBool,
    /// Why Kafka does not let us read, since it was asked last.
    pub refusal: Mutex<Option<String>>,
    /// `None` for a partition that was ours and is no longer.
    lag: Mutex<BTreeMap<TopicPartition, Option<i64>>>,
}

impl Shared {
    /// The consumer cannot go on; its stage ends.
    pub fn fail(&self, why: &str) {
        tracing::error!("the consumer cannot go on: {why}");
        self.broken.store(true, Ordering::Release);
    }

    pub fn lag(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Option<i64>>> {
        self.lag.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The callbacks of librdkafka, which come on the consumer's thread.
pub(super) struct Group {
    pub base: Context,
    pub shared: Arc<Shared>,
    /// Weak, so that the channel ends with the consumer's thread.
    pub changes: mpsc::WeakSender<Change>,
    pub patience: Duration,
    pub client: OnceLock<Weak<BaseConsumer<Group>>>,
}

impl Group {
    /// Splits the queues off before the assignment takes effect, so that no record ends up in the common queue.
    fn assigned(&self, client: &BaseConsumer<Group>, names: &[TopicPartition], list: &TopicPartitionList) {
        let shared_client = self.client.get().and_then(Weak::upgrade);
        let open = |name: &TopicPartition| self.open(shared_client.as_ref()?, name);
        let partitions: Vec<Partition> = names.iter().filter_map(open).collect();
        if partitions.len() < names.len() {
            return self.shared.fail("the queue of an assigned partition cannot be had");
        }
        if let Err(error) = client.incremental_assign(list) {
            return self.shared.fail(&format!("its assignment is refused: {error}"));
        }
        self.shared.lag().extend(names.iter().map(|name| (name.clone(), Some(0))));
        self.tell(Change::Assigned(partitions));
        self.shared.news.notify_one();
    }

    fn open(&self, client: &Arc<BaseConsumer<Group>>, name: &TopicPartition) -> Option<Partition> {
        let mut queue = client.split_partition_queue(&name.topic, name.partition)?;
        let filled = Arc::new(AtomicBool::new(true));
        let (flag, shared) = (filled.clone(), self.shared.clone());
        queue.set_nonempty_callback(move || {
            flag.store(true, Ordering::Release);
            shared.news.notify_one();
        });
        Some(Partition { name: name.clone(), queue, filled })
    }

    /// False when nobody listens any more. Never waits on a closing consumer, whose last callbacks come on other
    /// threads than its own.
    fn tell(&self, change: Change) -> bool {
        let Some(changes) = self.changes.upgrade() else { return false };
        !self.shared.closing.load(Ordering::Acquire) && changes.blocking_send(change).is_ok()
    }

    /// Holds the rebalance until the worker has finished with these partitions.
    fn revoked(&self, client: &BaseConsumer<Group>, names: Vec<TopicPartition>, list: &TopicPartitionList) {
        let (open, released) = blocking::sync_channel::<()>(0);
        let (partitions, release) = (names.clone(), Release { _open: open });
        let (change, patience) = match client.assignment_lost() {
            true => (Change::Lost { partitions, release }, LOST),
            false => (Change::Revoked { partitions, release }, self.patience),
        };
        let told = self.tell(change);
        if told && released.recv_timeout(patience) == Err(blocking::RecvTimeoutError::Timeout) {
            tracing::warn!(?patience, "partitions were not let go in time");
        }
        if let Err(error) = client.incremental_unassign(list) {
            tracing::warn!("kafka refuses to take partitions back: {error}");
        }
        self.shared.lag().extend(names.into_iter().map(|name| (name, None)));
    }
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.base.log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use RDKafkaErrorCode as Code;
        let remedy = match error.rdkafka_error_code() {
            Some(Code::GroupAuthorizationFailed) => "the right to Read the consumer group",
            Some(Code::TopicAuthorizationFailed) => "the rights to Read and Describe the stage's topics",
            _ => return self.base.error(error, reason),
        };
        let said = format!("Kafka does not allow this user to read: {reason}; grant {remedy}");
        *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(said);
        self.base.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        // The bootstrap and the group's coordinator count as brokers of their own: a member without partitions may
        // be connected to nobody else.
        let up = statistics.brokers.values().any(|broker| broker.state == "UP");
        self.shared.unreachable.store(!up, Ordering::Release);
        let mut lag = self.shared.lag();
        let ours = lag.iter_mut().filter_map(|(name, lag)| Some((name, lag.as_mut()?)));
        for (name, known) in ours {
            let topic = statistics.topics.get(&name.topic);
            if let Some(p) = topic.and_then(|t| t.partitions.get(&name.partition)) {
                // Before the first commit of the group, everything there is counts.
                *known = match p.consumer_lag {
                    lag if lag >= 0 => lag,
                    _ => (p.hi_offset - p.lo_offset.max(0)).max(0),
                };
            }
        }
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, client: &BaseConsumer<Self>, error: RespErr, list: &mut TopicPartitionList) {
        let names: Vec<TopicPartition> =
            list.elements().iter().map(|e| TopicPartition::new(e.topic(), e.partition())).collect();
        match error {
            RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(client, &names, list),
            RespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoked(client, names, list),
            other => self.shared.fail(&format!("a rebalance failed: {other:?}")),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            self.shared.commit_failed.store(true, Ordering::Release);
            tracing::warn!("offsets could not be committed: {error}");
        }
    }
}
