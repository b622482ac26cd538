//! What people and rules do with dead letters, as it stands on the topic of operations. Plain data.
//!
//! An act is a record of that topic with an empty key and this as JSON. It is written before it is carried out: what
//! cannot be written down does not happen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::edit::Edit;
use super::parcel::Parcel;
use super::run::{Plan, Tally};

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

/// In whose name the index writes down what it has found out.
pub const BY_INDEX: &str = "lazaret ops";

impl Act {
    /// Whether somebody did it, and not a rule or the index.
    pub fn is_by_person(&self) -> bool {
        self.by != BY_INDEX && !self.by.starts_with("rule:")
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// Sent back to the stage.
    Redriven,
    /// What became of letters that were sent back, as far as the ledger and the stage's commits tell.
    Settled {
        outcome: Outcome,
    },
    /// Given up for good.
    Discarded,
    /// Taken back from where the discarded are.
    Restored,
    /// Has another code and class from now on: in lists, filters, counts and groups. What stands in Kafka, and so the
    /// fingerprint, stays as it was; so does where the letter is.
    Reclassified {
        code: String,
        class: String,
    },
    /// The record of the letter, which is one, has another value or other headers when it is sent back. Of several edits the
    /// first counts.
    Edited {
        edit: Box<Edit>,
    },
    /// This edit, which was not sent, is taken back: the id of the act that made it.
    Unedited {
        edit: String,
    },
    /// A note on the letters, or on the group; an empty one takes it away.
    Noted {
        text: String,
    },
    /// Somebody looks after the letters, or the group; nobody, when empty.
    Assigned {
        owner: String,
    },
    /// A ticket elsewhere is about the letters, or the group; none, when empty.
    Linked {
        ticket: String,
    },
    /// Somebody has seen what is masked of the letters.
    Unmasked,
    /// A copy of each stands in this object of the archive, in this order.
    Archived {
        parcel: Box<Parcel>,
    },
    /// The object is about to be deleted.
    Unarchived {
        object: String,
    },
    /// Read out of the archive, byte for byte, and written there: to their dead letter topic, another one, or a file.
    Recalled {
        to: String,
    },
    /// The cause is taken to be removed: a letter of the group that dies later makes it regressed.
    Resolved,
    /// A redrive is planned; the operation of this act is its run. The letters of the plan follow.
    Planned {
        plan: Box<Plan>,
    },
    /// Letters of the plan, from this place on. Nothing happens to them by it.
    Enlisted {
        from: u64,
        ids: Vec<String>,
    },
    /// Somebody else than the one who planned it agrees that it is started.
    Approved,
    /// A plan is run, whatever these preconditions say.
    Started {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        overridden: Vec<String>,
        /// Whoever started it does not run it himself.
        #[serde(default)]
        detached: bool,
    },
    Paused,
    Resumed {
        #[serde(default)]
        detached: bool,
    },
    /// A run ends; what was sent is not called back.
    Cancelled,
    /// How far a run has come, from whoever runs it, from time to time: who hears nothing of it may run it instead.
    Progress {
        tally: Tally,
    },
    /// A run stopped itself; the reason says why.
    Stopped {
        tally: Tally,
    },
    /// All letters of a run have ended.
    Finished {
        tally: Tally,
    },
    /// A rule is carried out on so many letters of a stage; what is done with each is said by acts that follow.
    Swept {
        action: String,
        pipeline: String,
        stage: String,
        count: u64,
    },
}

impl Deed {
    /// Its name, as it stands in the act.
    pub fn name(&self) -> &'static str {
        match self {
            Deed::Redriven => "redriven",
            Deed::Settled { .. } => "settled",
            Deed::Discarded => "discarded",
            Deed::Restored => "restored",
            Deed::Reclassified { .. } => "reclassified",
            Deed::Edited { .. } => "edited",
            Deed::Unedited { .. } => "unedited",
            Deed::Noted { .. } => "noted",
            Deed::Assigned { .. } => "assigned",
            Deed::Linked { .. } => "linked",
            Deed::Unmasked => "unmasked",
            Deed::Archived { .. } => "archived",
            Deed::Unarchived { .. } => "unarchived",
            Deed::Recalled { .. } => "recalled",
            Deed::Resolved => "resolved",
            Deed::Planned { .. } => "planned",
            Deed::Enlisted { .. } => "enlisted",
            Deed::Approved => "approved",
            Deed::Started { .. } => "started",
            Deed::Paused => "paused",
            Deed::Resumed { .. } => "resumed",
            Deed::Cancelled => "cancelled",
            Deed::Progress { .. } => "progress",
            Deed::Stopped { .. } => "stopped",
            Deed::Finished { .. } => "finished",
            Deed::Swept { .. } => "swept",
        }
    }

    /// The object of the archive that it says something of.
    pub fn object(&self) -> Option<&str> {
        match self {
            Deed::Archived { parcel } => Some(&parcel.object),
            Deed::Unarchived { object } => Some(object),
            _ => None,
        }
    }

    /// Whether it says something of a run as a whole.
    pub fn is_of_run(&self) -> bool {
        matches!(
            self,
            Deed::Planned { .. }
                | Deed::Approved
                | Deed::Started { .. }
                | Deed::Paused
                | Deed::Resumed { .. }
                | Deed::Cancelled
                | Deed::Progress { .. }
                | Deed::Stopped { .. }
                | Deed::Finished { .. }
        )
    }
}

/// How often a letter was sent back or given up, as far as the acts on it tell; the stage may not have read the last of them yet.
pub fn times_sent<'a>(acts: impl IntoIterator<Item = &'a Act>) -> u32 {
    let is_sent = |act: &&Act| matches!(act.deed, Deed::Redriven | Deed::Discarded);
    u32::try_from(acts.into_iter().filter(is_sent).count()).unwrap_or(u32::MAX)
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
