//! The dead letter: the original record, byte for byte, and behind its headers a `dlq.*` block that says why.
//!
//! The block begins at the last `dlq.id`. All values are UTF-8 text; times are RFC 3339, UTC, milliseconds.

use jiff::Timestamp;
use serde::Serialize;

use super::headers::{JOB_ID, RESOURCE_ID, TENANT_ID, TRACEPARENT};
use super::spent::{Spent, SpentNames};
use super::trail::{is_id, push_missing, rfc3339};
use super::{Coordinates, Correlation, Headers, JobId, Record, SpanId};
use crate::flow::Fault;
use crate::flow::fault::one_line;

const ID: &str = "dlq.id";
const PIPELINE: &str = "dlq.pipeline";
const STAGE: &str = "dlq.stage";
const REVISION: &str = "dlq.stage.revision";
const CODE: &str = "dlq.error.code";
const CLASS: &str = "dlq.error.class";
const MESSAGE: &str = "dlq.error.message";
const CHAIN: &str = "dlq.error.chain";
const FINGERPRINT: &str = "dlq.fingerprint";
const ATTEMPTS: &str = "dlq.attempts";
const FIRST_FAILURE: &str = "dlq.first.failure.at";
const LAST_FAILURE: &str = "dlq.last.failure.at";
const ORIGIN_TOPIC: &str = "dlq.origin.topic";
const ORIGIN_PARTITION: &str = "dlq.origin.partition";
const ORIGIN_OFFSET: &str = "dlq.origin.offset";
const ORIGIN_TIMESTAMP: &str = "dlq.origin.timestamp";
const REDRIVES: &str = "dlq.redrives";
const SPAN: &str = "dlq.span";
const SPENT: SpentNames =
    SpentNames { input: "dlq.tokens.input", output: "dlq.tokens.output", calls: "dlq.tokens.calls" };

/// Longest message that stays when error detail is shed, in bytes.
const SHED_MESSAGE_MAX: usize = 96;

/// Why a record is dead, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The same for every copy of this death: derived from pipeline, stage, job and number of redrives.
    pub id: String,
    pub pipeline: String,
    pub stage: String,
    /// Changes with the stage's settings and with Lazaret's version.
    pub revision: String,
    /// A failure code; text, because a dead letter may be older or newer than this program.
    pub code: String,
    pub class: String,
    pub message: String,
    /// Causes, outermost first.
    pub chain: Vec<String>,
    /// The same for failures that look alike; see [`fingerprint`].
    pub fingerprint: String,
    pub attempts: u32,
    pub first_failure: Timestamp,
    pub last_failure: Timestamp,
    #[serde(skip)]
    pub origin: Coordinates,
    pub redrives: u32,
    /// What it has taken of a provider since it was sent back last, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// The span of its last attempt, if that was traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<SpanId>,
    pub correlation: Correlation,
}

/// How much error detail a dead letter carries. Shed step by step when the broker finds it too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    Full,
    /// Without the causes.
    NoChain,
    /// Without the causes, and the message cut short.
    Brief,
}

impl Detail {
    /// The next step down, `None` at the end.
    pub fn less(self) -> Option<Self> {
        match self {
            Detail::Full => Some(Detail::NoChain),
            Detail::NoChain => Some(Detail::Brief),
            Detail::Brief => None,
        }
    }
}

/// The record carries no readable `dlq.*` block.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at} is not a dead letter of Lazaret: header {missing} is missing or cannot be read")]
pub struct NotADeadLetter {
    pub at: String,
    pub missing: &'static str,
}

/// Where and for whom a record died.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    pub pipeline: &'a str,
    pub stage: &'a str,
    pub revision: &'a str,
    pub origin: &'a Coordinates,
    pub correlation: &'a Correlation,
    pub attempts: u32,
    pub first_failure: Timestamp,
    pub last_failure: Timestamp,
    pub redrives: u32,
}

impl DeadLetter {
    pub fn new(scene: Scene<'_>, fault: &Fault) -> Self {
        Self {
            id: id(scene.pipeline, scene.stage, &scene.correlation.job, scene.redrives),
            pipeline: scene.pipeline.to_owned(),
            stage: scene.stage.to_owned(),
            revision: scene.revision.to_owned(),
            code: fault.code.as_str().to_owned(),
            class: fault.class.to_string(),
            message: fault.message.clone(),
            chain: fault.chain.clone(),
            fingerprint: fingerprint(scene.stage, fault.code.as_str(), &fault.message),
            attempts: scene.attempts,
            first_failure: scene.first_failure,
            last_failure: scene.last_failure,
            origin: scene.origin.clone(),
            redrives: scene.redrives,
            spent: fault.spent,
            span: None,
            correlation: scene.correlation.clone(),
        }
    }

