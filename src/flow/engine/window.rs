//! The records a stage holds, by partition: which are ready, which wait, which leave; what may be committed. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::order::{Order, Place};
use super::{Arrival, Assigned, Lane, Publish, SlotId, Spec};
use crate::flow::ladder::Past;
use crate::flow::offsets::{Committed, Offsets, Position, Read};
use crate::message::TopicPartition;

/// Records of one rung or redrive partition held at the same time, most of them waiting.
const WAITING_WINDOW: usize = 64;
/// Of what may be held of a partition, this share may be followers of failing records at most.
const FOLLOWERS_SHARE: usize = 2;

/// How far a record is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is made ready.
    Prepare,
    /// It waits for the next transaction.
    Queue,
    /// It is on its way to Kafka.
    Send,
    /// Kafka has it; the ledger is told.
    Settle,
}

/// What a held record is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    Ready,
    Waiting(Timestamp),
    /// Behind an earlier record of its key.
    Blocked,
    Running,
    Leaving(Publish, Step),
    /// It was refused at this step; it is tried again.
    Stuck(Publish, Step),
}

/// A held record.
#[derive(Clone, Debug)]
pub struct Slot {
    pub partition: TopicPartition,
    pub offset: i64,
    pub size: usize,
    pub past: Past,
    pub place: Option<Place>,
    pub discard: bool,
    /// When it was taken in.
    pub since: Timestamp,
    pub phase: Phase,
}

/// What became of a record that was polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    Yes,
    /// It ended before, says the offset map.
    Ended,
    /// It is held already, or its partition is not ours.
    No,
}

#[derive(Debug)]
struct Partition {
    lane: Lane,
    family: i32,
    offsets: Offsets,
    ready: VecDeque<SlotId>,
    held: BTreeSet<SlotId>,
    blocked: usize,
    draining: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Window {
    per_partition: usize,
    bytes_max: usize,
    outstanding_max: usize,
    input_bytes: usize,
    other_bytes: usize,
    slots: BTreeMap<SlotId, Slot>,
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Partitions with ready records, in the order of their turns.
    turns: VecDeque<TopicPartition>,
    waiting: BTreeSet<(Timestamp, SlotId)>,
    stuck: BTreeSet<SlotId>,
    running: usize,
    /// Leaving or stuck: these hold outputs.
    leaving: usize,
    blocked: usize,
    /// Partitions of which something has ended since their offsets were last handed out.
    dirty: BTreeSet<TopicPartition>,
    order: Option<Order>,
    /// By family, the last record that had begun before the assignment, until the input has been read up to it.
    begun: BTreeMap<i32, i64>,
}

impl Phase {
    fn is_leaving(&self) -> bool {
        matches!(self, Phase::Leaving(..) | Phase::Stuck(..))
    }

    /// Whether anything is being done with the record that a revocation should wait for.
    fn is_busy(&self) -> bool {
        matches!(self, Phase::Running | Phase::Leaving(..))
    }
}

impl Window {
    pub fn new(spec: &Spec) -> Self {
        Self {
            per_partition: spec.window,
            bytes_max: spec.bytes,
            outstanding_max: spec.outstanding,
            input_bytes: 0,
            other_bytes: 0,
            slots: BTreeMap::new(),
            partitions: BTreeMap::new(),
            turns: VecDeque::new(),
            waiting: BTreeSet::new(),
            stuck: BTreeSet::new(),
            running: 0,
            leaving: 0,
            blocked: 0,
            dirty: BTreeSet::new(),
            order: spec.ordering.map(Order::new),
            begun: BTreeMap::new(),
        }
    }

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
            ready: VecDeque::new(),
            held: BTreeSet::new(),
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
        if gone.lane == Lane::Input
            && let Some(order) = &mut self.order
        {
            order.disband(gone.family);
        }
        if gone.lane == Lane::Input {
            self.begun.remove(&gone.family);
        }
        gone.offsets.commit()
    }

    /// Bounded by number per partition, by bytes per kind of lane, and by what the offset map can hold; a partition
    /// that holds nothing may always take one record, so that waiting ones, however large, cannot starve the others.
    pub fn wants(&self, partition: &TopicPartition) -> bool {
        let Some(p) = self.partitions.get(partition).filter(|p| !p.draining) else { return false };
        let room = p.held.is_empty() || (p.held.len() < self.limit(p) && !self.is_out_of_bytes(p));
        room && p.offsets.has_room() && !self.has_too_many_elsewhere(p)
    }

    fn is_out_of_bytes(&self, p: &Partition) -> bool {
        let bytes = if p.lane == Lane::Input { self.input_bytes } else { self.other_bytes };
        bytes >= self.bytes_max
    }

