//! A record of a dead letter topic as an entry of the index, whoever wrote it. Pure.
//!
//! Every record becomes an entry: what nobody can read lies in the topic all the same. All texts are bounded, since
//! whoever may write to the topic chooses them.

use jiff::Timestamp;

use super::entry::{Entry, Origin, Writer};
use crate::flow::fault::{CHAIN_MAX, MESSAGE_MAX, one_line};
use crate::message::deadletter::{self, DeadLetter};
use crate::message::foreign::{self, Family, Foreign};
use crate::message::headers::{FEATURE, MODEL, PRODUCER_ID, TRACEPARENT};
use crate::message::id::is_traceparent;
use crate::message::trail::{correlate, is_id, is_job_id};
use crate::message::{Coordinates, Correlation, JobId, Record};

/// Longest name that is kept of a letter of ours: pipeline, stage, code and the like. In bytes.
const NAME_MAX: usize = 200;

/// The code of a letter that does not say why the record died.
const NO_CODE: &str = "unknown";

/// Whose dead letters a topic holds. Both are empty for a topic of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    pub pipeline: String,
    pub stage: String,
}

impl Entry {
    /// What is known of a record of a dead letter topic.
    pub fn read(record: &Record, whose: &Owner) -> Entry {
        let own = DeadLetter::read(record).ok().filter(|(letter, _)| is_name(&letter.id));
        // Others may have moved a letter of ours on: then theirs is the last block.
        let own = own.filter(|(_, original)| foreign::place(&record.headers) < Some(original.len()));
        match own {
            Some((letter, _)) => of_ours(letter, record),
            None => of_others(foreign::read(record), record, whose),
        }
    }
}

fn of_ours(letter: DeadLetter, record: &Record) -> Entry {
    let DeadLetter { origin, correlation, .. } = &letter;
    let job = Some(&correlation.job).filter(|job| is_job_id(&job.0)).cloned();
    let revision = name(&letter.revision);
    Entry {
        id: letter.id.clone(),
        writer: Writer::Lazaret,
        pipeline: name(&letter.pipeline),
        stage: name(&letter.stage),
        revision: (!revision.is_empty()).then_some(revision),
        code: name(&letter.code),
        class: name(&letter.class),
        message: one_line(&letter.message, MESSAGE_MAX),
        chain: letter.chain.iter().take(CHAIN_MAX).map(|cause| one_line(cause, MESSAGE_MAX)).collect(),
        fingerprint: name(&letter.fingerprint),
        attempts: letter.attempts,
        first_failure: letter.first_failure,
        last_failure: letter.last_failure,
        origin: is_id(&origin.topic).then(|| Origin {
            topic: origin.topic.to_string(),
            partition: Some(origin.partition),
            offset: Some(origin.offset),
            timestamp: origin.timestamp,
        }),
        redrives: letter.redrives,
        spent: letter.spent,
        job: job.unwrap_or_else(|| JobId::derived(&record.at)).0,
        tenant: correlation.tenant.clone(),
        resource: correlation.resource.clone(),
        trace: trace(&correlation.traceparent),
        ..blank(record)
    }
}

fn of_others(letter: Option<Foreign>, record: &Record, whose: &Owner) -> Entry {
    let writer = letter.as_ref().map_or(Writer::Unknown, |letter| letter.family.into());
    let origin = letter.as_ref().and_then(|letter| letter.origin.as_ref());
    let place = origin.and_then(full_place);
    let Correlation { job, tenant, resource, .. } =
        correlate(&record.headers, place.as_ref().unwrap_or(&record.at));
    let origin = origin.cloned();
    let failed_at = letter.as_ref().and_then(|letter| letter.failed_at);
    let code = letter.as_ref().and_then(|letter| letter.exception.clone());
    let class = code.as_deref().and_then(foreign::class);
    let code = code.unwrap_or_else(|| NO_CODE.to_owned());
    let (message, mut chain, attempts, consumer) = match letter {
        Some(letter) => (letter.message, letter.chain, letter.attempts, letter.consumer),
        None => Default::default(),
    };
    if let Some(consumer) = consumer {
        chain.truncate(CHAIN_MAX - 1);
        chain.push(consumer);
    }
    let at = &record.at;
    let scene = if whose.stage.is_empty() { &*at.topic } else { &whose.stage };
    let last_failure = failed_at.or_else(|| Timestamp::from_millisecond(at.timestamp?).ok());
    let last_failure = last_failure.unwrap_or(Timestamp::UNIX_EPOCH);
    let id = format!("{}\0{}\0{}", at.topic, at.partition, at.offset);
    Entry {
        id: blake3::hash(id.as_bytes()).to_hex()[..20].to_owned(),
        writer,
        pipeline: whose.pipeline.clone(),
        stage: whose.stage.clone(),
        fingerprint: deadletter::fingerprint(scene, &code, &message),
        code,
        class: class.map(|class| class.to_string()).unwrap_or_default(),
        message,
        chain,
        attempts: attempts.unwrap_or_default(),
        first_failure: last_failure,
        last_failure,
        origin,
        job: job.0,
        tenant,
        resource,
        trace: record.headers.text(TRACEPARENT).and_then(trace),
        ..blank(record)
    }
}

/// What does not depend on the writer; the rest is empty.
fn blank(record: &Record) -> Entry {
    let header = |name| record.headers.text(name).filter(|text| is_id(text)).map(str::to_owned);
    Entry {
        id: String::new(),
        writer: Writer::Unknown,
        at: record.at.clone(),
        pipeline: String::new(),
        stage: String::new(),
        revision: None,
        code: String::new(),
        class: String::new(),
        message: String::new(),
        chain: Vec::new(),
        fingerprint: String::new(),
        attempts: 0,
        first_failure: Timestamp::UNIX_EPOCH,
        last_failure: Timestamp::UNIX_EPOCH,
        origin: None,
        redrives: 0,
        job: String::new(),
        tenant: None,
        resource: None,
        trace: None,
        producer: header(PRODUCER_ID),
        feature: header(FEATURE),
        model: header(MODEL),
        size: record.size() as u64,
        spent: None,
    }
}

fn is_name(text: &str) -> bool {
    is_id(text) && text.len() <= NAME_MAX
}

fn name(text: &str) -> String {
    one_line(text, NAME_MAX)
}

/// The trace id of a traceparent that is one.
fn trace(traceparent: &str) -> Option<String> {
    is_traceparent(traceparent).then(|| traceparent.get(3..35).map(str::to_owned)).flatten()
}

/// Where the original record stood, if all of it is known.
fn full_place(origin: &Origin) -> Option<Coordinates> {
    let Origin { topic, partition, offset, timestamp } = origin.clone();
    Some(Coordinates { topic: topic.into(), partition: partition?, offset: offset?, timestamp })
}

impl From<Family> for Writer {
    fn from(family: Family) -> Self {
        match family {
            Family::Spring => Writer::Spring,
            Family::KafkaConnect => Writer::KafkaConnect,
            Family::KafkaStreams => Writer::KafkaStreams,
            Family::ShareGroup => Writer::ShareGroup,
            Family::Karafka => Writer::Karafka,
            Family::SmallRye => Writer::SmallRye,
            Family::NServiceBus => Writer::NServiceBus,
        }
    }
}

#[cfg(test)]
mod tests;
