//! What becomes of a record after a failure: the one decision everything else serves. Pure.

use jiff::Timestamp;

use super::ladder::{Ladder, Past, Step};
use super::{Class, Fault};

/// Where a failed record goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To a rung, by its index, until this time; `attempt` failures so far.
    Retry { rung: usize, due: Timestamp, attempt: u32, fault: Box<Fault> },
    /// To the dead letter topic, after this many failures.
    Dead { attempts: u32, fault: Box<Fault> },
    /// Nowhere: the stage is sick, not the record. No attempt is counted.
    Hold { fault: Box<Fault> },
}

/// Decides by the fault's class; a transient one climbs the ladder as long as its limits allow.
pub fn decide(fault: Box<Fault>, past: Past, ladder: &Ladder, now: Timestamp) -> Verdict {
    let attempts = past.failures.saturating_add(1);
    match fault.class {
        Class::Systemic => Verdict::Hold { fault },
        Class::Permanent => Verdict::Dead { attempts, fault },
        Class::Transient => match ladder.next(&fault, past, now) {
            Step::Wait { rung, due } => Verdict::Retry { rung, due, attempt: attempts, fault },
            Step::GiveUp { why } => {
                let mut fault = fault;
                fault.chain.insert(0, why);
                fault.chain.truncate(super::fault::CHAIN_MAX);
                Verdict::Dead { attempts, fault }
            }
        },
    }
}
