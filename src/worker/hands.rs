//! The records in a worker's hands, and the tasks that work on them. It starts what it is told to start and brings
//! back what came of it; it decides nothing.

mod cancel;
mod lines;
mod pace;
mod slots;
mod task;
mod transaction;

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tracing::{Instrument, Span};

pub use self::cancel::Cancel;
use self::lines::{complain, complain_of_refusal, told};
use self::pace::{Pace, Timed};
use self::slots::Slots;
use self::task::{Back, Job, Task};
use super::attempt::{self, panicked};
use super::kit::Kit;
use super::publish;
use super::work::Work;
use crate::flow::engine::{Arrival, Event, Publish, Ran, Refusal, SlotId};
use crate::flow::{Code, Fault};
use crate::kafka::delivery::{Report, Reports};
use crate::message::{OutRecord, Record, Topic};
use crate::telemetry::log;

/// A record in the engine's window.
struct Held {
    /// `None` while a task has it.
    work: Option<Box<Work>>,
    cancel: Cancel,
    span: Span,
    topic: Topic,
    due: Option<Timestamp>,
    /// Where it goes, once that is decided.
    what: Option<Publish>,
}

/// See the module.
pub struct Hands {
    kit: Arc<Kit>,
    held: Slots<Held>,
    tasks: JoinSet<(Back, Duration)>,
    /// Records on their way to Kafka, and its answers.
    sent: Slots<Box<Work>>,
    reports: Arc<Reports>,
    /// What came of steps that had nothing to wait for.
    done: VecDeque<Event>,
    pace: Pace,
    next_slot: u64,
    /// Records in the transaction that Kafka has not answered yet.
    in_transaction: HashSet<SlotId>,
    /// Records of that transaction that were forgotten: its answer tells what the ledger is told of them.
    limbo: HashMap<SlotId, Box<Work>>,
    /// Records of a transaction of which nobody knows whether it was committed, and those of them that were
    /// forgotten. The ledger is told nothing before it has learnt from the offsets what became of them.
    doubtful: HashSet<SlotId>,
    doubt: Vec<Work>,
}

