//! The records in a worker's hands, and the tasks that work on them. It starts what it is told to start and brings
//! back what came of it; it decides nothing.

mod cancel;
mod held;
mod lines;
mod pace;
mod task;
mod transaction;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::task::{JoinError, JoinSet};
use tracing::Span;

pub use self::cancel::Cancel;
use self::held::Held;
use self::lines::{complain, complain_of_refusal, tell_repeats, told};
use self::pace::{Done, Pace, Timed};
use self::task::{Back, Job, Task};
use super::attempt;
use super::kit::Kit;
use super::publish;
use super::traced;
use super::work::Work;
use crate::flow::engine::{Arrival, Event, Publish, Ran, SlotId, SlotSet, Slots};
use crate::flow::{Code, Fault};
use crate::kafka::delivery::{Report, Reports};
use crate::message::Record;

/// See the module.
pub struct Hands {
    kit: Arc<Kit>,
    held: Slots<Held>,
    tasks: JoinSet<Done<Back>>,
    /// Records on their way to Kafka, and its answers.
    sent: Slots<Box<Work>>,
    reports: Arc<Reports>,
    /// What came of steps that had nothing to wait for.
    done: VecDeque<Event>,
    pace: Pace,
    /// For the next task.
    cancel: Cancel,
    next_slot: u64,
    /// Records in transactions that Kafka has not answered yet, by course.
    in_transaction: [SlotSet; 2],
    /// Records of those that were forgotten: the answer tells what the ledger is told of them.
    limbo: Slots<Box<Work>>,
    /// Records of transactions of which nobody knows whether they were committed, and those of them that were
    /// forgotten. The ledger is told nothing before it has learnt from the offsets what became of them.
    doubtful: SlotSet,
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
            cancel: Cancel::default(),
            next_slot: 0,
            in_transaction: Default::default(),
            limbo: Slots::default(),
            doubtful: SlotSet::default(),
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
        self.held.insert(slot, Held::new(work));
        arrival
    }

    /// The record has ended.
    pub fn let_go(&mut self, slot: SlotId) {
        let Some(mut held) = self.held.remove(&slot) else { return };
        self.kit.tally.let_go();
        if let Some(what) = held.what.take().filter(|_| held.is_produced()) {
            self.kit.tally.published(&what, held.records().len());
            told(&mut held, &self.kit, &what);
            if let Some(work) = &mut held.work {
                traced::left(&self.kit, work);
            }
        } else if let Some(work) = &mut held.work {
            traced::released(&self.kit, work);
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

    /// Says how many lines of a flood were left out, where it is time to.
    pub fn tell_repeats(&self, all: bool) {
        tell_repeats(&self.kit, all);
    }

    /// Number of steps that are being done.
    pub fn busy(&self) -> usize {
        self.tasks.len() + self.sent.len()
    }

    /// The topics of the records that have not been started since they were taken in, and have a due time.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.held.values().filter(|held| held.due.is_some()).map(|held| &*held.topic)
    }

    fn back(&mut self, done: Result<Done<Back>, JoinError>) {
        // Tasks catch panics and are never aborted, so there is always an end to report.
        if let Ok(done) = done {
            self.came(done);
        }
    }

    /// A task gives its record back.
    fn came(&mut self, Done { end, busy, span }: Done<Back>) {
        if let Task::Attempt(_) = end.from {
            self.pace.note(busy);
        }
        // Where no other step runs under it, it is made again should there be something to say.
        if let Some(held) = self.held.get_mut(&end.slot) {
            held.span = self.kit.waits().then_some(span);
        }
        self.ended(end);
    }

    fn ended(&mut self, Back { slot, work, from }: Back) {
        let Some(held) = self.held.get_mut(&slot) else { return self.hand_back(slot, work) };
        held.work = Some(work);
        let event = match from {
            Task::Attempt(result) => {
                match &result {
                    Ran::Ready(_) => held.what = Some(Publish::Output),
                    Ran::Failed(fault) => complain(held.span(&self.kit), &self.kit, fault),
                    Ran::Ended(_) => self.kit.tally.duplicate(),
                    _ => {}
                }
                Event::Ran { slot, result }
            }
            Task::Prepare(result) => {
                if let Err(refusal) = &result {
                    complain_of_refusal(held.span(&self.kit), &self.kit, refusal);
                }
                let bytes = held.work.as_ref().map(|work| work.prepared_bytes());
                Event::Prepared { slot, result: result.map(|()| bytes.unwrap_or_default()) }
            }
            Task::Send(result) => {
                if let Err(refusal) = &result {
                    complain_of_refusal(held.span(&self.kit), &self.kit, refusal);
                }
                Event::Sent { slot, result }
            }
            Task::Settle(result) => {
                if let Err(fault) = &result {
                    complain(held.span(&self.kit), &self.kit, fault);
                }
                Event::Settled { slot, result }
            }
            Task::Release => return,
        };
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
        self.step(slot, Job::Attempt);
    }

    /// Makes ready what the record becomes.
    pub fn prepare(&mut self, slot: SlotId, what: Publish) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        held.what = Some(what);
        self.step(slot, Job::Prepare);
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
            let fault = Fault::new(Code::OutputUnwritable, message);
            self.ended(Back { slot, work, from: Task::Send(Err(fault.into())) });
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
        self.step(slot, Job::Settle);
    }

    /// Does a step: at once as far as it has nothing to wait for, and else in a task.
    fn step(&mut self, slot: SlotId, job: Job) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let own = matches!(job, Job::Attempt);
        if !own && !self.kit.waits() {
            // Without a task to move it to, nothing need be made for it.
            let Some(mut work) = held.work.take() else { return };
            let what = held.what.as_ref().unwrap_or(&Publish::Output);
            let from = job.run(&self.kit, &mut work, what, &self.cancel).now_or_never();
            let idle = || job.failed(Fault::new(Code::StageFailed, "the step waits for something"));
            return self.ended(Back { slot, work, from: from.unwrap_or_else(idle) });
        }
        let span = std::mem::replace(held.span(&self.kit), Span::none());
        let Some(mut work) = held.work.take() else { return };
        let (kit, cancel) = (self.kit.clone(), self.cancel.clone());
        let what = held.what.clone().unwrap_or(Publish::Output);
        let run = async move {
            let from = job.run(&kit, &mut work, &what, &cancel).await;
            Back { slot, work, from }
        };
        let mut run = Timed::new(run, span);
        // The stage's own code may keep a thread busy: not this one.
        let at_once = !own || self.pace.is_quick();
        match at_once.then(|| (&mut run).now_or_never()).flatten() {
            Some(done) => self.came(done),
            None => {
                held.cancel = Some(std::mem::take(&mut self.cancel));
                self.tasks.spawn(run);
            }
        }
    }

    /// Gives a record back: whoever reads it next finds the job free in the ledger.
    pub fn forget(&mut self, slot: SlotId) {
        let Some(held) = self.held.remove(&slot) else { return };
        if let Some(cancel) = held.cancel {
            cancel.cancel();
        }
        self.kit.tally.released();
        if let Some(mut work) = held.work {
            if self.in_transaction.iter().any(|slots| slots.contains(&slot)) {
                self.limbo.insert(slot, work);
            } else if self.doubtful.remove(&slot) {
                traced::released(&self.kit, &mut work);
                self.doubt.push(*work);
            } else {
                self.hand_back(slot, work);
            }
        }
    }

    /// The engine has forgotten the record: the ledger is told where it went, or that nobody has it.
    fn hand_back(&mut self, slot: SlotId, mut work: Box<Work>) {
        match work.produced {
            true => traced::left(&self.kit, &mut work),
            false => traced::released(&self.kit, &mut work),
        }
        if work.lease.is_none() {
            return;
        }
        let kit = self.kit.clone();
        let release = async move {
            if work.produced {
                // If the ledger does not take it, whoever owns the partition next finds it out from the offsets.
                let _ = publish::settle(&kit, &mut work).await;
            } else {
                attempt::release(&kit, &mut work, None).await;
            }
            work.lease = None;
            Back { slot, work, from: Task::Release }
        };
        self.tasks.spawn(Timed::new(release, Span::none()));
    }
}