    /// The headers of the dead letter: the original ones, then the block, then correlation that was missing.
    pub fn seal(&self, original: &Headers, detail: Detail) -> Headers {
        let mut headers = original.clone();
        let message = match detail {
            Detail::Brief => one_line(&self.message, SHED_MESSAGE_MAX),
            _ => self.message.clone(),
        };
        let mut text = |name, value: String| headers.push_text(name, value);
        text(ID, self.id.clone());
        text(PIPELINE, self.pipeline.clone());
        text(STAGE, self.stage.clone());
        text(REVISION, self.revision.clone());
        text(CODE, self.code.clone());
        text(CLASS, self.class.clone());
        text(MESSAGE, message);
        if detail == Detail::Full {
            text(CHAIN, serde_json::to_string(&self.chain).unwrap_or_default());
        }
        text(FINGERPRINT, self.fingerprint.clone());
        text(ATTEMPTS, self.attempts.to_string());
        text(FIRST_FAILURE, rfc3339(self.first_failure));
        text(LAST_FAILURE, rfc3339(self.last_failure));
        text(ORIGIN_TOPIC, self.origin.topic.to_string());
        text(ORIGIN_PARTITION, self.origin.partition.to_string());
        text(ORIGIN_OFFSET, self.origin.offset.to_string());
        if let Some(ms) = self.origin.timestamp {
            // A producer can give a record a time that no calendar has; as a number it is kept all the same.
            let time = Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), rfc3339);
            text(ORIGIN_TIMESTAMP, time);
        }
        text(REDRIVES, self.redrives.to_string());
        if let Some(spent) = self.spent {
            spent.write(SPENT, &mut headers);
        }
        if let Some(span) = self.span {
            headers.push_text(SPAN, span);
        }
        push_missing(&mut headers, &self.correlation);
        headers
    }

    /// Reads a record of a dead letter topic: the letter, and the headers the original record had.
    pub fn read(record: &Record) -> Result<(DeadLetter, Headers), NotADeadLetter> {
        let missing = |missing| NotADeadLetter { at: record.at.to_string(), missing };
        let (original, block) = record.headers.split_at_last(ID).ok_or_else(|| missing(ID))?;
        let text = |name: &'static str| block.text(name).map(str::to_owned).ok_or_else(|| missing(name));
        let id = |name| record.headers.text(name).map(str::to_owned);
        let letter = DeadLetter {
            id: text(ID)?,
            pipeline: text(PIPELINE)?,
            stage: text(STAGE)?,
            revision: text(REVISION)?,
            code: text(CODE)?,
            class: text(CLASS)?,
            message: text(MESSAGE)?,
            chain: block.text(CHAIN).and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default(),
            fingerprint: text(FINGERPRINT)?,
            attempts: text(ATTEMPTS)?.parse().map_err(|_| missing(ATTEMPTS))?,
            first_failure: text(FIRST_FAILURE)?.parse().map_err(|_| missing(FIRST_FAILURE))?,
            last_failure: text(LAST_FAILURE)?.parse().map_err(|_| missing(LAST_FAILURE))?,
            origin: Coordinates {
                topic: text(ORIGIN_TOPIC)?.into(),
                partition: text(ORIGIN_PARTITION)?.parse().map_err(|_| missing(ORIGIN_PARTITION))?,
                offset: text(ORIGIN_OFFSET)?.parse().map_err(|_| missing(ORIGIN_OFFSET))?,
                timestamp: block.text(ORIGIN_TIMESTAMP).and_then(milliseconds),
            },
            redrives: text(REDRIVES)?.parse().map_err(|_| missing(REDRIVES))?,
            spent: Spent::read(SPENT, &block),
            span: block.text(SPAN).and_then(SpanId::read),
            correlation: Correlation {
                job: JobId(id(JOB_ID).ok_or_else(|| missing(JOB_ID))?),
                tenant: id(TENANT_ID).filter(|id| is_id(id)),
                resource: id(RESOURCE_ID).filter(|id| is_id(id)),
                traceparent: id(TRACEPARENT).unwrap_or_default(),
            },
        };
        Ok((letter, original))
    }
}

fn milliseconds(text: &str) -> Option<i64> {
    let time = text.parse().map(Timestamp::as_millisecond).ok();
    time.or_else(|| text.parse().ok())
}

/// The id of a dead letter: the same whenever it is written again.
pub fn id(pipeline: &str, stage: &str, job: &JobId, redrives: u32) -> String {
    let name = format!("{pipeline}\0{stage}\0{job}\0{redrives}");
    blake3::hash(name.as_bytes()).to_hex()[..20].to_owned()
}

/// Names failures that look alike: stage, code and the message without its numbers, ids and quoted parts. Of a letter
/// that others wrote, its topic may stand for the stage, and the class of the exception for the code.
pub fn fingerprint(stage: &str, code: &str, message: &str) -> String {
    let text = format!("{stage}\0{code}\0{}", normalised(message));
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Replaces quoted parts by `'*'` and every word with a digit in it by `#`, so that counts, offsets, ids, paths
/// with numbers and time stamps do not tell failures apart.
fn normalised(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for (n, part) in message.split(['\'', '"', '`']).enumerate() {
        if n % 2 == 1 {
            out.push_str("'*'");
            continue;
        }
        for word in part.split_inclusive(|c: char| c.is_whitespace() || ",;:()[]".contains(c)) {
            if word.contains(|c: char| c.is_ascii_digit()) {
                out.push('#');
            } else {
                out.push_str(word);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
