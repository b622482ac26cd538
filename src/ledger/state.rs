//! What a claim gets, given what the ledger knows of the job. Pure, so that every store rules alike.
//!
//! A claim and a row are compared by (redrives, attempt). An *older* claim is a record that was already sent
//! on: to a rung, to the dead letter topic, or back by a redrive. A lease is *held* while its time is not over, but
//! for a new process of its holder's instance. A job that is stored or condemned counts as held for claims from
//! another family than its own: whether it was produced shows only there.
//!
//! | row                      | older claim | same claim       | newer attempt    | newer redrive    |
//! |--------------------------|-------------|------------------|------------------|------------------|
//! | none                     | –           | run              | run              | run              |
//! | done                     | finished    | finished         | finished         | finished         |
//! | dead, discarded          | finished    | finished         | finished         | run or replay    |
//! | waiting, parked          | finished    | run or replay    | run or replay    | run or replay    |
//! | released                 | finished    | run or replay    | run or replay    | run or replay    |
//! | running, stored: held    | busy        | busy             | busy             | busy             |
//! | running, stored: void    | finished    | run or replay    | run or replay    | run or replay    |
//! | condemned: held          | busy        | busy             | busy             | busy             |
//! | condemned: void          | finished    | bury             | bury             | run or replay    |
//!
//! *Run or replay*: replay when a result is stored, otherwise run. A result outlives failure, restart and
//! redrive until the stage is done, because it may have cost money; but not an edit, after which it answers another
//! question: the first claim of an edited redrive drops it. *Bury*: write the dead letter and do not run,
//! because it may stand in the topic already and the job must not end in two places. The copy on the parking
//! topic has the attempt of the record that was parked, so a parked job runs for the same claim.

/// After so long without a word from its holder, in milliseconds, a job is any copy's: its record may not be there any
/// more.
pub const ABANDONED: i64 = 86_400_000;

/// How far a job is in its stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A lease was given and nothing is stored yet.
    Running,
    /// The result is stored and not yet acknowledged by Kafka.
    Stored,
    Done,
    /// Its dead letter is being written.
    Condemned,
    /// On a rung.
    Waiting,
    /// In the dead letter topic.
    Dead,
    /// Handed back without a verdict.
    Released,
    /// On the parking topic, behind an earlier record of its key.
    Parked,
    /// Given up by a person or a rule.
    Discarded,
}

impl State {
    const ALL: [State; 9] = [
        State::Running,
        State::Stored,
        State::Condemned,
        State::Done,
        State::Waiting,
        State::Dead,
        State::Released,
        State::Parked,
        State::Discarded,
    ];

    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Stored => "stored",
            State::Condemned => "condemned",
            State::Done => "done",
            State::Waiting => "waiting",
            State::Dead => "dead",
            State::Released => "released",
            State::Parked => "parked",
            State::Discarded => "discarded",
        }
    }

    /// Whether nothing more comes of the job by itself, and nothing waits for it.
    pub fn is_over(self) -> bool {
        matches!(self, State::Done | State::Discarded)
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What the ledger knows of a job when it is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub state: State,
    pub redrives: u32,
    pub attempt: u32,
    /// The lease is held.
    pub held: bool,
    /// A result is stored.
    pub result: bool,
}

impl Known {
    /// The same as the first claim of an edited record finds it: what was stored is the answer to the value before. Whether
    /// there was something to forget. Later claims of the same redrive find what was stored for the new value.
    pub fn without_outdated(self, redrives: u32, edited: bool) -> (Self, bool) {
        let is_outdated = self.result && edited && redrives > self.redrives;
        (Self { result: self.result && !is_outdated, ..self }, is_outdated)
    }
}

/// What the claim gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    Run,
    Replay,
    /// Write its dead letter (again).
    Bury,
    Finished,
    Busy,
}

