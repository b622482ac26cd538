//! What became of the spans of traces.

use metrics::counter;

use super::catalogue::Metric;

/// What became of a span that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanEnd {
    /// The collector has it.
    Exported,
    /// There was no room for it in the queue.
    Dropped,
    /// The collector did not take it.
    Failed,
}

impl SpanEnd {
    const ALL: [SpanEnd; 3] = [SpanEnd::Exported, SpanEnd::Dropped, SpanEnd::Failed];

    fn as_str(self) -> &'static str {
        match self {
            SpanEnd::Exported => "exported",
            SpanEnd::Dropped => "dropped",
            SpanEnd::Failed => "failed",
        }
    }
}

/// So many spans ended so.
pub fn spans(end: SpanEnd, spans: usize) {
    counter!(Metric::Spans.name(), "end" => end.as_str()).increment(spans as u64);
}

/// Shows them at zero before there was one, so that a first loss is an increase.
pub fn spans_known() {
    for end in SpanEnd::ALL {
        spans(end, 0);
    }
}
