//! Who a record belongs to: job, tenant, resource and trace.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::Coordinates;

/// Names one unit of work across all stages, retries and redrives. Unique per pipeline and stage in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl JobId {
    /// The id of a record that brought none: derived from where it stands, so that a redelivery has the same. The
    /// timestamp tells it from the record at the same place of a topic that was deleted and made again.
    pub fn derived(at: &Coordinates) -> Self {
        let place = format!("{}-{}-{}", at.topic, at.partition, at.offset);
        Self(at.timestamp.map_or(place.clone(), |timestamp| format!("{place}-{timestamp}")))
    }

    /// The id of the `n`th child of a fan-out.
    pub fn child(&self, n: u32) -> Self {
        Self(format!("{}/{n}", self.0))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The ids that travel with a record on every hop and stand in every log line about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correlation {
    pub job: JobId,
    pub tenant: Option<String>,
    pub resource: Option<String>,
    /// W3C trace context, `00-<trace id>-<span id>-<flags>`.
    pub traceparent: String,
}

impl Correlation {
    /// The 32 hex digits that name the trace.
    pub fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }
}

/// Makes a traceparent for a record that brought none. The trace id is derived from the job id, so that
/// a redelivery continues the same trace. Format: W3C Trace Context level 1, section 3.2.
pub fn derived_traceparent(job: &JobId) -> String {
    let hash = blake3::hash(job.0.as_bytes()).to_hex();
    format!("00-{}-{}-01", &hash[..32], &hash[32..48])
}

/// True for a syntactically valid, non-zero W3C traceparent of version 00.
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |s: &str, n: usize| {
        s.len() == n && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    matches!(parts.as_slice(), ["00", trace, span, flags]
        if hex(trace, 32) && hex(span, 16) && hex(flags, 2)
            && trace.bytes().any(|b| b != b'0') && span.bytes().any(|b| b != b'0'))
}
