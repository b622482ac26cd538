//! When a stage pauses, which record probes, and when it resumes. Pure.
//!
//! Two things pause a stage, and both may hold at once: it is *sick* when a systemic failure was seen or the
//! breaker found the provider down; it is *stuck* when Kafka does not take what it produces.

use std::time::Duration;

use jiff::Timestamp;

use super::{Ran, SlotId};
use crate::flow::breaker::{Breaker, speaks_of_outage};
use crate::flow::{Class, Code, Fault};

const PROBE_FIRST: Duration = Duration::from_secs(1);
const PROBE_MAX: Duration = Duration::from_secs(30);

/// What an observation changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Paused(Fault),
    Resumed,
}

#[derive(Debug)]
struct Trouble {
    fault: Fault,
    next_try: Timestamp,
    wait: Duration,
}

impl Trouble {
    fn new(fault: Fault, now: Timestamp) -> Self {
        let mut trouble = Self { fault, next_try: now, wait: PROBE_FIRST };
        trouble.schedule(now);
        trouble
    }

    /// The next try: after the wait, which doubles, or when the other side said, whichever is later.
    fn schedule(&mut self, now: Timestamp) {
        let asked = self.fault.retry_after.unwrap_or_default();
        self.next_try = now.saturating_add(self.wait.max(asked)).unwrap_or(now);
        self.wait = (self.wait * 2).min(PROBE_MAX);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Health {
    breaker: Breaker,
    sick: Option<Trouble>,
    probe: Option<SlotId>,
    stuck: Option<Trouble>,
}

impl Health {
    pub fn paused(&self) -> Option<&Fault> {
        self.sick.as_ref().or(self.stuck.as_ref()).map(|trouble| &trouble.fault)
    }

    /// Whether the stage pauses because its provider is down.
    pub fn is_outage(&self) -> bool {
        self.sick.as_ref().is_some_and(|sick| sick.fault.code == Code::LlmUnavailable)
    }

    pub fn next_probe(&self) -> Option<Timestamp> {
        let sick = self.sick.as_ref().filter(|_| self.probe.is_none());
        [sick, self.stuck.as_ref()].into_iter().flatten().map(|trouble| trouble.next_try).min()
    }

    /// Takes note of how a record fared.
    pub fn observe(&mut self, id: SlotId, result: &Ran, now: Timestamp) -> Change {
        let probed = self.probe == Some(id);
        if probed {
            self.probe = None;
        }
        match result {
            Ran::Busy => Change::None,
            Ran::Failed(fault) if fault.class == Class::Systemic => self.sicken(fault.clone(), now),
            Ran::Failed(fault) if speaks_of_outage(fault) => {
                if self.is_outage() {
                    return if probed { self.still_sick(fault, now) } else { Change::None };
                }
                match self.breaker.failed(fault) {
                    Some(outage) => self.sicken(outage, now),
                    None => self.recover_if(probed),
                }
            }
            Ran::Output | Ran::Ended | Ran::Failed(_) => {
                self.breaker.healthy();
                self.recover_if(probed)
            }
        }
    }

    fn sicken(&mut self, fault: Fault, now: Timestamp) -> Change {
        let before = self.sick.as_mut();
        match before {
            Some(sick) => {
                let news = sick.fault.code != fault.code;
                sick.fault = fault.clone();
                sick.schedule(now);
                if news { Change::Paused(fault) } else { Change::None }
            }
            None => {
                self.sick = Some(Trouble::new(fault.clone(), now));
                Change::Paused(fault)
            }
        }
    }

    fn still_sick(&mut self, fault: &Fault, now: Timestamp) -> Change {
        if let Some(sick) = &mut self.sick {
            sick.fault.retry_after = fault.retry_after;
            sick.schedule(now);
        }
        Change::None
    }

    fn recover_if(&mut self, probed: bool) -> Change {
        if !probed || self.sick.take().is_none() {
            return Change::None;
        }
        self.breaker.reset();
        if self.stuck.is_some() { Change::None } else { Change::Resumed }
    }

    /// Whether a record may be started to see whether the stage is well again.
    pub fn may_probe(&self, now: Timestamp) -> bool {
        self.probe.is_none()
            && self.stuck.is_none()
            && self.sick.as_ref().is_some_and(|sick| sick.next_try <= now)
    }

    pub fn probe(&mut self, id: SlotId) {
        self.probe = Some(id);
    }

    /// The record is gone; if it was the probe, another one may be.
    pub fn forget(&mut self, id: SlotId) {
        if self.probe == Some(id) {
            self.probe = None;
        }
    }

    /// Kafka did not take a record. True when that pauses the stage.
    pub fn stick(&mut self, fault: &Fault, now: Timestamp) -> bool {
        match &mut self.stuck {
            Some(stuck) => {
                stuck.fault = fault.clone();
                stuck.schedule(now);
                false
            }
            None => {
                self.stuck = Some(Trouble::new(fault.clone(), now));
                self.sick.is_none()
            }
        }
    }

    pub fn is_stuck(&self) -> bool {
        self.stuck.is_some()
    }

    /// Whether stuck records may be produced again: one when it is time, all when Kafka takes records again.
    pub fn may_republish(&self, now: Timestamp) -> bool {
        self.stuck.as_ref().is_none_or(|stuck| stuck.next_try <= now)
    }

    pub fn republishing(&mut self, now: Timestamp) {
        if let Some(stuck) = &mut self.stuck {
            stuck.schedule(now);
        }
    }

    /// Kafka took a record. True when that resumes the stage.
    pub fn unstick(&mut self) -> bool {
        self.stuck.take().is_some() && self.sick.is_none()
    }
}
