//! When a stage pauses, which record tries whether the trouble is over, and when the stage resumes. Pure.
//!
//! Two troubles pause a stage, and both may hold at once: it is *sick* when a systemic failure was seen or the
//! breaker found the provider down; it is *stuck* when Kafka does not take what it produces. In either, one
//! record at a time is the trial, and only the trial's success ends the trouble: a success of something that
//! was begun before, or of another kind, proves nothing.

use std::time::Duration;

use jiff::Timestamp;

use super::alarm::Alarm;
use super::{Ran, SlotId};
use crate::flow::breaker::{Breaker, Circuit, speaks_of_outage};
use crate::flow::{Class, Code, Fault};

const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Trouble {
    fault: Fault,
    next_try: Alarm,
    wait: Duration,
    /// The record that tries now whether the trouble is over.
    trial: Option<SlotId>,
}

impl Trouble {
    fn new(fault: Fault, now: Timestamp) -> Self {
        let mut trouble = Self { fault, next_try: Alarm::on(now), wait: WAIT_FIRST, trial: None };
        trouble.schedule(now);
        trouble
    }

    /// It goes on. Only a failed trial makes the wait longer: the others were begun before the pause.
    fn goes_on(&mut self, id: SlotId, fault: Fault, now: Timestamp) {
        self.fault = fault;
        if self.trial == Some(id) {
            self.trial = None;
            self.schedule(now);
        }
    }

    /// The next try: after the wait, which doubles, or when the other side said, whichever is later.
    fn schedule(&mut self, now: Timestamp) {
        let asked = self.fault.retry_after.unwrap_or_default();
        self.next_try = Alarm::after(self.wait.max(asked), now);
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }

    /// When the next trial may begin; `None` while there is one.
    fn next_try(&self) -> Option<Alarm> {
        self.trial.is_none().then_some(self.next_try)
    }

    fn may_try(&self, now: Timestamp) -> bool {
        self.next_try().is_some_and(|at| at.is_due(now))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Health {
    breaker: Breaker,
    sick: Option<Trouble>,
    stuck: Option<Trouble>,
}

impl Health {
    /// Why the stage pauses, if it does.
    pub fn paused(&self) -> Option<&Fault> {
        self.sick.as_ref().or(self.stuck.as_ref()).map(|trouble| &trouble.fault)
    }

    /// Whether the stage pauses because its provider is down.
    pub fn is_outage(&self) -> bool {
        self.sick.as_ref().is_some_and(|sick| sick.fault.code == Code::LlmUnavailable)
    }

    /// How the breaker stands.
    pub fn circuit(&self) -> Circuit {
        match &self.sick {
            Some(sick) if self.is_outage() && sick.trial.is_some() => Circuit::HalfOpen,
            Some(_) if self.is_outage() => Circuit::Open,
            _ => Circuit::Closed,
        }
    }

    /// Whether the stage pauses because Kafka does not take what it produces: also while one record tries it.
    pub fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// Takes note of how a record fared.
    pub fn ran(&mut self, id: SlotId, result: &Ran, now: Timestamp) {
        match result {
            // No work was done, so nothing was learnt but that the record could be read and the ledger answers.
            Ran::Ended(_) | Ran::Replayed | Ran::Condemned(_) if self.sick_before_the_work() => {
                self.recover(id)
            }
            Ran::Busy | Ran::Ousted | Ran::Ended(_) | Ran::Replayed | Ran::Condemned(_) => self.forget(id),
            Ran::Failed(fault) if fault.class == Class::Systemic => self.sicken(id, (**fault).clone(), now),
            Ran::Failed(fault) if speaks_of_outage(fault) => match &mut self.sick {
                Some(sick) if sick.fault.code == Code::LlmUnavailable => {
                    let outage = sick.fault.clone().with_retry_after(fault.retry_after);
                    sick.goes_on(id, outage, now);
                }
                _ => match self.breaker.failed(fault, now) {
                    Some(outage) => self.sicken(id, outage, now),
                    None => self.recover(id),
                },
            },
            Ran::Ready(_) | Ran::Output | Ran::Failed(_) => {
                self.breaker.healthy();
                self.recover(id);
            }
        }
    }

    /// Whether the trouble lies before the stage's own work.
    fn sick_before_the_work(&self) -> bool {
        let code = self.sick.as_ref().map(|sick| sick.fault.code);
        matches!(code, Some(Code::LedgerUnavailable | Code::RegistryUnavailable | Code::RegistryUnauthorized))
    }

    fn sicken(&mut self, id: SlotId, fault: Fault, now: Timestamp) {
        match &mut self.sick {
            Some(sick) => sick.goes_on(id, fault, now),
            None => self.sick = Some(Trouble::new(fault, now)),
        }
    }

    fn recover(&mut self, id: SlotId) {
        if self.sick.as_ref().is_some_and(|sick| sick.trial == Some(id)) {
            self.sick = None;
            self.breaker.reset();
        }
    }

    /// Whether a record may be started to see whether the stage is well again.
    pub fn may_probe(&self, now: Timestamp) -> bool {
        self.stuck.is_none() && self.sick.as_ref().is_some_and(|sick| sick.may_try(now))
    }

    /// This record is started to see it.
    pub fn probe(&mut self, id: SlotId) {
        if let Some(sick) = &mut self.sick {
            sick.trial = Some(id);
        }
    }

    pub fn next_probe(&self) -> Option<Timestamp> {
        self.sick.as_ref().filter(|_| self.stuck.is_none())?.next_try().map(Alarm::at)
    }

    /// Kafka did not take a record.
    pub fn refused(&mut self, id: SlotId, fault: Fault, now: Timestamp) {
        match &mut self.stuck {
            Some(stuck) => stuck.goes_on(id, fault, now),
            None => self.stuck = Some(Trouble::new(fault, now)),
        }
    }

    /// Kafka took a record.
    pub fn taken(&mut self, id: SlotId) {
        self.stuck.take_if(|stuck| stuck.trial == Some(id));
    }

    /// No refused record is left to try with: the next record that is produced will show.
    pub fn none_refused(&mut self) {
        self.stuck.take_if(|stuck| stuck.trial.is_none());
    }

    /// Whether a refused record may be produced again: one when it is time, all when Kafka takes records.
    pub fn may_republish(&self, now: Timestamp) -> bool {
        self.stuck.as_ref().is_none_or(|stuck| stuck.may_try(now))
    }

    /// This record is produced again.
    pub fn republish(&mut self, id: SlotId) {
        if let Some(stuck) = &mut self.stuck {
            stuck.trial = Some(id);
        }
    }

    pub fn next_republish(&self) -> Option<Timestamp> {
        self.stuck.as_ref()?.next_try().map(Alarm::at)
    }

    /// The record is gone, or did not try anything; if it was the trial, another one may be.
    pub fn forget(&mut self, id: SlotId) {
        for trouble in [&mut self.sick, &mut self.stuck].into_iter().flatten() {
            trouble.trial.take_if(|trial| *trial == id);
        }
    }
}