    fn limit(&self, p: &Partition) -> usize {
        match p.lane {
            Lane::Input | Lane::Park => self.per_partition,
            Lane::Rung | Lane::Redrive => self.per_partition.min(WAITING_WINDOW),
        }
    }

    /// What had begun before this assignment is read whatever the number: those elsewhere may wait for it.
    fn has_too_many_elsewhere(&self, p: &Partition) -> bool {
        let elsewhere = self.order.as_ref().map_or(0, |order| order.elsewhere(p.family));
        p.lane == Lane::Input && !self.begun.contains_key(&p.family) && elsewhere >= self.outstanding_max
    }

    /// Everything below this offset of a family's input was read or is no record.
    fn has_read(&mut self, family: i32, below: i64) {
        if self.begun.get(&family).is_some_and(|last| *last < below) {
            self.begun.remove(&family);
        }
        let early = self.order.as_mut().map(|order| order.has_read(family, below));
        early.into_iter().flatten().for_each(|slot| self.advance(Some(slot)));
    }

    /// Takes a record in.
    pub fn admit(&mut self, arrival: Arrival, now: Timestamp) -> Admitted {
        let Arrival { slot: id, partition, offset, size, due, past, order, origin, discard } = arrival;
        let Some(p) = self.partitions.get_mut(&partition).filter(|p| !p.draining) else {
            return Admitted::No;
        };
        let (lane, family) = (p.lane, p.family);
        let read = p.offsets.read(offset);
        if read == Read::Fresh {
            p.held.insert(id);
        }
        if lane == Lane::Input {
            self.has_read(family, offset.saturating_add(1));
        }
        match read {
            Read::Fresh => {}
            Read::Repeated => return Admitted::No,
            Read::Ended => {
                self.dirty.insert(partition);
                return Admitted::Ended;
            }
        }
        *Self::bytes(&mut self.input_bytes, &mut self.other_bytes, lane) += size;
        let place = self.order.as_mut().zip(order).map(|(lines, key)| {
            let place = Place { family, key, origin };
            lines.join(place, id);
            if lane == Lane::Park {
                lines.was_parked(place, id);
            }
            place
        });
        let slot = Slot { partition, offset, size, past, place, discard, since: now, phase: Phase::Ready };
        self.slots.insert(id, slot);
        match due.filter(|due| *due > now) {
            Some(due) => self.wait(id, due),
            None => self.ready(id),
        }
        Admitted::Yes
    }

    fn bytes<'a>(input: &'a mut usize, other: &'a mut usize, lane: Lane) -> &'a mut usize {
        if lane == Lane::Input { input } else { other }
    }

    pub fn get(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub fn set_phase(&mut self, id: SlotId, phase: Phase) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let old = std::mem::replace(&mut slot.phase, phase);
        let (partition, new) = (slot.partition.clone(), slot.phase.clone());
        self.count(&partition, &old, usize::wrapping_sub);
        self.count(&partition, &new, usize::wrapping_add);
        if let Phase::Stuck(..) = new {
            self.stuck.insert(id);
        } else {
            self.stuck.remove(&id);
        }
    }

    fn count(&mut self, partition: &TopicPartition, phase: &Phase, by: fn(usize, usize) -> usize) {
        let change = |n: &mut usize, is: bool| *n = by(*n, usize::from(is));
        change(&mut self.running, *phase == Phase::Running);
        change(&mut self.leaving, phase.is_leaving());
        change(&mut self.blocked, *phase == Phase::Blocked);
        if let Some(p) = self.partitions.get_mut(partition) {
            change(&mut p.blocked, *phase == Phase::Blocked);
        }
    }

    /// To the end of its partition's queue when it is its turn, otherwise to where it waits for that.
    pub fn ready(&mut self, id: SlotId) {
        let Some(slot) = self.slots.get(&id) else { return };
        let (partition, place) = (slot.partition.clone(), slot.place);
        if let Some((order, place)) = self.order.as_mut().zip(place) {
            order.give_turn_back(place, id);
            if !order.is_first(place, id) {
                let first = order.first(place);
                self.set_phase(id, Phase::Blocked);
                return self.advance(first.filter(|first| *first != id));
            }
        }
        self.set_phase(id, Phase::Ready);
        let Some(p) = self.partitions.get_mut(&partition) else { return };
        if p.ready.is_empty() {
            self.turns.push_back(partition);
        }
        p.ready.push_back(id);
    }

