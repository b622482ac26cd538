//! What traces are told of a record in hand. Without traces it is one look for nothing.

use super::kit::Kit;
use super::work::Work;
use crate::flow::engine::{Publish, Ran};
use crate::flow::rule::class_of;
use crate::flow::{Class, Fault};
use crate::ledger::End as LedgerEnd;
use crate::llm::Bill;
use crate::message::SpanId;
use crate::telemetry::traces::{Attempt, End, Subject};

/// An attempt begins. One before it of which nothing became was made while the stage paused, or was not taken by Kafka until
/// the job was somebody else's.
pub fn begin(kit: &Kit, work: &mut Work) {
    let Some(traces) = &kit.traces else { return };
    match untold(work).map(|attempt| attempt.failed().cloned()) {
        Some(Some(fault)) => end(kit, work, &End::Paused { fault: &fault }),
        Some(None) => end(kit, work, &End::Released { fault: None }),
        None => {}
    }
    work.attempt = traces.begin(&work.envelope, kit.clock.now());
}

/// The stage's own work is done, and this is what it has asked providers.
pub fn called(work: &mut Work, bill: &Bill) {
    if let Some(attempt) = &mut work.attempt {
        attempt.called(bill.calls());
    }
}

/// An attempt is over. What becomes of the record is decided later, but where the stage pauses.
pub fn over(kit: &Kit, work: &mut Work, ran: &Ran) {
    let Some(attempt) = &mut work.attempt else { return };
    match ran {
        Ran::Output => attempt.over(kit.clock.now(), None),
        Ran::Replayed => {
            attempt.over(kit.clock.now(), None);
            attempt.replayed();
        }
        Ran::Failed(fault) => {
            let fault = Fault { class: class_of(&kit.rules, fault), ..(**fault).clone() };
            attempt.over(kit.clock.now(), Some(fault.clone()));
            if fault.class == Class::Systemic {
                end(kit, work, &End::Paused { fault: &fault });
            }
        }
        // It was over before its outputs were made ready.
        Ran::Ready(_) => {}
        // It was given up, or was somebody else's meanwhile. What was asked was asked.
        Ran::Busy if attempt.has_called() => {
            attempt.over(kit.clock.now(), None);
            end(kit, work, &End::Released { fault: None });
        }
        // Nothing was run.
        Ran::Ended(_) | Ran::Condemned(_) | Ran::Busy | Ran::Ousted => work.attempt = None,
    }
}

/// What becomes of the record is decided. A verdict without an attempt, or after one that had another end, is a span of no
/// length.
pub fn decided(kit: &Kit, work: &mut Work, what: &Publish) {
    if kit.traces.is_none() {
        return;
    }
    let is_new = match (&work.attempt, of(what)) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(attempt), Some(end)) => attempt.is_another(&end),
    };
    if is_new {
        begin(kit, work);
        if let Some(attempt) = &mut work.attempt {
            attempt.over(kit.clock.now(), None);
        }
    }
}

/// Kafka has what the record became.
pub fn left(kit: &Kit, work: &mut Work) {
    let (Some(mut attempt), Some(prepared)) = (work.attempt.take(), &work.prepared) else { return };
    let failed = attempt.failed().cloned();
    let told = match &prepared.end {
        LedgerEnd::Done => Some(End::Ok),
        LedgerEnd::Waiting { due, fault, .. } => Some(End::Retry { due: *due, fault }),
        LedgerEnd::Dead { dead_letter: id, fault, .. } => Some(End::Dead { id, fault }),
        LedgerEnd::Discarded { .. } => Some(End::Discarded),
        // Most of them were not run.
        LedgerEnd::Parked { .. } if !attempt.is_told() => Some(End::Parked { fault: failed.as_ref() }),
        LedgerEnd::Parked { .. } | LedgerEnd::Released { .. } => None,
    };
    if let Some(told) = told {
        tell(kit, work, &mut attempt, &told);
    }
    work.attempt = Some(attempt);
}

/// The record is handed back.
pub fn released(kit: &Kit, work: &mut Work) {
    if let Some(attempt) = untold(work) {
        let fault = attempt.failed().cloned();
        end(kit, work, &End::Released { fault: fault.as_ref() });
    }
}

/// The span of the last attempt, here or before.
pub fn span(work: &Work) -> Option<SpanId> {
    work.attempt.as_ref().map(|attempt| attempt.id()).or(work.envelope.trail.span)
}

fn untold(work: &Work) -> Option<&Attempt> {
    work.attempt.as_deref().filter(|attempt| !attempt.is_told())
}

fn end(kit: &Kit, work: &mut Work, end: &End<'_>) {
    if let Some(mut attempt) = work.attempt.take() {
        tell(kit, work, &mut attempt, end);
        work.attempt = Some(attempt);
    }
}

fn tell(kit: &Kit, work: &Work, attempt: &mut Attempt, end: &End<'_>) {
    let Some(traces) = &kit.traces else { return };
    let (topics, record, envelope) = (&kit.topics, &work.record, &work.envelope);
    let subject =
        Subject { pipeline: &topics.pipeline, stage: &topics.stage, group: &topics.group, record, envelope };
    traces.end(attempt, &subject, end, kit.clock.now());
}

/// A dead letter has its name later. Parked records were not run.
fn of(what: &Publish) -> Option<End<'_>> {
    match what {
        Publish::Output => Some(End::Ok),
        Publish::Retry { due, fault, .. } => Some(End::Retry { due: *due, fault }),
        Publish::Dead { fault, .. } => Some(End::Dead { id: "", fault }),
        Publish::Discard => Some(End::Discarded),
        Publish::Park => None,
    }
}
