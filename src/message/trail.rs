//! The control block: what Lazaret writes behind a record's own headers on a stage's rungs and redrive topic.
//!
//! The block begins at the last `lazaret.v`. Everything before it is the original record's headers, byte for
//! byte, even when a producer forged a block of its own. On an input topic no block is believed.

use jiff::Timestamp;

use super::headers::{JOB_ID, RESOURCE_ID, TENANT_ID, TRACEPARENT};
use super::id::{SpanId, derived_traceparent, is_traceparent};
use super::spent::{Spent, SpentNames};
use super::{Coordinates, Correlation, Headers, JobId, Record};
use crate::flow::Code;

const VERSION: &str = "lazaret.v";
const ATTEMPT: &str = "lazaret.attempt";
const DUE: &str = "lazaret.due.at";
const FIRST_FAILURE: &str = "lazaret.first.failure.at";
const LAST_FAILURE: &str = "lazaret.last.failure.at";
const REDRIVES: &str = "lazaret.redrives";
const ERROR_CODE: &str = "lazaret.error.code";
const EDIT: &str = "lazaret.edit";
const SPAN: &str = "lazaret.span";
const DISCARD_BY: &str = "lazaret.discard.by";
const DISCARD_REASON: &str = "lazaret.discard.reason";
const SPENT: SpentNames = SpentNames {
    input: "lazaret.tokens.input",
    output: "lazaret.tokens.output",
    calls: "lazaret.tokens.calls",
};
const ORIGIN_TOPIC: &str = "lazaret.origin.topic";
const ORIGIN_PARTITION: &str = "lazaret.origin.partition";
const ORIGIN_OFFSET: &str = "lazaret.origin.offset";
const ORIGIN_TIMESTAMP: &str = "lazaret.origin.timestamp";

/// Ids longer than this, or with control characters, are not taken from headers.
const ID_MAX: usize = 512;

/// A job id may be longer by the numbers of children: their stages must find the ids that were given them.
const JOB_MAX: usize = ID_MAX + 64;

/// What happened to a record in its stage so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// Failed attempts so far; 0 on the input topic and after a redrive.
    pub attempt: u32,
    /// Not before this time; `None` means at once.
    pub due: Option<Timestamp>,
    pub first_failure: Option<Timestamp>,
    pub last_failure: Option<Timestamp>,
    /// How often a person or a rule sent it back.
    pub redrives: u32,
    /// Why the last attempt failed.
    pub code: Option<Code>,
    /// The act by which a person gave it another value, or other headers, for this redrive: what was stored for the one
    /// before is no answer to it.
    pub edit: Option<String>,
    /// What its failed attempts have taken of a provider, as far as it said; from 0 after a redrive.
    pub spent: Option<Spent>,
    /// The span of its last attempt, if that was traced. It is in the trace that `traceparent` names.
    pub span: Option<SpanId>,
    /// Who gave it up, and why: it is ended without being run.
    pub discard: Option<(String, String)>,
    /// Where the record stood on the stage's input topic.
    pub origin: Coordinates,
}

impl Trail {
    /// The trail of a record on an input topic.
    pub fn fresh(at: &Coordinates) -> Self {
        Self {
            attempt: 0,
            due: None,
            first_failure: None,
            last_failure: None,
            redrives: 0,
            code: None,
            edit: None,
            spent: None,
            span: None,
            discard: None,
            origin: at.clone(),
        }
    }
}

/// A record with its control block taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The headers as the producer wrote them.
    pub original: Headers,
    pub trail: Trail,
    pub correlation: Correlation,
}

/// Takes a record apart. `own_topic` says whether it stands on one of the stage's own topics (rung, redrive):
/// only there a control block is believed. A block that cannot be read is as good as none.
pub fn open(record: &Record, own_topic: bool) -> Envelope {
    let block = own_topic.then(|| record.headers.split_at_last(VERSION)).flatten();
    let read = block.and_then(|(original, block)| Some((original, parse(&block)?)));
    let (original, trail) = read.unwrap_or_else(|| (record.headers.clone(), Trail::fresh(&record.at)));
    let correlation = correlate(&record.headers, &trail.origin);
    Envelope { original, trail, correlation }
}

