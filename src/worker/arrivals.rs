//! Partitions on their way to the engine: the ledger learns that they are ours and what is committed of them, and
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
use crate::kafka::consumer::{Partition, Start, Starts};
use crate::ledger::{Ended, Family, LedgerError, Outstanding, Recovery, Seen};
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
    /// Somebody else has them, or commits for them, and we have not heard of it.
    Ousted,
    /// They have gone again.
    Cancelled,
}

/// An answer, and the assignment that it belongs to.
struct Answer {
    batch: u64,
    result: Result<Vec<Assigned>, Hindrance>,
}

/// Why partitions have not arrived.
enum Hindrance {
    Fault(Fault),
    Ousted,
}

/// See the module.
pub struct Arrivals {
    kit: Arc<Kit>,
    ours: Ours,
    batches: u64,
    answers: mpsc::Receiver<Answer>,
    sender: mpsc::Sender<Answer>,
}

/// What is known of the partitions that have come and not gone.
#[derive(Clone, Default)]
struct Ours(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    names: BTreeSet<TopicPartition>,
    /// By partition that is on its way, the assignment with which it comes.
    coming: BTreeMap<TopicPartition, u64>,
    /// By partition of the input, the term that the ledger has begun for us.
    terms: BTreeMap<TopicPartition, i64>,
}

impl Ours {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arrivals {
    pub fn new(kit: Arc<Kit>) -> Self {
        let (sender, answers) = mpsc::channel(ANSWERS);
        Self { kit, ours: Ours::default(), batches: 0, answers, sender }
    }

