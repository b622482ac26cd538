//! Whose turn it is among the records that are ready. Pure.
//!
//! Fresh records and those that come back from a rung take turns, so that neither a backlog nor the retries after an
//! outage starve the other. Among each of them tenants take turns, by weight; among the records of a tenant,
//! partitions do; within a partition it goes by the order in which they became ready.
//!
//! Where a stage is fair, no tenant runs more than its share while others are there, so that one whose calls are slow
//! leaves places for the rest; and what comes back from rungs keeps to a rate.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::alarm::Alarm;
use super::{Fair, SlotId, Tenant};
use crate::message::TopicPartition;

/// How long a tenant counts as there after its last record came.
const PRESENCE: Duration = Duration::from_secs(60);
/// How often those that are gone are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);
/// What the rate of the rungs allows at once: the share of a second that it had no use for.
const BURST: Duration = Duration::from_millis(100);

/// A record that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub slot: SlotId,
    pub tenant: Tenant,
    pub partition: TopicPartition,
    /// It comes from a rung.
    pub back: bool,
}

/// Records of one tenant, by partition.
#[derive(Debug, Default)]
struct Queue {
    partitions: BTreeMap<TopicPartition, VecDeque<SlotId>>,
    turns: VecDeque<TopicPartition>,
    /// Records that it may still begin in this turn.
    credit: u32,
}

/// Records of one kind, by tenant.
#[derive(Debug, Default)]
struct Line {
    queues: BTreeMap<Tenant, Queue>,
    turns: VecDeque<Tenant>,
}

#[derive(Debug)]
struct Presence {
    last: Timestamp,
    running: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Turns {
    fair: Option<Fair>,
    concurrency: usize,
    /// Time between two records from rungs.
    interval: Option<Duration>,
    fresh: Line,
    back: Line,
    /// The last one that began came from a rung.
    was_back: bool,
    /// The next one from a rung, at the rate.
    next_back: Alarm,
    present: BTreeMap<Tenant, Presence>,
    next_forget: Alarm,
}

impl Queue {
    fn push(&mut self, partition: &TopicPartition, slot: SlotId) {
        let of = self.partitions.entry(partition.clone()).or_default();
        if of.is_empty() {
            self.turns.push_back(partition.clone());
        }
        of.push_back(slot);
    }

    fn pop(&mut self) -> Option<(TopicPartition, SlotId)> {
        let partition = self.turns.pop_front()?;
        let of = self.partitions.get_mut(&partition)?;
        let slot = of.pop_front()?;
        if of.is_empty() {
            self.partitions.remove(&partition);
        } else {
            self.turns.push_back(partition.clone());
        }
        Some((partition, slot))
    }

    fn remove(&mut self, partition: &TopicPartition, slot: SlotId) {
        let Some(of) = self.partitions.get_mut(partition) else { return };
        of.retain(|other| *other != slot);
        if of.is_empty() {
            self.partitions.remove(partition);
            self.turns.retain(|turn| turn != partition);
        }
    }
}

impl Line {
    fn push(&mut self, entry: &Entry) {
        let queue = self.queues.entry(entry.tenant).or_default();
        if queue.turns.is_empty() {
            self.turns.push_back(entry.tenant);
        }
        queue.push(&entry.partition, entry.slot);
    }

    /// The next record of a tenant that may begin one.
    fn pop(&mut self, may: impl Fn(Tenant) -> bool, weight: impl Fn(Tenant) -> u32) -> Option<SlotId> {
        let at = self.turns.iter().position(|tenant| may(*tenant))?;
        let tenant = self.turns.remove(at)?;
        let queue = self.queues.get_mut(&tenant)?;
        if queue.credit == 0 {
            queue.credit = weight(tenant).max(1);
        }
        let (_, slot) = queue.pop()?;
        queue.credit -= 1;
        if queue.turns.is_empty() {
            self.queues.remove(&tenant);
        } else if queue.credit > 0 {
            self.turns.insert(at, tenant);
        } else {
            self.turns.push_back(tenant);
        }
        Some(slot)
    }

