//! Dead letters that look alike, and counts of them. Plain data.

use jiff::Timestamp;
use serde::Serialize;

use super::{Remarks, State, Tokens, TokensOf};

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
    /// Different ones.
    pub resources: u64,
    pub bytes: u64,
    /// What they have taken of providers; absent where it is known of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The death of the oldest one that is open or being redriven.
    pub oldest_open: Option<Timestamp>,
    /// The same of those that nobody has looked at.
    pub oldest_unseen: Option<Timestamp>,
    /// The earliest of the times that Kafka counts the retention of open ones from.
    pub oldest_record: Option<Timestamp>,
    /// What was said of the group as a whole.
    #[serde(flatten)]
    pub remarks: Remarks,
    /// When its cause was said to be removed, and whether a letter died after that.
    pub resolved_at: Option<Timestamp>,
    pub regressed: bool,
}

/// Where a group is, in one word: where its letters are, of those that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// Somebody has to look at some of them.
    Open,
    /// The same, and one died after the group was said to be resolved.
    Regressed,
    /// Some were sent back, and nobody knows yet what became of them.
    Redriving,
    /// Nothing is left to do.
    Resolved,
    /// All were given up.
    Discarded,
    /// Kafka deleted all before anybody did anything.
    Expired,
}

impl GroupState {
    pub fn as_str(self) -> &'static str {
        match self {
            GroupState::Open => "open",
            GroupState::Regressed => "regressed",
            GroupState::Redriving => "redriving",
            GroupState::Resolved => "resolved",
            GroupState::Discarded => "discarded",
            GroupState::Expired => "expired",
        }
    }
}

impl Group {
    pub fn state(&self) -> GroupState {
        let has = |wanted: State| self.states.iter().any(|(state, _)| *state == wanted);
        let is_all = |wanted: State| self.states.iter().all(|(state, _)| *state == wanted);
        match () {
            () if has(State::Open) && self.regressed => GroupState::Regressed,
            () if has(State::Open) => GroupState::Open,
            () if has(State::Redriving) => GroupState::Redriving,
            () if is_all(State::Discarded) => GroupState::Discarded,
            () if is_all(State::Expired) => GroupState::Expired,
            () => GroupState::Resolved,
        }
    }
}

/// How much of what was asked for has this value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Share {
    /// `None` for those that have none.
    pub value: Option<String>,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// What they have taken of providers; absent where it is known of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The same by stage, since each stage asks its own model.
    #[serde(skip)]
    pub by_stage: Vec<TokensOf>,
}

/// Deaths of one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Bucket {
    pub hour: Timestamp,
    pub count: u64,
}

/// A stretch of time in equal parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    pub from: Timestamp,
    /// Milliseconds of a part.
    pub part_ms: i64,
    pub parts: usize,
}

impl Stretch {
    /// From one time up to another, or a little beyond, since parts have whole milliseconds.
    pub fn between(from: Timestamp, to: Timestamp, parts: usize) -> Self {
        let length = to.as_millisecond().saturating_sub(from.as_millisecond()).max(1);
        let count = i64::try_from(parts).unwrap_or(i64::MAX).max(1);
        let part_ms = length / count + i64::from(length % count > 0);
        Self { from, part_ms, parts }
    }

    /// So many whole hours, the last of which is the one that it is now.
    pub fn of_hours(now: Timestamp, hours: u16) -> Self {
        const HOUR: i64 = 3_600_000;
        let first = now.as_millisecond().div_euclid(HOUR) - i64::from(hours) + 1;
        let from = Timestamp::from_millisecond(first.saturating_mul(HOUR)).unwrap_or(Timestamp::MIN);
        Self { from, part_ms: HOUR, parts: hours.into() }
    }

    /// Up to, and without, this time.
    pub fn to(&self) -> Timestamp {
        let length = self.part_ms.saturating_mul(i64::try_from(self.parts).unwrap_or(i64::MAX));
        let end = self.from.as_millisecond().saturating_add(length);
        Timestamp::from_millisecond(end).unwrap_or(Timestamp::MAX)
    }

    /// The part in which this time is, milliseconds since 1970.
    pub fn part_of(&self, time: i64) -> Option<usize> {
        let since = time.checked_sub(self.from.as_millisecond())?;
        let part = usize::try_from(since.div_euclid(self.part_ms.max(1))).ok()?;
        (part < self.parts).then_some(part)
    }
}

#[cfg(test)]
mod tests;
