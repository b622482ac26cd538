//! The records in a worker's hands, and the tasks that work on them. It starts what it is told to start and brings
//! back what came of it; it decides nothing.

mod task;

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use self::task::{Back, Job, Task};
use super::attempt::{self, panicked};
use super::kit::Kit;
use super::publish;
use super::work::Work;
use crate::flow::Fault;
use crate::flow::engine::{Arrival, Event, Publish, Ran, Refusal, SlotId};
use crate::message::{OutRecord, Record, TopicPartition};
use crate::telemetry::log;

/// A record in the engine's window.
struct Held {
    /// `None` while a task has it.
    work: Option<Work>,
    cancel: CancellationToken,
    span: Span,
    topic: String,
    due: Option<Timestamp>,
    /// Where it goes, once that is decided.
    what: Option<Publish>,
}

/// See the module.
pub struct Hands {
    kit: Arc<Kit>,
    held: HashMap<SlotId, Held>,
    tasks: JoinSet<Back>,
    next_slot: u64,
    /// Records in the transaction that Kafka has not answered yet.
    in_transaction: HashSet<SlotId>,
    /// Records of that transaction that were forgotten: its answer tells what the ledger is told of them.
    limbo: HashMap<SlotId, Work>,
    /// Records of a transaction of which nobody knows whether it was committed, and those of them that were
    /// forgotten. The ledger is told nothing before it has learnt from the offsets what became of them.
    doubtful: HashSet<SlotId>,
    doubt: Vec<Work>,
}

impl Hands {
    pub fn new(kit: Arc<Kit>) -> Self {
        Self {
            kit,
            held: HashMap::new(),
            tasks: JoinSet::new(),
            next_slot: 0,
            in_transaction: HashSet::new(),
            limbo: HashMap::new(),
            doubtful: HashSet::new(),
            doubt: Vec::new(),
        }
    }

    /// Takes a record in under a name of its own. The rest as in [`Work::new`].
    pub fn take(&mut self, record: Record, own_topic: bool, family: (i32, i64)) -> Arrival {
        let slot = SlotId(self.next_slot);
        self.next_slot += 1;
        let Kit { ordering, fair_by, .. } = &*self.kit;
        let work = Work::new(record, own_topic, family, *ordering, fair_by.as_ref());
        let arrival = work.arrival(slot);
        self.held.insert(slot, self.hold(work));
        arrival
    }

    /// The record has ended.
    pub fn let_go(&mut self, slot: SlotId) {
        if self.held.remove(&slot).is_some() {
            self.kit.tally.let_go();
        }
    }

    /// The next end of a task, as the engine is told of it. `None` without a task that runs. Safe to cancel.
    pub async fn next(&mut self) -> Option<Option<Event>> {
        let back = self.tasks.join_next().await?;
        Some(self.back(back))
    }

    /// Waits for the last tasks. The engine holds nothing any more; what comes back goes to the ledger.
    pub async fn finish(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Number of tasks that run.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// The topics of the records that have not been started since they were taken in, and have a due time.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.held.values().filter(|held| held.due.is_some()).map(|held| held.topic.as_str())
    }

    fn hold(&self, work: Work) -> Held {
        let topics = &self.kit.topics;
        let attempt = work.envelope.trail.attempt + 1;
        let correlation = &work.envelope.correlation;
        Held {
            span: log::record_span(&topics.pipeline, &topics.stage, correlation, &work.record.at, attempt),
            topic: work.record.at.topic.clone(),
            due: work.due(),
            work: Some(work),
            cancel: CancellationToken::new(),
            what: None,
        }
    }

    fn back(&mut self, back: Result<Back, JoinError>) -> Option<Event> {
        // Tasks catch panics and are never aborted, so there is always an end to report.
        let Back { slot, work, from } = back.ok()?;
        let Some(held) = self.held.get_mut(&slot) else {
            self.hand_back(slot, work);
            return None;
        };
        let event = match from {
            Task::Attempt(result) => {
                if let Ran::Failed(fault) = &result {
                    complain(held, fault);
                }
                if let Ran::Ended(_) = result {
                    self.kit.tally.duplicate();
                }
                Event::Ran { slot, result }
            }
            Task::Prepare(result) => {
                complain_of_refusal(held, &result);
                Event::Prepared { slot, result }
            }
            Task::Send(result) => {
                complain_of_refusal(held, &result);
                Event::Sent { slot, result }
            }
            Task::Settle(result) => {
                match (&result, &held.what) {
                    (Ok(()), Some(what)) => {
                        let produced = work.prepared.as_ref().map_or(0, |prepared| prepared.records.len());
                        self.kit.tally.published(what, produced);
                        held.span.in_scope(|| told(what));
                    }
                    (Err(fault), _) => complain(held, fault),
                    _ => {}
                }
                Event::Settled { slot, result }
            }
            Task::Release => return None,
        };
        held.work = Some(work);
        Some(event)
    }

    /// Begins an attempt.
    pub fn start(&mut self, slot: SlotId) {
        if let Some(held) = self.held.get_mut(&slot)
            && let Some(due) = held.due.take()
        {
            self.kit
                .tally
                .late(Duration::try_from(self.kit.clock.now().duration_since(due)).unwrap_or_default());
        }
        self.spawn(slot, Job::Attempt);
    }

    /// Makes ready what the record becomes.
    pub fn prepare(&mut self, slot: SlotId, what: Publish) {
        if let Some(held) = self.held.get_mut(&slot) {
            held.what = Some(what);
        }
        self.spawn(slot, Job::Prepare);
    }

    /// Begins to produce, without a transaction.
    pub fn send(&mut self, slot: SlotId) {
        self.spawn(slot, Job::Send);
    }

