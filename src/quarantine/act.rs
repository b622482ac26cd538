//! What people and rules do with dead letters, as it stands on the topic of operations. Plain data.
//!
//! An act is a record of that topic with an empty key and this as JSON. It is written before it is carried out: what
//! cannot be written down does not happen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Letters of one act, at most. More are several acts of one operation.
pub const LETTERS_MAX: usize = 1000;

/// One act. Of letters, or of a group as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Act {
    /// Names the act, so that a copy of its record counts once.
    pub id: String,
    /// The operation that it is a part of: a run of redrive, a sweep, one command.
    pub operation: String,
    pub at: Timestamp,
    /// A person, or `rule:<name>`.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The letters that it concerns, by id; at most [`LETTERS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub letters: Vec<String>,
    /// The group that it concerns as a whole, by fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(flatten)]
    pub deed: Deed,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// Sent back to the stage.
    Redriven,
    /// What became of letters that were sent back, as far as the ledger and the stage's commits tell.
    Settled { outcome: Outcome },
    /// Given up for good.
    Discarded,
    /// Taken back from where the discarded are.
    Restored,
    /// Has another code and class from now on: in lists, filters, counts and groups. What stands in Kafka, and so the
    /// fingerprint, stays as it was; so does where the letter is.
    Reclassified { code: String, class: String },
    /// A note on the letters, or on the group; an empty one takes it away.
    Noted { text: String },
    /// Somebody looks after the letters, or the group; nobody, when empty.
    Assigned { owner: String },
    /// A ticket elsewhere is about the letters, or the group; none, when empty.
    Linked { ticket: String },
    /// Somebody has seen what is masked of the letters.
    Unmasked,
    /// The cause is taken to be removed: a letter of the group that dies later makes it regressed.
    Resolved,
}

/// What became of a letter that was sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its job is done.
    Succeeded,
    /// The ledger had it as done already.
    Skipped,
    /// It died again; a letter of its own says how.
    FailedAgain,
    /// It could not be sent, or nobody can say any more: it is open again.
    Returned,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Succeeded => "succeeded",
            Outcome::Skipped => "skipped",
            Outcome::FailedAgain => "failed_again",
            Outcome::Returned => "returned",
        }
    }
}
