//! The retry ladder as a program says it.

use std::time::Duration;

use crate::config::{Retry, Span};

/// Shortest time that a record may be tried for: a service that stood still over a weekend tries its records again.
const ELAPSED_MIN: Duration = Duration::from_secs(7 * 86_400);

/// How often, and after which waits, a record is tried again after a transient failure. Each rung is a topic,
/// `<pipeline>.<stage>.retry.<delay>`, where the record waits; no retry is early, and none is held in memory.
///
/// ```
/// # use std::time::Duration; use lazaret::Ladder;
/// let secs = Duration::from_secs;
/// Ladder::rungs([secs(1), secs(10), secs(60)]);                  // 4 attempts: at once, then after 1, 10 and 60 s
/// Ladder::rungs([secs(1)]).max_attempts(2);                      // one retry, after 1 s
/// Ladder::rungs([secs(1), secs(60)]).exponential(secs(1), 2.0);  // 1, 2, 4 … s, at most 60, on the next longer rung
/// ```
#[derive(Clone, Debug)]
pub struct Ladder(Retry);

impl Ladder {
    /// The first failure waits as long as the first rung says, the next one as the second, and so on; then the record
    /// is a dead letter. Ascending, whole milliseconds, each once.
    pub fn rungs(delays: impl IntoIterator<Item = Duration>) -> Self {
        let rungs: Vec<Span> = delays.into_iter().map(Span).collect();
        let total = rungs.iter().fold(Duration::ZERO, |sum, rung| sum.saturating_add(rung.0));
        let last = rungs.last().copied().unwrap_or(Span::secs(1));
        Self(Retry {
            max_attempts: u32::try_from(rungs.len()).unwrap_or(u32::MAX).saturating_add(1),
            base: rungs.first().copied().unwrap_or(last).min(last),
            factor: 1.0,
            cap: last,
            jitter: 0.0,
            max_elapsed: Span(total.saturating_mul(2).max(ELAPSED_MIN)),
            stepwise: true,
            rungs,
            ..Retry::default()
        })
    }

    /// Attempts in all, the first included. With more than there are rungs, the last rung is used again.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.0.max_attempts = attempts;
        self
    }

    /// The wait is `base × factor^failures`, at most the last rung's delay, and the record waits on the shortest rung
    /// that is as long; the due time decides, not the rung.
    pub fn exponential(mut self, base: Duration, factor: f64) -> Self {
        (self.0.base, self.0.factor, self.0.stepwise) = (Span(base), factor, false);
        self
    }

    /// The share of a wait, from 0 to 1, that is drawn at random; the same for a redelivery of the same attempt.
    pub fn jitter(mut self, share: f64) -> Self {
        self.0.jitter = share;
        self
    }

    /// Most records a second of one process that come back from rungs when many are due at once, as after an outage; no
    /// limit unless said otherwise.
    pub fn per_second(mut self, records: u32) -> Self {
        self.0.per_second = Some(records);
        self
    }

    /// Counted from the first failure: a wait that would end later is not begun, and the record is a dead letter. A
    /// week unless said otherwise.
    pub fn max_elapsed(mut self, time: Duration) -> Self {
        self.0.max_elapsed = Span(time);
        self
    }

    pub(super) fn policy(self) -> Retry {
        self.0
    }
}

impl Default for Ladder {
    /// That of the binary: 8 attempts, waits from one second growing threefold to ten minutes, a fifth of them at
    /// random; rungs of 1 s, 5 s, 30 s, 2 min and 10 min; six hours at most.
    fn default() -> Self {
        Self(Retry::default())
    }
}