    fn remove(&mut self, entry: &Entry) {
        let Some(queue) = self.queues.get_mut(&entry.tenant) else { return };
        queue.remove(&entry.partition, entry.slot);
        if queue.turns.is_empty() {
            self.queues.remove(&entry.tenant);
            self.turns.retain(|turn| *turn != entry.tenant);
        }
    }
}

impl Turns {
    /// `rate` is how many records a second come back from rungs at most.
    pub fn new(fair: Option<Fair>, concurrency: usize, rate: Option<u32>) -> Self {
        Self {
            fair,
            concurrency,
            interval: rate.map(|rate| Duration::from_secs(1) / rate.max(1)),
            fresh: Line::default(),
            back: Line::default(),
            was_back: false,
            next_back: Alarm::on(Timestamp::UNIX_EPOCH),
            present: BTreeMap::new(),
            next_forget: Alarm::on(Timestamp::UNIX_EPOCH),
        }
    }

    pub fn push(&mut self, entry: &Entry) {
        let line = if entry.back { &mut self.back } else { &mut self.fresh };
        line.push(entry);
    }

    pub fn remove(&mut self, entry: &Entry) {
        let line = if entry.back { &mut self.back } else { &mut self.fresh };
        line.remove(entry);
    }

    /// The next record that may begin. As a `probe` it may be anybody's.
    pub fn pop(&mut self, probe: bool, now: Timestamp) -> Option<SlotId> {
        let order = if self.was_back { [false, true] } else { [true, false] };
        order.into_iter().find_map(|back| self.pop_of(back, probe, now))
    }

    fn pop_of(&mut self, back: bool, probe: bool, now: Timestamp) -> Option<SlotId> {
        if back && !self.next_back.is_due(now) {
            return None;
        }
        let may = self.capped().filter(|_| !probe);
        let weight = |tenant| self.fair.as_ref().map_or(1, |fair| fair.weight(tenant));
        let may = |tenant| may.is_none_or(|most| running(&self.present, tenant) < most);
        let line = if back { &mut self.back } else { &mut self.fresh };
        let slot = line.pop(may, weight)?;
        self.was_back = back;
        if let Some(interval) = self.interval.filter(|_| back) {
            let saved = Duration::try_from(now.duration_since(self.next_back.at())).unwrap_or_default();
            self.next_back = Alarm::after(interval, now).ahead(saved.min(BURST));
        }
        Some(slot)
    }

    /// Most records that a tenant may run, if it may not have all places.
    fn capped(&self) -> Option<usize> {
        self.fair.as_ref().filter(|_| self.is_shared()).map(|fair| fair.most(self.concurrency))
    }

    /// When one of them may begin that has nothing but time to wait for. `None`: there is none.
    pub fn next_start(&self, probe: bool) -> Option<Timestamp> {
        let most = self.capped().filter(|_| !probe);
        let may = |tenant: &Tenant| most.is_none_or(|most| running(&self.present, *tenant) < most);
        if self.fresh.turns.iter().any(may) {
            return Some(Timestamp::MIN);
        }
        self.back.turns.iter().any(may).then_some(self.next_back.at())
    }

    /// A record of this tenant has come.
    pub fn came(&mut self, tenant: Tenant, now: Timestamp) {
        if self.fair.is_none() {
            return;
        }
        self.present.entry(tenant).or_insert(Presence { last: now, running: 0 }).last = now;
        if self.next_forget.is_due(now) {
            self.next_forget = Alarm::after(FORGET_EVERY, now);
            let since = now.saturating_sub(PRESENCE).unwrap_or(Timestamp::MIN);
            self.present.retain(|_, of| of.running > 0 || of.last >= since);
        }
    }

    pub fn began(&mut self, tenant: Tenant) {
        if let Some(of) = self.present.get_mut(&tenant) {
            of.running += 1;
        }
    }

    pub fn stopped(&mut self, tenant: Tenant) {
        if let Some(of) = self.present.get_mut(&tenant) {
            of.running = of.running.saturating_sub(1);
        }
    }

    /// Whether there are others that a tenant could crowd out.
    pub fn is_shared(&self) -> bool {
        self.fair.is_some() && self.present.len() > 1
    }
}

fn running(present: &BTreeMap<Tenant, Presence>, tenant: Tenant) -> usize {
    present.get(&tenant).map_or(0, |of| of.running)
}

impl Fair {
    /// Most records of one tenant of so many places.
    pub fn most(&self, places: usize) -> usize {
        (places * usize::from(self.share) / 100).max(1)
    }

    fn weight(&self, tenant: Tenant) -> u32 {
        self.weights.get(&tenant).copied().unwrap_or(1)
    }
}