/// The table above.
pub fn rule(known: Option<Known>, redrives: u32, attempt: u32) -> Ruling {
    let Some(known) = known else { return Ruling::Run };
    let older = (redrives, attempt) < (known.redrives, known.attempt);
    let finished = match known.state {
        State::Done => true,
        State::Dead | State::Discarded => redrives <= known.redrives,
        _ => older,
    };
    let leasable = matches!(known.state, State::Running | State::Stored | State::Condemned);
    if leasable && known.held {
        // Where the job is shows when its holder has said what became of it.
        Ruling::Busy
    } else if finished {
        Ruling::Finished
    } else if known.state == State::Condemned && redrives <= known.redrives {
        Ruling::Bury
    } else if known.result {
        Ruling::Replay
    } else {
        Ruling::Run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(state: State) -> Known {
        Known { state, redrives: 1, attempt: 2, held: false, result: false }
    }

    #[test]
    fn an_unknown_job_runs() {
        assert_eq!(rule(None, 0, 0), Ruling::Run);
    }

    #[test]
    fn a_done_job_never_runs_again() {
        for (redrives, attempt) in [(0, 9), (1, 2), (1, 3), (2, 0)] {
            assert_eq!(rule(Some(known(State::Done)), redrives, attempt), Ruling::Finished);
        }
    }

    #[test]
    fn a_dead_or_discarded_job_runs_again_only_by_a_redrive() {
        for state in [State::Dead, State::Discarded] {
            let dead = known(state);
            assert_eq!(rule(Some(dead), 1, 2), Ruling::Finished);
            assert_eq!(rule(Some(dead), 1, 3), Ruling::Finished);
            assert_eq!(rule(Some(dead), 2, 0), Ruling::Run);
            assert_eq!(rule(Some(Known { result: true, ..dead }), 2, 0), Ruling::Replay);
        }
    }

    #[test]
    fn only_what_is_done_or_discarded_is_over() {
        let over: Vec<_> = State::ALL.into_iter().filter(|state| state.is_over()).collect();
        assert_eq!(over, [State::Done, State::Discarded]);
    }

    #[test]
    fn a_record_that_was_sent_on_is_finished_whatever_became_of_the_job() {
        for state in State::ALL {
            let known = Some(known(state));
            assert_eq!(rule(known, 1, 1), Ruling::Finished, "{state:?}");
            assert_eq!(rule(known, 0, 7), Ruling::Finished, "{state:?}");
        }
    }

    #[test]
    fn a_held_lease_keeps_every_other_copy_waiting() {
        for state in [State::Running, State::Stored, State::Condemned] {
            let held = Some(Known { held: true, result: state == State::Stored, ..known(state) });
            assert_eq!(rule(held, 1, 2), Ruling::Busy);
            assert_eq!(rule(held, 1, 3), Ruling::Busy);
            assert_eq!(rule(held, 2, 0), Ruling::Busy);
            assert_eq!(rule(held, 0, 7), Ruling::Busy, "where it is shows when its holder is done with it");
        }
    }

    #[test]
    fn what_nobody_holds_runs_or_is_replayed() {
        for state in [State::Running, State::Stored, State::Waiting, State::Parked, State::Released] {
            let leased = matches!(state, State::Running | State::Stored);
            for (redrives, attempt) in [(1, 2), (1, 3), (2, 0)] {
                let without = Known { held: !leased, ..known(state) };
                assert_eq!(rule(Some(without), redrives, attempt), Ruling::Run);
                let with = Known { result: true, ..without };
                assert_eq!(rule(Some(with), redrives, attempt), Ruling::Replay);
            }
        }
    }

    #[test]
    fn a_condemned_job_is_buried_and_runs_again_only_by_a_redrive() {
        for result in [false, true] {
            let condemned = Some(Known { result, ..known(State::Condemned) });
            assert_eq!(rule(condemned, 1, 2), Ruling::Bury);
            assert_eq!(rule(condemned, 1, 3), Ruling::Bury);
            assert_eq!(rule(condemned, 2, 0), if result { Ruling::Replay } else { Ruling::Run });
        }
    }

    #[test]
    fn every_state_reads_back_from_its_word() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("asleep"), None);
    }
}
