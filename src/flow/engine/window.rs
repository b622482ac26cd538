//! The records a stage holds, by partition: which are ready, which wait, what may be committed. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::{Arrival, Lane, Publish, SlotId};
use crate::flow::ladder::Past;
use crate::flow::offsets::{Offsets, Read};
use crate::message::TopicPartition;

/// Records of one rung or redrive partition held at the same time, most of them waiting.
const WAITING_WINDOW: usize = 64;

/// What a held record is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Ready,
    Waiting(Timestamp),
    Running,
    Publishing(Publish),
    /// Kafka did not take it; it is tried again.
    Stuck(Publish),
}

/// A held record.
#[derive(Clone, Debug)]
pub struct Slot {
    pub partition: TopicPartition,
    pub offset: i64,
    pub size: usize,
    pub past: Past,
    pub phase: Phase,
}

#[derive(Debug)]
struct Partition {
    lane: Lane,
    offsets: Offsets,
    /// Handed out last for committing.
    committed: Option<i64>,
    ready: VecDeque<SlotId>,
    held: BTreeSet<SlotId>,
    draining: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Window {
    per_partition: usize,
    bytes_max: usize,
    input_bytes: usize,
    other_bytes: usize,
    slots: BTreeMap<SlotId, Slot>,
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Partitions with ready records, in the order of their turns.
    turns: VecDeque<TopicPartition>,
    waiting: BTreeSet<(Timestamp, SlotId)>,
    stuck: BTreeSet<SlotId>,
    running: usize,
    /// Publishing or stuck: these hold outputs.
    leaving: usize,
    dirty: bool,
}

impl Partition {
    /// The offset alone, as long as no map is committed; one that goes back waits until it has come forward again.
    fn commit(&mut self) -> Option<i64> {
        let offset = self.offsets.commit()?.offset;
        let new = self.committed.is_none_or(|committed| committed < offset);
        new.then(|| *self.committed.insert(offset))
    }
}

impl Phase {
    fn is_leaving(&self) -> bool {
        matches!(self, Phase::Publishing(_) | Phase::Stuck(_))
    }
}

impl Window {
    pub fn new(per_partition: usize, bytes_max: usize) -> Self {
        Self {
            per_partition,
            bytes_max,
            input_bytes: 0,
            other_bytes: 0,
            slots: BTreeMap::new(),
            partitions: BTreeMap::new(),
            turns: VecDeque::new(),
            waiting: BTreeSet::new(),
            stuck: BTreeSet::new(),
            running: 0,
            leaving: 0,
            dirty: false,
        }
    }

    pub fn assign(&mut self, partition: TopicPartition, lane: Lane) {
        self.partitions.entry(partition).or_insert_with(|| Partition {
            lane,
            offsets: Offsets::default(),
            committed: None,
            ready: VecDeque::new(),
            held: BTreeSet::new(),
            draining: false,
        });
    }

    pub fn assigned(&self) -> Vec<TopicPartition> {
        self.partitions.iter().filter(|(_, p)| !p.draining).map(|(name, _)| name.clone()).collect()
    }

    /// Lets a partition go that holds nothing any more; says what may be committed of it.
    pub fn unassign(&mut self, partition: &TopicPartition) -> Option<i64> {
        self.partitions.remove(partition)?.commit()
    }

    /// Bounded by number per partition and by bytes per kind of lane; a partition that holds nothing may always
    /// take one record, so that waiting ones, however large, cannot starve the others.
    pub fn wants(&self, partition: &TopicPartition) -> bool {
        let Some(p) = self.partitions.get(partition).filter(|p| !p.draining) else { return false };
        let (bytes, window) = match p.lane {
            Lane::Input => (self.input_bytes, self.per_partition),
            Lane::Rung | Lane::Redrive => (self.other_bytes, self.per_partition.min(WAITING_WINDOW)),
        };
        p.held.is_empty() || (p.held.len() < window && bytes < self.bytes_max)
    }

    /// Takes a record in. False when its partition is not (or no longer) ours, or the record is a repetition.
    pub fn admit(&mut self, arrival: Arrival, now: Timestamp) -> bool {
        let Arrival { slot, partition, offset, size, due, past } = arrival;
        let Some(p) = self.partitions.get_mut(&partition).filter(|p| !p.draining) else { return false };
        p.committed.get_or_insert(offset);
        if p.offsets.read(offset) != Read::Fresh {
            return false;
        }
        p.held.insert(slot);
        *Self::bytes(&mut self.input_bytes, &mut self.other_bytes, p.lane) += size;
        self.slots.insert(slot, Slot { partition, offset, size, past, phase: Phase::Ready });
        match due.filter(|due| *due > now) {
            Some(due) => self.wait(slot, due),
            None => self.ready(slot),
        }
        true
    }

