//! Who a record belongs to: job, tenant, resource and trace.

use std::fmt::{self, Write as _};
use std::num::NonZeroU64;

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
        let Coordinates { topic, partition, offset, timestamp } = at;
        // Every record has one. Room for the numbers, so that it is made in one piece.
        let mut id = String::with_capacity(topic.len() + 40);
        id.push_str(topic);
        // Writing to a text does not fail.
        let _ = match timestamp {
            Some(timestamp) => write!(id, "-{partition}-{offset}-{timestamp}"),
            None => write!(id, "-{partition}-{offset}"),
        };
        Self(id)
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

    /// Where in its trace the record stands.
    pub fn context(&self) -> Option<TraceContext> {
        if !is_traceparent(&self.traceparent) {
            return None;
        }
        Some(TraceContext {
            trace: u128::from_str_radix(self.trace_id(), 16).ok()?,
            span: SpanId::read(self.traceparent.get(36..52)?)?,
            kept: u8::from_str_radix(self.traceparent.get(53..55)?, 16).ok()? & 1 == 1,
        })
    }

    /// Whether nobody has begun its trace: what stands for the span before it was derived from the job, by us.
    pub fn begins_trace(&self) -> bool {
        self.traceparent == derived_traceparent(&self.job)
    }
}

/// A `traceparent` taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    pub trace: u128,
    /// The span before.
    pub span: SpanId,
    /// Whether that span was kept, as whoever made it says.
    pub kept: bool,
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{}-{:02x}", self.trace, self.span, u8::from(self.kept))
    }
}

/// Names a span within its trace: 16 hex digits in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct SpanId(pub NonZeroU64);

impl SpanId {
    /// `None` for what is not 16 hex digits in lower case, or all zeros.
    pub fn read(text: &str) -> Option<Self> {
        let number = NonZeroU64::new(u64::from_str_radix(text, 16).ok()?)?;
        Some(Self(number)).filter(|id| id.to_string() == text)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl From<SpanId> for String {
    fn from(id: SpanId) -> String {
        id.to_string()
    }
}

/// Makes a traceparent for a record that brought none. The trace id is derived from the job id, so that
/// a redelivery continues the same trace. Format: W3C Trace Context level 1, section 3.2.
pub fn derived_traceparent(job: &JobId) -> String {
    let hash = blake3::hash(job.0.as_bytes()).to_hex();
    ["00-", &hash[..32], "-", &hash[32..48], "-01"].concat()
}

/// True for a syntactically valid, non-zero W3C traceparent of version 00.
pub fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let parts: [_; 5] = std::array::from_fn(|_| parts.next());
    let hex = |s: &str, n: usize| {
        s.len() == n && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    matches!(parts, [Some("00"), Some(trace), Some(span), Some(flags), None]
        if hex(trace, 32) && hex(span, 16) && hex(flags, 2)
            && trace.bytes().any(|b| b != b'0') && span.bytes().any(|b| b != b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::arbitrary;

    #[test]
    fn a_traceparent_of_all_zeros_of_another_version_or_in_capitals_is_none() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        assert!(is_traceparent(&format!("00-{trace}-{span}-01")));
        for bad in [
            format!("01-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}-{span}-1"),
            format!("00-{trace}-{span}-01-"),
            format!("00-{trace}-{span}"),
        ] {
            assert!(!is_traceparent(&bad), "{bad}");
        }
    }

    #[test]
    fn a_traceparent_is_taken_apart_and_put_together_again() {
        let of = |traceparent: &str| {
            let traceparent = traceparent.to_owned();
            Correlation { job: JobId("j".into()), tenant: None, resource: None, traceparent }
        };
        for (flags, kept) in [("00", false), ("01", true), ("02", false), ("03", true)] {
            let ids = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-";
            let read = of(&format!("{ids}{flags}")).context().unwrap();
            assert_eq!(read.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
            assert_eq!((read.span.0.get(), read.kept), (0x00f0_67aa_0ba9_02b7, kept));
            assert_eq!(read.to_string(), format!("{ids}0{}", u8::from(kept)));
        }
        assert_eq!(of("").context(), None);
    }

    #[test]
    fn a_span_is_named_by_16_digits_and_nothing_else() {
        assert_eq!(SpanId::read("00f067aa0ba902b7").map(String::from).as_deref(), Some("00f067aa0ba902b7"));
        for bad in ["0000000000000000", "f067aa0ba902b7", "00F067AA0BA902B7", "+0f067aa0ba902b7", "", "x"] {
            assert_eq!(SpanId::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_trace_that_was_derived_from_the_job_was_begun_by_nobody() {
        let job = JobId("j".into());
        let traceparent = derived_traceparent(&job);
        let ours = Correlation { job, tenant: None, resource: None, traceparent };
        assert!(ours.begins_trace());
        assert!(!Correlation { job: ours.job.child(0), ..ours.clone() }.begins_trace());
        let TraceContext { trace, span, .. } = ours.context().unwrap();
        let passed_on = TraceContext { trace, span, kept: false }.to_string();
        assert!(!Correlation { traceparent: passed_on, ..ours }.begins_trace(), "somebody has decided");
    }

    #[test]
    fn a_job_is_shown_by_its_id() {
        assert_eq!(JobId("docs-3-42/7".into()).to_string(), "docs-3-42/7");
    }

    proptest! {
        #[test]
        fn a_trace_derived_from_any_job_is_valid_and_the_same_every_time(at in arbitrary::coordinates()) {
            let job = JobId::derived(&at);
            let traceparent = derived_traceparent(&job);
            prop_assert!(is_traceparent(&traceparent));
            prop_assert_eq!(derived_traceparent(&JobId::derived(&at)), traceparent.clone());
            let correlation = Correlation { job, tenant: None, resource: None, traceparent };
            prop_assert_eq!(correlation.trace_id().len(), 32);
        }

        #[test]
        fn what_is_taken_for_a_traceparent_has_a_trace_id(text in prop_oneof!["[0-9a-f-]{50,58}", "00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", ".{0,60}"]) {
            let job = JobId("j".into());
            let is = is_traceparent(&text);
            let correlation = Correlation { job, tenant: None, resource: None, traceparent: text };
            let id = correlation.trace_id();
            prop_assert!(!is || id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }

        #[test]
        fn children_have_ids_of_their_own_below_their_parent(job in arbitrary::id(), one: u32, other: u32) {
            let job = JobId(job);
            prop_assert_eq!(job.child(one).0, format!("{}/{}", job, one));
            prop_assert_eq!(job.child(one) == job.child(other), one == other);
        }
    }
}
