//! The engine of one stage: a synchronous state machine that decides what happens next. Events go in, effects
//! come out. It has no I/O, clock, threads or randomness of its own; `worker` carries its effects out.
//!
//! ```text
//! Polled ─► ready ──Start──► running ──Ran──► publishing ──Published──► ended ──► Commit
//!             ▲  ▲              │                 │
//!   (due) waiting └─ held ◄─ systemic        stuck (tried again until Kafka takes it)
//! ```
//!
//! - `window`: the records held, by partition; which are ready, which wait; what may be committed.
//! - `health`: when the stage pauses, which record probes, when it resumes.

mod health;
mod window;

use std::time::Duration;

use jiff::Timestamp;

use self::health::Health;
use self::window::{Phase, Slot, Window};
use super::decide::{Verdict, decide};
use super::ladder::{Ladder, Past};
use super::rule::{Rule, classify};
use super::{Fault, breaker};
use crate::message::TopicPartition;

/// How long a copy of a job waits while another copy is being run.
const BUSY_WAIT: Duration = Duration::from_millis(250);

/// Names a record in the window. Given by the worker, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u64);

/// Which of a stage's topics a partition belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Input,
    Rung,
    Redrive,
}

/// What the engine has to know of a record.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub slot: SlotId,
    pub partition: TopicPartition,
    pub offset: i64,
    /// Bytes it holds in memory.
    pub size: usize,
    /// Not before this time.
    pub due: Option<Timestamp>,
    pub past: Past,
}

/// What came of running a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The stage's work is done and its outputs are to be produced.
    Output,
    /// The ledger says that it ended before: nothing to produce.
    Ended,
    /// Another copy of the job is being run.
    Busy,
    Failed(Fault),
}

/// What is to be produced for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    Output,
    Retry { rung: usize, due: Timestamp, attempt: u32, fault: Fault },
    Dead { attempts: u32, fault: Fault },
}

/// What the engine is told.
#[derive(Clone, Debug)]
pub enum Event {
    Assigned(Vec<(TopicPartition, Lane)>),
    /// These partitions go to another member: finish what runs, start nothing.
    Revoked(Vec<TopicPartition>),
    /// These partitions are gone already: what they held is somebody else's now.
    Lost(Vec<TopicPartition>),
    Polled(Arrival),
    Ran {
        slot: SlotId,
        result: Ran,
    },
    Published {
        slot: SlotId,
        result: Result<(), Fault>,
    },
    /// Time has passed.
    Tick,
    /// The time for draining is over: hand back what still runs.
    DrainDeadline,
    /// Finish what runs, start nothing more.
    Stop,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run the record (again).
    Start(SlotId),
    /// Produce this, settle the ledger, then say `Published`.
    Publish {
        slot: SlotId,
        what: Publish,
    },
    /// The record is no longer ours: stop its work, give its lease back, drop it.
    Forget(SlotId),
    /// The record has ended: drop it.
    Ended(SlotId),
    /// Commit these offsets when convenient.
    Commit(Vec<(TopicPartition, i64)>),
    /// Nothing of these partitions runs any more. Commit these offsets now, then let the partitions go.
    Drained {
        partitions: Vec<TopicPartition>,
        commit: Vec<(TopicPartition, i64)>,
    },
    /// The stage pauses, or pauses for another reason than before.
    Paused(Fault),
    Resumed,
}

/// Bounds and policy of one stage.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Records run at the same time.
    pub concurrency: usize,
    /// Records held per partition.
    pub window: usize,
    /// Bytes held of all input partitions together, and again of all others together.
    pub bytes: usize,
    pub ladder: Ladder,
    pub rules: Vec<Rule>,
    pub commit_every: Duration,
}

/// Numbers for metrics and progress displays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub held: usize,
    pub running: usize,
    pub waiting: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    spec: Spec,
    window: Window,
    health: Health,
    running: usize,
    next_commit: Option<Timestamp>,
    /// Partitions that are being drained, as they were revoked together.
    draining: Vec<Vec<TopicPartition>>,
    stopping: bool,
    effects: Vec<Effect>,
}

impl Engine {
    pub fn new(spec: Spec) -> Self {
        Self {
            window: Window::new(spec.window, spec.bytes),
            health: Health::default(),
            spec,
            running: 0,
            next_commit: None,
            draining: Vec::new(),
            stopping: false,
            effects: Vec::new(),
        }
    }

