//! Where a dead letter is, as a function of what was done with it and of what became of its job. Pure: the order in
//! which topics were read does not matter.

use serde::{Deserialize, Serialize};

use super::act::{Act, Deed, Outcome};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Somebody has to look at it.
    Open,
    /// Sent back; nobody knows yet what became of it.
    Redriving,
    /// Sent back, and its job is done.
    Resolved,
    /// Sent back, and its job died again: the later letter is the one to look at.
    Superseded,
    /// Given up by a named person or rule.
    Discarded,
    /// Kafka deleted it before anybody did anything.
    Expired,
}

impl State {
    pub const ALL: [State; 6] = [
        State::Open,
        State::Redriving,
        State::Resolved,
        State::Superseded,
        State::Discarded,
        State::Expired,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Redriving => "redriving",
            State::Resolved => "resolved",
            State::Superseded => "superseded",
            State::Discarded => "discarded",
            State::Expired => "expired",
        }
    }

    /// `acts` are those on this letter, in the order of their topic. `died_again`: the index has a later letter of the
    /// same job and stage, one that was redriven more often. `gone`: it is no longer on its topic.
    pub fn of<'a>(acts: impl IntoIterator<Item = &'a Act>, died_again: bool, gone: bool) -> Self {
        let state = acts.into_iter().fold(State::Open, |state, act| match (&act.deed, state) {
            (Deed::Redriven, _) => State::Redriving,
            (Deed::Settled { outcome: Outcome::Succeeded | Outcome::Skipped }, _) => State::Resolved,
            (Deed::Settled { outcome: Outcome::FailedAgain }, _) => State::Superseded,
            (Deed::Settled { outcome: Outcome::Returned }, _) | (Deed::Restored, State::Discarded) => {
                State::Open
            }
            (Deed::Discarded, _) => State::Discarded,
            (_, state) => state,
        });
        match state {
            // That it died again is known from Kafka, whatever was noted or not.
            State::Open | State::Redriving | State::Resolved if died_again => State::Superseded,
            State::Open if gone => State::Expired,
            state => state,
        }
    }
}
