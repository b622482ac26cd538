//! The callbacks of librdkafka for a stage's consumer, which come on the consumer's thread. The group shares the
//! partitions of the input; those of the satellites are taken and given up along with them. What to read and when a
//! revoked partition may go is the worker's to say.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use rdkafka::bindings::rd_kafka_resp_err_t as RespErr;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::follow::{Layout, Topics};
use super::partition::Partition;
use super::shared::{Ours, Shared};
use super::start::{self, Start};
use super::{Change, Release};
use crate::kafka::context::Context;
use crate::message::TopicPartition;

/// How long lost partitions are held for their queues to be dropped.
const LOST: Duration = Duration::from_secs(10);
/// One question to the cluster. Short, so that a consumer that is closed in the meantime does not wait.
pub(super) const QUESTION: Duration = Duration::from_secs(3);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a new topic may be unknown to the broker that we ask.
const NEW_TOPIC: Duration = Duration::from_secs(10);

/// The callbacks of librdkafka, which come on the consumer's thread.
pub struct Group {
    pub base: Context,
    pub shared: Arc<Shared>,
    /// Weak, so that the channel ends with the consumer's thread.
    pub changes: mpsc::WeakSender<Change>,
    pub topics: Topics,
    /// How long the worker may hold a revoked partition.
    pub patience: Duration,
    /// How long the cluster may take to say where reading begins.
    pub start_patience: Duration,
    pub client: OnceLock<Weak<BaseConsumer<Group>>>,
    pub state: Mutex<State>,
}

/// What the group gave us, and what was known when we took it.
#[derive(Default)]
pub struct State {
    inputs: BTreeSet<i32>,
    layout: Layout,
}

impl Group {
    /// Takes partitions of the input, and what follows them. An assignment that is empty counts, too: something
    /// changed in the group, maybe the number of partitions.
    fn assigned(&self, client: &BaseConsumer<Self>, inputs: BTreeSet<i32>) {
        let mut state = self.state();
        if is_eager(client) {
            state.inputs.clear();
        }
        state.inputs.extend(inputs);
        let begun = Instant::now();
        let asked = self.persist("learn how many partitions its topics have", || {
            let layout = Layout::fetch(client, &self.topics, QUESTION)?;
            match layout.missing() {
                Some(topic) if begun.elapsed() < NEW_TOPIC => Err(format!("topic '{topic}' does not exist")),
                _ => Ok(layout),
            }
        });
        let taken = asked.and_then(|layout| {
            if let Some(topic) = layout.missing() {
                tracing::warn!("topic '{topic}' does not exist; `lazaret topics apply` makes it");
            }
            self.follow(client, &mut state, layout)
        });
        if taken.is_none() {
            // A rebalance must be answered, or the consumer could not be closed.
            let _ = add(client, &TopicPartitionList::new());
        }
    }

    /// Looks whether topics have got partitions that nobody told us of: the group knows of the input only.
    pub fn look_again(&self, client: &BaseConsumer<Self>) {
        let mut state = self.state();
        if state.inputs.is_empty() || client.assignment_lost() || self.shared.is_closing() {
            return;
        }
        let layout = match Layout::fetch(client, &self.topics, QUESTION) {
            Ok(layout) => layout.grown(&state.layout),
            Err(cause) => return tracing::debug!("{cause}"),
        };
        if layout == state.layout {
            return;
        }
        if is_eager(client) {
            // Such an assignment changes as a whole only, and that is what a rebalance is for.
            if let Err(error) = client.subscribe(&[&self.topics.input]) {
                tracing::warn!("cannot join the group again to take new partitions: {error}");
            }
        } else {
            let _ = self.follow(client, &mut state, layout);
        }
    }

    /// Hands over what does not follow our partitions of the input any more, and takes what does. `None` when that
    /// could not be done.
    fn follow(&self, client: &BaseConsumer<Self>, state: &mut State, layout: Layout) -> Option<()> {
        state.layout = layout.grown(&state.layout);
        let mut wanted = state.layout.followers(&self.topics, &state.inputs);
        let ours = self.shared.ours();
        let leaves = |(name, input): &(&TopicPartition, &TopicPartition)| {
            is_eager(client) || wanted.get(*name) != Some(*input)
        };
        let gone: Vec<_> = ours.iter().filter(leaves).map(|(name, _)| name.clone()).collect();
        if !gone.is_empty() {
            self.hand_over(client, gone.clone(), false);
        }
        wanted.retain(|name, _| gone.contains(name) || !ours.contains_key(name));
        let starts =
            self.persist("learn where to begin", || start::fetch(client, wanted.keys(), QUESTION))?;
        let shared_client = self.client.get().and_then(Weak::upgrade)?;
        let open = |(name, start): (&TopicPartition, Start)| {
            Partition::open(&shared_client, &self.shared, name, wanted.get(name)?, start)
        };
        let partitions: Vec<_> = starts.iter().filter_map(|(name, s)| open((name, s.clone()))).collect();
        if partitions.len() < wanted.len() {
            self.shared.fail("the queue of an assigned partition cannot be had");
            return None;
        }
        if let Err(error) = list(&partitions).and_then(|list| add(client, &list)) {
            self.shared.fail(&format!("its assignment is refused: {error}"));
            return None;
        }
        let taken =
            partitions.iter().map(|p| (p.name.clone(), Ours::new(p.input.clone(), p.start.committed)));
        self.shared.take(taken);
        self.tell(Change::Assigned(partitions));
        self.shared.news.notify_one();
        Some(())
    }

