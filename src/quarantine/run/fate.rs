//! What became of the letters of a run, one by one and in numbers. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quarantine::State;
use crate::quarantine::act::{Act, Deed, Outcome};

/// How many letters of a plan are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tally {
    /// Not sent yet.
    pub left: u64,
    /// Sent, and nobody knows what became of them.
    pub pending: u64,
    pub succeeded: u64,
    /// Dead again.
    pub failed: u64,
    /// Not run, since the ledger had them as done.
    pub skipped: u64,
    /// Deleted by Kafka before they were sent.
    pub expired: u64,
    /// Somebody else sent them back, or gave them up.
    pub elsewhere: u64,
}

impl Tally {
    pub fn add(&mut self, fate: Fate) {
        *self.of(fate) += 1;
    }

    pub fn remove(&mut self, fate: Fate) {
        let count = self.of(fate);
        *count = count.saturating_sub(1);
    }

    /// Those of which it is known how they ended in this run.
    pub fn ended(&self) -> u64 {
        self.succeeded + self.failed
    }

    pub fn sent(&self) -> u64 {
        self.pending + self.ended()
    }

    fn of(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::Left => &mut self.left,
            Fate::Pending => &mut self.pending,
            Fate::Succeeded => &mut self.succeeded,
            Fate::Failed => &mut self.failed,
            Fate::Skipped => &mut self.skipped,
            Fate::Expired => &mut self.expired,
            Fate::Elsewhere => &mut self.elsewhere,
        }
    }
}

/// What became of a letter in a run. See [`Tally`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    Left,
    Pending,
    Succeeded,
    Failed,
    Skipped,
    Expired,
    Elsewhere,
}

impl Fate {
    pub const ALL: [Fate; 7] = [
        Fate::Left,
        Fate::Pending,
        Fate::Succeeded,
        Fate::Failed,
        Fate::Skipped,
        Fate::Expired,
        Fate::Elsewhere,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Left => "left",
            Fate::Pending => "pending",
            Fate::Succeeded => "succeeded",
            Fate::Failed => "failed",
            Fate::Skipped => "skipped",
            Fate::Expired => "expired",
            Fate::Elsewhere => "elsewhere",
        }
    }

    /// `state` is the letter's, `None` when the index does not know it; `acts` are those on it, of any operation.
    pub fn of(run: &str, state: Option<State>, acts: &[Act]) -> Self {
        let (mut sent, mut skipped) = (false, false);
        for act in acts.iter().filter(|act| act.operation == run) {
            match act.deed {
                Deed::Redriven => sent = true,
                Deed::Settled { outcome: Outcome::Returned } => sent = false,
                Deed::Settled { outcome: Outcome::Skipped } => skipped = true,
                _ => {}
            }
        }
        match (state, sent) {
            (Some(State::Resolved), _) if skipped => Fate::Skipped,
            (Some(State::Resolved), true) => Fate::Succeeded,
            (Some(State::Superseded), true) => Fate::Failed,
            (Some(State::Redriving), true) => Fate::Pending,
            (Some(State::Open), _) => Fate::Left,
            (Some(State::Expired) | None, _) => Fate::Expired,
            _ => Fate::Elsewhere,
        }
    }
}
