//! The engine of one stage: a synchronous state machine that decides what happens next. Events go in, effects
//! come out. It has no I/O, clock, threads or randomness of its own; `worker` carries its effects out.
//!
//! ```text
//! Polled ─► ready ──Start──► running ──Ran──► leaving: Prepare ─► Transact (or Send) ─► Settle ─► ended
//!            ▲ ▲ ▲             │                  │
//!   blocked ─┘ │ └─ held ◄─ systemic           stuck (tried again until Kafka and the ledger take it)
//!  (order)  waiting (due)
//! ```
//!
//! - `window`: the records held, by partition; which are ready, which wait; what may be committed.
//! - `order`: whose turn it is among the records of a key.
//! - `turns`: whose turn it is among those that are ready: fresh ones and retries, tenants, partitions.
//! - `leaving`: the way of a record out: prepared, produced, settled in the ledger.
//! - `transact`: transactions of what leaves with its offsets, and `outbox`: what waits for the next of them.
//! - `health`: when the stage pauses, which record tries whether it is well again, when it resumes.
//! - `pauses`: how long it paused, which no record is charged for.
//! - `partitions`: what is done when partitions come and go.
//! - `alarm`: times that are waited for, on a clock that may be set.

mod alarm;
mod event;
mod health;
mod leaving;
mod order;
mod outbox;
mod partitions;
mod pauses;
mod slots;
mod transact;
mod turns;
mod window;

use std::time::Duration;

use jiff::Timestamp;

use self::alarm::Alarm;
pub use self::event::*;
use self::health::Health;
use self::outbox::Outbox;
use self::partitions::Drain;
use self::pauses::Pauses;
pub use self::slots::{SlotSet, Slots};
use self::transact::Transactions;
use self::window::{Admitted, Phase, Window};
use super::breaker::{Circuit, speaks_of_outage};
use super::decide::{Verdict, decide};
use super::ladder::Past;
use super::rule::class_of;
use super::{Code, Fault};
use crate::message::TopicPartition;
use crate::message::deadletter::Detail;

/// How long a copy of a job waits while another copy is being run.
const BUSY_WAIT: Duration = Duration::from_millis(250);
/// What failed does not wait for the next transaction any more when it is so much.
const FAILED_MAX: usize = 500;
/// How long a parked record may keep others of a full parking partition from being read.
const ROTATE_FULL: Duration = Duration::from_secs(10);
/// How long a parked record is held before it is written anew, so that Kafka does not delete it by its age.
const ROTATE_OLD: Duration = Duration::from_secs(3600);

/// See the module.
#[derive(Debug)]
pub struct Engine {
    spec: Spec,
    window: Window,
    health: Health,
    pauses: Pauses,
    outbox: Outbox,
    transactions: Transactions,
    next_commit: Option<Alarm>,
    /// The last transaction was aborted; none begins and none is concluded before.
    again: Option<Alarm>,
    /// Partitions that are being drained, as they were revoked together.
    draining: Vec<Drain>,
    stopping: bool,
    /// Another process has taken a partition over and we had not heard of it: everything begins anew as soon as no
    /// transaction is open.
    ousted: bool,
    /// Why the stage pauses, as was said last.
    told: Option<Code>,
    effects: Vec<Effect>,
}

impl Engine {
    pub fn new(spec: Spec) -> Self {
        Self {
            window: Window::new(&spec),
            health: Health::default(),
            pauses: Pauses::default(),
            outbox: Outbox::new((spec.window / 2).clamp(1, FAILED_MAX), spec.gather),
            spec,
            transactions: Transactions::default(),
            next_commit: None,
            again: None,
            draining: Vec::new(),
            stopping: false,
            ousted: false,
            told: None,
            effects: Vec::new(),
        }
    }

