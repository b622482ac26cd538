//! The ladder: how long a record waits after a failure, on which rung, and when it gives up. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Code, Fault};

/// Limits on the attempts at one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Wait after the first failure.
    pub base: Duration,
    /// Longest wait of the backoff. A Retry-After may be longer.
    pub cap: Duration,
    /// From the first failure; a wait that would end later is not begun.
    pub max_elapsed: Duration,
}

/// A stage's retry policy and its rungs.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    pub limits: Limits,
    /// Limits for single codes, complete.
    pub overrides: BTreeMap<Code, Limits>,
    /// Factor from one wait to the next, at least 1.
    pub factor: f64,
    /// Share of the wait that is spread at random, 0 to 1.
    pub jitter: f64,
    /// Delays of the rungs, ascending, at least one.
    pub rungs: Vec<Duration>,
    /// The waits are the rungs' delays, one after the other and then the last one again and again, of which the jitter
    /// share is taken off at random.
    pub stepwise: bool,
}

/// What has happened to a record before this failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Failed attempts before this one.
    pub failures: u32,
    pub first_failure: Option<Timestamp>,
    /// Spreads the jitter; the same for the same job and attempt, so that a replay decides alike.
    pub seed: u64,
}

/// Where a transient failure leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait on this rung (its index) until this time.
    Wait { rung: usize, due: Timestamp },
    /// No further attempt; the text says which limit was reached.
    GiveUp { why: String },
}

impl Ladder {
    /// Decides after a transient failure at `now`.
    ///
    /// The wait is what the other side asked for, exactly, or else `base × factor^failures`, capped, of which the
    /// jitter share is drawn at random. The rung is the shortest one that is at least as long as the wait; on
    /// the longest rung a record may wait longer than the rung's name says. The due time decides, not the rung.
    pub fn next(&self, fault: &Fault, past: Past, now: Timestamp) -> Step {
        let limits = self.overrides.get(&fault.code).unwrap_or(&self.limits);
        let attempts = past.failures.saturating_add(1);
        if attempts >= limits.max_attempts {
            return Step::GiveUp { why: format!("gave up after {attempts} attempts (max_attempts)") };
        }
        // "At once" is no hint: followed to the letter, it would burn all attempts in one second.
        let asked = fault.retry_after.filter(|wait| !wait.is_zero());
        let wait = asked.unwrap_or_else(|| self.backoff(limits, past));
        let due = later(now, wait);
        let first = past.first_failure.unwrap_or(now);
        if due > later(first, limits.max_elapsed) {
            let elapsed = Duration::try_from(now.duration_since(first)).unwrap_or_default();
            return Step::GiveUp {
                why: format!(
                    "gave up after {attempts} attempts in {elapsed:.0?}: the next one, in {wait:.0?}, would come after max_elapsed"
                ),
            };
        }
        Step::Wait { rung: self.rung_for(wait), due }
    }

    fn backoff(&self, limits: &Limits, past: Past) -> Duration {
        if self.stepwise {
            let step = usize::try_from(past.failures).unwrap_or(usize::MAX);
            let delay = self.rungs.get(step).or(self.rungs.last()).copied().unwrap_or(limits.cap);
            let wait = delay.as_secs_f64() * (1.0 - self.jitter * unit(past.seed));
            return Duration::try_from_secs_f64(wait).map_or(delay, |wait| wait.min(delay)).min(limits.cap);
        }
        let growth = self.factor.powi(i32::try_from(past.failures).unwrap_or(i32::MAX));
        let cap = limits.cap.as_secs_f64();
        // A huge exponent gives infinity, and infinity is capped like any other number.
        let wait = (limits.base.as_secs_f64() * growth).min(cap);
        let share = unit(past.seed) - 0.5;
        // What no `Duration` holds is longer than any cap, and what is rounded may be a little longer than this one.
        let wait = Duration::try_from_secs_f64(wait * (1.0 + self.jitter * share));
        wait.map_or(limits.cap, |wait| wait.min(limits.cap))
    }

    fn rung_for(&self, wait: Duration) -> usize {
        self.rungs.iter().position(|delay| *delay >= wait).unwrap_or(self.rungs.len().saturating_sub(1))
    }
}

/// A number in [0, 1) out of 53 bits of the seed, after mixing them (the finaliser of SplitMix64).
fn unit(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// `time + wait`, rounded up to the millisecond, because headers carry milliseconds and no retry is ever early.
fn later(time: Timestamp, wait: Duration) -> Timestamp {
    let nanos = time.as_nanosecond().saturating_add(i128::try_from(wait.as_nanos()).unwrap_or(i128::MAX));
    let ms = nanos.div_euclid(1_000_000) + i128::from(nanos.rem_euclid(1_000_000) > 0);
    i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
