//! The way of a record out: made ready, produced together with its offset, settled in the ledger. Pure.
//!
//! Exactly once: what is ready goes, with all offsets that may be committed, into one transaction; what becomes
//! ready meanwhile goes into the next. So an idle stage commits at once, and a busy one in groups.
//! At least once: each record is produced by itself, and offsets follow from time to time.

use std::mem::discriminant;
use std::time::Duration;

use jiff::Timestamp;

use super::alarm::Alarm;
use super::window::{Phase, Step};
use super::{Abort, Delivery, Effect, Engine, Publish, Refusal, SlotId};
use crate::flow::{Class, Fault};
use crate::message::TopicPartition;

/// Most records of one transaction.
const TRANSACTION_MAX: usize = 10_000;
/// How long the next transaction waits after one of nothing but offsets was aborted.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);
/// How long it waits after the group changed.
const STALE_WAIT: Duration = Duration::from_millis(100);

/// The transaction that Kafka has not answered yet.
#[derive(Debug)]
pub(super) struct Transaction {
    slots: Vec<SlotId>,
    partitions: Vec<TopicPartition>,
}

impl Transaction {
    pub fn touches(&self, partitions: &[TopicPartition]) -> bool {
        self.partitions.iter().any(|name| partitions.contains(name))
    }
}

impl Engine {
    pub(super) fn publish(&mut self, id: SlotId, what: Publish) {
        self.publish_again(id, what, Step::Prepare);
    }

    /// From this step on: what Kafka has already is not produced again.
    pub(super) fn publish_again(&mut self, id: SlotId, what: Publish, from: Step) {
        if from == Step::Settle {
            self.window.set_phase(id, Phase::Leaving(what, Step::Settle));
            self.effects.push(Effect::Settle(id));
        } else {
            self.window.set_phase(id, Phase::Leaving(what.clone(), Step::Prepare));
            self.effects.push(Effect::Prepare { slot: id, what });
        }
    }

    pub(super) fn prepared(&mut self, id: SlotId, result: Result<usize, Refusal>, now: Timestamp) {
        let Some(what) = self.leaving_at(id, Step::Prepare) else { return };
        match result {
            Ok(bytes) => self.leaves(id, what, bytes, now),
            Err(refusal) => {
                self.window.weigh(id, 0);
                self.refused(id, what, refusal, now);
            }
        }
    }

    /// So many bytes are ready to be produced for it.
    pub(super) fn leaves(&mut self, id: SlotId, what: Publish, bytes: usize, now: Timestamp) {
        match self.spec.delivery {
            Delivery::ExactlyOnce => {
                self.outbox.push(id, &what, self.window.family(id), now);
                self.window.set_phase(id, Phase::Leaving(what, Step::Queue));
            }
            Delivery::AtLeastOnce => {
                self.window.set_phase(id, Phase::Leaving(what, Step::Send));
                self.effects.push(Effect::Send(id));
            }
        }
        self.window.weigh(id, bytes);
    }

    pub(super) fn sent(&mut self, id: SlotId, result: Result<(), Refusal>, now: Timestamp) {
        let Some(what) = self.leaving_at(id, Step::Send) else { return };
        match result {
            Ok(()) => self.taken(id, what),
            Err(refusal) => self.refused(id, what, refusal, now),
        }
    }

    /// Kafka has it.
    fn taken(&mut self, id: SlotId, what: Publish) {
        self.health.taken(id);
        if self.spec.settles {
            self.publish_again(id, what, Step::Settle);
        } else {
            self.has_left(id, &what);
        }
    }

    pub(super) fn settled(&mut self, id: SlotId, result: Result<(), Box<Fault>>, now: Timestamp) {
        let Some(what) = self.leaving_at(id, Step::Settle) else { return };
        match result {
            Ok(()) => {
                self.health.taken(id);
                self.has_left(id, &what);
            }
            Err(fault) => self.stick(id, what, Step::Settle, *fault, now),
        }
    }

