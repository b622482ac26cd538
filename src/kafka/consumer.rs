//! The consumer of one stage: its group membership and its partitions, each with a queue of its own. It decides
//! nothing: what to read, what to commit and when a revoked partition may go is the worker's to say.
//!
//! The group shares the partitions of the stage's input. The stage's other topics, its satellites, follow: who has
//! partition 3 of the input reads partition 3 of every satellite (see `follow`).
//!
//! A thread of its own serves librdkafka's events. A revoked partition is let go when the worker says so, or when
//! its patience is over; the rebalance waits for that (see `group`).

mod follow;
mod group;
mod member;
mod partition;
mod setup;
mod shared;
mod start;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc as blocking;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::{ClientContext as _, Message as _, Offset};
use tokio::sync::mpsc;

use self::follow::Topics;
use self::group::{Group, State};
pub(super) use self::member::{Member, Noted, positions};
pub use self::partition::Partition;
use self::shared::Shared;
pub use self::start::{DAMAGED, Start, Starts};
use super::client::dispose;
use super::context::Context;
use super::problem::KafkaProblem;
use crate::config::{Kafka, Size};
use crate::message::TopicPartition;

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

/// An offset to commit: everything below it has ended, and of what lies above it the metadata tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub name: TopicPartition,
    pub offset: i64,
    /// Kept with the offset by Kafka, which takes 4096 bytes unless its `offset.metadata.max.bytes` says otherwise.
    pub metadata: String,
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
    /// The topic whose partitions the group shares.
    pub input: &'a str,
    /// The topics whose partitions follow those of the input.
    pub satellites: &'a [&'a str],
    /// `Topology::message_max`.
    pub message_max: Size,
    /// How long a revoked partition may be held.
    pub patience: Duration,
    /// The lasting name of this process, for static membership.
    pub instance: Option<&'a str>,
}

impl Consumer {
    /// Joins the group. Does not wait for the cluster; see `client::reach`.
    pub fn join(kafka: &Kafka, membership: Membership<'_>) -> Result<Self, KafkaProblem> {
        let config = setup::config(kafka, &membership)?;
        let Membership { group, input, satellites, patience, .. } = membership;
        let (sender, changes) = mpsc::channel(CHANGES);
        let shared = Arc::new(Shared::default());
        let satellites = satellites.iter().map(|topic| (*topic).to_owned()).collect();
        let group = Group {
            base: Context::of(group),
            shared: shared.clone(),
            changes: sender.downgrade(),
            topics: Topics { input: input.to_owned(), satellites },
            patience,
            start_patience: setup::start_patience(kafka),
            client: OnceLock::new(),
            state: State::default().into(),
        };
        let created: KafkaResult<BaseConsumer<Group>> = config.create_with_context(group);
        let client = Arc::new(created.map_err(|e| KafkaProblem::properties(&e))?);
        // Set before the first poll, and callbacks come from polls only.
        let _ = client.context().client.set(Arc::downgrade(&client));
        client.subscribe(&[input]).map_err(|e| KafkaProblem::from_error("subscribe", &e))?;
        let thread = serve(client.clone(), shared.clone(), sender, setup::refresh(&config))?;
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
    pub fn commit(&self, offsets: &[Commit]) {
        let Some(client) = &self.client else { return };
        if let Err(error) = positions(offsets).and_then(|list| client.commit(&list, CommitMode::Async)) {
            self.shared.commit_failed.store(true, Ordering::Release);
            tracing::warn!("offsets could not be committed: {error}");
        }
    }

    /// Commits and waits for the answer.
    pub fn commit_now(&self, offsets: Vec<Commit>) -> impl Future<Output = ()> + use<> {
        let (client, shared) = (self.client.clone(), self.shared.clone());
        async move {
            let Some(client) = client.filter(|_| !offsets.is_empty()) else { return };
            let committed = tokio::task::spawn_blocking(move || {
                let list = positions(&offsets)?;
                client.commit(&list, CommitMode::Sync).map(|()| shared.note_commit(&list))
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

    /// Partitions in which we got further since this was asked last, each with an offset: everything below it was
    /// handed out by [`Partition::poll`], or is no record (the mark at the end of a transaction, a record of one that
    /// was aborted). To be asked by who polls: what it polled before it asks is covered, and nothing else.
    pub fn caught_up(&self) -> Vec<(TopicPartition, i64)> {
        let Some(client) = &self.client else { return Vec::new() };
        let Ok(positions) = client.position() else { return Vec::new() };
        let elements = positions.elements();
        let known = elements.iter().filter_map(|element| match element.offset() {
            Offset::Offset(at) => Some((TopicPartition::new(element.topic(), element.partition()), at)),
            _ => None,
        });
        self.shared.reached(known.collect())
    }

    /// Records between the committed offset and the end, by partition, as of a few seconds ago. A partition that
    /// is no longer ours stands at 0: its new owner reports it.
    pub fn lag(&self) -> BTreeMap<TopicPartition, i64> {
        self.shared.lag()
    }

    /// Why Kafka does not let us read, if it said so since this was asked last.
    pub fn refusal(&self) -> Option<String> {
        self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether a broker was connected a few seconds ago.
    pub fn is_reachable(&self) -> bool {
        !self.shared.unreachable.load(Ordering::Acquire)
    }

    /// To look later whether anybody else has committed for partitions of ours.
    pub fn starts(&self) -> Starts {
        Starts(self.client.as_ref().map(Arc::downgrade).unwrap_or_default())
    }

    /// What a transaction needs to commit offsets for us.
    pub(super) fn member(&self) -> Option<Member> {
        Some(Member::new(self.client.clone()?, self.shared.clone()))
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
            thread.thread().unpark();
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

fn serve(
    client: Arc<BaseConsumer<Group>>,
    shared: Arc<Shared>,
    changes: mpsc::Sender<Change>,
    refresh: Option<Duration>,
) -> Result<std::thread::JoinHandle<()>, KafkaProblem> {
    let serve = move || {
        let mut looked = Instant::now();
        while !shared.is_closing() && !shared.broken.load(Ordering::Acquire) {
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
            if refresh.is_some_and(|refresh| looked.elapsed() >= refresh) {
                client.context().look_again(&client);
                looked = Instant::now();
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
