//! What the thread of librdkafka and the worker both see: flags, and the partitions that are ours with what is known
//! of them. Nothing is decided here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::statistics::Statistics;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::Notify;

use crate::message::TopicPartition;

/// See the module.
#[derive(Default)]
pub struct Shared {
    pub news: Notify,
    pub closing: AtomicBool,
    pub broken: AtomicBool,
    pub commit_failed: AtomicBool,
    pub unreachable: AtomicBool,
    /// Why Kafka does not let us read, since it was asked last.
    pub refusal: Mutex<Option<String>>,
    /// `None` for a partition that was ours and is no longer.
    partitions: Mutex<BTreeMap<TopicPartition, Option<Ours>>>,
}

/// A partition that is assigned to us.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The partition of the input that it follows.
    pub input: TopicPartition,
    /// As far as we know.
    pub committed: Option<i64>,
    /// First offset there is and the one after the last that may be read, as of the last statistics.
    bounds: Option<(i64, i64)>,
    /// What `reached` said last.
    reached: Option<i64>,
}

impl Ours {
    pub fn new(input: TopicPartition, committed: Option<i64>) -> Self {
        Self { input, committed, bounds: None, reached: None }
    }

    /// Before the first commit of the group, everything there is counts.
    fn lag(&self) -> i64 {
        let (first, end) = self.bounds.unwrap_or_default();
        (end - self.committed.unwrap_or(first).max(first)).max(0)
    }
}

impl Shared {
    /// The consumer cannot go on; its stage ends.
    pub fn fail(&self, why: &str) {
        tracing::error!("the consumer cannot go on: {why}");
        self.broken.store(true, Ordering::Release);
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// These are ours from now on.
    pub fn take(&self, partitions: impl IntoIterator<Item = (TopicPartition, Ours)>) {
        self.all().extend(partitions.into_iter().map(|(name, ours)| (name, Some(ours))));
    }

    /// These no longer are.
    pub fn let_go(&self, names: &[TopicPartition]) {
        self.all().extend(names.iter().map(|name| (name.clone(), None)));
    }

    /// Our partitions with the partition of the input that each follows.
    pub fn ours(&self) -> BTreeMap<TopicPartition, TopicPartition> {
        let all = self.all();
        all.iter().filter_map(|(name, ours)| Some((name.clone(), ours.as_ref()?.input.clone()))).collect()
    }

    /// One of these that is not ours.
    pub fn not_ours<'a>(
        &self,
        mut names: impl Iterator<Item = &'a TopicPartition>,
    ) -> Option<&'a TopicPartition> {
        let all = self.all();
        names.find(|name| !matches!(all.get(*name), Some(Some(_))))
    }

    /// Kafka has these as committed.
    pub fn note_commit(&self, offsets: &TopicPartitionList) {
        let mut all = self.all();
        for element in offsets.elements().iter().filter(|element| element.error().is_ok()) {
            let name = TopicPartition::new(element.topic(), element.partition());
            if let (Some(Some(ours)), Offset::Offset(offset)) = (all.get_mut(&name), element.offset()) {
                ours.committed = Some(offset);
            }
        }
    }

    /// Those of these positions that are new.
    pub fn reached(&self, positions: Vec<(TopicPartition, i64)>) -> Vec<(TopicPartition, i64)> {
        let mut all = self.all();
        let is_new = |(name, position): &(TopicPartition, i64)| match all.get_mut(name) {
            Some(Some(ours)) => ours.reached.replace(*position) != Some(*position),
            _ => false,
        };
        positions.into_iter().filter(is_new).collect()
    }

    /// Records between the committed offset and the end; 0 for what is no longer ours.
    pub fn lag(&self) -> BTreeMap<TopicPartition, i64> {
        self.all().iter().map(|(name, ours)| (name.clone(), ours.as_ref().map_or(0, Ours::lag))).collect()
    }

    /// Takes in librdkafka's statistics. Its own lag is of no use: it does not see what a transaction commits.
    pub fn observe(&self, statistics: &Statistics) {
        // The bootstrap and the group's coordinator count as brokers of their own: a member without partitions may
        // be connected to nobody else.
        let up = statistics.brokers.values().any(|broker| broker.state == "UP");
        self.unreachable.store(!up, Ordering::Release);
        let mut all = self.all();
        let ours = all.iter_mut().filter_map(|(name, ours)| Some((name, ours.as_mut()?)));
        for (name, ours) in ours {
            let topic = statistics.topics.get(&*name.topic);
            let Some(p) = topic.and_then(|t| t.partitions.get(&name.partition)) else { continue };
            let end = if p.ls_offset >= 0 { p.ls_offset } else { p.hi_offset };
            ours.bounds = (end >= 0).then_some((p.lo_offset.max(0), end));
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Option<Ours>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
