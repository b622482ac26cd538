//! The steps by which a record leaves: made ready (and noted in the ledger where that must come first), produced,
//! settled in the ledger. Whether it is produced by itself or in a transaction is not known here.

use std::sync::Arc;

use jiff::Timestamp;

use super::attempt::{self, unavailable};
use super::kit::Kit;
use super::traced;
use super::work::{Prepared, Work};
use crate::flow::engine::{Publish, Refusal, Rest};
use crate::flow::{Code, Fault};
use crate::kafka::ProduceError;
use crate::ledger::{Begin, End, LedgerError};
use crate::message::deadletter::{Detail, Scene};
use crate::message::{DeadLetter, OutRecord, Spent, Trail, trail};

/// Makes ready what the engine decided: `work.prepared` has the records and what the ledger is told afterwards.
pub async fn prepare(kit: &Kit, work: &mut Work, what: &Publish) -> Result<(), Refusal> {
    traced::decided(kit, work, what);
    let prepared = match what {
        Publish::Output => {
            // Tried again for long, another copy of the job may have it by now.
            if work.lease.as_ref().is_some_and(|lease| lease.is_over(kit.clock.now())) {
                still_ours(attempt::keep(kit, work).await?)?;
            }
            Prepared { records: outputs(kit, work).await?, end: End::Done }
        }
        Publish::Retry { rung, due, attempt, fault } => {
            let (fault, now) = (&work.billed(fault), kit.clock.now());
            let record = retry(kit, work, *rung, *due, *attempt, fault, now)?;
            let rung = record.topic.to_string();
            if let Some(lease) = work.lease.as_ref().filter(|_| work.outputs.is_some()) {
                // A stored result and an ended offset mean to the ledger that the result was produced, should this
                // process not live to say otherwise. So it is said before.
                let withheld = kit.ledger.withhold(lease, now).await;
                noted(work, withheld, "withhold", now)?;
            }
            let end = End::Waiting { attempt: *attempt, due: *due, rung, fault: fault.clone() };
            Prepared { records: Arc::from([record]), end }
        }
        Publish::Dead { attempts, fault, detail, dated } => {
            let (fault, now) = (&work.billed(fault), kit.clock.now());
            condemn(kit, work, fault, now).await?;
            let letter = DeadLetter::new(scene(kit, work, *attempts, now), fault);
            let letter = DeadLetter { spent: spent(work, fault), span: traced::span(work), ..letter };
            let record = dead(kit, work, &letter, *detail, *dated);
            let end = End::Dead { attempt: *attempts, dead_letter: letter.id, fault: fault.clone() };
            Prepared { records: Arc::from([record]), end }
        }
        Publish::Park => {
            let record = park(kit, work)?;
            let end = End::Parked { topic: record.topic.to_string() };
            note(kit, work, end.clone()).await?;
            Prepared { records: Arc::from([record]), end }
        }
        Publish::Discard => {
            let (by, reason) = work.envelope.trail.discard.clone().unwrap_or_default();
            let end = End::Discarded { by, reason };
            note(kit, work, end.clone()).await?;
            Prepared { records: Arc::default(), end }
        }
    };
    work.prepared = Some(prepared);
    Ok(())
}

/// Tells the ledger where the record went, now that Kafka has it.
pub async fn settle(kit: &Kit, work: &mut Work) -> Result<(), Fault> {
    let (Some(lease), Some(prepared)) = (&work.lease, &work.prepared) else { return Ok(()) };
    match kit.ledger.settle(lease, prepared.end.clone(), kit.clock.now()).await {
        // Taken over while we produced: its copy is settled by whoever took it.
        Ok(()) | Err(LedgerError::Fenced(_)) => {
            work.lease = None;
            Ok(())
        }
        Err(error) => Err(unavailable("settle", &error)),
    }
}

/// What Kafka's answer means for a record that was to go there.
pub fn refusal(kit: &Kit, what: &Publish, error: &ProduceError) -> Refusal {
    let dead = matches!(what, Publish::Dead { .. });
    if dead {
        kit.tally.dead_letter_refused();
    }
    let fault = match (dead, error) {
        (true, _) => {
            let message = format!("{error}; the record is held until its dead letter can be written");
            Fault::new(Code::DlqUnwritable, message)
        }
        (false, ProduceError::TooLarge { .. }) => Fault::new(Code::RecordTooLarge, error.to_string()),
        (false, _) => Fault::new(Code::OutputUnwritable, error.to_string()),
    };
    let fault = Box::new(fault);
    match error {
        ProduceError::TooLarge { .. } => Refusal::TooLarge(fault),
        ProduceError::Timestamp { .. } => Refusal::Dated(fault),
        _ => Refusal::Fault(fault),
    }
}

async fn outputs(kit: &Kit, work: &Work) -> Result<Arc<[OutRecord]>, Refusal> {
    let outputs = work.outputs.as_deref().map(Vec::as_slice).unwrap_or_default();
    let mut records = Vec::with_capacity(outputs.len());
    for output in outputs {
        let record = kit.runner.write(work, output, kit.output.as_ref()).await;
        records.push(record?);
    }
    fitting(kit, records)
}

/// All or none: a fan-out must not be half downstream and half a dead letter.
fn fitting(kit: &Kit, records: Vec<OutRecord>) -> Result<Arc<[OutRecord]>, Refusal> {
    let next = records.iter().filter(|record| kit.output.as_ref() == Some(&record.topic));
    if let Some((topic, size)) =
        next.map(|record| (&record.topic, record.size())).find(|(_, size)| *size > kit.output_max)
    {
        let max = kit.output_max;
        let message = format!(
            "an output of {size} bytes is more than the {max} that topic '{topic}' takes (record_max)"
        );
        return Err(Refusal::TooLarge(Fault::new(Code::RecordTooLarge, message).into()));
    }
    Ok(records.into())
}

