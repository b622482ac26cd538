//! One attempt at a record, as it is noted until it is known what becomes of the record. Plain data.

use jiff::Timestamp;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use super::calls::Called;
use crate::flow::Fault;
use crate::message::id::TraceContext;
use crate::message::{Envelope, Record, SpanId, Trail};

/// See the module.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Where in its trace the record stands.
    pub(super) context: TraceContext,
    /// Nobody has begun the trace before this record.
    pub(super) is_root: bool,
    pub(super) id: SpanId,
    pub(super) begun: Timestamp,
    /// When the stage's work was over, if that was before the end.
    pub(super) over: Option<Timestamp>,
    /// The ledger had the result.
    pub(super) replayed: bool,
    /// What went wrong, as far as it is known.
    failed: Option<Fault>,
    pub(super) calls: Vec<Called>,
    /// Whether it is kept though nothing goes wrong.
    kept: bool,
    /// The end that was told.
    pub(super) told: Option<&'static str>,
}

/// Whose attempt it is.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub pipeline: &'a str,
    pub stage: &'a str,
    /// The consumer group.
    pub group: &'a str,
    pub record: &'a Record,
    pub envelope: &'a Envelope,
}

/// What became of the record.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// Its outputs go on.
    Ok,
    /// It waits on a rung.
    Retry { due: Timestamp, fault: &'a Fault },
    /// It is a dead letter.
    Dead { id: &'a str, fault: &'a Fault },
    /// The stage pauses, and tries it again.
    Paused { fault: &'a Fault },
    /// It waits behind an earlier record of its key, though it was run.
    Parked { fault: Option<&'a Fault> },
    /// Somebody gave it up.
    Discarded,
    /// It was handed back before anything became of it.
    Released { fault: Option<&'a Fault> },
}

impl<'a> End<'a> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            End::Ok => "ok",
            End::Retry { .. } => "retry",
            End::Dead { .. } => "dlq",
            End::Paused { .. } => "paused",
            End::Parked { .. } => "parked",
            End::Discarded => "discarded",
            End::Released { .. } => "released",
        }
    }

    pub(super) fn fault(&self) -> Option<&'a Fault> {
        match self {
            End::Retry { fault, .. } | End::Dead { fault, .. } | End::Paused { fault } => Some(fault),
            End::Parked { fault } | End::Released { fault } => *fault,
            End::Ok | End::Discarded => None,
        }
    }
}

impl Attempt {
    /// A record that has failed, or was sent back, is one to be watched.
    pub(super) fn new(
        context: TraceContext,
        is_root: bool,
        sampled: bool,
        trail: &Trail,
        begun: Timestamp,
    ) -> Self {
        Self {
            context,
            is_root,
            id: new_id(),
            begun,
            over: None,
            replayed: false,
            failed: None,
            calls: Vec::new(),
            kept: sampled || trail.attempt > 0 || trail.redrives > 0,
            told: None,
        }
    }

    pub fn id(&self) -> SpanId {
        self.id
    }

    /// The stage's work is over.
    pub fn over(&mut self, now: Timestamp, failed: Option<Fault>) {
        (self.over, self.failed) = (Some(now), failed);
    }

    /// The ledger had the result, and nothing was run.
    pub fn replayed(&mut self) {
        self.replayed = true;
    }

    pub fn failed(&self) -> Option<&Fault> {
        self.failed.as_ref()
    }

    /// Calls of providers are spans of their own.
    pub fn called(&mut self, calls: Vec<Called>) {
        self.calls.extend(calls);
    }

    /// Whether providers were asked.
    pub fn has_called(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Whether what became of it was told already, unlike this.
    pub fn is_another(&self, end: &End<'_>) -> bool {
        self.told.is_some_and(|told| told != end.name())
    }

    /// Whether it was told what became of the record.
    pub fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// What stands in the `traceparent` of its outputs. A span that is not kept names the one before it, so that what
    /// comes after hangs on something that is there.
    pub fn onward(&self) -> TraceContext {
        let TraceContext { trace, span, .. } = self.context;
        TraceContext { trace, span: if self.kept { self.id } else { span }, kept: self.kept }
    }

    pub(super) fn is_kept(&self, end: &End<'_>) -> bool {
        self.kept || end.fault().is_some() || matches!(end, End::Discarded)
    }
}

/// A name for a span. Zero is none, and comes up once in the lifetime of a universe.
pub(super) fn new_id() -> SpanId {
    let number = u64::from_be_bytes(RandomIdGenerator::default().new_span_id().to_bytes());
    SpanId(std::num::NonZeroU64::new(number).unwrap_or(std::num::NonZeroU64::MIN))
}
