//! Log lines about a record: what went wrong with it, and where it went. Each dead letter has its line; of what many records
//! have in common, a flood is counted (`log::repeats`).

use std::time::Instant;

use tracing::{Level, Span};

use super::held::Held;
use crate::flow::engine::{Publish, Refusal};
use crate::flow::rule::class_of;
use crate::flow::{Code, Fault};
use crate::ledger::End;
use crate::telemetry::log;
use crate::telemetry::log::repeats::{Kind, LeftOut};
use crate::worker::kit::Kit;

/// With the class that the stage's rules give it.
pub fn complain(span: &Span, kit: &Kit, fault: &Fault) {
    if !kit.repeats.may(Kind::Failed, Some(fault.code), Instant::now()) {
        return;
    }
    log::record_code(span, fault.code);
    span.in_scope(|| {
        let chain = (!fault.chain.is_empty()).then(|| fault.chain.join(": "));
        tracing::warn!(class = %class_of(&kit.rules, fault), chain, "{fault}");
    });
}

pub fn complain_of_refusal(span: &Span, kit: &Kit, refusal: &Refusal) {
    match refusal {
        Refusal::TooLarge(fault) | Refusal::Dated(fault) | Refusal::Fault(fault) => {
            complain(span, kit, fault)
        }
        Refusal::TakenOver | Refusal::Ousted | Refusal::Ended(_) => {
            if kit.repeats.may(Kind::TakenOver, None, Instant::now()) {
                span.in_scope(|| tracing::info!("another copy of the record has the job"));
            }
        }
    }
}

/// The line about where a record went.
pub fn told(held: &mut Held, kit: &Kit, what: &Publish) {
    let may = |kind, code| kit.repeats.may(kind, code, Instant::now());
    let is_told = match what {
        // Of most records there is none.
        Publish::Output => tracing::enabled!(Level::DEBUG),
        Publish::Retry { fault, .. } => may(Kind::Waits, Some(fault.code)),
        Publish::Park => may(Kind::Parked, None),
        Publish::Dead { .. } | Publish::Discard => true,
    };
    if !is_told {
        return;
    }
    let end = held.end().cloned();
    held.span(kit).in_scope(|| match what {
        Publish::Output => tracing::debug!("done"),
        Publish::Retry { due, attempt, fault, .. } => {
            let (code, due) = (fault.code.as_str(), format!("{due:.3}"));
            tracing::info!(code, failures = attempt, due, "waits for its next attempt");
        }
        Publish::Dead { attempts, fault, .. } => {
            let id = match &end {
                Some(End::Dead { dead_letter, .. }) => Some(dead_letter),
                _ => None,
            };
            let (code, class) = (fault.code.as_str(), fault.class);
            tracing::error!(code, %class, attempts, dlq_id = id, "dead letter: {fault}");
        }
        Publish::Park => tracing::info!("parked behind an earlier record of its key"),
        Publish::Discard => match end {
            Some(End::Discarded { by, reason }) => tracing::info!(by, reason, "discarded"),
            _ => tracing::info!("discarded"),
        },
    });
}

/// How many lines were not written: of those whose time is over, or `all`.
pub fn tell_repeats(kit: &Kit, all: bool) {
    for LeftOut { kind, code, lines } in kit.repeats.held(Instant::now(), all) {
        let (pipeline, stage) = (&kit.topics.pipeline, &kit.topics.stage);
        let code = code.map(Code::as_str);
        tracing::warn!(
            pipeline,
            stage,
            code,
            lines,
            "lines were left out that say the same: {}",
            kind.as_str()
        );
    }
}