    /// False when nobody listens any more. Never waits on a closing consumer, whose last callbacks come on other
    /// threads than its own.
    fn tell(&self, change: Change) -> bool {
        let Some(changes) = self.changes.upgrade() else { return false };
        !self.shared.is_closing() && changes.blocking_send(change).is_ok()
    }

    /// Gives up partitions of the input, and what follows them.
    fn revoked(&self, client: &BaseConsumer<Self>, inputs: &BTreeSet<i32>) {
        let mut state = self.state();
        state.inputs.retain(|p| !inputs.contains(p));
        let follows = |(_, input): &(TopicPartition, TopicPartition)| inputs.contains(&input.partition);
        let leaving = self.shared.ours().into_iter().filter(follows).map(|(name, _)| name).collect();
        self.hand_over(client, leaving, client.assignment_lost());
    }

    /// Waits until the worker has finished with these partitions, and gives them up.
    fn hand_over(&self, client: &BaseConsumer<Self>, partitions: Vec<TopicPartition>, lost: bool) {
        let (open, released) = blocking::sync_channel::<()>(0);
        let (names, release) = (partitions.clone(), Release { _open: open });
        if lost {
            // From here on nothing may be committed for them; see `Consumer::membership`.
            self.shared.let_go(&names);
        }
        let (change, patience) = match lost {
            true => (Change::Lost { partitions, release }, LOST),
            false => (Change::Revoked { partitions, release }, self.patience),
        };
        let told = !names.is_empty() && self.tell(change);
        if told && released.recv_timeout(patience) == Err(blocking::RecvTimeoutError::Timeout) {
            tracing::warn!(?patience, "partitions were not let go in time");
        }
        self.shared.let_go(&names);
        if let Err(error) = remove(client, &names) {
            tracing::warn!("kafka refuses to take partitions back: {error}");
        }
    }

    /// Asks until there is an answer. `None`, and the consumer has failed, when patience is over; `None` as well when
    /// the consumer is closed.
    fn persist<T>(&self, what: &str, mut ask: impl FnMut() -> Result<T, String>) -> Option<T> {
        let (begun, mut told) = (Instant::now(), false);
        loop {
            let cause = match ask() {
                Ok(answer) => return Some(answer),
                Err(_) if self.shared.is_closing() => return None,
                Err(cause) => cause,
            };
            if begun.elapsed() >= self.start_patience {
                self.shared.fail(&format!("it cannot {what}: {cause}"));
                return None;
            }
            if !told && begun.elapsed() >= QUESTION {
                tracing::warn!("waiting to {what}: {cause}");
                told = true;
            }
            std::thread::park_timeout(PAUSE);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the assignment changes as a whole only.
fn is_eager(client: &BaseConsumer<Group>) -> bool {
    matches!(client.rebalance_protocol(), RebalanceProtocol::Eager)
}

/// Where each partition is to be read from. Never the client's own idea of it, which may be older than ours.
fn list(partitions: &[Partition]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for p in partitions {
        let start = p.start.committed.map_or(Offset::Beginning, Offset::Offset);
        list.add_partition_offset(&p.name.topic, p.name.partition, start)?;
    }
    Ok(list)
}

fn add(client: &BaseConsumer<Group>, list: &TopicPartitionList) -> KafkaResult<()> {
    if is_eager(client) { client.assign(list) } else { client.incremental_assign(list) }
}

fn remove(client: &BaseConsumer<Group>, names: &[TopicPartition]) -> KafkaResult<()> {
    if is_eager(client) {
        return client.unassign();
    }
    let mut list = TopicPartitionList::with_capacity(names.len());
    for name in names {
        list.add_partition(&name.topic, name.partition);
    }
    client.incremental_unassign(&list)
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
        self.shared.observe(&statistics);
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, client: &BaseConsumer<Self>, error: RespErr, list: &mut TopicPartitionList) {
        let inputs = list.elements().iter().map(|e| e.partition()).collect();
        match error {
            RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assigned(client, inputs),
            RespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoked(client, &inputs),
            other => self.shared.fail(&format!("a rebalance failed: {other:?}")),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        match result {
            Ok(()) => self.shared.note_commit(offsets),
            Err(error) => {
                self.shared.commit_failed.store(true, Ordering::Release);
                tracing::warn!("offsets could not be committed: {error}");
            }
        }
    }
}
