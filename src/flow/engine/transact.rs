//! Exactly once: what leaves goes, with all offsets that may be committed, into a transaction; what becomes ready meanwhile
//! goes into the next. So an idle stage commits at once, and a busy one in groups. Pure.
//!
//! ```text
//! outputs:   Transact with offsets ──────────────────► Transacted
//! aside:     Transact ─► Written ─(turn)─► Conclude ─► Transacted
//! ```
//!
//! What fails takes another course than outputs, which do not wait until it is written: that takes long, since it goes to
//! many partitions. But offsets are one line. Those that a transaction commits say what has ended in it and in all
//! before, so only one transaction at a time is concluded: from when its offsets are handed out until Kafka has
//! answered. An output that becomes ready in that time is written meanwhile, and concluded after it.

use std::mem::discriminant;
use std::time::Duration;

use jiff::Timestamp;

use super::alarm::Alarm;
use super::window::{Phase, Step};
use super::{Abort, Course, Delivery, Effect, Engine, Publish, Refusal, SlotId};
use crate::flow::Class;
use crate::flow::offsets::Position;
use crate::message::TopicPartition;

/// Most records of one transaction.
const TRANSACTION_MAX: usize = 10_000;
/// How long the next transaction waits after one of nothing but offsets was aborted.
const COMMIT_AGAIN: Duration = Duration::from_secs(1);
/// How long it waits after the group changed.
const STALE_WAIT: Duration = Duration::from_millis(100);

#[derive(Debug, PartialEq, Eq)]
enum State {
    Writing,
    Written,
    /// Offsets of these partitions are being committed with it.
    Concluding(Vec<TopicPartition>),
    Undoing,
}

impl State {
    fn committing(commit: &[(TopicPartition, Position)]) -> Self {
        Self::Concluding(commit.iter().map(|(name, _)| name.clone()).collect())
    }
}

#[derive(Debug)]
struct Transaction {
    slots: Vec<SlotId>,
    state: State,
}

/// The transactions that Kafka has not answered yet, one of each course at most.
#[derive(Debug, Default)]
pub(super) struct Transactions([Option<Transaction>; 2]);

impl Transactions {
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Whether one commits offsets of these partitions.
    pub fn touches(&self, partitions: &[TopicPartition]) -> bool {
        self.concluding().any(|of| of.iter().any(|name| partitions.contains(name)))
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn is_free(&self, course: Course) -> bool {
        self.0[course as usize].is_none()
    }

    fn may_conclude(&self) -> bool {
        self.concluding().next().is_none()
    }

    fn concluding(&self) -> impl Iterator<Item = &[TopicPartition]> {
        self.0.iter().flatten().filter_map(|one| match &one.state {
            State::Concluding(partitions) => Some(partitions.as_slice()),
            _ => None,
        })
    }
}

impl Engine {
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
        // Everything begins anew as soon as no transaction is open.
        if self.ousted {
            return None;
        }
        // When the pause is over, what was due in it is due.
        if let Some(again) = self.again {
            return Some(again.at());
        }
        let free = |course| self.transactions.is_free(course);
        let may_commit = self.transactions.may_conclude() && free(Course::On);
        let commit = self.next_commit.map(Alarm::at).filter(|_| may_commit);
        let aside = self.outbox.next().filter(|_| free(Course::Aside));
        commit.into_iter().chain(aside).min()
    }

    fn transact(&mut self, due: bool, now: Timestamp) {
        self.again.take_if(|at| at.is_due(now));
        for course in Course::ALL {
            self.go_on(course);
        }
        if self.again.is_none() && !self.ousted {
            for course in Course::ALL {
                self.begin_next(course, due, now);
            }
        }
    }

