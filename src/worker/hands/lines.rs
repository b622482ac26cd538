//! Log lines about a record: what went wrong with it, and where it went.

use tracing::{Level, Span};

use super::held::Held;
use crate::flow::Fault;
use crate::flow::engine::{Publish, Refusal};
use crate::telemetry::log;
use crate::worker::kit::Kit;

pub fn complain(span: &Span, fault: &Fault) {
    log::record_code(span, fault.code);
    span.in_scope(|| {
        let chain = (!fault.chain.is_empty()).then(|| fault.chain.join(": "));
        tracing::warn!(class = %fault.class, chain, "{fault}");
    });
}

pub fn complain_of_refusal(span: &Span, refusal: &Refusal) {
    match refusal {
        Refusal::TooLarge(fault) | Refusal::Dated(fault) | Refusal::Fault(fault) => complain(span, fault),
        Refusal::TakenOver | Refusal::Ousted | Refusal::Ended(_) => {
            span.in_scope(|| tracing::info!("another copy of the record has the job"));
        }
    }
}

/// The line about where a record went.
pub fn told(held: &mut Held, kit: &Kit, what: &Publish) {
    // Of most records there is none.
    if *what == Publish::Output && !tracing::enabled!(Level::DEBUG) {
        return;
    }
    held.span(kit).in_scope(|| match what {
        Publish::Output => tracing::debug!("done"),
        Publish::Retry { due, attempt, .. } => {
            tracing::info!(failures = attempt, due = %format!("{due:.3}"), "waits for its next attempt");
        }
        Publish::Dead { attempts, fault, .. } => {
            tracing::error!(code = fault.code.as_str(), class = %fault.class, attempts, "dead letter: {fault}");
        }
        Publish::Park => tracing::info!("parked behind an earlier record of its key"),
        Publish::Discard => tracing::info!("discarded"),
    });
}
