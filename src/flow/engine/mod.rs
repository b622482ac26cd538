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
//! - `health`: when the stage pauses, which record tries whether it is well again, when it resumes.
//! - `pauses`: how long it paused, which no record is charged for.
//! - `partitions`: what is done when partitions come and go, and when offsets are committed.

mod event;
mod health;
mod partitions;
mod pauses;
mod window;

use std::time::Duration;

use jiff::Timestamp;

pub use self::event::{Arrival, Effect, Event, Lane, Load, Publish, Ran, SlotId, Spec};
use self::health::Health;
use self::pauses::Pauses;
use self::window::{Phase, Slot, Window};
use super::breaker::speaks_of_outage;
use super::decide::{Verdict, decide};
use super::ladder::Past;
use super::rule::classify;
use super::{Class, Code, Fault};
use crate::message::TopicPartition;

/// How long a copy of a job waits while another copy is being run.
const BUSY_WAIT: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub struct Engine {
    spec: Spec,
    window: Window,
    health: Health,
    pauses: Pauses,
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
            pauses: Pauses::default(),
            spec,
            next_commit: None,
            draining: Vec::new(),
            stopping: false,
            effects: Vec::new(),
        }
    }

    /// Takes an event in at a time and says what is to be done, in order.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let before = self.health.paused().map(|fault| fault.code);
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
        self.tell(before);
        self.pauses.note(self.health.paused().is_some(), now);
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
        let probe = self.health.next_probe().filter(|_| self.window.has_ready());
        let times = [self.window.next_due(), probe, self.health.next_republish(), self.next_commit];
        times.into_iter().flatten().min()
    }

    /// Why the stage pauses, if it does.
    pub fn paused(&self) -> Option<&Fault> {
        self.health.paused()
    }

    pub fn load(&self) -> Load {
        Load { held: self.window.len(), running: self.window.running(), waiting: self.window.waiting() }
    }

    /// Says when the event paused or resumed the stage.
    fn tell(&mut self, before: Option<Code>) {
        match self.health.paused() {
            Some(fault) if before != Some(fault.code) => self.effects.push(Effect::Paused(fault.clone())),
            None if before.is_some() => self.effects.push(Effect::Resumed),
            _ => {}
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
        let result = match result {
            Ran::Failed(fault) => Ran::Failed(classify(&self.spec.rules, fault)),
            other => other,
        };
        self.health.ran(id, &result, now);
        match result {
            Ran::Output | Ran::Replayed => self.publish(id, Publish::Output),
            Ran::Ended => self.end(id),
            Ran::Condemned(fault) => {
                let attempts = slot.past.failures.saturating_add(1);
                self.publish(id, Publish::Dead { attempts, fault });
            }
            Ran::Busy => self.wait(id, &slot, now.saturating_add(BUSY_WAIT).unwrap_or(now)),
            // While the dependency is taken for down, its failures are the outage's and no record's.
            Ran::Failed(fault) if self.health.is_outage() && speaks_of_outage(&fault) => self.hold(id, &slot),
            Ran::Failed(fault) => self.failed(id, &slot, fault, now),
        }
    }

    fn failed(&mut self, id: SlotId, slot: &Slot, fault: Fault, now: Timestamp) {
        let first_failure = slot.past.first_failure.map(|first| self.pauses.spare(first, now));
        match decide(fault, Past { first_failure, ..slot.past }, &self.spec.ladder, now) {
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
                self.health.taken(id);
                self.end(id);
            }
            Err(fault) if is_of_the_record(&fault, &what) => self.failed(id, &slot, fault, now),
            Err(_) if self.window.is_draining(&slot.partition) => self.forget(id),
            Err(fault) => {
                self.window.stick(id, what);
                self.health.refused(id, fault, now);
            }
        }
    }

    fn dispatch(&mut self, now: Timestamp) {
        self.window.wake(now);
        // One refused record tries whether Kafka takes it now; when it does, the others follow.
        while self.health.may_republish(now)
            && let Some((id, what)) = self.window.unstick()
        {
            self.health.republish(id);
            self.publish(id, what);
        }
        if self.health.may_probe(now)
            && let Some(id) = self.window.next_ready()
        {
            self.health.probe(id);
            self.start(id);
        }
        while self.health.paused().is_none()
            && self.window.running() < self.spec.concurrency
            // When Kafka is slow, outputs must not pile up behind a quick stage.
            && self.window.leaving() < self.spec.concurrency
            && let Some(id) = self.window.next_ready()
        {
            self.start(id);
        }
    }

    fn start(&mut self, id: SlotId) {
        self.window.set_phase(id, Phase::Running);
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
        if self.window.remove(id).is_some() {
            self.health.forget(id);
            if !self.window.has_stuck() {
                self.health.none_refused();
            }
            self.effects.push(Effect::Forget(id));
        }
    }
}

/// Whether what Kafka or the ledger refused says something about the record: an output that does not fit, or
/// whose ledger entry was taken over, is a failure like any other, and a retry that does not fit is a dead
/// letter. A dead letter has nowhere else to go: it is kept and tried again, whatever the reason.
fn is_of_the_record(fault: &Fault, what: &Publish) -> bool {
    match what {
        Publish::Output => fault.class != Class::Systemic,
        Publish::Retry { .. } => fault.class == Class::Permanent,
        Publish::Dead { .. } => false,
    }
}

#[cfg(test)]
mod tests;