    /// Outputs with all offsets that may be committed, if it is their turn. What fails is concluded when it is written, so
    /// that nobody waits for that.
    fn begin_next(&mut self, course: Course, due: bool, now: Timestamp) {
        if !self.transactions.is_free(course) {
            return;
        }
        let slots = self.next_batch(course, now);
        let concludes = course == Course::On && self.transactions.may_conclude();
        let wanted = concludes && (due || self.drains_need_a_commit());
        if slots.is_empty() && !wanted {
            return;
        }
        let commit = concludes.then(|| self.hand_out(&slots));
        if slots.is_empty() && commit.as_ref().is_none_or(Vec::is_empty) {
            return;
        }
        let state = commit.as_ref().map_or(State::Writing, |commit| State::committing(commit));
        self.transactions.0[course as usize] = Some(Transaction { slots: slots.clone(), state });
        self.effects.push(Effect::Transact { course, slots, commit });
    }

    /// What is written is concluded when it is its turn; undone, if it holds a record that is not ours any more.
    fn go_on(&mut self, course: Course) {
        let is_written = |transaction: &mut Transaction| transaction.state == State::Written;
        let Some(transaction) = self.transactions.0[course as usize].take_if(is_written) else { return };
        let ours = |id: &SlotId| self.is_leaving_at(*id, Step::Send);
        let state = if self.ousted || !transaction.slots.iter().all(ours) {
            self.effects.push(Effect::Conclude { course, commit: None });
            State::Undoing
        } else if self.again.is_none() && self.transactions.may_conclude() {
            let commit = self.hand_out(&transaction.slots);
            let state = State::committing(&commit);
            self.effects.push(Effect::Conclude { course, commit: Some(commit) });
            state
        } else {
            State::Written
        };
        self.transactions.0[course as usize] = Some(Transaction { state, ..transaction });
    }

    /// These end now, and what has ended is handed out.
    fn hand_out(&mut self, slots: &[SlotId]) -> Vec<(TopicPartition, Position)> {
        slots.iter().for_each(|id| self.window.end_offset(*id));
        self.next_commit = None;
        self.window.commits()
    }

    /// The records of the next transaction.
    fn next_batch(&mut self, course: Course, now: Timestamp) -> Vec<SlotId> {
        // What gathers must not keep others from beginning.
        let full = self.window.outputs() >= self.spec.outputs / 2;
        let (mut slots, all) = (Vec::new(), full || !self.draining.is_empty());
        // Some may have been forgotten since, all that gathered for a partition even.
        while slots.is_empty() && self.outbox.gather(course, all, now) {
            while slots.len() < TRANSACTION_MAX
                && let Some(id) = self.outbox.pop(course)
            {
                if let Some(what) = self.leaving_at(id, Step::Queue) {
                    self.window.set_phase(id, Phase::Leaving(what, Step::Send));
                    slots.push(id);
                }
            }
        }
        slots
    }

    /// Kafka has the records of the transaction, which is still open.
    pub(super) fn written(&mut self, course: Course) {
        if let Some(transaction) = &mut self.transactions.0[course as usize] {
            transaction.state = State::Written;
        }
    }

    pub(super) fn transacted(&mut self, course: Course, result: Result<(), Abort>, now: Timestamp) {
        let Some(Transaction { slots, state }) = self.transactions.0[course as usize].take() else { return };
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
                if let State::Concluding(partitions) = state {
                    slots.iter().for_each(|id| self.window.reopen_offset(*id));
                    partitions.iter().for_each(|name| self.window.hand_out_again(name));
                }
                self.aborted(course, slots, abort, now);
            }
        }
    }

    /// Nothing was written. One record may be to blame; the others go into the next transaction, but for those that
    /// would go where it could not.
    fn aborted(&mut self, course: Course, slots: Vec<SlotId>, abort: Abort, now: Timestamp) {
        let pause =
            if abort == Abort::Stale { Some(STALE_WAIT) } else { slots.is_empty().then_some(COMMIT_AGAIN) };
        self.again = pause.map(|pause| Alarm::after(pause, now)).or(self.again);
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
                    self.outbox.push_again(course, id);
                    self.window.set_phase(id, Phase::Leaving(what, Step::Queue));
                }
            }
        }
        if let (Some((id, what)), Abort::Record(_, refusal)) = (culprit, abort) {
            self.refused(id, what, refusal, now);
        }
    }
}