    /// It is where it was to go, and whoever must know that does.
    fn has_left(&mut self, id: SlotId, what: &Publish) {
        if self.spec.delivery == Delivery::AtLeastOnce {
            self.window.end_offset(id);
            self.out_of_line(id, what);
        }
        self.drop_ended(id);
    }

    /// It is where it was to go: its followers may begin, or wait on.
    fn out_of_line(&mut self, id: SlotId, what: &Publish) {
        self.step_aside(id, |order, place| match what {
            Publish::Output | Publish::Discard => order.leave(place, id),
            Publish::Retry { .. } => order.climb(place, id),
            Publish::Dead { .. } => order.die(place, id),
            Publish::Park => order.step_out(place, id),
        });
    }

    fn leaving_at(&self, id: SlotId, step: Step) -> Option<Publish> {
        match &self.window.get(id)?.phase {
            Phase::Leaving(what, at) if *at == step => Some(what.clone()),
            _ => None,
        }
    }

    /// Kafka or the ledger did not take it. Whether that says something about the record depends on what it was to
    /// become: an output that does not fit is a failure like any other, and a retry that does not fit is a dead letter.
    /// A dead letter has nowhere else to go: it tells less, or loses its date, or is kept and tried again, whatever the reason.
    fn refused(&mut self, id: SlotId, what: Publish, refusal: Refusal, now: Timestamp) {
        match (refusal, what) {
            (Refusal::Ended(rest), _) => {
                self.was_over(id, rest);
                self.tries_no_more(id);
            }
            // Whoever took it over may be a process that has lost the partition and will never end it.
            (Refusal::TakenOver, _) => {
                self.look_again(id, now);
                self.tries_no_more(id);
            }
            (Refusal::Ousted, _) => self.was_ousted(id),
            (Refusal::TooLarge(fault), Publish::Dead { attempts, fault: cause, detail, dated }) => {
                match detail.less() {
                    Some(detail) => self.publish(id, Publish::Dead { attempts, fault: cause, detail, dated }),
                    None => {
                        let what = Publish::Dead { attempts, fault: cause, detail, dated };
                        self.stick(id, what, Step::Prepare, *fault, now);
                    }
                }
            }
            (Refusal::Dated(_), Publish::Dead { attempts, fault, detail, dated: true }) => {
                self.publish(id, Publish::Dead { attempts, fault, detail, dated: false });
            }
            (Refusal::TooLarge(fault), _) => self.failed(id, fault, now),
            (Refusal::Fault(fault), Publish::Output) if fault.class != Class::Systemic => {
                self.failed(id, fault, now);
            }
            (Refusal::Fault(fault), Publish::Retry { .. } | Publish::Park)
                if fault.class == Class::Permanent =>
            {
                self.failed(id, fault, now);
            }
            (Refusal::Dated(fault) | Refusal::Fault(fault), what) => {
                self.stick(id, what, Step::Prepare, *fault, now);
            }
        }
    }

    /// It is kept, and tried again until it is taken; meanwhile the stage pauses.
    fn stick(&mut self, id: SlotId, what: Publish, step: Step, fault: Fault, now: Timestamp) {
        if self.window.drains(id) {
            return self.forget(id);
        }
        self.window.set_phase(id, Phase::Stuck(what, step));
        self.health.refused(id, fault, now);
    }

    /// Commits are grouped: the first record that ends sets the time, all that end until then go with it, unless a
    /// partition can be read no further until then. A transaction takes everything along as soon as there is one.
    pub(super) fn commit(&mut self, now: Timestamp) {
        if self.window.is_dirty() && self.next_commit.is_none() {
            self.next_commit = Some(Alarm::after(self.spec.commit_every, now));
        }
        let due = self.next_commit.is_some_and(|at| at.is_due(now)) || self.window.wants_a_commit();
        match self.spec.delivery {
            Delivery::ExactlyOnce => self.transact(due, now),
            Delivery::AtLeastOnce if due => {
                self.next_commit = None;
                let commit = self.window.commits();
                if !commit.is_empty() {
                    self.effects.push(Effect::Commit(commit));
                }
            }
            Delivery::AtLeastOnce => {}
        }
    }

