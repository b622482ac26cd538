//! The breaker: tells an outage of a dependency from single failed calls. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::{Class, Code, Fault};

/// Outcomes looked at.
const WINDOW: usize = 20;
/// Fewer outcomes than this say nothing.
const SAMPLES_MIN: usize = 10;
/// Share of failures in the window, in percent, from which on the dependency counts as down.
const OPEN_PERCENT: usize = 80;

/// Where little is asked, so many failed connections in a row, over so long, say the same. Only connections: a
/// single record can make a provider fail or hang again and again, but not refuse to be connected to.
const LOST_MIN: usize = 3;
const LOST_FOR: Duration = Duration::from_secs(10);

/// How a breaker stands, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// Calls go through.
    Closed,
    /// The dependency counts as down: nothing is asked.
    Open,
    /// One record tries whether it is back.
    HalfOpen,
}

impl Circuit {
    pub const ALL: [Circuit; 3] = [Circuit::Closed, Circuit::Open, Circuit::HalfOpen];

    pub fn as_str(self) -> &'static str {
        match self {
            Circuit::Closed => "closed",
            Circuit::Open => "open",
            Circuit::HalfOpen => "half_open",
        }
    }
}

/// The recent calls of one stage to the provider it depends on.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// True for a failure that an outage explains.
    recent: VecDeque<bool>,
    /// Failed connections since the last call that came through, and when the first of them failed.
    lost: usize,
    lost_since: Option<Timestamp>,
}

impl Breaker {
    /// An attempt came back without a failure of the dependency: success, or a failure of the record's own.
    pub fn healthy(&mut self) {
        self.push(false);
        (self.lost, self.lost_since) = (0, None);
    }

    /// An attempt failed. Says so when the dependency has to be taken for down.
    pub fn failed(&mut self, fault: &Fault, now: Timestamp) -> Option<Fault> {
        self.push(true);
        if fault.code == Code::LlmConnection {
            self.lost += 1;
            let since = *self.lost_since.get_or_insert(now);
            let span = Duration::try_from(now.duration_since(since)).unwrap_or_default();
            if self.lost >= LOST_MIN && span >= LOST_FOR {
                let text = format!("no connection for {span:.0?}; the latest: {fault}");
                return Some(Fault::new(Code::LlmUnavailable, text));
            }
        }
        let failures = self.recent.iter().filter(|failed| **failed).count();
        let total = self.recent.len();
        if total < SAMPLES_MIN || failures * 100 < total * OPEN_PERCENT {
            return None;
        }
        let text = format!("{failures} of the last {total} calls failed; the latest: {fault}");
        Some(Fault::new(Code::LlmUnavailable, text))
    }

    /// Forgets the past, after a probe has shown that the dependency is back.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, failed: bool) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(failed);
    }
}

/// Whether an outage of the dependency would look like this. A provider that limits the rate is up.
pub fn speaks_of_outage(fault: &Fault) -> bool {
    fault.class == Class::Transient
        && matches!(
            fault.code,
            Code::LlmOverloaded
                | Code::LlmServerError
                | Code::LlmTimeout
                | Code::LlmConnection
                | Code::LlmMalformed
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hangs() -> Fault {
        Fault::new(Code::LlmTimeout, "no answer")
    }

    fn refuses() -> Fault {
        Fault::new(Code::LlmConnection, "connection refused")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    #[test]
    fn ten_failures_in_a_row_are_an_outage_and_nine_are_not() {
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            assert_eq!(breaker.failed(&hangs(), at(0)), None);
        }
        let fault = breaker.failed(&hangs(), at(0)).expect("open");
        assert_eq!((fault.code, fault.class), (Code::LlmUnavailable, Class::Systemic));
    }

    #[test]
    fn one_failure_in_two_is_no_outage() {
        let mut breaker = Breaker::default();
        for _ in 0..200 {
            breaker.healthy();
            assert_eq!(breaker.failed(&hangs(), at(0)), None);
        }
    }

    #[test]
    fn a_long_good_past_does_not_hide_an_outage() {
        let mut breaker = Breaker::default();
        (0..1000).for_each(|_| breaker.healthy());
        let opened = (0..20).position(|_| breaker.failed(&hangs(), at(0)).is_some());
        assert_eq!(opened, Some(15), "the sixteenth failure makes 80 % of the last 20");
    }

    #[test]
    fn a_rate_limit_is_no_outage() {
        assert!(!speaks_of_outage(&Fault::new(Code::LlmRateLimited, "slow down")));
        assert!(speaks_of_outage(&hangs()));
    }

    #[test]
    fn a_provider_that_refuses_connections_is_down_even_where_little_is_asked() {
        let mut breaker = Breaker::default();
        for second in [0, 1, 4] {
            assert_eq!(breaker.failed(&refuses(), at(second)), None);
        }
        assert_eq!(breaker.failed(&refuses(), at(13)).map(|fault| fault.code), Some(Code::LlmUnavailable));
    }

    #[test]
    fn one_call_that_comes_through_shows_that_it_is_there() {
        let mut breaker = Breaker::default();
        for second in [0, 1, 4] {
            assert_eq!(breaker.failed(&refuses(), at(second)), None);
        }
        breaker.healthy();
        assert_eq!(breaker.failed(&refuses(), at(13)), None);
    }

    #[test]
    fn a_record_that_makes_the_provider_hang_is_no_outage() {
        let mut breaker = Breaker::default();
        for n in 0..8 {
            assert_eq!(breaker.failed(&hangs(), at(n * 60)), None);
        }
    }
}
