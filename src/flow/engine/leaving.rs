//! The way of a record out: made ready, produced, settled in the ledger. Pure.
//!
//! Exactly once it is produced together with its offset (`transact`). At least once each record is produced by itself, and
//! offsets follow from time to time.

use jiff::Timestamp;

use super::window::{Phase, Step};
use super::{Delivery, Effect, Engine, Publish, Refusal, SlotId};
use crate::flow::{Class, Fault};

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
    pub(super) fn taken(&mut self, id: SlotId, what: Publish) {
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
    pub(super) fn out_of_line(&mut self, id: SlotId, what: &Publish) {
        self.step_aside(id, |order, place| match what {
            Publish::Output | Publish::Discard => order.leave(place, id),
            Publish::Retry { .. } => order.climb(place, id),
            Publish::Dead { .. } => order.die(place, id),
            Publish::Park => order.step_out(place, id),
        });
    }

    pub(super) fn leaving_at(&self, id: SlotId, step: Step) -> Option<Publish> {
        match &self.window.get(id)?.phase {
            Phase::Leaving(what, at) if *at == step => Some(what.clone()),
            _ => None,
        }
    }

    pub(super) fn is_leaving_at(&self, id: SlotId, step: Step) -> bool {
        let is = |phase: &Phase| matches!(phase, Phase::Leaving(_, at) if *at == step);
        self.window.get(id).is_some_and(|slot| is(&slot.phase))
    }

    /// Kafka or the ledger did not take it. Whether that says something about the record depends on what it was to
    /// become: an output that does not fit is a failure like any other, and a retry that does not fit is a dead letter.
    /// A dead letter has nowhere else to go: it tells less, or loses its date, or is kept and tried again, whatever the reason.
    pub(super) fn refused(&mut self, id: SlotId, what: Publish, refusal: Refusal, now: Timestamp) {
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
    pub(super) fn stick(&mut self, id: SlotId, what: Publish, step: Step, fault: Fault, now: Timestamp) {
        if self.window.drains(id) {
            return self.forget(id);
        }
        self.window.set_phase(id, Phase::Stuck(what, step));
        self.health.refused(id, fault, now);
    }
}
