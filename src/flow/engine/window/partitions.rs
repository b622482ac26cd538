//! Partitions that are ours: taken, drained, let go.

use std::collections::{BTreeMap, BTreeSet};

use super::{Partition, SlotId, Window};
use crate::flow::engine::order::Place;
use crate::flow::engine::{Assigned, Lane};
use crate::flow::offsets::{Committed, Offsets, Position};
use crate::message::TopicPartition;

impl Window {
    pub fn assign(&mut self, assigned: Assigned) {
        let Assigned { partition, lane, family, committed, outstanding } = assigned;
        if self.partitions.contains_key(&partition) {
            return;
        }
        if let Some(last) = outstanding.iter().map(|(_, origin)| *origin).max() {
            self.begun.insert(family, last);
        }
        if lane == Lane::Input {
            self.has_read(family, committed.as_ref().map_or(0, Committed::below));
        }
        if let Some(order) = &mut self.order {
            outstanding
                .into_iter()
                .for_each(|(key, origin)| order.outstanding(Place { family, key, origin }));
        }
        let new = Partition {
            lane,
            family,
            offsets: Offsets::resume(committed.as_ref()),
            ready: BTreeMap::new(),
            ready_in_all: 0,
            held: BTreeSet::new(),
            bytes: 0,
            bytes_leaving: 0,
            blocked: 0,
            draining: false,
        };
        self.partitions.insert(partition, new);
    }

    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.partitions.iter().filter(|(_, p)| !p.draining).map(|(name, _)| name.clone()).collect()
    }

    pub fn all(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// Lets a partition go that holds nothing any more; says what may be committed of it.
    pub fn unassign(&mut self, partition: &TopicPartition) -> Option<Position> {
        let mut gone = self.partitions.remove(partition)?;
        self.dirty.remove(partition);
        if gone.lane == Lane::Input {
            self.begun.remove(&gone.family);
            if let Some(order) = &mut self.order {
                order.disband(gone.family);
            }
        }
        gone.offsets.commit()
    }

    /// Takes nothing more from these partitions; says which of their records do not run and can be dropped.
    pub fn drain(&mut self, partitions: &[TopicPartition]) -> Vec<SlotId> {
        for partition in partitions {
            if let Some(p) = self.partitions.get_mut(partition) {
                p.draining = true;
            }
        }
        let idle = |id: &SlotId| self.slots.get(id).is_some_and(|slot| !slot.phase.is_busy());
        partitions.iter().flat_map(|partition| self.slots_of(partition)).filter(idle).collect()
    }

    /// Whether the record's partition is being drained, or the record is gone.
    pub fn drains(&self, id: SlotId) -> bool {
        self.get(id).is_none_or(|slot| self.is_draining(&slot.partition))
    }

    /// Whether it is being drained, or is not ours at all.
    pub fn is_draining(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_none_or(|p| p.draining)
    }

    pub fn slots_of(&self, partition: &TopicPartition) -> Vec<SlotId> {
        self.partitions.get(partition).map(|p| p.held.iter().copied().collect()).unwrap_or_default()
    }
}
