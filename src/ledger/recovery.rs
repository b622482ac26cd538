//! What a worker tells the ledger when partitions come to it, and what it learns. Plain data.
//!
//! The ledger is not part of Kafka's transaction: a process can die after the output and the offset were
//! committed and before it said so here. The committed offsets are the truth then.

use std::collections::HashMap;
use std::ops::Range;

use jiff::Timestamp;

use super::state::State;
use crate::message::TopicPartition;

/// Most jobs that one question brings back: 20 to 30 MB of memory.
pub const OUTSTANDING_MAX: usize = 200_000;

/// What Kafka has of the partitions that come to a stage's worker, read before any of their records is.
#[derive(Clone, Debug)]
pub struct Recovery {
    pub pipeline: String,
    pub stage: String,
    pub families: Vec<Family>,
    pub holding: Holding,
    pub now: Timestamp,
}

/// Which jobs hold up later records of their key, and are therefore asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// None: the stage keeps no order.
    Nothing,
    /// Those that are neither over nor dead.
    Live,
    /// Dead ones too. They may be many, and the ledger never forgets them.
    LiveAndDead,
}

/// An input partition and the partitions that follow it: of the rungs, the redrive and the parking topic.
#[derive(Clone, Debug)]
pub struct Family {
    pub input: TopicPartition,
    /// The term that began when it came, from [`Ledger::own`](super::Ledger::own).
    pub term: i64,
    /// All of them, the input among them.
    pub seen: Vec<Seen>,
}

/// What has ended in one partition.
#[derive(Clone, Debug)]
pub struct Seen {
    pub partition: TopicPartition,
    pub ended: Ended,
}

/// Offsets whose records have ended, as it was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// The committed offset: everything before it has ended.
    pub below: i64,
    /// What has ended beyond it.
    pub ranges: Vec<Range<i64>>,
}

impl Recovery {
    /// What has ended, by topic and partition.
    pub fn ended(&self) -> HashMap<(&str, i32), &Ended> {
        let seen = self.families.iter().flat_map(|family| &family.seen);
        seen.map(|seen| ((&*seen.partition.topic, seen.partition.partition), &seen.ended)).collect()
    }
}

impl Ended {
    pub fn has(&self, offset: i64) -> bool {
        offset < self.below || self.ranges.iter().any(|range| range.contains(&offset))
    }
}

/// A job that is not over. Later records of its key may have to wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    /// The input partition.
    pub partition: TopicPartition,
    /// The hash of its ordering key.
    pub order: u64,
    /// Its offset in the input partition.
    pub origin: i64,
    pub state: State,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_is_what_lies_below_the_offset_or_in_a_range() {
        let ended = Ended { below: 5, ranges: vec![7..9, 12..13] };
        let has: Vec<_> = (0..15).filter(|offset| ended.has(*offset)).collect();
        assert_eq!(has, [0, 1, 2, 3, 4, 7, 8, 12]);
    }
}