    fn bytes<'a>(input: &'a mut usize, other: &'a mut usize, lane: Lane) -> &'a mut usize {
        if lane == Lane::Input { input } else { other }
    }

    pub fn get(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub fn set_phase(&mut self, id: SlotId, phase: Phase) {
        if let Some(slot) = self.slots.get_mut(&id) {
            self.running -= usize::from(slot.phase == Phase::Running);
            self.running += usize::from(phase == Phase::Running);
            self.leaving -= usize::from(slot.phase.is_leaving());
            self.leaving += usize::from(phase.is_leaving());
            slot.phase = phase;
        }
    }

    /// To the end of its partition's queue.
    pub fn ready(&mut self, id: SlotId) {
        self.set_phase(id, Phase::Ready);
        let Some(slot) = self.slots.get(&id) else { return };
        let Some(p) = self.partitions.get_mut(&slot.partition) else { return };
        if p.ready.is_empty() {
            self.turns.push_back(slot.partition.clone());
        }
        p.ready.push_back(id);
    }

    pub fn wait(&mut self, id: SlotId, due: Timestamp) {
        self.set_phase(id, Phase::Waiting(due));
        self.waiting.insert((due, id));
    }

    /// What is due becomes ready, in the order of its due times.
    pub fn wake(&mut self, now: Timestamp) {
        while let Some((due, id)) = self.waiting.first().copied()
            && due <= now
        {
            self.waiting.pop_first();
            self.ready(id);
        }
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The next ready record; partitions take turns, so that no backlog starves another.
    pub fn next_ready(&mut self) -> Option<SlotId> {
        let partition = self.turns.pop_front()?;
        let p = self.partitions.get_mut(&partition)?;
        let id = p.ready.pop_front();
        if !p.ready.is_empty() {
            self.turns.push_back(partition);
        }
        id
    }

    /// Kafka did not take it.
    pub fn stick(&mut self, id: SlotId, what: Publish) {
        self.set_phase(id, Phase::Stuck(what));
        self.stuck.insert(id);
    }

    /// The first stuck record, no longer counted as stuck.
    pub fn unstick(&mut self) -> Option<(SlotId, Publish)> {
        let id = self.stuck.pop_first()?;
        match &self.slots.get(&id)?.phase {
            Phase::Stuck(what) => Some((id, what.clone())),
            _ => None,
        }
    }

    /// The record reached a durable end.
    pub fn end(&mut self, id: SlotId) {
        if let Some(slot) = self.remove(id)
            && let Some(p) = self.partitions.get_mut(&slot.partition)
        {
            p.offsets.end(slot.offset);
            self.dirty = true;
        }
    }

    /// Drops a record without ending it: its offset stays uncommitted.
    pub fn remove(&mut self, id: SlotId) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.stuck.remove(&id);
        self.running -= usize::from(slot.phase == Phase::Running);
        self.leaving -= usize::from(slot.phase.is_leaving());
        if let Phase::Waiting(due) = slot.phase {
            self.waiting.remove(&(due, id));
        }
        if let Some(p) = self.partitions.get_mut(&slot.partition) {
            p.held.remove(&id);
            *Self::bytes(&mut self.input_bytes, &mut self.other_bytes, p.lane) -= slot.size;
            if slot.phase == Phase::Ready {
                p.ready.retain(|other| *other != id);
                if p.ready.is_empty() {
                    self.turns.retain(|turn| turn != &slot.partition);
                }
            }
        }
        Some(slot)
    }

    /// Takes nothing more from these partitions; says which of their records do not run and can be dropped.
    pub fn drain(&mut self, partitions: &[TopicPartition]) -> Vec<SlotId> {
        for partition in partitions {
            if let Some(p) = self.partitions.get_mut(partition) {
                p.draining = true;
            }
        }
        let idle = |id: &SlotId| {
            self.slots.get(id).is_some_and(|s| !matches!(s.phase, Phase::Running | Phase::Publishing(_)))
        };
        partitions.iter().flat_map(|partition| self.slots_of(partition)).filter(idle).collect()
    }

    pub fn is_draining(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_none_or(|p| p.draining)
    }

    pub fn slots_of(&self, partition: &TopicPartition) -> Vec<SlotId> {
        self.partitions.get(partition).map(|p| p.held.iter().copied().collect()).unwrap_or_default()
    }

    /// What may be committed now and was not handed out before.
    pub fn commits(&mut self) -> Vec<(TopicPartition, i64)> {
        self.dirty = false;
        self.partitions.iter_mut().filter_map(|(name, p)| Some((name.clone(), p.commit()?))).collect()
    }

    /// Whether a record has ended since offsets were last handed out.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    pub fn has_ready(&self) -> bool {
        !self.turns.is_empty()
    }

    pub fn has_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn running(&self) -> usize {
        self.running
    }

    /// Records whose outputs are held until Kafka has them.
    pub fn leaving(&self) -> usize {
        self.leaving
    }

    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
