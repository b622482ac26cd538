//! Log lines about a record: what went wrong with it, and where it went.

use super::Held;
use crate::flow::Fault;
use crate::flow::engine::{Publish, Refusal};
use crate::telemetry::log;

pub fn complain(held: &Held, fault: &Fault) {
    log::record_code(&held.span, fault.code);
    held.span.in_scope(|| {
        let chain = (!fault.chain.is_empty()).then(|| fault.chain.join(": "));
        tracing::warn!(class = %fault.class, chain, "{fault}");
    });
}

pub fn complain_of_refusal(held: &Held, result: &Result<(), Refusal>) {
    match result {
        Err(Refusal::TooLarge(fault) | Refusal::Dated(fault) | Refusal::Fault(fault)) => {
            complain(held, fault)
        }
        Err(Refusal::TakenOver | Refusal::Ousted | Refusal::Ended(_)) => {
            held.span.in_scope(|| tracing::info!("another copy of the record has the job"));
        }
        Ok(()) => {}
    }
}

/// The line about where a record went.
pub fn told(what: &Publish) {
    match what {
        Publish::Output => tracing::debug!("done"),
        Publish::Retry { due, attempt, .. } => {
            tracing::info!(failures = attempt, due = %format!("{due:.3}"), "waits for its next attempt");
        }
        Publish::Dead { attempts, fault, .. } => {
            tracing::error!(code = fault.code.as_str(), class = %fault.class, attempts, "dead letter: {fault}");
        }
        Publish::Park => tracing::info!("parked behind an earlier record of its key"),
        Publish::Discard => tracing::info!("discarded"),
    }
}