    /// Takes an event in at a time and says what is to be done, in order.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        match event {
            Event::Assigned(partitions) => self.assigned(partitions),
            Event::Revoked(partitions) => self.revoked(partitions),
            Event::Lost(partitions) => self.lost(&partitions),
            Event::Polled(arrival) => self.polled(arrival, now),
            Event::Ran { slot, result } => self.ran(slot, result, now),
            Event::Published { slot, result } => self.published(slot, result, now),
            Event::Tick => {}
            Event::DrainDeadline => self.drain_deadline(),
            Event::Stop => self.stop(),
        }
        self.dispatch(now);
        self.finish_drains();
        self.commit(now);
        std::mem::take(&mut self.effects)
    }

    /// Whether a record of this partition would be taken in now. The worker asks before it polls.
    pub fn wants(&self, partition: &TopicPartition) -> bool {
        !self.stopping && self.window.wants(partition)
    }

    /// When to send a `Tick` at the latest.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let commit = self.next_commit;
        let probe = self.health.next_probe().filter(|_| !self.window.is_idle());
        [self.window.next_due(), commit, probe].into_iter().flatten().min()
    }

    /// Why the stage pauses, if it does.
    pub fn paused(&self) -> Option<&Fault> {
        self.health.paused()
    }

    pub fn load(&self) -> Load {
        Load { held: self.window.len(), running: self.running, waiting: self.window.waiting() }
    }

    fn assigned(&mut self, partitions: Vec<(TopicPartition, Lane)>) {
        for (partition, lane) in partitions {
            self.window.assign(partition, lane);
        }
    }

    /// What does not run is dropped at once; what runs may finish.
    fn revoked(&mut self, partitions: Vec<TopicPartition>) {
        for slot in self.window.drain(&partitions) {
            self.forget(slot);
        }
        self.draining.push(partitions);
    }

    fn lost(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            for slot in self.window.slots_of(partition) {
                self.forget(slot);
            }
            self.window.unassign(partition);
        }
        for group in &mut self.draining {
            group.retain(|partition| !partitions.contains(partition));
        }
    }

    fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            let all = self.window.assigned();
            self.revoked(all);
        }
    }

    fn drain_deadline(&mut self) {
        let late: Vec<TopicPartition> = self.draining.iter().flatten().cloned().collect();
        for slot in late.iter().flat_map(|partition| self.window.slots_of(partition)).collect::<Vec<_>>() {
            self.forget(slot);
        }
    }

    fn polled(&mut self, arrival: Arrival, now: Timestamp) {
        let slot = arrival.slot;
        if self.stopping || !self.window.admit(arrival, now) {
            self.effects.push(Effect::Forget(slot));
        }
    }

    fn ran(&mut self, id: SlotId, result: Ran, now: Timestamp) {
        let Some(slot) = self.window.get(id).filter(|slot| slot.phase == Phase::Running).cloned() else {
            return;
        };
        self.running -= 1;
        let result = match result {
            Ran::Failed(fault) => Ran::Failed(classify(&self.spec.rules, fault)),
            other => other,
        };
        self.observe(id, &result, now);
        match result {
            Ran::Output => self.publish(id, Publish::Output),
            Ran::Ended => self.end(id),
            Ran::Busy => self.wait(id, &slot, now.saturating_add(BUSY_WAIT).unwrap_or(now)),
            Ran::Failed(fault) => self.failed(id, &slot, fault, now),
        }
    }

    /// Tells the stage's health what was seen, and the world when that pauses or resumes the stage.
    fn observe(&mut self, id: SlotId, result: &Ran, now: Timestamp) {
        match self.health.observe(id, result, now) {
            health::Change::None => {}
            health::Change::Paused(fault) => self.effects.push(Effect::Paused(fault)),
            health::Change::Resumed => self.effects.push(Effect::Resumed),
        }
    }

    fn failed(&mut self, id: SlotId, slot: &Slot, fault: Fault, now: Timestamp) {
        // While the dependency is taken for down, its failures are the outage's and no record's.
        let outage = self.health.is_outage() && breaker::speaks_of_outage(&fault);
        match decide(fault, slot.past, &self.spec.ladder, now) {
            _ if outage => self.hold(id, slot),
            Verdict::Hold { .. } => self.hold(id, slot),
            Verdict::Retry { rung, due, attempt, fault } => {
                self.publish(id, Publish::Retry { rung, due, attempt, fault });
            }
            Verdict::Dead { attempts, fault } => self.publish(id, Publish::Dead { attempts, fault }),
        }
    }

    fn published(&mut self, id: SlotId, result: Result<(), Fault>, now: Timestamp) {
        let Some(slot) = self.window.get(id).cloned() else { return };
        let Phase::Publishing(what) = slot.phase.clone() else { return };
        match result {
            Ok(()) => {
                if self.health.unstick() {
                    self.effects.push(Effect::Resumed);
                }
                self.end(id);
            }
            // The output does not fit or its ledger entry was taken over: a failure of the record like any other.
            Err(fault) if fault.class != super::Class::Systemic => self.failed(id, &slot, fault, now),
            Err(_) if self.window.is_draining(&slot.partition) => {
                self.forget(id);
            }
            Err(fault) => {
                self.window.stick(id, what);
                if self.health.stick(&fault, now) {
                    self.effects.push(Effect::Paused(fault));
                }
            }
        }
    }

    fn dispatch(&mut self, now: Timestamp) {
        self.window.wake(now);
        self.republish(now);
        if self.health.paused().is_some() {
            if self.health.may_probe(now)
                && let Some(id) = self.window.next_ready()
            {
                self.health.probe(id);
                self.start(id);
            }
            return;
        }
        while self.running < self.spec.concurrency {
            let Some(id) = self.window.next_ready() else { break };
            self.start(id);
        }
    }

    /// One stuck record tries whether Kafka takes it again; when it does, the others follow.
    fn republish(&mut self, now: Timestamp) {
        let alone = self.health.is_stuck();
        while self.health.may_republish(now)
            && let Some((id, what)) = self.window.unstick()
        {
            self.publish(id, what);
            if alone {
                self.health.republishing(now);
                break;
            }
        }
    }

    fn start(&mut self, id: SlotId) {
        self.window.set_phase(id, Phase::Running);
        self.running += 1;
        self.effects.push(Effect::Start(id));
    }

    fn publish(&mut self, id: SlotId, what: Publish) {
        self.window.set_phase(id, Phase::Publishing(what.clone()));
        self.effects.push(Effect::Publish { slot: id, what });
    }

    fn wait(&mut self, id: SlotId, slot: &Slot, due: Timestamp) {
        if self.window.is_draining(&slot.partition) {
            self.forget(id);
        } else {
            self.window.wait(id, due);
        }
    }

    /// Back to the end of its partition's queue, so that the next probe is another record's.
    fn hold(&mut self, id: SlotId, slot: &Slot) {
        if self.window.is_draining(&slot.partition) {
            self.forget(id);
        } else {
            self.window.ready(id);
        }
    }

    fn end(&mut self, id: SlotId) {
        self.window.end(id);
        self.effects.push(Effect::Ended(id));
    }

    fn forget(&mut self, id: SlotId) {
        if let Some(slot) = self.window.remove(id) {
            self.running -= usize::from(slot.phase == Phase::Running);
            self.health.forget(id);
            self.effects.push(Effect::Forget(id));
        }
    }

    fn finish_drains(&mut self) {
        let (done, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.draining)
            .into_iter()
            .partition(|group| group.iter().all(|partition| self.window.slots_of(partition).is_empty()));
        self.draining = open;
        for partitions in done {
            let commit = self.window.commits(|partition| partitions.contains(partition));
            partitions.iter().for_each(|partition| self.window.unassign(partition));
            self.effects.push(Effect::Drained { partitions, commit });
        }
    }

    fn commit(&mut self, now: Timestamp) {
        if !self.window.is_dirty() {
            self.next_commit = None;
            return;
        }
        match self.next_commit {
            None => self.next_commit = now.saturating_add(self.spec.commit_every).ok(),
            Some(at) if at <= now => {
                self.next_commit = None;
                let commit = self.window.commits(|_| true);
                if !commit.is_empty() {
                    self.effects.push(Effect::Commit(commit));
                }
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
