//! One attempt at a record: decode, ask the ledger, run the stage, store the result. It produces nothing and
//! decides nothing: what comes of the attempt is told to the engine.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::hands::Cancel;
use super::kit::Kit;
use super::publish;
use super::runner::{Made, Opened};
use super::traced;
use super::work::{Work, told};
use crate::config::Span;
use crate::flow::engine::{Publish, Ran, Refusal, Rest};
pub use crate::flow::fault::panicked;
use crate::flow::rule::class_of;
use crate::flow::{Class, Code, Fault};
use crate::ledger::state::State;
use crate::ledger::{Begin, Claim, End, LedgerError};
use crate::llm::{Bill, Purpose};
use crate::message::{Spent, TopicPartition};
use crate::telemetry::{log, metrics};
use futures::FutureExt;
use jiff::Timestamp;

/// Runs the record and keeps in `work` what was gained. A cancelled attempt comes back as `Busy`.
pub async fn run(kit: &Kit, work: &mut Work, cancel: &Cancel) -> Ran {
    traced::begin(kit, work);
    if let Some(attempt) = &work.attempt {
        log::record_span_id(&tracing::Span::current(), attempt.id());
    }
    let ran = billed(kit, work, cancel).await;
    traced::over(kit, work, &ran);
    ran
}

async fn billed(kit: &Kit, work: &mut Work, cancel: &Cancel) -> Ran {
    let fault = match attempt(kit, work, cancel).await {
        Ok(ran) => return ran,
        Err(fault) => fault,
    };
    let fault = work.billed(&fault);
    if class_of(&kit.rules, &fault) == Class::Systemic {
        // The stage may pause for hours; the ledger shows meanwhile that nobody works on the job, and why.
        release(kit, work, Some(fault.clone())).await;
    }
    Ran::Failed(fault.into())
}

/// Gives the job back to the ledger without a verdict.
pub async fn release(kit: &Kit, work: &mut Work, fault: Option<Fault>) {
    if let Some(lease) = work.lease.take()
        && let Err(error) = kit.ledger.settle(&lease, End::Released { fault }, kit.clock.now()).await
    {
        // Kept: without it the ledger would take us for somebody else who has the job.
        tracing::debug!(job_id = lease.job, "the job could not be given back: {error}");
        work.lease = Some(lease);
    }
}

async fn attempt(kit: &Kit, work: &mut Work, cancel: &Cancel) -> Result<Ran, Fault> {
    let correlation = &work.envelope.correlation;
    let said = correlation.tenant.is_some() && correlation.resource.is_some();
    let open = AssertUnwindSafe(kit.runner.open(work)).catch_unwind();
    let opened = open.await.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    let opened = match opened {
        Err(fault) if fault.class == Class::Systemic => return Err(fault),
        other => other,
    };
    if let Ok(Opened::Value(payload)) = &opened {
        if !said {
            log::record_subject(&tracing::Span::current(), &work.envelope.correlation);
        }
        work.told = told(payload).filter(|_| kit.carries_usage);
    }
    if let Some(ran) = begin(kit, work).await? {
        return Ok(ran);
    }
    if work.outputs.is_none() {
        let purpose = Purpose::of(&work.envelope.trail);
        let bill = if work.attempt.is_some() { Bill::traced(purpose) } else { Bill::new(purpose) };
        let bill = Arc::new(bill);
        let outputs = stage(kit, work, opened?, cancel, &bill).await;
        work.spent = Spent::sum(work.spent, bill.spent());
        traced::called(work, &bill);
        let Some(outputs) = outputs? else { return Ok(Ran::Busy) };
        work.outputs = Some(Arc::new(outputs));
    }
    store(kit, work).await
}

/// Asks the ledger for the job. `None` means: run it.
async fn begin(kit: &Kit, work: &mut Work) -> Result<Option<Ran>, Fault> {
    if work.lease.as_ref().is_some_and(|lease| !lease.is_over(kit.clock.now())) {
        return Ok(None);
    }
    if !kit.ledger.remembers() {
        return Ok(None);
    }
    match kit.ledger.begin(claim(kit, work)).await.map_err(|e| unavailable("begin", &e))? {
        Begin::Fresh(lease) => work.lease = Some(lease),
        Begin::Busy => return Ok(Some(Ran::Busy)),
        Begin::Ousted => return Ok(Some(Ran::Ousted)),
        Begin::Finished(state) => return Ok(Some(Ran::Ended(rest(state)))),
        Begin::Repeated => return Ok(Some(Ran::Ended(Rest::Over))),
        Begin::Condemned(lease, fault) => {
            work.lease = Some(lease);
            return Ok(Some(Ran::Condemned(fault.into())));
        }
        Begin::Stored(lease, result) => {
            work.lease = Some(lease);
            // A result that an older version stored and this one cannot read is made again.
            if let Ok(outputs) = serde_json::from_slice(&result) {
                work.outputs = Some(Arc::new(outputs));
                kit.tally.replayed();
                return Ok(Some(Ran::Replayed));
            }
        }
    }
    Ok(None)
}

