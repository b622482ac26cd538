//! When how many letters of a run go: canaries first, each judged by what became of it, then as many as the rate allows. It
//! stops by itself when too many die again, when one dies of something new, or when nothing is heard. Pure: time is an
//! argument.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Span;
use crate::quarantine::{Policy, Tally};

/// Beyond the canaries it is judged by the last so many that ended.
const RECENT: usize = 100;
/// And by no fewer than these.
const ENOUGH: usize = 20;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send at most so many.
    Send(u64),
    Wait,
    /// Stop, for this reason.
    Stop(String),
    /// All have ended.
    Finish,
}

/// See the module. Lasts from one start of a run to the next.
#[derive(Debug)]
pub struct Pace {
    policy: Policy,
    /// What there was when it began.
    baseline: Tally,
    /// Whether each of the last ones that ended had succeeded.
    recent: VecDeque<bool>,
    /// A letter that died of something that none of the plan had died of.
    new: Option<String>,
    /// The last tally, and since when it is so.
    last: (Tally, Timestamp),
    /// Letters that the rate allows now, in thousandths.
    credit: u64,
    filled: Timestamp,
}

impl Pace {
    pub fn new(policy: Policy, baseline: Tally, now: Timestamp) -> Self {
        let recent = VecDeque::with_capacity(RECENT);
        Self { policy, baseline, recent, new: None, last: (baseline, now), credit: 0, filled: now }
    }

