//! Which acts are meant, and pages of them: who did what, when and why. Plain data.

use jiff::Timestamp;

use super::act::Act;

/// Absent conditions let everything through; all that are there must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActFilter {
    /// Acts that name this letter.
    pub letter: Option<String>,
    /// Acts on this group as a whole.
    pub group: Option<String>,
    pub operation: Option<String>,
    /// Who did it.
    pub by: Option<String>,
    /// Done at or after this time, in milliseconds.
    pub since: Option<Timestamp>,
    /// Done before this time, in milliseconds.
    pub until: Option<Timestamp>,
}

impl ActFilter {
    /// What the stores' conditions mean.
    pub fn matches(&self, act: &Act) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        let (since, until) = self.span();
        self.letter.as_ref().is_none_or(|letter| act.letters.contains(letter))
            && is(&self.group, act.group.as_deref())
            && is(&self.operation, Some(&act.operation))
            && is(&self.by, Some(&act.by))
            && (since..until).contains(&act.at.as_millisecond())
    }

    /// From the first up to, and without, the second, in milliseconds since 1970.
    pub fn span(&self) -> (i64, i64) {
        let since = self.since.map_or(i64::MIN, Timestamp::as_millisecond);
        (since, self.until.map_or(i64::MAX, Timestamp::as_millisecond))
    }
}

/// Where a page of acts ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActCursor {
    /// On the topic of operations.
    pub offset: i64,
    pub id: String,
}

/// A page of acts, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActPage {
    pub acts: Vec<Act>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ActCursor>,
}