/// The wish to run the record.
pub fn claim(kit: &Kit, work: &Work) -> Claim {
    let trail = &work.envelope.trail;
    Claim {
        pipeline: kit.topics.pipeline.clone(),
        stage: kit.topics.stage.clone(),
        correlation: work.envelope.correlation.clone(),
        attempt: trail.attempt,
        redrives: trail.redrives,
        edited: trail.edit.is_some(),
        at: work.record.at.clone(),
        origin: trail.origin.clone(),
        order: work.order.map(|key| key.0),
        family: TopicPartition::new(kit.topics.input.as_str(), work.family),
        term: work.term,
        lease: kit.lease,
        now: kit.clock.now(),
    }
}

/// Where a job is that this record has nothing more to do with.
pub fn rest(state: State) -> Rest {
    match state {
        State::Done | State::Discarded => Rest::Over,
        State::Dead => Rest::Dead,
        State::Waiting => Rest::Waiting,
        State::Running | State::Stored | State::Condemned | State::Parked | State::Released => {
            Rest::Elsewhere
        }
    }
}

/// The stage's own work, bounded in time; a panic in it is this record's failure. `None` when cancelled.
async fn stage(
    kit: &Kit,
    work: &Work,
    opened: Opened,
    cancel: &Cancel,
    bill: &Arc<Bill>,
) -> Result<Option<Vec<Made>>, Fault> {
    let begun = Instant::now();
    let run = AssertUnwindSafe(kit.runner.run(work, opened, bill)).catch_unwind();
    if cancel.is_cancelled() {
        return Ok(None);
    }
    let mut run = pin!(run);
    let mut timer = None;
    let in_time = poll_fn(|context| {
        if let Poll::Ready(result) = run.as_mut().poll(context) {
            return Poll::Ready(Some(result));
        }
        // A timer is large: what ends at once is spared it.
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(kit.timeout)));
        timer.as_mut().poll(context).map(|()| None)
    });
    let outcome = tokio::select! {
        // What ends at once need not ask whether it may be told to stop.
        biased;
        outcome = in_time => outcome,
        () = cancel.cancelled() => return Ok(None),
    };
    let result = match outcome {
        Some(Ok(result)) => result,
        Some(Err(panic)) => Err(panicked(panic.as_ref())),
        None => Err(Fault::new(
            Code::StageTimeout,
            format!("the stage did not finish within {}", Span(kit.timeout)),
        )),
    };
    kit.tally.ran(result.is_ok(), begun.elapsed());
    result.map(Some)
}

/// The result is durable before anything is produced, so that it is never made, or paid for, twice.
async fn store(kit: &Kit, work: &mut Work) -> Result<Ran, Fault> {
    let kept = keep(kit, work).await?;
    // Another copy of the job took over meanwhile; the next look at the ledger tells what it did.
    if !kept {
        return Ok(Ran::Busy);
    }
    traced::over(kit, work, &Ran::Output);
    Ok(match publish::prepare(kit, work, &Publish::Output).await {
        Ok(()) => Ran::Ready(work.prepared_bytes()),
        // The lease was over before it was ready: what became of the job is for the ledger to say.
        Err(Refusal::TakenOver) => Ran::Busy,
        // What stands in the way shows when it is tried again, as a step of its own.
        Err(_) => Ran::Output,
    })
}

/// Stores the result, or if it is stored already, renews the lease. False: somebody else has the job.
pub async fn keep(kit: &Kit, work: &mut Work) -> Result<bool, Fault> {
    if !kit.ledger.remembers() {
        return Ok(true);
    }
    let (Some(lease), Some(outputs)) = (&work.lease, &work.outputs) else { return Ok(false) };
    let result = serde_json::to_vec(outputs.as_ref())
        .map_err(|e| Fault::new(Code::RecordSchemaViolation, format!("the output is not JSON: {e}")))?;
    let now = kit.clock.now();
    let kept = kit.ledger.store(lease, result, now).await;
    held(work, kept, now).map_err(|e| unavailable("store", &e))
}

/// What an answer of the ledger means for the lease under which it was asked to note something at this time. False:
/// somebody else has the job.
pub fn held(work: &mut Work, noted: Result<(), LedgerError>, now: Timestamp) -> Result<bool, LedgerError> {
    match noted {
        Ok(()) => work.lease = work.lease.take().map(|lease| lease.renewed(now)),
        Err(LedgerError::Fenced(_)) => work.lease = None,
        Err(error) => return Err(error),
    }
    Ok(work.lease.is_some())
}

/// A ledger that does not answer is nobody's record's fault.
pub fn unavailable(operation: &'static str, error: &LedgerError) -> Fault {
    metrics::ledger_error(operation);
    Fault::new(Code::LedgerUnavailable, error.to_string())
}
