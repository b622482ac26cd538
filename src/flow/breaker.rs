//! The breaker: tells an outage of a dependency from single failed calls. Pure.

use std::collections::VecDeque;

use super::{Class, Code, Fault};

/// Outcomes looked at.
const WINDOW: usize = 20;
/// Fewer outcomes than this say nothing.
const SAMPLES_MIN: usize = 10;
/// Share of failures in the window, in percent, from which on the dependency counts as down.
const OPEN_PERCENT: usize = 80;

/// The recent calls of one stage to the provider it depends on.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// True for a failure that an outage explains.
    recent: VecDeque<bool>,
}

impl Breaker {
    /// An attempt came back without a failure of the dependency: success, or a failure of the record's own.
    pub fn healthy(&mut self) {
        self.push(false);
    }

    /// An attempt failed. Says so when the dependency has to be taken for down.
    pub fn failed(&mut self, fault: &Fault) -> Option<Fault> {
        self.push(true);
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
        self.recent.clear();
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

    fn down() -> Fault {
        Fault::new(Code::LlmConnection, "connection refused")
    }

    #[test]
    fn ten_failures_in_a_row_are_an_outage_and_nine_are_not() {
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            assert_eq!(breaker.failed(&down()), None);
        }
        let fault = breaker.failed(&down()).expect("open");
        assert_eq!((fault.code, fault.class), (Code::LlmUnavailable, Class::Systemic));
    }

    #[test]
    fn one_failure_in_two_is_no_outage() {
        let mut breaker = Breaker::default();
        for _ in 0..200 {
            breaker.healthy();
            assert_eq!(breaker.failed(&down()), None);
        }
    }

    #[test]
    fn a_long_good_past_does_not_hide_an_outage() {
        let mut breaker = Breaker::default();
        (0..1000).for_each(|_| breaker.healthy());
        let opened = (0..20).position(|_| breaker.failed(&down()).is_some());
        assert_eq!(opened, Some(15), "the sixteenth failure makes 80 % of the last 20");
    }

    #[test]
    fn a_rate_limit_is_no_outage() {
        assert!(!speaks_of_outage(&Fault::new(Code::LlmRateLimited, "slow down")));
        assert!(speaks_of_outage(&down()));
    }
}