    /// Tells the ledger where the record went.
    pub fn settle(&mut self, slot: SlotId) {
        self.spawn(slot, Job::Settle);
    }

    /// Hands the record to a task. A panic in it is the record's failure.
    fn spawn(&mut self, slot: SlotId, job: Job) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let Some(mut work) = held.work.take() else { return };
        let (kit, cancel, before) = (self.kit.clone(), held.cancel.clone(), work.clone());
        let what = held.what.clone().unwrap_or(Publish::Output);
        let run = async move {
            match AssertUnwindSafe(job.run(&kit, &mut work, &what, &cancel)).catch_unwind().await {
                Ok(from) => Back { slot, work, from },
                Err(panic) => Back { slot, work: before, from: job.panicked(panicked(panic.as_ref())) },
            }
        };
        self.tasks.spawn(run.instrument(held.span.clone()));
    }

    /// What goes into a transaction for these records.
    pub fn begin_transaction(&mut self, slots: &[SlotId]) -> Vec<(SlotId, Vec<OutRecord>)> {
        self.in_transaction = slots.iter().copied().collect();
        let records = |slot: &SlotId| {
            let prepared = self.held.get(slot)?.work.as_ref()?.prepared.as_ref()?;
            Some((*slot, prepared.records.clone()))
        };
        slots.iter().filter_map(records).collect()
    }

    /// Kafka has answered: the transaction was committed, or nothing of it can be seen.
    pub fn end_transaction(&mut self, committed: bool) {
        for slot in std::mem::take(&mut self.in_transaction) {
            let held = self.held.get_mut(&slot).and_then(|held| held.work.as_mut());
            if let Some(work) = held {
                work.produced = committed;
            }
        }
        for (slot, mut work) in std::mem::take(&mut self.limbo) {
            work.produced = committed;
            self.hand_back(slot, work);
        }
    }

    /// Nobody knows whether the transaction was committed.
    pub fn doubt_transaction(&mut self) {
        self.doubtful = std::mem::take(&mut self.in_transaction);
        self.doubt = std::mem::take(&mut self.limbo).into_values().collect();
    }

    /// These partitions are ours again, and the ledger has been told what was committed of them: what it does not
    /// know as ended was not committed, and is given back.
    pub fn end_doubt<'a>(&mut self, partitions: impl Iterator<Item = &'a TopicPartition>) {
        let partitions: HashSet<&TopicPartition> = partitions.collect();
        let (known, open) = std::mem::take(&mut self.doubt)
            .into_iter()
            .partition(|work: &Work| partitions.contains(&work.record.topic_partition()));
        self.doubt = open;
        for work in known {
            let slot = SlotId(self.next_slot);
            self.next_slot += 1;
            self.hand_back(slot, work);
        }
    }

    /// What Kafka's refusal of a record means.
    pub fn refusal(&self, slot: SlotId, error: &crate::kafka::ProduceError) -> Refusal {
        let held = self.held.get(&slot);
        let what = held.and_then(|held| held.what.as_ref()).unwrap_or(&Publish::Output);
        let refusal = publish::refusal(&self.kit, what, error);
        if let Some(held) = held {
            complain_of_refusal(held, &Err(refusal.clone()));
        }
        refusal
    }

    /// Gives a record back: whoever reads it next finds the job free in the ledger.
    pub fn forget(&mut self, slot: SlotId) {
        let Some(held) = self.held.remove(&slot) else { return };
        held.cancel.cancel();
        self.kit.tally.released();
        if let Some(work) = held.work {
            if self.in_transaction.contains(&slot) {
                self.limbo.insert(slot, work);
            } else if self.doubtful.remove(&slot) {
                self.doubt.push(work);
            } else {
                self.hand_back(slot, work);
            }
        }
    }

    /// The engine has forgotten the record: the ledger is told where it went, or that nobody has it.
    fn hand_back(&mut self, slot: SlotId, mut work: Work) {
        if work.lease.is_none() {
            return;
        }
        let kit = self.kit.clone();
        self.tasks.spawn(async move {
            if work.produced {
                // If the ledger does not take it, whoever owns the partition next finds it out from the offsets.
                let _ = publish::settle(&kit, &mut work).await;
            } else {
                attempt::release(&kit, &mut work, None).await;
            }
            work.lease = None;
            Back { slot, work, from: Task::Release }
        });
    }
}

fn complain(held: &Held, fault: &Fault) {
    log::record_code(&held.span, fault.code);
    held.span.in_scope(|| {
        let chain = (!fault.chain.is_empty()).then(|| fault.chain.join(": "));
        tracing::warn!(class = %fault.class, chain, "{fault}");
    });
}

fn complain_of_refusal(held: &Held, result: &Result<(), Refusal>) {
    match result {
        Err(Refusal::TooLarge(fault) | Refusal::Dated(fault) | Refusal::Fault(fault)) => {
            complain(held, fault)
        }
        Err(Refusal::TakenOver | Refusal::Ousted | Refusal::Ended(_)) => {
            held.span.in_scope(|| tracing::info!("another copy of the record has the job"));
        }
        Ok(()) => {}
    }
}

/// The line about where a record went.
fn told(what: &Publish) {
    match what {
        Publish::Output => tracing::debug!("done"),
        Publish::Retry { due, attempt, .. } => {
            tracing::info!(failures = attempt, due = %format!("{due:.3}"), "waits for its next attempt");
        }
        Publish::Dead { attempts, fault, .. } => {
            tracing::error!(code = fault.code.as_str(), class = %fault.class, attempts, "dead letter: {fault}");
        }
        Publish::Park => tracing::info!("parked behind an earlier record of its key"),
        Publish::Discard => tracing::info!("discarded"),
    }
}