    /// These partitions were assigned together.
    pub fn begin(&mut self, partitions: &[Partition], starts: Starts) {
        self.batches += 1;
        let batch = self.batches;
        let mut known = self.ours.lock();
        known.names.extend(partitions.iter().map(|p| p.name.clone()));
        known.coming.extend(partitions.iter().map(|p| (p.name.clone(), batch)));
        drop(known);
        let mut came: Vec<Came> = partitions.iter().map(|p| Came::read(&self.kit, p)).collect();
        let (kit, ours, answers) = (self.kit.clone(), self.ours.clone(), self.sender.clone());
        tokio::spawn(async move {
            loop {
                came.retain(|one| ours.lock().coming.get(&one.partition) == Some(&batch));
                if came.is_empty() {
                    return;
                }
                let result = arrive(&kit, &came, &ours, &starts).await;
                let held = matches!(result, Err(Hindrance::Fault(_)));
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
        let mut known = self.ours.lock();
        if !known.coming.values().any(|of| *of == batch) {
            return Some(Settled::Cancelled);
        }
        Some(match result {
            Err(Hindrance::Fault(fault)) => Settled::Held(fault),
            Err(Hindrance::Ousted) => Settled::Ousted,
            Ok(mut assigned) => {
                assigned.retain(|one| known.coming.get(&one.partition) == Some(&batch));
                known.coming.retain(|_, of| *of != batch);
                Settled::Arrived(assigned)
            }
        })
    }

    /// The term in which records of a partition of the input, and of those that follow it, are read.
    pub fn term(&self, input: &TopicPartition) -> i64 {
        self.ours.lock().terms.get(input).copied().unwrap_or_default()
    }

    /// These have gone again.
    pub fn cancel(&mut self, partitions: &[TopicPartition]) {
        let mut known = self.ours.lock();
        for name in partitions {
            known.names.remove(name);
            known.coming.remove(name);
            known.terms.remove(name);
        }
    }

    /// Nothing is waited for any more; says what was.
    pub fn abandon(&mut self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.ours.lock().coming).into_keys().collect()
    }
}

/// A partition that has come, and what is committed of it.
struct Came {
    partition: TopicPartition,
    input: TopicPartition,
    lane: Lane,
    start: Start,
    committed: Option<Committed>,
}

impl Came {
    /// A map that cannot be read is as good as none: what it spoke of is run again, or found in the ledger.
    fn read(kit: &Kit, partition: &Partition) -> Self {
        let Partition { name, input, start, .. } = partition;
        let committed = start.committed.map(|offset| {
            Committed::parse(offset, &start.metadata).unwrap_or_else(|problem| {
                metrics::offset_map_damaged(&kit.topics.pipeline, &kit.topics.stage);
                tracing::warn!(
                    partition = %name, offset,
                    "the offset map in the commit cannot be read and is ignored; records that ended beyond the \
                     committed offset are looked up in the ledger: {problem}"
                );
                Committed::bare(offset)
            })
        });
        let lane = kit.topics.lane(&name.topic);
        Self { partition: name.clone(), input: input.clone(), lane, start: start.clone(), committed }
    }
}

/// First the ledger takes the partitions for ours, so that whoever had them before can claim nothing more; then what is
/// committed must still be what it was; then the ledger learns of it, unless they were taken from us meanwhile.
async fn arrive(kit: &Kit, came: &[Came], ours: &Ours, starts: &Starts) -> Result<Vec<Assigned>, Hindrance> {
    enough_partitions(kit, came, ours)?;
    let terms = own(kit, came, ours).await?;
    let names = came.iter().map(|one| one.partition.clone()).collect();
    let now = starts.fetch(names).await.map_err(|cause| {
        let message = format!("cannot learn what is committed: {cause}");
        Fault::new(Code::OutputUnwritable, message)
    })?;
    if came.iter().any(|one| now.get(&one.partition) != Some(&one.start)) {
        return Err(Hindrance::Ousted);
    }
    recover(kit, came, &terms).await
}

/// The terms of the families that have come. A family of which a partition comes later keeps its term.
async fn own(kit: &Kit, came: &[Came], ours: &Ours) -> Result<BTreeMap<TopicPartition, i64>, Hindrance> {
    let mut terms = ours.lock().terms.clone();
    let inputs: BTreeSet<&TopicPartition> = came.iter().map(|one| &one.input).collect();
    let new: Vec<_> = inputs.into_iter().filter(|input| !terms.contains_key(input)).cloned().collect();
    if new.is_empty() {
        return Ok(terms);
    }
    let topics = &kit.topics;
    let term = kit.ledger.own(&topics.pipeline, &topics.stage, new.clone()).await;
    let term = term.map_err(|error| unavailable("own", &error))?;
    let mut known = ours.lock();
    for input in new {
        if known.names.contains(&input) {
            known.terms.insert(input.clone(), term);
        }
        terms.insert(input, term);
    }
    Ok(terms)
}

async fn recover(
    kit: &Kit,
    came: &[Came],
    terms: &BTreeMap<TopicPartition, i64>,
) -> Result<Vec<Assigned>, Hindrance> {
    let recovery = Recovery {
        pipeline: kit.topics.pipeline.clone(),
        stage: kit.topics.stage.clone(),
        families: families(came, terms),
        holding: kit.holding,
        now: Timestamp::now(),
    };
    let outstanding = kit.ledger.recover(recovery).await.map_err(|error| match error {
        LedgerError::Ousted(_) => Hindrance::Ousted,
        error => unavailable("recover", &error).into(),
    })?;
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

impl From<Fault> for Hindrance {
    fn from(fault: Fault) -> Self {
        Hindrance::Fault(fault)
    }
}

/// Where an order is kept, every input partition needs its own partition on the stage's other topics. They may come
/// later, when somebody has made them.
fn enough_partitions(kit: &Kit, came: &[Came], ours: &Ours) -> Result<(), Fault> {
    if kit.ordering == Ordering::None {
        return Ok(());
    }
    let known = ours.lock();
    for input in came.iter().filter(|one| one.lane == Lane::Input) {
        let partition = input.partition.partition;
        for topic in kit.topics.satellites() {
            if !known.names.contains(&TopicPartition::new(topic, partition)) {
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

fn families(came: &[Came], terms: &BTreeMap<TopicPartition, i64>) -> Vec<Family> {
    let mut families: BTreeMap<&TopicPartition, Vec<Seen>> = BTreeMap::new();
    for one in came {
        let seen = families.entry(&one.input).or_default();
        if let Some(committed) = &one.committed {
            let ended = Ended { below: committed.below(), ranges: committed.ranges().to_vec() };
            seen.push(Seen { partition: one.partition.clone(), ended });
        }
    }
    let family = |(input, seen): (&TopicPartition, _)| Family {
        input: input.clone(),
        term: terms.get(input).copied().unwrap_or_default(),
        seen,
    };
    families.into_iter().map(family).collect()
}