    /// Takes an event in and says what is to be done, in order.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        self.take(event, now);
        self.decide(now)
    }

    /// Takes an event in. What is to be done says [`decide`](Self::decide), once for as many events as have come.
    pub fn take(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Assigned(partitions) => self.assigned(partitions),
            Event::Revoked(partitions) => self.revoked(partitions),
            Event::Lost(partitions) => self.lost(&partitions),
            Event::Ousted => self.ousted = true,
            Event::Polled(arrival) => self.polled(arrival, now),
            Event::CaughtUp(partition, offset) => self.window.caught_up(&partition, offset),
            Event::Ran { slot, result } => self.ran(slot, result, now),
            Event::Prepared { slot, result } => self.prepared(slot, result, now),
            Event::Sent { slot, result } => self.sent(slot, result, now),
            Event::Written(course) => self.written(course),
            Event::Transacted { course, result } => self.transacted(course, result, now),
            Event::Settled { slot, result } => self.settled(slot, result, now),
            Event::Tick => {}
            Event::Refresh => self.window.all().iter().for_each(|name| self.window.hand_out_again(name)),
            Event::DrainDeadline => self.drain_deadline(),
            Event::Stop => self.stop(),
        }
        if self.ousted && self.transactions.is_empty() {
            self.begin_anew();
        }
    }

    /// Says what is to be done now, in order.
    pub fn decide(&mut self, now: Timestamp) -> Vec<Effect> {
        self.tell();
        self.pauses.note(self.health.paused().is_some(), now);
        self.dispatch(now);
        self.commit(now);
        self.finish_drains();
        std::mem::take(&mut self.effects)
    }

    /// Whether a record of this partition would be taken in now. The worker asks before it polls.
    pub fn wants(&self, partition: &TopicPartition) -> bool {
        !self.stopping && self.window.wants(partition)
    }

    /// When to send a `Tick` at the latest.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let start = match self.health.paused() {
            Some(_) => self
                .health
                .next_probe()
                .zip(self.window.next_start(true))
                .map(|(probe, start)| probe.max(start)),
            None => self.window.next_start(false).filter(|_| self.has_places()),
        };
        let rotation = self.window.next_rotation().map(|(at, _)| at).filter(|_| self.may_park());
        let times =
            [self.window.next_due(), start, self.health.next_republish(), self.next_commit(), rotation];
        times.into_iter().flatten().min()
    }

    /// Why the stage pauses, if it does.
    pub fn paused(&self) -> Option<&Fault> {
        self.health.paused()
    }

    pub fn load(&self) -> Load {
        self.window.load()
    }

    /// How the breaker between the stage and its provider stands.
    pub fn circuit(&self) -> Circuit {
        self.health.circuit()
    }

    /// Says when what has come paused or resumed the stage.
    fn tell(&mut self) {
        let paused = self.health.paused();
        match (paused, std::mem::replace(&mut self.told, paused.map(|fault| fault.code))) {
            (Some(fault), told) if told != Some(fault.code) => {
                self.effects.push(Effect::Paused(fault.clone().into()))
            }
            (None, Some(_)) => self.effects.push(Effect::Resumed),
            _ => {}
        }
    }

    fn polled(&mut self, arrival: Arrival, now: Timestamp) {
        let slot = arrival.slot;
        match if self.stopping { Admitted::No } else { self.window.admit(arrival, now) } {
            Admitted::Yes => {}
            Admitted::Ended => self.effects.push(Effect::Ended(slot)),
            Admitted::No => self.effects.push(Effect::Forget(slot)),
        }
    }

    fn ran(&mut self, id: SlotId, result: Ran, now: Timestamp) {
        if self.window.get(id).is_none_or(|slot| slot.phase != Phase::Running) {
            return;
        }
        let result = match result {
            Ran::Failed(mut fault) => {
                fault.class = class_of(&self.spec.rules, &fault);
                Ran::Failed(fault)
            }
            other => other,
        };
        self.health.ran(id, &result, now);
        match result {
            // Of most records nothing else comes.
            Ran::Ready(bytes) => self.leaves(id, Publish::Output, bytes, now),
            Ran::Output | Ran::Replayed => self.publish(id, Publish::Output),
            Ran::Ended(rest) => self.was_over(id, rest),
            Ran::Condemned(fault) => self.publish(id, dead(self.past(id).failures.saturating_add(1), fault)),
            Ran::Busy => self.look_again(id, now),
            Ran::Ousted => self.was_ousted(id),
            // While the dependency is taken for down, its failures are the outage's and no record's.
            Ran::Failed(fault) if self.health.is_outage() && speaks_of_outage(&fault) => self.hold(id),
            Ran::Failed(fault) => self.failed(id, fault, now),
        }
    }

    fn failed(&mut self, id: SlotId, fault: Box<Fault>, now: Timestamp) {
        let past = self.past(id);
        let first_failure = past.first_failure.map(|first| self.pauses.spare(first, now));
        match decide(fault, Past { first_failure, ..past }, &self.spec.ladder, now) {
            Verdict::Hold { .. } => self.hold(id),
            Verdict::Retry { rung, due, attempt, fault } => {
                self.publish(id, Publish::Retry { rung, due, attempt, fault });
            }
            Verdict::Dead { attempts, fault } => self.publish(id, dead(attempts, fault)),
        }
    }

    fn past(&self, id: SlotId) -> Past {
        self.window.get(id).map(|slot| slot.past).unwrap_or_default()
    }

    fn dispatch(&mut self, now: Timestamp) {
        self.window.wake(now);
        // One refused record tries whether Kafka takes it now; when it does, the others follow.
        while self.health.may_republish(now)
            && let Some((id, what, step)) = self.window.first_stuck()
        {
            self.health.republish(id);
            self.publish_again(id, what, step);
        }
        while self.health.may_probe(now)
            && let Some(id) = self.window.next_ready(true, now)
        {
            if self.begin(id) {
                self.health.probe(id);
            }
        }
        while self.health.paused().is_none()
            && self.has_places()
            && let Some(id) = self.window.next_ready(false, now)
        {
            self.begin(id);
        }
        if self.may_park() {
            for id in self.window.surplus(self.spec.followers) {
                self.publish(id, Publish::Park);
            }
            if self.health.paused().is_none() {
                for id in self.window.crowd() {
                    self.window.unready(id);
                    self.publish(id, Publish::Park);
                }
            }
            while let Some((_, id)) = self.window.next_rotation().filter(|(at, _)| *at <= now) {
                self.publish(id, Publish::Park);
            }
        }
    }

    /// When Kafka is slow, outputs must not pile up behind a quick stage.
    fn has_places(&self) -> bool {
        self.window.running() < self.spec.concurrency && self.window.outputs() < self.spec.outputs
    }

    /// Nothing is parked while Kafka does not take what it is given. When the stage stops, all that it holds drains,
    /// and nothing of that is parked either.
    fn may_park(&self) -> bool {
        !self.health.is_stuck()
    }

    /// False when there was nothing to run.
    fn begin(&mut self, id: SlotId) -> bool {
        let discard = self.window.get(id).is_some_and(|slot| slot.discard);
        if discard {
            self.publish(id, Publish::Discard);
        } else {
            self.window.set_phase(id, Phase::Running);
            self.effects.push(Effect::Start(id));
        }
        !discard
    }

    /// Another copy of its job is being worked on.
    fn look_again(&mut self, id: SlotId, now: Timestamp) {
        if self.window.drains(id) {
            self.forget(id);
        } else {
            self.window.wait(id, Alarm::after(BUSY_WAIT, now));
        }
    }

    fn was_ousted(&mut self, id: SlotId) {
        self.ousted = true;
        self.forget(id);
    }

    /// Back to the end of its partition's queue, so that the next probe is another record's.
    fn hold(&mut self, id: SlotId) {
        if self.window.drains(id) {
            self.forget(id);
        } else {
            self.window.ready(id);
        }
    }

    /// The ledger knew it. Its offset has ended; its place in the line is the job's.
    fn was_over(&mut self, id: SlotId, rest: Rest) {
        self.window.end_offset(id);
        self.step_aside(id, |order, place| match rest {
            Rest::Over => order.leave(place, id),
            Rest::Waiting => order.climb(place, id),
            Rest::Elsewhere => order.step_out(place, id),
            Rest::Dead => order.die(place, id),
        });
        self.drop_ended(id);
    }

    fn drop_ended(&mut self, id: SlotId) {
        if self.window.remove(id).is_some() {
            self.effects.push(Effect::Ended(id));
        }
    }

    fn forget(&mut self, id: SlotId) {
        self.step_aside(id, |order, place| order.step_out(place, id));
        if self.window.remove(id).is_some() {
            self.tries_no_more(id);
            self.effects.push(Effect::Forget(id));
        }
    }

    /// If the stage waited for this record to show whether it is well again, another one may.
    fn tries_no_more(&mut self, id: SlotId) {
        self.health.forget(id);
        if !self.window.has_stuck() {
            self.health.none_refused();
        }
    }

    /// Its line is told what became of it, and whoever is first now may begin.
    fn step_aside(
        &mut self,
        id: SlotId,
        how: impl FnOnce(&mut order::Order, order::Place) -> Option<SlotId>,
    ) {
        let place = self.window.get(id).and_then(|slot| slot.place);
        let first = self.window.order().zip(place).and_then(|(order, place)| how(order, place));
        self.window.advance(first);
    }
}

/// A dead letter that says all there is to say.
fn dead(attempts: u32, fault: Box<Fault>) -> Publish {
    Publish::Dead { attempts, fault, detail: Detail::Full, dated: true }
}

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
