//! Where a job is, from what was seen of it in Kafka and in the ledger. Pure.

use serde::Serialize;

use crate::flow::engine::Lane;
use crate::ledger::State;

/// What was seen of one job in one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Its first record on the input; `None` when Kafka has deleted it.
    pub input: Option<Input>,
    /// The lane on which a copy of it had not ended when the look began.
    pub open: Option<Lane>,
    /// Copies on rungs and the parking topic that had not ended when the look ended.
    pub copies: u32,
    /// The least number of redrives that one of these copies has.
    pub copy_redrives: Option<u32>,
    /// Records that came of it in the next topic.
    pub outputs: u32,
    /// One of them stands there twice.
    pub output_twice: bool,
    /// Redrives before its latest dead letter.
    pub died: Option<u32>,
    /// A dead letter of it stands in its topic twice.
    pub letter_twice: bool,
    /// The most redrives that are known of it.
    pub redrives: u32,
    pub ledger: Option<State>,
}

/// A record on a stage's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: Option<i64>,
    /// Whether the group's committed position said so when the look began.
    pub ended: bool,
}

/// What can be known of a stage's jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The stage may end a job without sending anything on.
    pub may_send_nothing: bool,
    /// Kafka has deleted records of this time (ms since 1970) or before from the next topic.
    pub outputs_from: Option<i64>,
    /// The same of the dead letter topic.
    pub letters_from: Option<i64>,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Done,
    /// Being worked on, or about to be told to the ledger.
    InFlight,
    /// Not read yet, or given back.
    Unread,
    /// On a rung.
    Waiting,
    Parked,
    /// On the redrive topic.
    Redriven,
    Dead,
    Discarded,
    /// Kafka has deleted what would tell.
    Beyond,
    Missing,
}

impl Place {
    pub const ALL: [Place; 10] = [
        Place::Done,
        Place::InFlight,
        Place::Unread,
        Place::Waiting,
        Place::Parked,
        Place::Redriven,
        Place::Dead,
        Place::Discarded,
        Place::Beyond,
        Place::Missing,
    ];
}

impl Job {
    /// Whether it belongs to the stage at all. The next topic may hold records of others.
    pub fn is_known(&self) -> bool {
        self.input.is_some()
            || self.open.is_some()
            || self.copies > 0
            || self.died.is_some()
            || self.is_unfinished()
    }

    /// Whether it has to be somewhere: it stands on the input, or is not over. What is over and older than the
    /// input's retention is nobody's question any more.
    pub fn counts(&self) -> bool {
        self.input.is_some() || self.open.is_some() || self.is_unfinished()
    }

    fn is_unfinished(&self) -> bool {
        self.ledger.is_some_and(|state| !state.is_over() && state != State::Dead)
    }

    /// Where it is, and of a missing one, how that is known.
    pub fn place(&self, sight: &Sight) -> (Place, &'static str) {
        let held = matches!(self.ledger, Some(State::Running | State::Stored | State::Condemned));
        let place = match self.open {
            Some(_) if held => Place::InFlight,
            Some(Lane::Park) => Place::Parked,
            Some(Lane::Redrive) => Place::Redriven,
            Some(Lane::Rung | Lane::Input) => Place::Waiting,
            None if self.input.is_some_and(|input| !input.ended) => self.not_ended(),
            None => return self.ended(sight),
        };
        (place, "")
    }

    /// Its record has been read or will be, and its offset counts as open: only the ledger knows more.
    fn not_ended(&self) -> Place {
        match self.ledger {
            None | Some(State::Released) => Place::Unread,
            Some(State::Running | State::Stored | State::Condemned) => Place::InFlight,
            Some(State::Waiting) => Place::Waiting,
            Some(State::Parked) => Place::Parked,
            Some(State::Done) => Place::Done,
            Some(State::Dead) => Place::Dead,
            Some(State::Discarded) => Place::Discarded,
        }
    }

    /// Kafka holds nothing of it that is still to be worked on.
    fn ended(&self, sight: &Sight) -> (Place, &'static str) {
        let buried = self.died.is_some_and(|redrives| redrives >= self.redrives);
        let place = match self.ledger {
            _ if self.outputs > 0 => Place::Done,
            Some(State::Discarded) => Place::Discarded,
            Some(State::Done) if sight.may_send_nothing => Place::Done,
            Some(State::Stored) if sight.may_send_nothing => Place::InFlight,
            _ if buried => Place::Dead,
            Some(State::Dead) if self.is_beyond(sight.letters_from) => Place::Dead,
            Some(State::Dead) => {
                return (Place::Missing, "the ledger says dead, and there is no such dead letter");
            }
            Some(State::Done) if self.is_beyond(sight.outputs_from) => Place::Beyond,
            Some(State::Done) => {
                return (Place::Missing, "the ledger says done, and nothing of it is in the next topic");
            }
            Some(State::Waiting) => {
                return (
                    Place::Missing,
                    "the ledger says that it waits on a rung, and no copy of it waits there",
                );
            }
            Some(State::Parked) => {
                return (Place::Missing, "the ledger says that it is parked, and no copy of it is there");
            }
            Some(State::Running | State::Stored | State::Condemned | State::Released) => {
                return (
                    Place::Missing,
                    "its offset is committed, and the ledger says that it has not ended",
                );
            }
            None if self.is_beyond(sight.outputs_from.max(sight.letters_from)) => Place::Beyond,
            None => return (Place::Missing, "its offset is committed, and nothing tells what became of it"),
        };
        (place, "")
    }

    /// Whether what came of it may have been deleted already.
    fn is_beyond(&self, from: Option<i64>) -> bool {
        let written = self.input.and_then(|input| input.timestamp);
        from.is_some_and(|from| written.is_none_or(|written| written <= from))
    }

    /// What stands twice that should stand once.
    pub fn doubled(&self) -> Option<&'static str> {
        let died_after = |redrives: Option<u32>| self.died.zip(redrives).is_some_and(|(died, of)| died >= of);
        Some(match () {
            () if self.output_twice => "an output of it stands twice in the next topic",
            () if self.letter_twice => "its dead letter stands twice",
            () if self.copies > 1 => "two copies of it wait on the stage's own topics",
            () if self.copies > 0 && self.outputs > 0 => "it is done, and a copy of it waits",
            () if self.copies > 0 && died_after(self.copy_redrives) => "it is dead, and a copy of it waits",
            () if self.outputs > 0 && died_after(Some(self.redrives)) => {
                "it is done and dead, and was not redriven"
            }
            () => return None,
        })
    }
}

#[cfg(test)]
mod tests;