    pub fn wait(&mut self, id: SlotId, due: Timestamp) {
        self.set_phase(id, Phase::Waiting(due));
        self.waiting.insert((due, id));
        if let Some((order, place)) = self.order.as_mut().zip(self.slots.get(&id).and_then(|slot| slot.place))
        {
            order.give_turn_back(place, id);
            let first = order.first(place);
            self.advance(first);
        }
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

    /// The next record that may begin; partitions take turns, so that no backlog starves another.
    pub fn next_ready(&mut self) -> Option<SlotId> {
        loop {
            let partition = self.turns.pop_front()?;
            let p = self.partitions.get_mut(&partition)?;
            let id = p.ready.pop_front()?;
            if !p.ready.is_empty() {
                self.turns.push_back(partition);
            }
            let place = self.slots.get(&id).and_then(|slot| slot.place);
            let Some((order, place)) = self.order.as_mut().zip(place) else { return Some(id) };
            if order.is_first(place, id) {
                order.take_turn(place, id);
                return Some(id);
            }
            // An earlier record of its key has come back meanwhile.
            self.set_phase(id, Phase::Blocked);
        }
    }

    /// The followers that may begin now that a record has left its line.
    pub fn advance(&mut self, first: Option<SlotId>) {
        if let Some(id) = first
            && self.slots.get(&id).is_some_and(|slot| slot.phase == Phase::Blocked)
        {
            self.ready(id);
        }
    }

    /// The lines, where an order is kept.
    pub fn order(&mut self) -> Option<&mut Order> {
        self.order.as_mut()
    }

    /// Records to be parked: of the followers that are held, those beyond this number whose key has an earlier record
    /// that is elsewhere or waits. The latest go first. Followers of a healthy record are never parked: they wait for
    /// it as their partition's backlog does. On a rung the one they wait for may stand behind them.
    pub fn surplus(&self, followers: usize) -> Vec<SlotId> {
        let mut surplus = Vec::new();
        for p in self.partitions.values().filter(|p| p.lane != Lane::Park && !p.draining) {
            let most =
                if self.is_out_of_bytes(p) { 0 } else { followers.min(self.limit(p) / FOLLOWERS_SHARE) };
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
        let parks = self.partitions.values().filter(|p| p.lane == Lane::Park && !p.draining && p.blocked > 0);
        let rotations = parks.filter_map(|p| {
            let blocked = |id: &&SlotId| self.slots.get(id).is_some_and(|slot| slot.phase == Phase::Blocked);
            let id = *p.held.iter().find(blocked)?;
            let full = p.held.len() >= self.limit(p) || self.is_out_of_bytes(p);
            let stay = if full { super::ROTATE_FULL } else { super::ROTATE_OLD };
            Some((self.slots.get(&id)?.since.saturating_add(stay).ok()?, id))
        });
        rotations.min()
    }

    /// The first stuck record and what it tries.
    pub fn first_stuck(&self) -> Option<(SlotId, Publish, Step)> {
        let id = *self.stuck.first()?;
        match &self.slots.get(&id)?.phase {
            Phase::Stuck(what, step) => Some((id, what.clone(), *step)),
            _ => None,
        }
    }

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

    /// Drops a record, whether its offset has ended or not.
    pub fn remove(&mut self, id: SlotId) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.stuck.remove(&id);
        self.count(&slot.partition, &slot.phase, usize::wrapping_sub);
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
        let idle = |id: &SlotId| self.slots.get(id).is_some_and(|slot| !slot.phase.is_busy());
        partitions.iter().flat_map(|partition| self.slots_of(partition)).filter(idle).collect()
    }

    pub fn is_draining(&self, partition: &TopicPartition) -> bool {
        self.partitions.get(partition).is_none_or(|p| p.draining)
    }

    pub fn is_assigned(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    pub fn slots_of(&self, partition: &TopicPartition) -> Vec<SlotId> {
        self.partitions.get(partition).map(|p| p.held.iter().copied().collect()).unwrap_or_default()
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

    /// What may be committed now and was not handed out before.
    pub fn commits(&mut self) -> Vec<(TopicPartition, Position)> {
        let dirty = std::mem::take(&mut self.dirty);
        let commit = |name: TopicPartition| {
            let position = self.partitions.get_mut(&name)?.offsets.commit()?;
            Some((name, position))
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

    pub fn has_ready(&self) -> bool {
        !self.turns.is_empty()
    }

    pub fn has_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    pub fn running(&self) -> usize {
        self.running
    }

    /// Records whose outputs are held until Kafka and the ledger have them.
    pub fn leaving(&self) -> usize {
        self.leaving
    }

    pub fn load(&self) -> super::Load {
        super::Load {
            held: self.slots.len(),
            running: self.running,
            waiting: self.waiting.len(),
            blocked: self.blocked,
            outstanding: self.order.as_ref().map_or(0, Order::elsewhere_in_all),
            map_bytes: self.partitions.values().map(|p| p.offsets.map_bytes()).max().unwrap_or_default(),
            span: self.partitions.values().map(|p| p.offsets.span()).max().unwrap_or_default(),
        }
    }
}
