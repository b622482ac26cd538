//! Dead letters and groups of them as the index has them, each with who looks after it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::care::Care;
use super::price::{Money, Spender as _, money};
use crate::config::Config;
use crate::quarantine::{Cursor, Filter, Group, GroupState, Known, Quarantine, QuarantineError, Stretch};

/// Parts of a trend.
const PARTS: u16 = 24;

/// A dead letter, where it is, and who looks after it.
#[derive(Clone, Debug, Serialize)]
pub struct Letter {
    #[serde(flatten)]
    pub known: Known,
    pub care: Care,
    /// What its tokens cost; absent where they or their price are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

impl Letter {
    pub fn new(config: &Config, known: Known, now: Timestamp) -> Self {
        Self { care: Care::of_letter(config, &known, now), cost: money(config, known.parts()), known }
    }
}

/// A page of dead letters.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// The latest death first.
    pub letters: Vec<Letter>,
    /// Letters that pass, shown or not.
    pub count: u64,
    /// Where the next page begins; absent at the end.
    pub next: Option<Cursor>,
}

/// A group, where it is, how it grows, and who looks after it.
#[derive(Clone, Debug, Serialize)]
pub struct Heap {
    #[serde(flatten)]
    pub group: Group,
    pub state: GroupState,
    /// Deaths in each part of the stretch.
    pub trend: Vec<u64>,
    pub care: Care,
    /// What the tokens of its letters cost, as far as those are known; absent where none are, or their price is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// Groups, and what their trends are about.
#[derive(Clone, Debug, Serialize)]
pub struct Groups {
    /// The one with the latest death first.
    pub groups: Vec<Heap>,
    pub trend: Stretch,
}

/// The letters that pass, from the cursor on.
pub async fn letters(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    filter: &Filter,
    after: Option<&Cursor>,
    limit: usize,
    now: Timestamp,
) -> Result<Listing, QuarantineError> {
    let page = index.list(filter, after, limit).await?;
    let letter = |known: Known| Letter::new(config, known, now);
    Ok(Listing {
        letters: page.letters.into_iter().map(letter).collect(),
        count: index.count(filter).await?,
        next: page.next,
    })
}

/// The groups of what passes. Their trends are those of the time that the filter names, or of the last 24 hours.
pub async fn groups(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    filter: &Filter,
    limit: usize,
    now: Timestamp,
) -> Result<Groups, QuarantineError> {
    let trend = stretch(filter, now);
    let groups = index.groups(filter, limit).await?;
    let mut trends = index.trends(filter, &trend).await?;
    let none = || vec![0; trend.parts];
    let heap = |group: Group| Heap {
        state: group.state(),
        trend: trends.remove(&group.fingerprint).unwrap_or_else(none),
        care: Care::of_group(config, &group, now),
        cost: money(config, group.parts()),
        group,
    };
    Ok(Groups { groups: groups.into_iter().map(heap).collect(), trend })
}

fn stretch(filter: &Filter, now: Timestamp) -> Stretch {
    let end = filter.until.unwrap_or(now);
    match filter.since {
        Some(since) => Stretch::between(since, end, PARTS.into()),
        None => Stretch::of_hours(end, PARTS),
    }
}