fn retry(
    kit: &Kit,
    work: &Work,
    rung: usize,
    due: Timestamp,
    attempt: u32,
    fault: &Fault,
    now: Timestamp,
) -> Result<OutRecord, Refusal> {
    let topic = kit.topics.rungs.get(rung).or(kit.topics.rungs.last()).map(|rung| rung.topic.clone());
    let none = || Fault::new(Code::OutputUnwritable, "the stage has no rungs");
    let before = &work.envelope.trail;
    let trail = Trail {
        attempt,
        due: Some(due),
        first_failure: before.first_failure.or(Some(now)),
        last_failure: Some(now),
        code: Some(fault.code),
        spent: Spent::sum(before.spent, fault.spent),
        span: traced::span(work),
        ..before.clone()
    };
    Ok(satellite(kit, work, topic.ok_or_else(none)?, &trail))
}

fn park(kit: &Kit, work: &Work) -> Result<OutRecord, Refusal> {
    let none = || Fault::new(Code::OutputUnwritable, "the stage has no parking topic");
    let topic = kit.topics.park.clone().ok_or_else(none)?;
    Ok(satellite(kit, work, topic, &work.envelope.trail))
}

/// The record on another topic of its stage, on the partition that belongs to its input partition.
fn satellite(kit: &Kit, work: &Work, topic: String, trail: &Trail) -> OutRecord {
    OutRecord {
        // Where order is kept there are enough.
        partition: Some(partition(kit, work, &topic).unwrap_or(work.family)),
        topic: topic.into(),
        key: work.record.key.clone(),
        value: work.record.value.clone(),
        headers: trail::seal(&work.envelope.original, trail, &work.envelope.correlation),
        timestamp: None,
    }
}

/// The partition that belongs to the record's input partition, so that what a topic gets stands together; where the topic
/// has fewer, several share one.
fn partition(kit: &Kit, work: &Work, topic: &str) -> Option<i32> {
    kit.partitions.get(topic).map(|partitions| work.family % (*partitions).max(1))
}

/// Notes the verdict before the dead letter is produced.
async fn condemn(kit: &Kit, work: &mut Work, fault: &Fault, now: Timestamp) -> Result<(), Refusal> {
    let Some(lease) = &work.lease else { return Ok(()) };
    let condemned = kit.ledger.condemn(lease, fault, now).await;
    noted(work, condemned, "condemn", now)
}

/// What the ledger's answer means for a record that was to leave.
fn noted(
    work: &mut Work,
    answer: Result<(), LedgerError>,
    what: &'static str,
    now: Timestamp,
) -> Result<(), Refusal> {
    still_ours(attempt::held(work, answer, now).map_err(|error| unavailable(what, &error))?)
}

fn still_ours(ours: bool) -> Result<(), Refusal> {
    if ours { Ok(()) } else { Err(Refusal::TakenOver) }
}

/// What becomes of a record that was not run is noted before it leaves (see [`End`]). Its lease is taken for that, and
/// ends with it.
async fn note(kit: &Kit, work: &mut Work, end: End) -> Result<(), Refusal> {
    let now = kit.clock.now();
    if work.lease.as_ref().is_none_or(|lease| lease.is_over(now)) {
        let begun = kit.ledger.begin(attempt::claim(kit, work)).await;
        match begun.map_err(|e| unavailable("begin", &e))? {
            Begin::Fresh(lease) | Begin::Stored(lease, _) | Begin::Condemned(lease, _) => {
                work.lease = Some(lease);
            }
            // Moved without a word, its offset would end, and a stored result be taken for produced.
            Begin::Busy => return Err(Refusal::TakenOver),
            Begin::Ousted => return Err(Refusal::Ousted),
            Begin::Finished(state) => return Err(Refusal::Ended(attempt::rest(state))),
            Begin::Repeated => return Err(Refusal::Ended(Rest::Over)),
        }
    }
    let Some(lease) = &work.lease else { return Ok(()) };
    let answer = kit.ledger.settle(lease, end, now).await;
    noted(work, answer, "settle", now)?;
    work.lease = None;
    Ok(())
}

/// What the record has cost in this stage since it was sent back last. Where its stage asks nobody it is what those before it
/// took to make it, which counts at its first death only: it is the same at the next one.
fn spent(work: &Work, fault: &Fault) -> Option<Spent> {
    let trail = &work.envelope.trail;
    Spent::sum(trail.spent, fault.spent).or(work.told.filter(|_| trail.redrives == 0))
}

fn scene<'a>(kit: &'a Kit, work: &'a Work, attempts: u32, now: Timestamp) -> Scene<'a> {
    let trail = &work.envelope.trail;
    Scene {
        pipeline: &kit.topics.pipeline,
        stage: &kit.topics.stage,
        revision: &kit.revision,
        origin: &trail.origin,
        correlation: &work.envelope.correlation,
        attempts,
        first_failure: trail.first_failure.unwrap_or(now),
        last_failure: now,
        redrives: trail.redrives,
    }
}

/// With as much error detail as the broker takes, and the original's time unless the broker refuses that: the
/// header says it too.
fn dead(kit: &Kit, work: &Work, letter: &DeadLetter, detail: Detail, dated: bool) -> OutRecord {
    OutRecord {
        partition: partition(kit, work, &kit.topics.dlq),
        topic: kit.topics.dlq.as_str().into(),
        key: work.record.key.clone(),
        value: work.record.value.clone(),
        headers: letter.seal(&work.envelope.original, detail),
        timestamp: work.envelope.trail.origin.timestamp.filter(|_| dated),
    }
}