    /// When offsets are committed, or the next transaction begins, if it is time that is waited for.
    pub(super) fn next_commit(&self) -> Option<Timestamp> {
        // When the pause is over, what was due in it is due.
        let next = || self.next_commit.map(Alarm::at).into_iter().chain(self.outbox.next()).min();
        self.again.map(Alarm::at).or_else(next).filter(|_| self.transaction.is_none())
    }

    fn transact(&mut self, due: bool, now: Timestamp) {
        self.again.take_if(|at| at.is_due(now));
        if self.transaction.is_some() || self.again.is_some() {
            return;
        }
        let slots = self.next_batch(now);
        if !due && slots.is_empty() && !self.drains_need_a_commit() {
            return;
        }
        self.next_commit = None;
        let commit = self.window.commits();
        if slots.is_empty() && commit.is_empty() {
            return;
        }
        let partitions = commit.iter().map(|(name, _)| name.clone()).collect();
        self.transaction = Some(Transaction { slots: slots.clone(), partitions });
        self.effects.push(Effect::Transact { slots, commit });
    }

    /// The records of the next transaction.
    fn next_batch(&mut self, now: Timestamp) -> Vec<SlotId> {
        let (mut slots, last) = (Vec::new(), !self.draining.is_empty());
        let mut more = true;
        // Some may have been forgotten since, all that gathered for a partition even.
        while more && slots.is_empty() {
            more = self.outbox.gather(last, now);
            while slots.len() < TRANSACTION_MAX
                && let Some(id) = self.outbox.pop()
            {
                if let Some(what) = self.leaving_at(id, Step::Queue) {
                    self.window.set_phase(id, Phase::Leaving(what, Step::Send));
                    self.window.end_offset(id);
                    slots.push(id);
                }
            }
        }
        slots
    }

    pub(super) fn transacted(&mut self, result: Result<(), Abort>, now: Timestamp) {
        let Some(Transaction { slots, partitions }) = self.transaction.take() else { return };
        match result {
            Ok(()) => {
                for id in slots {
                    if let Some(what) = self.leaving_at(id, Step::Send) {
                        self.out_of_line(id, &what);
                        self.taken(id, what);
                    }
                }
            }
            Err(Abort::Fenced) => self.begin_anew(),
            Err(abort) => {
                slots.iter().for_each(|id| self.window.reopen_offset(*id));
                partitions.iter().for_each(|name| self.window.hand_out_again(name));
                self.aborted(slots, abort, now);
            }
        }
    }

    /// Nothing was written. One record may be to blame; the others go into the next transaction, but for those that
    /// would go where it could not.
    fn aborted(&mut self, slots: Vec<SlotId>, abort: Abort, now: Timestamp) {
        let pause =
            if abort == Abort::Stale { Some(STALE_WAIT) } else { slots.is_empty().then_some(COMMIT_AGAIN) };
        self.again = pause.map(|pause| Alarm::after(pause, now));
        let mut held: Vec<(SlotId, Publish)> =
            slots.into_iter().filter_map(|id| Some((id, self.leaving_at(id, Step::Send)?))).collect();
        let culprit = match &abort {
            Abort::Record(id, _) => held.extract_if(.., |(other, _)| other == id).next(),
            _ => None,
        };
        let (shared, kind) = match (&abort, &culprit) {
            (Abort::Again(fault), _) => (Some(fault.clone()), None),
            (Abort::Record(_, Refusal::Fault(fault)), Some((_, what))) if fault.class == Class::Systemic => {
                (Some(fault.clone()), Some(discriminant(what)))
            }
            _ => (None, None),
        };
        for (id, what) in held.into_iter().rev() {
            let shares = kind.is_none_or(|kind| kind == discriminant(&what));
            match &shared {
                Some(fault) if shares => self.stick(id, what, Step::Prepare, (**fault).clone(), now),
                _ => {
                    self.outbox.push_again(id);
                    self.window.set_phase(id, Phase::Leaving(what, Step::Queue));
                }
            }
        }
        if let (Some((id, what)), Abort::Record(_, refusal)) = (culprit, abort) {
            self.refused(id, what, refusal, now);
        }
    }
}