/// The headers of a record on a rung or redrive topic: the original ones, then the block.
pub fn seal(original: &Headers, trail: &Trail, correlation: &Correlation) -> Headers {
    let mut headers = original.clone();
    headers.push_text(VERSION, "1");
    headers.push_text(ATTEMPT, trail.attempt.to_string());
    for (name, time) in
        [(DUE, trail.due), (FIRST_FAILURE, trail.first_failure), (LAST_FAILURE, trail.last_failure)]
    {
        if let Some(time) = time {
            headers.push_text(name, rfc3339(time));
        }
    }
    headers.push_text(REDRIVES, trail.redrives.to_string());
    if let Some(code) = trail.code {
        headers.push_text(ERROR_CODE, code.as_str());
    }
    if let Some(edit) = &trail.edit {
        headers.push_text(EDIT, edit.clone());
    }
    if let Some(spent) = trail.spent {
        spent.write(SPENT, &mut headers);
    }
    if let Some(span) = trail.span {
        headers.push_text(SPAN, span);
    }
    if let Some((by, reason)) = &trail.discard {
        headers.push_text(DISCARD_BY, by.clone());
        headers.push_text(DISCARD_REASON, reason.clone());
    }
    headers.push_text(ORIGIN_TOPIC, &*trail.origin.topic);
    headers.push_text(ORIGIN_PARTITION, trail.origin.partition.to_string());
    headers.push_text(ORIGIN_OFFSET, trail.origin.offset.to_string());
    if let Some(timestamp) = trail.origin.timestamp {
        headers.push_text(ORIGIN_TIMESTAMP, timestamp.to_string());
    }
    push_missing(&mut headers, correlation);
    headers
}

/// Appends the correlation headers that are not there with this value already.
pub fn push_missing(headers: &mut Headers, correlation: &Correlation) {
    let ids = [
        (JOB_ID, Some(correlation.job.0.as_str())),
        (TENANT_ID, correlation.tenant.as_deref()),
        (RESOURCE_ID, correlation.resource.as_deref()),
        (TRACEPARENT, Some(correlation.traceparent.as_str())),
    ];
    headers.reserve(ids.len());
    for (name, value) in ids {
        if let Some(value) = value
            && headers.text(name) != Some(value)
        {
            headers.push_text(name, value);
        }
    }
}

/// RFC 3339, UTC, milliseconds: how every time in a header is written.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn parse(block: &Headers) -> Option<Trail> {
    let time = |name| block.text(name).and_then(|t| t.parse::<Timestamp>().ok());
    if block.text(VERSION) != Some("1") {
        return None;
    }
    Some(Trail {
        attempt: block.text(ATTEMPT)?.parse().ok()?,
        due: time(DUE),
        first_failure: time(FIRST_FAILURE),
        last_failure: time(LAST_FAILURE),
        redrives: block.text(REDRIVES)?.parse().ok()?,
        code: block.text(ERROR_CODE).and_then(|c| c.parse().ok()),
        edit: block.text(EDIT).filter(|edit| is_id(edit)).map(str::to_owned),
        spent: Spent::read(SPENT, block),
        span: block.text(SPAN).and_then(SpanId::read),
        discard: block
            .text(DISCARD_BY)
            .map(|by| (by.to_owned(), block.text(DISCARD_REASON).unwrap_or_default().to_owned())),
        origin: Coordinates {
            topic: block.text(ORIGIN_TOPIC).filter(|topic| is_id(topic))?.into(),
            partition: block.text(ORIGIN_PARTITION)?.parse().ok()?,
            offset: block.text(ORIGIN_OFFSET)?.parse().ok()?,
            timestamp: block.text(ORIGIN_TIMESTAMP).and_then(|t| t.parse().ok()),
        },
    })
}

/// Whether a text from outside may be taken for an id: not empty, bounded, without control characters.
pub fn is_id(text: &str) -> bool {
    is_text(text, ID_MAX)
}

/// The same for the id of a job.
pub fn is_job_id(text: &str) -> bool {
    is_text(text, JOB_MAX)
}

fn is_text(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control)
}

/// The ids of a record: from its headers, else derived, so that a redelivery always has the same ones.
pub fn correlate(headers: &Headers, origin: &Coordinates) -> Correlation {
    let id = |name| headers.text(name).filter(|text| is_id(text)).map(str::to_owned);
    let job = headers.text(JOB_ID).filter(|text| is_job_id(text));
    let job = job.map_or_else(|| JobId::derived(origin), |text| JobId(text.to_owned()));
    let traceparent =
        id(TRACEPARENT).filter(|t| is_traceparent(t)).unwrap_or_else(|| derived_traceparent(&job));
    Correlation { tenant: id(TENANT_ID), resource: id(RESOURCE_ID), traceparent, job }
}

#[cfg(test)]
mod tests;
