//! Where a record goes: to the next stage, to a rung, or to the dead letter topic; then the ledger is told.
//! Nothing counts as done before Kafka has acknowledged it.

use futures::future::try_join_all;
use jiff::Timestamp;

use super::attempt::unavailable;
use super::kit::Kit;
use super::work::Work;
use crate::flow::engine::Publish;
use crate::flow::{Code, Fault};
use crate::kafka::ProduceError;
use crate::ledger::{End, LedgerError};
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Correlation, DeadLetter, Headers, OutRecord, Trail, trail};

/// Carries out what the engine decided. A fault of class systemic means: try again later, nothing is lost.
pub async fn publish(kit: &Kit, work: &mut Work, what: &Publish) -> Result<(), Fault> {
    let now = Timestamp::now();
    let end = match what {
        Publish::Output => {
            output(kit, work).await?;
            End::Done
        }
        Publish::Retry { rung, due, attempt, fault } => {
            let rung = retry(kit, work, *rung, *due, *attempt, fault, now).await?;
            End::Waiting { attempt: *attempt, due: *due, rung, fault: fault.clone() }
        }
        Publish::Dead { attempts, fault } => {
            if !condemn(kit, work, fault, now).await? {
                return Ok(());
            }
            let dead_letter = dead(kit, work, *attempts, fault, now).await?;
            End::Dead { attempt: *attempts, dead_letter, fault: fault.clone() }
        }
    };
    work.produced = true;
    let Some(lease) = &work.lease else { return Ok(()) };
    match kit.ledger.settle(lease, end, Timestamp::now()).await {
        // Taken over while we produced: the record may come twice, and the next stage's ledger will see that.
        Ok(()) | Err(LedgerError::Fenced(_)) => {
            work.lease = None;
            Ok(())
        }
        Err(error) => Err(unavailable("settle", &error)),
    }
}

async fn output(kit: &Kit, work: &Work) -> Result<(), Fault> {
    if work.produced {
        return Ok(());
    }
    let outputs = work.outputs.as_deref().map(Vec::as_slice).unwrap_or_default();
    let mut records = Vec::with_capacity(outputs.len());
    for output in outputs {
        let job = &work.envelope.correlation.job;
        let job = output.child.map_or_else(|| job.clone(), |n| job.child(n));
        let correlation = Correlation { job, ..work.envelope.correlation.clone() };
        let mut headers = Headers::new();
        trail::push_missing(&mut headers, &correlation);
        records.push(OutRecord {
            topic: kit.topics.next.clone(),
            partition: None,
            key: work.output_key(),
            value: Some(kit.write.encode(&output.payload).await?),
            headers,
            // The time of producing. An old document's own time would make Kafka delete its records early.
            timestamp: None,
        });
    }
    // All or none: a fan-out must not be half downstream and half a dead letter.
    if let Some(size) = records.iter().map(OutRecord::size).find(|size| *size > kit.output_max) {
        let (topic, max) = (&kit.topics.next, kit.output_max);
        let message = format!(
            "an output of {size} bytes is more than the {max} that topic '{topic}' takes (record_max)"
        );
        return Err(Fault::new(Code::RecordTooLarge, message));
    }
    let count = records.len();
    try_join_all(records.into_iter().map(|record| kit.producer.send(record))).await.map_err(|e| match e {
        ProduceError::TooLarge { .. } => Fault::new(Code::RecordTooLarge, e.to_string()),
        e => Fault::new(Code::OutputUnwritable, e.to_string()),
    })?;
    kit.tally.sent(count);
    Ok(())
}

/// To the rung; returns its topic.
async fn retry(
    kit: &Kit,
    work: &Work,
    rung: usize,
    due: Timestamp,
    attempt: u32,
    fault: &Fault,
    now: Timestamp,
) -> Result<String, Fault> {
    let topic = kit.topics.rungs.get(rung).or(kit.topics.rungs.last()).map(|rung| rung.topic.clone());
    let topic = topic.ok_or_else(|| Fault::new(Code::OutputUnwritable, "the stage has no rungs"))?;
    if work.produced {
        return Ok(topic);
    }
    let before = &work.envelope.trail;
    let trail = Trail {
        attempt,
        due: Some(due),
        first_failure: before.first_failure.or(Some(now)),
        last_failure: Some(now),
        code: Some(fault.code),
        ..before.clone()
    };
    let record = OutRecord {
        topic: topic.clone(),
        partition: None,
        key: work.record.key.clone(),
        value: work.record.value.clone(),
        headers: trail::seal(&work.envelope.original, &trail, &work.envelope.correlation),
        timestamp: None,
    };
    match kit.producer.send(record).await {
        Ok(_) => Ok(topic),
        Err(e @ ProduceError::TooLarge { .. }) => Err(Fault::new(Code::RecordTooLarge, e.to_string())),
        Err(e) => Err(Fault::new(Code::OutputUnwritable, e.to_string())),
    }
}

/// Notes the verdict before the dead letter is produced. False when another copy of the job has taken it over,
/// whose matter the job is now.
async fn condemn(kit: &Kit, work: &mut Work, fault: &Fault, now: Timestamp) -> Result<bool, Fault> {
    let Some(lease) = work.lease.as_ref().filter(|_| !work.produced) else { return Ok(true) };
    match kit.ledger.condemn(lease, fault, now).await {
        Ok(()) => Ok(true),
        Err(LedgerError::Fenced(_)) => {
            work.lease = None;
            Ok(false)
        }
        Err(error) => Err(unavailable("condemn", &error)),
    }
}

/// To the dead letter topic, with as much error detail as the broker takes; returns the dead letter's id.
async fn dead(kit: &Kit, work: &Work, attempts: u32, fault: &Fault, now: Timestamp) -> Result<String, Fault> {
    let trail = &work.envelope.trail;
    let scene = Scene {
        pipeline: &kit.topics.pipeline,
        stage: &kit.topics.stage,
        revision: &kit.revision,
        origin: &trail.origin,
        correlation: &work.envelope.correlation,
        attempts,
        first_failure: trail.first_failure.unwrap_or(now),
        last_failure: now,
        redrives: trail.redrives,
    };
    let letter = DeadLetter::new(scene, fault);
    if work.produced {
        return Ok(letter.id);
    }
    let (mut detail, mut timestamp) = (Detail::Full, trail.origin.timestamp);
    loop {
        let record = OutRecord {
            topic: kit.topics.dlq.clone(),
            partition: None,
            key: work.record.key.clone(),
            value: work.record.value.clone(),
            headers: letter.seal(&work.envelope.original, detail),
            timestamp,
        };
        let error = match kit.producer.send(record).await {
            Ok(_) => return Ok(letter.id),
            Err(error) => error,
        };
        match (&error, detail.less()) {
            (ProduceError::TooLarge { .. }, Some(less)) => detail = less,
            // The header says when the record was made; better its time there only than no dead letter.
            (ProduceError::Timestamp { .. }, _) if timestamp.is_some() => timestamp = None,
            _ => {
                kit.tally.dead_letter_refused();
                let message = format!("{error}; the record is held until its dead letter can be written");
                return Err(Fault::new(Code::DlqUnwritable, message));
            }
        }
    }
}
