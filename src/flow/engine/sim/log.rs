//! What stands in Kafka's logs: records with their place, in transactions or not, and markers of transactions.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::flow::engine::Lane;
use crate::message::TopicPartition;

/// A partition and an offset.
pub type Place = (TopicPartition, i64);

pub fn input(family: i32) -> TopicPartition {
    TopicPartition::new("in", family)
}

pub fn rung(rung: usize, family: i32) -> TopicPartition {
    TopicPartition::new(format!("rung{rung}"), family)
}

pub fn redrive(family: i32) -> TopicPartition {
    TopicPartition::new("redrive", family)
}

pub fn park(family: i32) -> TopicPartition {
    TopicPartition::new("park", family)
}

pub fn letters() -> TopicPartition {
    TopicPartition::new("dlq", 0)
}

pub fn output(partition: i32) -> TopicPartition {
    TopicPartition::new("out", partition)
}

/// What kind of partition of the stage it is.
pub fn lane(name: &TopicPartition) -> Lane {
    match &*name.topic {
        "in" => Lane::Input,
        "redrive" => Lane::Redrive,
        "park" => Lane::Park,
        _ => Lane::Rung,
    }
}

/// The partitions that come and go with an input partition, itself first.
pub fn family(family: i32, rungs: usize) -> Vec<TopicPartition> {
    let rungs = (0..rungs).map(|n| rung(n, family));
    [input(family)].into_iter().chain(rungs).chain([redrive(family), park(family)]).collect()
}

/// A record of the input, or of a satellite, with what its control block says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Which record of the input it is.
    pub rec: usize,
    pub job: usize,
    pub attempt: u32,
    pub redrives: u32,
    pub due: Option<Timestamp>,
    pub first_failure: Option<Timestamp>,
    pub discard: bool,
}

/// What stands at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Copy(Copy),
    Output {
        copy: Copy,
        child: usize,
    },
    Letter(Copy),
    /// A marker of a transaction, or a hole that compaction left.
    Nothing,
}

/// How a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Open,
    Committed,
    Aborted,
}

#[derive(Clone, Debug)]
struct Entry {
    what: What,
    txn: Option<usize>,
}

/// One partition.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    /// The first offset of each transaction that has no marker here yet.
    open: BTreeMap<usize, i64>,
    fates: BTreeMap<usize, Fate>,
}

impl Log {
    pub fn end(&self) -> i64 {
        self.entries.len() as i64
    }

    /// Readers of what is committed come no further.
    pub fn stable_end(&self) -> i64 {
        self.open.values().min().copied().unwrap_or(self.end())
    }

    pub fn append(&mut self, what: What, txn: Option<usize>) -> i64 {
        let offset = self.end();
        self.entries.push(Entry { what, txn });
        if let Some(txn) = txn {
            self.open.entry(txn).or_insert(offset);
        }
        offset
    }

    /// The transaction's end is written here.
    pub fn mark(&mut self, txn: usize, fate: Fate) {
        if self.open.remove(&txn).is_some() {
            self.fates.insert(txn, fate);
            self.entries.push(Entry { what: What::Nothing, txn: None });
        }
    }

    /// What a reader sees there.
    pub fn visible(&self, offset: i64) -> Option<&What> {
        let entry = self.entries.get(usize::try_from(offset).ok()?).filter(|_| offset < self.stable_end())?;
        let committed = entry.txn.is_none_or(|txn| self.fates.get(&txn) == Some(&Fate::Committed));
        Some(&entry.what).filter(|what| committed && **what != What::Nothing)
    }

    /// All that a reader sees.
    pub fn all_visible(&self) -> impl Iterator<Item = (i64, &What)> {
        (0..self.stable_end()).filter_map(|offset| Some((offset, self.visible(offset)?)))
    }
}
