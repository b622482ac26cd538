//! The consumer of one stage: its group membership and its partitions, each with a queue of its own. It decides
//! nothing: what to read, what to commit and when a revoked partition may go is the worker's to say.
//!
//! A thread of its own serves librdkafka's events. A revoked partition is let go when the worker says so, or when
//! its patience is over; the rebalance waits for that, as cooperative rebalances allow (see `group`).

mod group;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientContext as _, Message as _, Offset, TopicPartitionList};
use tokio::sync::mpsc;

use self::group::{Group, Shared};
use super::client::{self, dispose};
use super::context::Context;
use super::convert;
use super::problem::KafkaProblem;
use crate::config::{Kafka, Size};
use crate::message::{Record, TopicPartition};

/// Longest time in one poll: how soon the thread sees that it is to end.
const POLL: Duration = Duration::from_millis(100);
/// Longest time for a commit that is waited for.
const COMMIT: Duration = Duration::from_secs(10);
/// Changes of the assignment that may wait for the worker.
const CHANGES: usize = 16;

/// What happened to the assignment.
pub enum Change {
    /// These are ours now, on top of what we have.
    Assigned(Vec<Partition>),
    /// These go to another member as soon as `release` is dropped.
    Revoked { partitions: Vec<TopicPartition>, release: Release },
    /// These are gone already; what we would commit for them is refused. Their queues must be dropped before
    /// `release` is, because a queue that is assigned again is the same one.
    Lost { partitions: Vec<TopicPartition>, release: Release },
}

/// Lets revoked or lost partitions go when it is dropped.
pub struct Release {
    _open: blocking::SyncSender<()>,
}

/// One assigned partition.
pub struct Partition {
    pub name: TopicPartition,
    queue: PartitionQueue<Group>,
    filled: Arc<AtomicBool>,
}

impl Partition {
    /// Whether a poll may bring something.
    pub fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Acquire)
    }

    /// The next record if one has been fetched. Never waits.
    pub fn poll(&self) -> Option<Record> {
        if !self.filled.swap(false, Ordering::AcqRel) {
            return None;
        }
        let polled = self.queue.poll(Duration::ZERO)?;
        // There may be more: the queue tells only when it stops being empty.
        self.filled.store(true, Ordering::Release);
        match polled {
            Ok(message) => Some(convert::record(&message)),
            Err(error) => {
                tracing::warn!(partition = %self.name, "cannot read the partition for now: {error}");
                None
            }
        }
    }
}

/// See the module.
pub struct Consumer {
    client: Option<Arc<BaseConsumer<Group>>>,
    thread: Option<std::thread::JoinHandle<()>>,
    changes: mpsc::Receiver<Change>,
    shared: Arc<Shared>,
}

/// How a consumer is set up.
pub struct Membership<'a> {
    pub group: &'a str,
    pub topics: &'a [&'a str],
    /// `Topology::message_max`.
    pub message_max: Size,
    /// How long a revoked partition may be held.
    pub patience: Duration,
}

impl Consumer {
    /// Joins the group. Does not wait for the cluster; see `client::reach`.
    pub fn join(kafka: &Kafka, membership: Membership<'_>) -> Result<Self, KafkaProblem> {
        let Membership { group, topics, message_max, patience } = membership;
        let mut config = client::consumer(kafka, "run", group, message_max)?;
        config.set("partition.assignment.strategy", "cooperative-sticky");
        for (name, value) in [
            // What is fetched ahead costs this much memory for every partition; the window is what really counts.
            ("queued.max.messages.kbytes", "1024"),
            ("queued.min.messages", "200"),
            ("statistics.interval.ms", "5000"),
        ] {
            if config.get(name).is_none() {
                config.set(name, value);
            }
        }
        if config.get("max.poll.interval.ms").is_none() {
            // A rebalance that waits for us must not look like a member that is gone.
            let longest = (patience + Duration::from_secs(60)).max(Duration::from_secs(300));
            config.set("max.poll.interval.ms", longest.as_millis().to_string());
        }
        let (sender, changes) = mpsc::channel(CHANGES);
        let shared = Arc::new(Shared::default());
        let group = Group {
            base: Context::of(group),
            shared: shared.clone(),
            changes: sender.downgrade(),
            patience,
            client: OnceLock::new(),
        };
        let created: KafkaResult<BaseConsumer<Group>> = config.create_with_context(group);
        let client = Arc::new(created.map_err(|e| KafkaProblem::properties(&e))?);
        // Set before the first poll, and callbacks come from polls only.
        let _ = client.context().client.set(Arc::downgrade(&client));
        client.subscribe(topics).map_err(|e| KafkaProblem::from_error("subscribe", &e))?;
        let thread = serve(client.clone(), shared.clone(), sender)?;
        Ok(Self { client: Some(client), thread: Some(thread), changes, shared })
    }

