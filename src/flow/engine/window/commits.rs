//! Which offsets have ended, and what may be committed.

use super::{SlotId, Window};
use crate::flow::engine::Lane;
use crate::flow::offsets::Position;
use crate::message::TopicPartition;

impl Window {
    /// The record reached a durable end; it may still be held.
    pub fn end_offset(&mut self, id: SlotId) {
        if let Some(slot) = self.slots.get(&id)
            && let Some(p) = self.partitions.get_mut(&slot.partition)
        {
            p.offsets.end(slot.offset);
            self.dirty.insert(slot.partition.clone());
        }
    }

    /// The transaction in which it was to end was aborted.
    pub fn reopen_offset(&mut self, id: SlotId) {
        if let Some(slot) = self.slots.get(&id)
            && let Some(p) = self.partitions.get_mut(&slot.partition)
        {
            p.offsets.reopen(slot.offset);
        }
    }

    /// Everything below `offset` was polled or is no record.
    pub fn caught_up(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(p) = self.partitions.get_mut(partition) {
            p.offsets.silent(offset);
            self.dirty.insert(partition.clone());
            if p.lane == Lane::Input {
                let family = p.family;
                self.has_read(family, offset);
                let early = self.order.as_mut().map(|order| order.has_read_all(family));
                early.into_iter().flatten().for_each(|slot| self.advance(Some(slot)));
            }
        }
    }

    /// Everything below this offset of a family's input was read or is no record.
    pub(super) fn has_read(&mut self, family: i32, below: i64) {
        if self.begun.get(&family).is_some_and(|last| *last < below) {
            self.begun.remove(&family);
        }
        let early = self.order.as_mut().map(|order| order.has_read(family, below));
        early.into_iter().flatten().for_each(|slot| self.advance(Some(slot)));
    }

    /// What may be committed now and was not handed out before.
    pub fn commits(&mut self) -> Vec<(TopicPartition, Position)> {
        let dirty = std::mem::take(&mut self.dirty);
        let ends_for_good = self.ends_for_good;
        let commit = |name: TopicPartition| {
            let offsets = &mut self.partitions.get_mut(&name)?.offsets;
            let position = if ends_for_good { offsets.commit_for_good() } else { offsets.commit() };
            Some((name, position?))
        };
        dirty.into_iter().filter_map(commit).collect()
    }

    /// What was handed out for this partition was not committed, or is to be committed again.
    pub fn hand_out_again(&mut self, partition: &TopicPartition) {
        if let Some(p) = self.partitions.get_mut(partition) {
            p.offsets.unhand();
            self.dirty.insert(partition.clone());
        }
    }

    /// Whether something has ended in one of these partitions that was not handed out for committing.
    pub fn is_dirty_in(&self, partitions: &[TopicPartition]) -> bool {
        partitions.iter().any(|name| self.dirty.contains(name))
    }

    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether a partition is read no further until what has ended in it is committed.
    pub fn wants_a_commit(&self) -> bool {
        self.dirty.iter().any(|name| self.partitions.get(name).is_some_and(|p| p.offsets.wants_a_commit()))
    }
}
