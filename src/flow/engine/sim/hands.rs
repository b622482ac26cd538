//! The records in a member's hands, as `worker::hands` has them, and what becomes of those that are forgotten.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger::{End, Lease, Outputs, Who};
use super::log::{Copy, Place, What};
use super::task::{Done, Job, Task};
use super::truth::{Kind, Piece};
use super::world::Env;
use crate::flow::engine::{Course, Event, Publish, Ran, SlotId};
use crate::message::TopicPartition;

/// A record, and what has been gained for it so far.
#[derive(Clone, Debug)]
pub struct Work {
    pub copy: Copy,
    pub at: Place,
    /// The term of its family in which it was read.
    pub term: u64,
    pub lease: Option<Lease>,
    pub outputs: Option<Outputs>,
    pub prepared: Option<Prepared>,
    pub produced: bool,
    /// The last call that was made for it here.
    pub call: Option<usize>,
    /// Something of it may be in Kafka without a transaction, and the ledger has not heard of it.
    pub loose: bool,
}

#[derive(Clone, Debug)]
pub struct Prepared {
    pub kind: Kind,
    pub records: Vec<(TopicPartition, What)>,
    pub end: End,
}

#[derive(Debug)]
pub struct Held {
    /// `None` while a task has it.
    pub work: Option<Work>,
    pub what: Option<Publish>,
    pub at: Place,
    /// Which task has it.
    pub busy: Option<Job>,
}

/// What every record weighs that is produced.
pub const OUTPUT: usize = 100;

/// See the module.
#[derive(Debug, Default)]
pub struct Hands {
    pub held: BTreeMap<SlotId, Held>,
    pub tasks: Vec<Task>,
    next_slot: u64,
    in_transaction: [BTreeSet<SlotId>; 2],
    limbo: BTreeMap<SlotId, Work>,
    doubtful: BTreeSet<SlotId>,
    doubt: Vec<Work>,
}

/// A record in a transaction: what it comes to, and what is written where.
pub type Leaving = (SlotId, Piece, Vec<(TopicPartition, What)>);

impl Hands {
    pub fn take(&mut self, copy: Copy, at: Place, term: u64) -> SlotId {
        let slot = SlotId(self.next_slot);
        self.next_slot += 1;
        let work = Work {
            copy,
            at: at.clone(),
            term,
            lease: None,
            outputs: None,
            prepared: None,
            produced: false,
            call: None,
            loose: false,
        };
        self.held.insert(slot, Held { work: Some(work), what: None, at, busy: None });
        slot
    }

    pub fn let_go(&mut self, slot: SlotId) {
        self.held.remove(&slot);
    }

    pub fn spawn(&mut self, slot: SlotId, job: Job, now: Timestamp) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let work =
            held.work.take().unwrap_or_else(|| panic!("{job:?} for {slot:?}, which {:?} has", held.busy));
        held.busy = Some(job);
        let what = held.what.clone().unwrap_or(Publish::Output);
        self.tasks.push(Task::new(slot, work, job, what, now));
    }

    pub fn prepare(&mut self, slot: SlotId, what: Publish, now: Timestamp) {
        if let Some(held) = self.held.get_mut(&slot) {
            held.what = Some(what);
        }
        self.spawn(slot, Job::Prepare, now);
    }

    /// Goes on with a task. What comes of it is told to the engine, if it still knows the record.
    pub fn step(&mut self, task: usize, who: Who, env: &mut Env) -> Option<Event> {
        let done = self.tasks[task].step(who, env)?;
        let Task { slot, work, .. } = self.tasks.remove(task);
        let Some(held) = self.held.get_mut(&slot) else {
            self.hand_back(work, env.now);
            return None;
        };
        held.work = Some(work);
        held.busy = None;
        match done {
            Done::Ran(result) => {
                if let Ran::Ready(_) = result {
                    held.what = Some(Publish::Output);
                }
                Some(Event::Ran { slot, result })
            }
            Done::Prepared(result) => Some(Event::Prepared { slot, result: result.map(|()| OUTPUT) }),
            Done::Sent(result) => Some(Event::Sent { slot, result }),
            Done::Settled(result) => Some(Event::Settled { slot, result }),
            Done::Released => None,
        }
    }

    /// What goes into a transaction for these records.
    pub fn begin_transaction(&mut self, course: Course, slots: &[SlotId]) -> Vec<Leaving> {
        self.in_transaction[course as usize] = slots.iter().copied().collect();
        let piece = |slot: &SlotId| {
            let work = self.held.get(slot).and_then(|held| held.work.as_ref());
            let work = work.unwrap_or_else(|| panic!("{slot:?} goes into a transaction and is not at hand"));
            let prepared = work.prepared.clone().expect("what goes into a transaction was prepared");
            let Work { at, copy, call, .. } = work.clone();
            let piece = Piece { source: at, copy, kind: prepared.kind, written: Vec::new(), call };
            (*slot, piece, prepared.records)
        };
        slots.iter().map(piece).collect()
    }

    pub fn end_transaction(&mut self, course: Course, committed: bool, now: Timestamp) {
        for slot in std::mem::take(&mut self.in_transaction[course as usize]) {
            if let Some(work) = self.held.get_mut(&slot).and_then(|held| held.work.as_mut()) {
                work.produced = committed;
            }
            if let Some(mut work) = self.limbo.remove(&slot) {
                work.produced = committed;
                self.hand_back(work, now);
            }
        }
    }

    pub fn doubt_transactions(&mut self) {
        self.doubtful.extend(self.in_transaction.iter_mut().flat_map(std::mem::take));
        self.doubt.extend(std::mem::take(&mut self.limbo).into_values());
    }

    pub fn end_doubt(&mut self, partitions: &BTreeSet<TopicPartition>, now: Timestamp) {
        let (known, open) = std::mem::take(&mut self.doubt)
            .into_iter()
            .partition(|work: &Work| partitions.contains(&work.at.0));
        self.doubt = open;
        known.into_iter().for_each(|work| self.hand_back(work, now));
    }

    pub fn forget(&mut self, slot: SlotId, env: &mut Env) {
        let Some(held) = self.held.remove(&slot) else { return };
        let Some(work) = held.work else {
            // A task has it.
            for task in self.tasks.iter_mut().filter(|task| task.slot == slot) {
                task.cancelled = true;
                env.lets_go(&task.work);
            }
            return;
        };
        env.lets_go(&work);
        if self.in_transaction.iter().any(|slots| slots.contains(&slot)) {
            self.limbo.insert(slot, work);
        } else if self.doubtful.remove(&slot) {
            self.doubt.push(work);
        } else {
            self.hand_back(work, env.now);
        }
    }

    fn hand_back(&mut self, work: Work, now: Timestamp) {
        if work.lease.is_some() {
            let slot = SlotId(self.next_slot);
            self.next_slot += 1;
            self.tasks.push(Task::new(slot, work, Job::HandBack, Publish::Output, now));
        }
    }

    /// Everything in hand is gone, because the process is.
    pub fn crash(self, env: &mut Env) {
        let held = self.held.into_values().filter_map(|held| held.work);
        let tasks = self.tasks.into_iter().map(|task| task.work);
        for work in held.chain(tasks) {
            env.lets_go(&work);
        }
    }
}
