//! A time that something waits for, on a clock that may be set. Pure.
//!
//! Set forward, an alarm goes off early, and whatever it is for waits anew. Set back, it would go off as much later, and
//! the stage would stand still: so what has been set later than now has been set by the clock as it was, and is due.

use std::time::Duration;

use jiff::Timestamp;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    set: Timestamp,
    at: Timestamp,
}

impl Alarm {
    pub fn after(wait: Duration, now: Timestamp) -> Self {
        Self { set: now, at: now.saturating_add(wait).unwrap_or(Timestamp::MAX) }
    }

    /// When the clock says so and not before, however it is set: the time stands in a record.
    pub fn on(at: Timestamp) -> Self {
        Self { set: Timestamp::MIN, at }
    }

    /// The same, sooner by this time.
    pub fn ahead(self, time: Duration) -> Self {
        Self { at: self.at.saturating_sub(time).unwrap_or(Timestamp::MIN), ..self }
    }

    pub fn at(self) -> Timestamp {
        self.at
    }

    pub fn is_due(self, now: Timestamp) -> bool {
        self.at <= now || self.was_set_back(now)
    }

    pub fn was_set_back(self, now: Timestamp) -> bool {
        now < self.set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    #[test]
    fn it_is_due_after_its_time_and_when_the_clock_was_set_back() {
        let alarm = Alarm::after(Duration::from_secs(2), at(10));
        assert_eq!([9, 10, 11, 12, 13].map(|s| alarm.is_due(at(s))), [true, false, false, true, true]);
    }

    #[test]
    fn a_time_that_stands_in_a_record_is_never_early() {
        let alarm = Alarm::on(at(12));
        assert_eq!([0, 11, 12].map(|s| alarm.is_due(at(s))), [false, false, true]);
    }
}