    /// The next change of the assignment. `None` when the consumer cannot go on. Safe to cancel.
    pub async fn change(&mut self) -> Option<Change> {
        self.changes.recv().await
    }

    /// Waits until a partition has records that were not there before. Safe to cancel.
    pub fn news(&self) -> impl Future<Output = ()> + use<> {
        let shared = self.shared.clone();
        async move { shared.news.notified().await }
    }

    /// Commits in the background. Whether one failed is told by [`commit_failed`](Self::commit_failed).
    pub fn commit(&self, offsets: &[(TopicPartition, i64)]) {
        let Some(client) = &self.client else { return };
        if let Err(error) = positions(offsets).and_then(|list| client.commit(&list, CommitMode::Async)) {
            self.shared.commit_failed.store(true, Ordering::Release);
            tracing::warn!("offsets could not be committed: {error}");
        }
    }

    /// Commits and waits for the answer.
    pub fn commit_now(&self, offsets: Vec<(TopicPartition, i64)>) -> impl Future<Output = ()> + use<> {
        let client = self.client.clone();
        async move {
            let Some(client) = client.filter(|_| !offsets.is_empty()) else { return };
            let committed = tokio::task::spawn_blocking(move || {
                positions(&offsets).and_then(|list| client.commit(&list, CommitMode::Sync))
            });
            // Nothing is lost without it: what ended stands in the ledger, and a redelivery finds it there.
            match tokio::time::timeout(COMMIT, committed).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => tracing::warn!("the last offsets could not be committed: {error}"),
                Ok(Err(error)) => tracing::warn!("the last offsets could not be committed: {error}"),
                Err(_) => tracing::warn!("the last offsets could not be committed within {COMMIT:?}"),
            }
        }
    }

    /// Whether a background commit failed since this was asked last.
    pub fn commit_failed(&self) -> bool {
        self.shared.commit_failed.swap(false, Ordering::AcqRel)
    }

    /// Records between the committed offset and the end, by partition, as of a few seconds ago. A partition that
    /// is no longer ours stands at 0: its new owner reports it.
    pub fn lag(&self) -> BTreeMap<TopicPartition, i64> {
        self.shared.lag().iter().map(|(name, lag)| (name.clone(), lag.unwrap_or(0))).collect()
    }

    /// Why Kafka does not let us read, if it said so since this was asked last.
    pub fn refusal(&self) -> Option<String> {
        self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether a broker was connected a few seconds ago.
    pub fn is_reachable(&self) -> bool {
        !self.shared.unreachable.load(Ordering::Acquire)
    }

    /// Leaves the group. All `Partition`s must have been dropped. Bounded in time.
    pub async fn leave(mut self) {
        let _ = tokio::task::spawn_blocking(move || self.close()).await;
    }

    fn close(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        // A callback that waits for room in the channel, or for a change that nobody will read, must not keep the
        // thread.
        self.changes.close();
        while self.changes.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(client) = self.client.take() {
            dispose(client);
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.close();
    }
}

fn positions(offsets: &[(TopicPartition, i64)]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (name, offset) in offsets {
        list.add_partition_offset(&name.topic, name.partition, Offset::Offset(*offset))?;
    }
    Ok(list)
}

fn serve(
    client: Arc<BaseConsumer<Group>>,
    shared: Arc<Shared>,
    changes: mpsc::Sender<Change>,
) -> Result<std::thread::JoinHandle<()>, KafkaProblem> {
    let serve = move || {
        while !shared.closing.load(Ordering::Acquire) && !shared.broken.load(Ordering::Acquire) {
            match client.poll(POLL) {
                None => {}
                Some(Err(error)) => client.context().base.error(error.clone(), &error.to_string()),
                // Records come through the queues of their partitions. One that comes here was read and would be
                // committed over: rather than lose it, the stage ends, and reads it again after a restart.
                Some(Ok(message)) => shared.fail(&format!(
                    "a record of {}-{} came outside its partition's queue",
                    message.topic(),
                    message.partition()
                )),
            }
            if let Some((code, reason)) = client.client().fatal_error() {
                shared.fail(&format!("{code}: {reason}"));
            }
        }
        // With the last sender gone, the worker learns that no change will come.
        drop(changes);
    };
    std::thread::Builder::new().name("kafka-consumer".into()).spawn(serve).map_err(|e| KafkaProblem::Other {
        what: "start a consumer".into(),
        cause: format!("no thread: {e}"),
    })
}
