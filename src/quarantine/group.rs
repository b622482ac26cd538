//! Dead letters that look alike, and counts of them. Plain data.

use jiff::Timestamp;
use serde::Serialize;

use super::{Remarks, State};

/// The letters with one fingerprint, of those that were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Group {
    pub fingerprint: String,
    pub pipeline: String,
    pub stage: String,
    pub code: String,
    pub class: String,
    /// Of the latest letter.
    pub message: String,
    pub count: u64,
    /// By state, those that are not 0.
    pub states: Vec<(State, u64)>,
    pub first: Timestamp,
    pub last: Timestamp,
    /// Different ones.
    pub tenants: u64,
    pub bytes: u64,
    /// What was said of the group as a whole.
    #[serde(flatten)]
    pub remarks: Remarks,
    /// When its cause was said to be removed, and whether a letter died after that.
    pub resolved_at: Option<Timestamp>,
    pub regressed: bool,
}

/// How much of what was asked for has this value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Share {
    /// `None` for those that have none.
    pub value: Option<String>,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// Deaths of one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Bucket {
    pub hour: Timestamp,
    pub count: u64,
}
