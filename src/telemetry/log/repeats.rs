//! Lines that say the same of many records. When much fails at once the first lines tell what there is to know, and the rest
//! would bury everything else, and cost more than the records. So they are counted, and their number is told.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::flow::Code;

/// As many lines of a kind are written in this time.
const WINDOW: Duration = Duration::from_secs(10);
const LINES_MAX: u32 = 100;

/// What a line says of a record. For each of these and each failure code there is a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Failed,
    Waits,
    Parked,
    TakenOver,
}

/// Lines that were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub kind: Kind,
    pub code: Option<Code>,
    pub lines: u64,
}

/// See the module. One per stage.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<BTreeMap<(Kind, Option<Code>), Window>>);

#[derive(Debug)]
struct Window {
    begun: Instant,
    written: u32,
    held: u64,
}

impl Repeats {
    /// Whether one more line of this kind is written.
    pub fn may(&self, kind: Kind, code: Option<Code>, now: Instant) -> bool {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window =
            windows.entry((kind, code)).or_insert_with(|| Window { begun: now, written: 0, held: 0 });
        if window.held == 0 && now.saturating_duration_since(window.begun) >= WINDOW {
            *window = Window { begun: now, written: 0, held: 0 };
        }
        match window.written < LINES_MAX {
            true => window.written += 1,
            false => window.held += 1,
        }
        window.held == 0
    }

    /// What is to be told of lines that were not written: where their time is over, or `all`.
    pub fn held(&self, now: Instant, all: bool) -> Vec<LeftOut> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |window: &Window| all || now.saturating_duration_since(window.begun) >= WINDOW;
        let over = windows.extract_if(.., |_, window| is_over(window)).filter(|(_, window)| window.held > 0);
        over.map(|((kind, code), window)| LeftOut { kind, code, lines: window.held }).collect()
    }
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Failed => "an attempt failed",
            Kind::Waits => "a record waits for its next attempt",
            Kind::Parked => "a record is parked behind an earlier one of its key",
            Kind::TakenOver => "another copy of a record has the job",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_lines_of_a_kind_are_written_in_ten_seconds_and_the_rest_is_counted() {
        let (repeats, begin) = (Repeats::default(), Instant::now());
        let may = |code, now| repeats.may(Kind::Failed, Some(code), now);
        assert!((0..LINES_MAX).all(|_| may(Code::LlmTimeout, begin)));
        assert!(!may(Code::LlmTimeout, begin) && !may(Code::LlmTimeout, begin + WINDOW));
        assert!(may(Code::LlmMalformed, begin), "another code is another story");
        assert!(repeats.may(Kind::Waits, Some(Code::LlmTimeout), begin));

        assert_eq!(repeats.held(begin + WINDOW / 2, false), []);
        let told = LeftOut { kind: Kind::Failed, code: Some(Code::LlmTimeout), lines: 2 };
        assert_eq!(repeats.held(begin + WINDOW, false), [told]);
        assert!(may(Code::LlmTimeout, begin + WINDOW), "and then lines are written again");
        assert_eq!(repeats.held(begin + 3 * WINDOW, false), [], "there is nothing more to tell");
    }

    #[test]
    fn a_trickle_is_written_whole_and_the_end_waits_for_nothing() {
        let (repeats, begin) = (Repeats::default(), Instant::now());
        let seconds = |n: u32| begin + Duration::from_secs(n.into());
        assert!((0..500).all(|n| repeats.may(Kind::Waits, None, seconds(n))));
        (0..=LINES_MAX).for_each(|_| _ = repeats.may(Kind::Parked, None, begin));
        assert_eq!(repeats.held(begin, true), [LeftOut { kind: Kind::Parked, code: None, lines: 1 }]);
    }
}
