//! Whether the stage's own code may be begun where the engine is. A task of its own for every record costs more than a
//! quick stage does, so what proves to be quick is not given one; what keeps a thread busy must not keep this one.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tracing::Span;

/// Longest time for which the engine's thread may be kept by an attempt, as far as those before it show.
const QUICK: Duration = Duration::from_micros(50);
/// So many attempts must be quick before the next is taken for quick, and again when one was not: it may have been
/// the thread that was taken away for a moment.
const PROOF: u32 = 256;
/// More than this is remembered of no stage.
const CREDIT_MAX: u32 = 4 * PROOF;
/// After an attempt that kept its thread for so long all must be proved anew.
const HOG: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Debug, Default)]
pub struct Pace {
    quick: u32,
}

impl Pace {
    pub fn is_quick(&self) -> bool {
        self.quick >= PROOF
    }

    /// An attempt kept its thread busy so long without a pause.
    pub fn note(&mut self, busy: Duration) {
        self.quick = match busy {
            busy if busy <= QUICK => (self.quick + 1).min(CREDIT_MAX),
            busy if busy < HOG => self.quick.saturating_sub(PROOF),
            _ => 0,
        };
    }
}

/// What a task comes to.
pub struct Done<T> {
    pub end: T,
    /// The longest time for which it kept its thread.
    pub busy: Duration,
    pub span: Span,
}

/// Does a task's work under the span of its record, and measures how long it keeps its thread busy.
pub struct Timed<F> {
    inner: Pin<Box<F>>,
    span: Span,
    longest: Duration,
}

impl<F: Future> Timed<F> {
    pub fn new(inner: F, span: Span) -> Self {
        Self { inner: Box::pin(inner), span, longest: Duration::ZERO }
    }
}

impl<F: Future> Future for Timed<F> {
    type Output = Done<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (this, begun) = (&mut *self, Instant::now());
        let polled = this.span.in_scope(|| this.inner.as_mut().poll(context));
        this.longest = this.longest.max(begun.elapsed());
        polled.map(|end| Done {
            end,
            busy: this.longest,
            span: std::mem::replace(&mut this.span, Span::none()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_quick_when_many_attempts_were() {
        let mut pace = Pace::default();
        for _ in 0..PROOF {
            assert!(!pace.is_quick());
            pace.note(QUICK);
        }
        assert!(pace.is_quick());
        pace.note(QUICK + Duration::from_nanos(1));
        assert!(!pace.is_quick());
    }

    #[test]
    fn of_a_stage_that_was_quick_for_long_a_slow_attempt_is_forgiven_and_one_that_hogs_its_thread_is_not() {
        let mut pace = Pace::default();
        (0..10 * PROOF).for_each(|_| pace.note(QUICK));
        for _ in 0..3 {
            pace.note(HOG - Duration::from_nanos(1));
            assert!(pace.is_quick());
        }
        pace.note(HOG - Duration::from_nanos(1));
        assert!(!pace.is_quick(), "four in a row are no accident");
        (0..10 * PROOF).for_each(|_| pace.note(QUICK));
        pace.note(HOG);
        assert!(!pace.is_quick());
    }
}
