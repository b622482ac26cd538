//! Partitions on their way to the engine: what was committed for them is read, and the ledger is told of it and
//! tells what is outstanding. Until it has, nothing of them is polled.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::attempt::unavailable;
use super::kit::Kit;
use crate::config::Ordering;
use crate::flow::engine::{Assigned, Lane, OrderKey};
use crate::flow::offsets::Committed;
use crate::flow::{Code, Fault};
use crate::kafka::consumer::Partition;
use crate::ledger::{Ended, Family, Outstanding, Recovery, Seen};
use crate::message::TopicPartition;
use crate::telemetry::metrics;

/// How long a ledger that does not answer is left alone.
const AGAIN: Duration = Duration::from_secs(1);
/// Answers that may wait for the worker.
const ANSWERS: usize = 16;

/// What came of the partitions of one assignment.
pub enum Settled {
    Arrived(Vec<Assigned>),
    /// They wait, for this reason.
    Held(Fault),
    /// They have gone again.
    Cancelled,
}

/// An answer, and the assignment that it belongs to.
struct Answer {
    batch: u64,
    result: Result<Vec<Assigned>, Fault>,
}

type Ours = Arc<Mutex<BTreeSet<TopicPartition>>>;

/// See the module.
pub struct Arrivals {
    kit: Arc<Kit>,
    /// By partition, the assignment with which it comes.
    coming: BTreeMap<TopicPartition, u64>,
    /// All that have come and not gone.
    ours: Ours,
    batches: u64,
    answers: mpsc::Receiver<Answer>,
    sender: mpsc::Sender<Answer>,
}

impl Arrivals {
    pub fn new(kit: Arc<Kit>) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS);
        Self { kit, coming: BTreeMap::new(), ours: Ours::default(), batches: 0, answers, sender }
    }

    /// These partitions were assigned together.
    pub fn begin(&mut self, partitions: &[Partition]) {
        self.batches += 1;
        let batch = self.batches;
        self.coming.extend(partitions.iter().map(|p| (p.name.clone(), batch)));
        lock(&self.ours).extend(partitions.iter().map(|p| p.name.clone()));
        let came: Vec<Came> = partitions.iter().map(|p| Came::read(&self.kit, p)).collect();
        let (kit, ours, answers) = (self.kit.clone(), self.ours.clone(), self.sender.clone());
        tokio::spawn(async move {
            loop {
                let result = match enough_partitions(&kit, &came, &ours) {
                    Ok(()) => recover(&kit, &came).await,
                    Err(fault) => Err(fault),
                };
                let held = result.is_err();
                if answers.send(Answer { batch, result }).await.is_err() || !held {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }

    /// The next answer. Safe to cancel.
    pub async fn next(&mut self) -> Option<Settled> {
        let Answer { batch, result } = self.answers.recv().await?;
        if !self.coming.values().any(|of| *of == batch) {
            return Some(Settled::Cancelled);
        }
        Some(match result {
            Err(fault) => Settled::Held(fault),
            Ok(mut assigned) => {
                assigned.retain(|one| self.coming.get(&one.partition) == Some(&batch));
                self.coming.retain(|_, of| *of != batch);
                Settled::Arrived(assigned)
            }
        })
    }

    /// These have gone again.
    pub fn cancel(&mut self, partitions: &[TopicPartition]) {
        self.coming.retain(|name, _| !partitions.contains(name));
        lock(&self.ours).retain(|name| !partitions.contains(name));
    }

    /// Nothing is waited for any more; says what was.
    pub fn abandon(&mut self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.coming).into_keys().collect()
    }
}

/// A partition that has come, and what is committed of it.
struct Came {
    partition: TopicPartition,
    input: TopicPartition,
    lane: Lane,
    committed: Option<Committed>,
}

impl Came {
    /// A map that cannot be read is as good as none: what it spoke of is run again, or found in the ledger.
    fn read(kit: &Kit, partition: &Partition) -> Self {
        let committed = partition.committed.map(|offset| {
            Committed::parse(offset, &partition.metadata).unwrap_or_else(|problem| {
                let name = &partition.name;
                metrics::offset_map_damaged(&kit.topics.pipeline, &kit.topics.stage);
                tracing::warn!(
                    partition = %name, offset,
                    "the offset map in the commit cannot be read and is ignored; records that ended beyond the \
                     committed offset are looked up in the ledger: {problem}"
                );
                Committed::bare(offset)
            })
        });
        let lane = kit.topics.lane(&partition.name.topic);
        Self { partition: partition.name.clone(), input: partition.input.clone(), lane, committed }
    }
}

async fn recover(kit: &Kit, came: &[Came]) -> Result<Vec<Assigned>, Fault> {
    let recovery = Recovery {
        pipeline: kit.topics.pipeline.clone(),
        stage: kit.topics.stage.clone(),
        families: families(came),
        holding: kit.holding,
        now: Timestamp::now(),
    };
    let outstanding = kit.ledger.recover(recovery).await.map_err(|error| unavailable("recover", &error))?;
    let of = |input: &TopicPartition| -> Vec<(OrderKey, i64)> {
        let mine = outstanding.iter().filter(|one: &&Outstanding| one.partition == *input);
        mine.map(|one| (OrderKey(one.order), one.origin)).collect()
    };
    let assigned = |one: &Came| Assigned {
        partition: one.partition.clone(),
        lane: one.lane,
        family: one.input.partition,
        committed: one.committed.clone(),
        outstanding: if one.lane == Lane::Input { of(&one.partition) } else { Vec::new() },
    };
    Ok(came.iter().map(assigned).collect())
}

/// Where an order is kept, every input partition needs its own partition on the stage's other topics. They may come
/// later, when somebody has made them.
fn enough_partitions(kit: &Kit, came: &[Came], ours: &Ours) -> Result<(), Fault> {
    if kit.ordering == Ordering::None {
        return Ok(());
    }
    let ours = lock(ours);
    for input in came.iter().filter(|one| one.lane == Lane::Input) {
        let partition = input.partition.partition;
        for topic in kit.topics.satellites() {
            if !ours.contains(&TopicPartition::new(topic, partition)) {
                let message = format!(
                    "topic '{topic}' has no partition {partition} and the input has one, so that an order cannot be \
                     kept; `lazaret topics apply` adds it"
                );
                return Err(Fault::new(Code::OutputUnwritable, message));
            }
        }
    }
    Ok(())
}

fn lock(ours: &Ours) -> MutexGuard<'_, BTreeSet<TopicPartition>> {
    ours.lock().unwrap_or_else(PoisonError::into_inner)
}

fn families(came: &[Came]) -> Vec<Family> {
    let mut families: BTreeMap<&TopicPartition, Vec<Seen>> = BTreeMap::new();
    for one in came {
        let seen = families.entry(&one.input).or_default();
        if let Some(committed) = &one.committed {
            let ended = Ended { below: committed.below(), ranges: committed.ranges().to_vec() };
            seen.push(Seen { partition: one.partition.clone(), ended });
        }
    }
    families.into_iter().map(|(input, seen)| Family { input: input.clone(), seen }).collect()
}
