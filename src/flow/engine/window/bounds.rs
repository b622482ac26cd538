//! How much is held: what may still be taken in, and what is held too long or too much of and goes to the parking
//! topic.

use jiff::Timestamp;

use super::{Partition, Phase, Slot, SlotId, Window};
use crate::flow::engine::{Lane, ROTATE_FULL, ROTATE_OLD};
use crate::message::TopicPartition;

/// Records of one rung or redrive partition held at the same time at most, however small they are.
const WAITING_MAX: usize = 10_000;
/// When so much of a partition's window is ready, and it is not alone, what a tenant has beyond its share is parked.
const CROWDED_PERCENT: usize = 75;
/// Of what may be held of a partition, this share may be followers of failing records at most.
const FOLLOWERS_SHARE: usize = 2;

impl Window {
    /// Bounded by number per partition, by bytes per kind of lane, and by what the offset map can hold; a partition
    /// that holds nothing may always take one record, so that waiting ones, however large, cannot starve the others.
    pub fn wants(&self, partition: &TopicPartition) -> bool {
        let Some(p) = self.partitions.get(partition).filter(|p| !p.draining) else { return false };
        let room = p.held.len() < self.limit(p) && !self.is_out_of_bytes(p) && !self.is_out_of_share(p);
        (room || p.held.is_empty()) && p.offsets.has_room() && !self.has_too_many_elsewhere(p)
    }

    pub(super) fn is_out_of_bytes(&self, p: &Partition) -> bool {
        let bytes = if p.lane == Lane::Input { self.input_bytes } else { self.other_bytes };
        bytes >= self.bytes_max
    }

    pub(super) fn limit(&self, p: &Partition) -> usize {
        match p.lane {
            Lane::Input | Lane::Park => self.per_partition,
            Lane::Rung | Lane::Redrive => WAITING_MAX,
        }
    }

    /// Those that wait are held to be served by their due times, not by their places on the rung; as many as go into
    /// the partition's share of the memory for that. What has been run makes room before it is where it goes: else no
    /// more could be served until the next transaction is committed than are held.
    fn is_out_of_share(&self, p: &Partition) -> bool {
        let waits = |p: &&Partition| p.lane.brings_back();
        waits(&p)
            && p.bytes - p.bytes_leaving
                >= self.waiting_max / self.partitions.values().filter(waits).count().max(1)
    }

    /// Records of tenants that crowd a partition of the input: those that are ready beyond a tenant's share, the latest
    /// first. Parked, they make room for the records of others behind them. That begins before the partition is full,
    /// and one by one: when it is full already, others wait until all of it is written.
    pub fn crowd(&self) -> Vec<SlotId> {
        let Some(fair) = self.fair.as_ref().filter(|_| self.turns.is_shared()) else { return Vec::new() };
        let mut crowd = Vec::new();
        for p in self.partitions.values().filter(|p| p.lane == Lane::Input && !p.draining) {
            let full = p.held.len() >= self.limit(p) || self.is_out_of_bytes(p);
            let many = self.limit(p) * CROWDED_PERCENT / 100;
            let mut left = if full { usize::MAX } else { p.ready_in_all.saturating_sub(many) };
            if left == 0 {
                continue;
            }
            let most = fair.most(self.limit(p));
            for ready in p.ready.values() {
                let beyond = ready.len().saturating_sub(most).min(left);
                crowd.extend(ready.iter().rev().take(beyond));
                left -= beyond;
            }
        }
        crowd
    }

    /// What had begun before this assignment is read whatever the number: those elsewhere may wait for it.
    fn has_too_many_elsewhere(&self, p: &Partition) -> bool {
        let elsewhere = self.order.as_ref().map_or(0, |order| order.elsewhere(p.family));
        p.lane == Lane::Input && !self.begun.contains_key(&p.family) && elsewhere >= self.outstanding_max
    }

    /// Records to be parked: of the followers that are held, those beyond this number whose key has an earlier record
    /// that is elsewhere or waits. The latest go first. Followers of a healthy record are never parked: they wait for
    /// it as their partition's backlog does. On a rung the one they wait for may stand behind them.
    pub fn surplus(&self, followers: usize) -> Vec<SlotId> {
        let mut surplus = Vec::new();
        for p in self.partitions.values().filter(|p| p.lane != Lane::Park && !p.draining) {
            let most = if self.is_out_of_bytes(p) || self.is_out_of_share(p) {
                0
            } else {
                followers.min(self.limit(p) / FOLLOWERS_SHARE)
            };
            let sick = |id: &SlotId| {
                let slot = self.slots.get(id).filter(|slot| slot.phase == Phase::Blocked);
                slot.is_some_and(|slot| self.is_behind_a_sick_one(slot))
            };
            let more = p.blocked.saturating_sub(most);
            surplus.extend(p.held.iter().rev().copied().filter(sick).take(more));
        }
        surplus
    }

    fn is_behind_a_sick_one(&self, slot: &Slot) -> bool {
        let Some((order, place)) = self.order.as_ref().zip(slot.place) else { return false };
        let waits = |first: SlotId| {
            self.slots.get(&first).is_some_and(|first| matches!(first.phase, Phase::Waiting(_)))
        };
        order.waits_for_absent(place) || order.first(place).is_some_and(waits)
    }

    /// When the longest blocked record of a full parking partition, or one that has been here for very long, is to go
    /// to the end of its topic.
    pub fn next_rotation(&self) -> Option<(Timestamp, SlotId)> {
        let parks =
            self.partitions.values().filter(|p| p.lane == Lane::Park && !p.draining && p.blocked != 0);
        let rotations = parks.filter_map(|p| {
            let blocked = |id: &&SlotId| self.slots.get(id).is_some_and(|slot| slot.phase == Phase::Blocked);
            let id = *p.held.iter().find(blocked)?;
            let full = p.held.len() >= self.limit(p) || self.is_out_of_bytes(p);
            let stay = if full { ROTATE_FULL } else { ROTATE_OLD };
            Some((self.slots.get(&id)?.since.saturating_add(stay).ok()?, id))
        });
        rotations.min()
    }
}
