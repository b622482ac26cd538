//! When the stage paused: time that no record spent trying, and that no record is charged for. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

/// Pauses remembered. Older ones count as time like any other; `max_elapsed` is seldom that long.
const REMEMBERED: usize = 64;

/// The stage's pauses as this process saw them.
#[derive(Debug, Default)]
pub struct Pauses {
    since: Option<Timestamp>,
    past: VecDeque<(Timestamp, Timestamp)>,
}

impl Pauses {
    /// Takes note of whether the stage pauses now.
    pub fn note(&mut self, paused: bool, now: Timestamp) {
        match (paused, self.since) {
            (true, None) => self.since = Some(now),
            (false, Some(since)) => {
                self.since = None;
                if self.past.len() == REMEMBERED {
                    self.past.pop_front();
                }
                self.past.push_back((since, now));
            }
            _ => {}
        }
    }

    /// `first`, moved on by the time that the stage has paused since.
    pub fn spare(&self, first: Timestamp, now: Timestamp) -> Timestamp {
        let open = self.since.map(|since| (since, now));
        let paused: Duration = self
            .past
            .iter()
            .copied()
            .chain(open)
            .filter_map(|(from, to)| Duration::try_from(to.duration_since(from.max(first))).ok())
            .sum();
        first.saturating_add(paused).map_or(now, |first| first.min(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    #[test]
    fn only_the_pauses_since_the_first_failure_count() {
        let mut pauses = Pauses::default();
        for (paused, second) in [(true, 10), (true, 12), (false, 20), (true, 30), (false, 40), (true, 50)] {
            pauses.note(paused, at(second));
        }
        assert_eq!(pauses.spare(at(0), at(55)), at(25), "three pauses: 10, 10 and 5 seconds so far");
        assert_eq!(pauses.spare(at(15), at(55)), at(35), "half of the first one was before");
        assert_eq!(pauses.spare(at(45), at(55)), at(50));
        assert_eq!(pauses.spare(at(54), at(55)), at(55));
    }

    #[test]
    fn a_clock_that_goes_back_charges_nothing_strange() {
        let mut pauses = Pauses::default();
        pauses.note(true, at(100));
        pauses.note(false, at(50));
        assert_eq!(pauses.spare(at(0), at(60)), at(0));
    }
}
