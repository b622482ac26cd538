//! Whether a stage keeps up, from several looks at one partition. The rules are those of Burrow
//! (<https://github.com/linkedin/Burrow/wiki/Consumer-Lag-Evaluation-Rules>): no threshold that would be wrong for the next
//! stage, but whether it gets on. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::look::StageLag;

/// How far back it is looked.
const WINDOW: Duration = Duration::from_secs(600);
/// Less than this says nothing of how a stage gets on.
const WINDOW_MIN: Duration = Duration::from_secs(60);

/// How a stage gets on; of its partitions the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somewhere in the window nothing was left, or it becomes less.
    Ok,
    /// It gets on, and what is left never becomes less.
    Warn,
    /// Something is left, it does not get on, and somebody runs it.
    Stall,
    /// The same, and nobody runs it.
    Stop,
    /// What was committed went back.
    Rewind,
}

impl State {
    pub const ALL: [State; 5] = [State::Ok, State::Warn, State::Stall, State::Stop, State::Rewind];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Stall => "stall",
            State::Stop => "stop",
            State::Rewind => "rewind",
        }
    }
}

/// What was seen of each partition in the window. Its size follows from the number of partitions and of looks.
#[derive(Debug, Default)]
pub struct History(BTreeMap<(String, i32), VecDeque<Seen>>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Timestamp,
    committed: i64,
    lag: u64,
}

impl History {
    /// Takes a look in, and says how the stage gets on. Rungs and what is parked wait: only input and redrive count.
    pub fn take(&mut self, stage: &StageLag, now: Timestamp) -> State {
        let is_run = stage.members.is_none_or(|members| members > 0);
        let counts = stage.parts.iter().filter(|part| matches!(part.lane, "input" | "redrive"));
        let mut worst = State::Ok;
        for part in counts {
            let seen = self.0.entry((format!("{}/{}", stage.group, part.topic), part.partition)).or_default();
            seen.push_back(Seen { at: now, committed: part.committed.unwrap_or_default(), lag: part.lag });
            while seen.front().is_some_and(|first| is_older(first.at, now, WINDOW) && seen.len() > 1) {
                seen.pop_front();
            }
            worst = worst.max(state(seen.make_contiguous(), is_run, now));
        }
        worst
    }
}

fn is_older(at: Timestamp, now: Timestamp, span: Duration) -> bool {
    Duration::try_from(now.duration_since(at)).unwrap_or_default() > span
}

/// Looks at one partition, the earliest first.
fn state(seen: &[Seen], is_run: bool, now: Timestamp) -> State {
    let (Some(first), Some(last)) = (seen.first(), seen.last()) else { return State::Ok };
    let went_back = seen.windows(2).any(|two| two[1].committed < two[0].committed);
    let highest = seen.iter().map(|one| one.committed).max().unwrap_or_default();
    if went_back && last.committed < highest {
        return State::Rewind;
    }
    let is_short = !is_older(first.at, now, WINDOW_MIN);
    if is_short || seen.iter().any(|one| one.lag == 0) {
        return State::Ok;
    }
    match (first.committed == last.committed, is_run) {
        (true, true) => State::Stall,
        (true, false) => State::Stop,
        (false, _) if seen.windows(2).any(|two| two[1].lag < two[0].lag) => State::Ok,
        (false, _) => State::Warn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One look a minute, each with what is committed and what is left.
    fn of(looks: &[(i64, u64)], is_run: bool) -> State {
        let at = |n: usize| Timestamp::from_second(60 * n as i64).expect("a time");
        let seen: Vec<Seen> = looks
            .iter()
            .enumerate()
            .map(|(n, (committed, lag))| Seen { at: at(n), committed: *committed, lag: *lag })
            .collect();
        state(&seen, is_run, at(looks.len() - 1))
    }

    #[test]
    fn what_was_at_the_end_once_keeps_up() {
        assert_eq!(of(&[(5, 3), (9, 0), (9, 7)], true), State::Ok);
    }

    #[test]
    fn what_gets_on_and_becomes_less_keeps_up() {
        assert_eq!(of(&[(5, 30), (9, 40), (20, 25)], true), State::Ok);
    }

    #[test]
    fn what_gets_on_and_never_becomes_less_falls_behind() {
        assert_eq!(of(&[(5, 30), (9, 30), (20, 35)], true), State::Warn);
    }

    #[test]
    fn what_does_not_get_on_stands_still_or_is_not_run() {
        assert_eq!(of(&[(5, 30), (5, 40), (5, 45)], true), State::Stall);
        assert_eq!(of(&[(5, 30), (5, 40), (5, 45)], false), State::Stop);
    }

    #[test]
    fn what_was_committed_must_not_go_back_unless_it_has_come_there_again() {
        assert_eq!(of(&[(50, 0), (9, 41), (20, 30)], true), State::Rewind);
        assert_eq!(of(&[(50, 0), (9, 41), (50, 0)], true), State::Ok);
    }

    #[test]
    fn a_short_while_says_nothing() {
        assert_eq!(of(&[(5, 30), (5, 40)], true), State::Ok);
        assert_eq!(of(&[(5, 30)], false), State::Ok);
    }
}