    /// What became of a letter.
    pub fn ended(&mut self, succeeded: bool) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(succeeded);
    }

    /// A letter died of something new; `what` says which and of what.
    pub fn is_new(&mut self, what: String) {
        self.new.get_or_insert(what);
    }

    /// As many were sent.
    pub fn spent(&mut self, letters: u64) {
        self.credit = self.credit.saturating_sub(letters.saturating_mul(1000));
    }

    pub fn step(&mut self, tally: &Tally, now: Timestamp) -> Step {
        self.fill(now);
        if self.last.0 != *tally {
            self.last = (*tally, now);
        }
        // Nothing is left that could be stopped.
        if tally.left == 0 && tally.pending == 0 {
            return Step::Finish;
        }
        let allowed = self.canary(tally);
        // The last canary is judged before anything else is sent.
        let canaries = self.policy.canary.iter().map(|size| u64::from(*size)).sum();
        let in_canaries = tally.sent().saturating_sub(self.baseline.sent()) <= canaries;
        if let Some(why) = self.objection(in_canaries) {
            return Step::Stop(why);
        }
        let allowed = allowed.unwrap_or_else(|| {
            let room = u64::from(self.policy.outstanding).saturating_sub(tally.pending);
            room.min(self.credit / 1000)
        });
        match allowed.min(tally.left) {
            0 if tally.pending > 0 && self.is_silent(now) => Step::Stop(format!(
                "of {} letters that were sent nothing was heard for {}: look where they are with `lazaret dlq show`, \
                 then resume",
                tally.pending, self.policy.patience
            )),
            0 => Step::Wait,
            some => Step::Send(some),
        }
    }

    /// How many may be sent as canaries; `None` when all canaries have ended.
    fn canary(&self, tally: &Tally) -> Option<u64> {
        let sent = tally.sent().saturating_sub(self.baseline.sent());
        // Those that were pending when it began are not what is waited for.
        let ended = tally.ended().saturating_sub(self.baseline.ended() + self.baseline.pending);
        let mut until = 0;
        for size in &self.policy.canary {
            let before = until;
            until += u64::from(*size);
            if sent < until {
                let may = sent > before || tally.pending == 0 || ended >= sent;
                return Some(if may { until - sent } else { 0 });
            }
        }
        let are_over = tally.pending == 0 || ended >= until;
        (!are_over).then_some(0)
    }

    fn objection(&self, in_canaries: bool) -> Option<String> {
        if let Some(what) = &self.new {
            return Some(format!("{what}, which is none of the plan's"));
        }
        let (of, succeeded) = (self.recent.len(), self.recent.iter().filter(|succeeded| **succeeded).count());
        let is_enough = of >= if in_canaries { 1 } else { ENOUGH };
        let is_below = succeeded * 100 < of * usize::from(self.policy.gate);
        (is_enough && is_below).then(|| {
            let failed = of - succeeded;
            format!(
                "{failed} of the last {of} that ended died again; at least {} % had to succeed",
                self.policy.gate
            )
        })
    }

    fn is_silent(&self, now: Timestamp) -> bool {
        let Span(patience) = self.policy.patience;
        Duration::try_from(now.duration_since(self.last.1)).is_ok_and(|silence| silence >= patience)
    }

    /// Not more than what one second allows.
    fn fill(&mut self, now: Timestamp) {
        let passed = Duration::try_from(now.duration_since(self.filled)).unwrap_or_default();
        let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        let rate = u64::from(self.policy.rate);
        self.credit = self.credit.saturating_add(passed.saturating_mul(rate)).min(rate * 1000);
        self.filled = now.max(self.filled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run against a stage that does as it is told, at a time of its own.
    struct Trial {
        pace: Pace,
        tally: Tally,
        now: Timestamp,
    }

    impl Trial {
        fn new(left: u64, policy: Policy) -> Self {
            let (tally, now) = (Tally { left, ..Tally::default() }, Timestamp::UNIX_EPOCH);
            Self { pace: Pace::new(policy, tally, now), tally, now }
        }

        fn step(&mut self) -> Step {
            self.pace.step(&self.tally, self.now)
        }

        fn after(&mut self, seconds: i64) -> Step {
            self.now += jiff::SignedDuration::from_secs(seconds);
            self.step()
        }

        /// Sends what is allowed; how many these were.
        fn send(&mut self) -> u64 {
            let Step::Send(some) = self.step() else { panic!("{:?} of {:?}", self.step(), self.tally) };
            self.tally.left -= some;
            self.tally.pending += some;
            self.pace.spent(some);
            some
        }

        fn succeed(&mut self, letters: u64) {
            self.tally.pending -= letters;
            self.tally.succeeded += letters;
            (0..letters).for_each(|_| self.pace.ended(true));
        }

        fn die(&mut self, letters: u64) {
            self.tally.pending -= letters;
            self.tally.failed += letters;
            (0..letters).for_each(|_| self.pace.ended(false));
        }

        fn past_the_canaries(left: u64, policy: Policy) -> Self {
            let mut trial = Self::new(left, policy);
            for _ in 0..3 {
                let sent = trial.send();
                trial.succeed(sent);
            }
            trial
        }
    }

    #[test]
    fn canaries_go_one_after_the_other_and_each_is_waited_for() {
        let mut trial = Trial::new(1000, Policy::default());
        for size in [1, 5, 25] {
            assert_eq!(trial.send(), size);
            assert_eq!(trial.step(), Step::Wait, "nobody knows yet what became of them");
            trial.succeed(size - 1);
            if size > 1 {
                assert_eq!(trial.after(1), Step::Wait, "one is missing");
            }
            trial.succeed(1);
        }
        assert_eq!(trial.after(1), Step::Send(50), "from now on it is the rate");
    }

    #[test]
    fn a_canary_that_dies_stops_it() {
        let mut trial = Trial::new(1000, Policy::default());
        trial.send();
        trial.die(1);
        assert!(matches!(trial.step(), Step::Stop(why) if why.contains("1 of the last 1")));
        assert_eq!(trial.tally.sent(), 1, "no other one was sent");
    }

    #[test]
    fn the_last_canary_is_judged_like_the_others() {
        for canary in [vec![1], vec![5], vec![1, 5]] {
            let mut trial = Trial::new(1000, Policy { canary: canary.clone(), ..Policy::default() });
            for size in &canary[..canary.len() - 1] {
                trial.send();
                trial.succeed(u64::from(*size));
            }
            let last = trial.send();
            trial.die(last);
            assert!(matches!(trial.after(1), Step::Stop(_)), "{canary:?}");
        }
    }

    #[test]
    fn what_was_pending_when_it_was_resumed_does_not_speak_for_a_canary() {
        let mut trial = Trial::past_the_canaries(1000, Policy::default());
        trial.after(1);
        trial.send();
        trial.pace = Pace::new(Policy::default(), trial.tally, trial.now);
        assert_eq!(trial.send(), 1);
        trial.succeed(1);
        assert_eq!(trial.after(1), Step::Wait, "it may have been one of the older ones");
        trial.succeed(50);
        assert_eq!(trial.send(), 5);
    }

    #[test]
    fn a_letter_that_dies_of_something_new_stops_it_however_many_succeed() {
        let mut trial = Trial::past_the_canaries(1000, Policy { gate: 10, ..Policy::default() });
        trial.pace.is_new("letter 7 died of llm.refused".into());
        assert!(matches!(trial.step(), Step::Stop(why) if why.contains("llm.refused")));
    }

    #[test]
    fn beyond_the_canaries_the_rate_and_what_is_outstanding_hold_it_back() {
        let policy = Policy { rate: 100, outstanding: 150, ..Policy::default() };
        let mut trial = Trial::past_the_canaries(1000, policy);
        assert_eq!(trial.after(1), Step::Send(100));
        assert_eq!(trial.send(), 100);
        assert_eq!(trial.step(), Step::Wait, "the rate");
        trial.after(60);
        assert_eq!(trial.send(), 50, "no more may be outstanding");
        assert_eq!(trial.after(1), Step::Wait);
        trial.succeed(150);
        assert_eq!(trial.after(1), Step::Send(100), "a pause is not made up for");
    }

    #[test]
    fn it_stops_when_the_share_of_the_last_hundred_falls_below_the_gate() {
        let mut trial = Trial::past_the_canaries(10_000, Policy { rate: 1000, ..Policy::default() });
        trial.after(1);
        trial.send();
        trial.die(1);
        assert!(matches!(trial.after(1), Step::Send(_)), "31 of 32 succeeded");
        trial.die(1);
        assert!(matches!(trial.after(1), Step::Stop(_)), "2 of 33 is more than 5 %");
        trial.succeed(200);
        assert!(matches!(trial.after(1), Step::Send(_)), "only the last hundred count");
    }

    #[test]
    fn it_ends_when_all_have_ended_and_a_small_plan_needs_no_rate() {
        let mut trial = Trial::new(3, Policy::default());
        assert_eq!(trial.send(), 1);
        trial.succeed(1);
        assert_eq!(trial.send(), 2);
        assert_eq!(trial.step(), Step::Wait);
        trial.succeed(2);
        assert_eq!(trial.step(), Step::Finish);
        assert_eq!(Trial::new(0, Policy::default()).step(), Step::Finish, "nothing was left to be sent");
    }

    #[test]
    fn what_is_skipped_ends_it_too() {
        let mut trial = Trial::new(2, Policy::default());
        trial.tally = Tally { skipped: 1, expired: 1, ..Tally::default() };
        assert_eq!(trial.step(), Step::Finish);
    }

    #[test]
    fn silence_stops_it_after_a_while() {
        let policy = Policy { patience: Span::secs(60), ..Policy::default() };
        let mut trial = Trial::new(1000, policy);
        trial.send();
        assert_eq!(trial.after(59), Step::Wait);
        // The silence counts from when it was seen that one was sent.
        assert!(matches!(trial.after(60), Step::Stop(why) if why.contains("nothing was heard")));
        trial.succeed(1);
        assert_eq!(trial.step(), Step::Send(5));
    }

    #[test]
    fn after_it_was_resumed_it_begins_with_canaries_again() {
        let mut trial = Trial::past_the_canaries(1000, Policy::default());
        trial.pace = Pace::new(Policy::default(), trial.tally, trial.now);
        assert_eq!(trial.send(), 1);
        assert_eq!(trial.step(), Step::Wait);
        trial.succeed(1);
        assert_eq!(trial.send(), 5);
    }

    #[test]
    fn without_canaries_it_begins_with_the_rate() {
        let mut trial = Trial::new(1000, Policy { canary: Vec::new(), ..Policy::default() });
        assert_eq!(trial.step(), Step::Wait);
        assert_eq!(trial.after(1), Step::Send(50));
    }
}
