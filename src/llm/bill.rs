//! What one attempt at a job has taken of providers. Whoever runs the attempt opens a bill, and reads it however that ended: what
//! was answered is to be paid for, even if nothing came of it.

use std::sync::{Mutex, PoisonError};

use crate::message::{Spent, Trail};
use crate::telemetry::traces::{Called, Calls};

/// Why a provider is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A record is run for the first time.
    #[default]
    First,
    /// It has failed before.
    Retry,
    /// A person or a rule has sent it back.
    Redrive,
    /// Somebody wants to know whether the provider answers.
    Probe,
}

impl Purpose {
    /// Why a record with this past is run.
    pub fn of(trail: &Trail) -> Self {
        match trail {
            Trail { redrives: 1.., .. } => Purpose::Redrive,
            Trail { attempt: 1.., .. } => Purpose::Retry,
            _ => Purpose::First,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::First => "first",
            Purpose::Retry => "retry",
            Purpose::Redrive => "redrive",
            Purpose::Probe => "probe",
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Bill {
    pub purpose: Purpose,
    /// Calls for the trace, if there is one.
    pub(super) calls: Option<Calls>,
    spent: Mutex<Option<Spent>>,
}

impl Bill {
    pub fn new(purpose: Purpose) -> Self {
        Self { purpose, ..Self::default() }
    }

    /// One that notes the calls, too.
    pub fn traced(purpose: Purpose) -> Self {
        Self { calls: Some(Calls::default()), ..Self::new(purpose) }
    }

    /// The calls that are over, each told once.
    pub fn calls(&self) -> Vec<Called> {
        self.calls.as_ref().map(Calls::take).unwrap_or_default()
    }

    /// One more call.
    pub fn add(&self, call: Option<Spent>) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        *spent = Spent::sum(*spent, call);
    }

    /// All calls so far of which the provider told what they took.
    pub fn spent(&self) -> Option<Spent> {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Coordinates;

    #[test]
    fn a_record_that_was_sent_back_is_a_redrive_whatever_else_happened_to_it() {
        let at = Coordinates { topic: "in".into(), partition: 0, offset: 0, timestamp: None };
        let trail = |attempt, redrives| Trail { attempt, redrives, ..Trail::fresh(&at) };
        let purposes = [(0, 0), (2, 0), (0, 1), (2, 1)]
            .map(|(attempt, redrives)| Purpose::of(&trail(attempt, redrives)));
        assert_eq!(purposes, [Purpose::First, Purpose::Retry, Purpose::Redrive, Purpose::Redrive]);
    }

    #[test]
    fn calls_add_up_and_those_of_which_nothing_was_said_change_nothing() {
        let bill = Bill::default();
        assert_eq!(bill.spent(), None);
        for call in [
            Some(Spent { input: 7, output: 2, calls: 1 }),
            None,
            Some(Spent { input: 3, output: 0, calls: 1 }),
        ] {
            bill.add(call);
        }
        assert_eq!(bill.spent(), Some(Spent { input: 10, output: 2, calls: 2 }));
    }
}