impl Hands {
    pub fn new(kit: Arc<Kit>) -> Self {
        Self {
            kit,
            held: Slots::default(),
            tasks: JoinSet::new(),
            sent: Slots::default(),
            reports: Arc::default(),
            done: VecDeque::new(),
            pace: Pace::default(),
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

    /// The next end of a step, as the engine is told of it. `None` while nothing is being done. Safe to cancel.
    pub async fn next(&mut self) -> Option<Option<Event>> {
        if let Some(event) = self.done.pop_front() {
            return Some(Some(event));
        }
        tokio::select! {
            Some(back) = self.tasks.join_next() => self.back(back),
            reports = self.reports.next(), if !self.sent.is_empty() => self.reported(reports),
            else => return None,
        }
        Some(self.done.pop_front())
    }

    /// Ends of steps that have come already. Never waits.
    pub fn ready(&mut self) -> Option<Event> {
        while self.done.is_empty() {
            if let Some(back) = self.tasks.try_join_next() {
                self.back(back);
            } else {
                let reports = self.reports.take();
                if reports.is_empty() {
                    return None;
                }
                self.reported(reports);
            }
        }
        self.done.pop_front()
    }

    /// Waits for the last steps. The engine holds nothing any more; what comes back goes to the ledger.
    pub async fn finish(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Number of steps that are being done.
    pub fn busy(&self) -> usize {
        self.tasks.len() + self.sent.len()
    }

    /// The topics of the records that have not been started since they were taken in, and have a due time.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.held.values().filter(|held| held.due.is_some()).map(|held| &*held.topic)
    }

    fn hold(&self, work: Work) -> Held {
        let topics = &self.kit.topics;
        let attempt = work.envelope.trail.attempt + 1;
        let correlation = &work.envelope.correlation;
        Held {
            span: log::record_span(&topics.pipeline, &topics.stage, correlation, &work.record.at, attempt),
            topic: work.record.at.topic.clone(),
            due: work.due(),
            work: Some(Box::new(work)),
            cancel: Cancel::default(),
            what: None,
        }
    }

    fn back(&mut self, back: Result<(Back, Duration), JoinError>) {
        // Tasks catch panics and are never aborted, so there is always an end to report.
        if let Ok((back, busy)) = back {
            self.came(back, busy);
        }
    }

    /// A task gives its record back. The longest time for which it kept its thread is `busy`.
    fn came(&mut self, back: Back, busy: Duration) {
        if let Task::Attempt(_) = back.from {
            self.pace.note(busy);
        }
        self.ended(back);
    }

    fn ended(&mut self, Back { slot, work, from }: Back) {
        let Some(held) = self.held.get_mut(&slot) else { return self.hand_back(slot, work) };
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
                let records = work.prepared.iter().flat_map(|prepared| prepared.records.iter());
                Event::Prepared { slot, result: result.map(|()| records.map(OutRecord::size).sum()) }
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
            Task::Release => return,
        };
        held.work = Some(work);
        self.done.push_back(event);
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
        let Some(held) = self.held.get_mut(&slot) else { return };
        let work = held.work.as_mut();
        let result = work.and_then(|work| publish::prepare_at_once(&self.kit, work, &what));
        held.what = Some(what);
        match result {
            Some(result) => self.did(slot, Task::Prepare(result)),
            None => self.spawn(slot, Job::Prepare),
        }
    }

    /// Begins to produce, without a transaction.
    pub fn send(&mut self, slot: SlotId) {
        let Some(work) = self.held.get_mut(&slot).and_then(|held| held.work.take()) else { return };
        let records = work.prepared.as_ref().map(|prepared| prepared.records.clone()).unwrap_or_default();
        if let Some(producer) = &self.kit.producer {
            producer.ship(records, slot.0, &self.reports);
            self.sent.insert(slot, work);
        } else {
            let message = "this worker produces in transactions only";
            let refusal = Refusal::Fault(Fault::new(Code::OutputUnwritable, message));
            self.ended(Back { slot, work, from: Task::Send(Err(refusal)) });
        }
    }

    /// Kafka's answers.
    fn reported(&mut self, reports: Vec<Report>) {
        for (tag, report) in reports {
            let slot = SlotId(tag);
            let Some(mut work) = self.sent.remove(&slot) else { continue };
            let result = match (report, &self.kit.producer) {
                (Err(refused), Some(producer)) => {
                    let what = self.held.get(&slot).and_then(|held| held.what.as_ref());
                    let error = producer.explain(refused);
                    Err(publish::refusal(&self.kit, what.unwrap_or(&Publish::Output), &error))
                }
                _ => Ok(()),
            };
            work.produced = result.is_ok();
            self.ended(Back { slot, work, from: Task::Send(result) });
        }
    }

    /// Tells the ledger where the record went.
    pub fn settle(&mut self, slot: SlotId) {
        let work = self.held.get(&slot).and_then(|held| held.work.as_ref());
        // Who claimed nothing has nothing to tell.
        match work.is_some_and(|work| work.lease.is_none()) {
            true => self.did(slot, Task::Settle(Ok(()))),
            false => self.spawn(slot, Job::Settle),
        }
    }

    /// A step that took no time.
    fn did(&mut self, slot: SlotId, from: Task) {
        let Some(work) = self.held.get_mut(&slot).and_then(|held| held.work.take()) else { return };
        self.ended(Back { slot, work, from });
    }

    /// Hands the record to a task, or does at once what there is nothing to wait for. A panic in it is the record's
    /// failure.
    fn spawn(&mut self, slot: SlotId, job: Job) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let Some(mut work) = held.work.take() else { return };
        let (kit, cancel) = (self.kit.clone(), held.cancel.clone());
        let what = held.what.clone().unwrap_or(Publish::Output);
        let run = async move {
            let run = AssertUnwindSafe(job.run(&kit, &mut work, &what, &cancel)).catch_unwind().await;
            let from = run.unwrap_or_else(|panic| job.panicked(panicked(panic.as_ref())));
            Back { slot, work, from }
        };
        let mut run = Timed::new(run.instrument(held.span.clone()));
        let at_once = match job {
            // The stage's own code may keep a thread busy: not this one.
            Job::Attempt => self.pace.is_quick(),
            Job::Prepare | Job::Settle => true,
        };
        match at_once.then(|| (&mut run).now_or_never()).flatten() {
            Some((back, busy)) => self.came(back, busy),
            None => _ = self.tasks.spawn(run),
        }
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
                self.doubt.push(*work);
            } else {
                self.hand_back(slot, work);
            }
        }
    }

    /// The engine has forgotten the record: the ledger is told where it went, or that nobody has it.
    fn hand_back(&mut self, slot: SlotId, mut work: Box<Work>) {
        if work.lease.is_none() {
            return;
        }
        let kit = self.kit.clone();
        self.tasks.spawn(Timed::new(async move {
            if work.produced {
                // If the ledger does not take it, whoever owns the partition next finds it out from the offsets.
                let _ = publish::settle(&kit, &mut work).await;
            } else {
                attempt::release(&kit, &mut work, None).await;
            }
            work.lease = None;
            Back { slot, work, from: Task::Release }
        }));
    }
}
