//! The records a stage holds, by partition: which are ready, which wait, which leave; what may be committed. Pure.

mod bounds;
mod commits;
mod partitions;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::alarm::Alarm;
use super::order::{Order, Place};
use super::turns::{Entry, Turns};
use super::{Arrival, Delivery, Fair, Lane, Publish, SlotId, Slots, Spec, Tenant};
use crate::flow::ladder::Past;
use crate::flow::offsets::{Offsets, Read};
use crate::message::TopicPartition;

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
    Waiting(Alarm),
    /// Behind an earlier record of its key.
    Blocked,
    Running,
    Leaving(Publish, Step),
    /// It was refused at this step; it is tried again.
    Stuck(Publish, Step),
    /// It is being dropped.
    Gone,
}

/// A held record.
#[derive(Clone, Debug)]
pub struct Slot {
    pub partition: TopicPartition,
    pub lane: Lane,
    pub offset: i64,
    pub size: usize,
    pub past: Past,
    pub tenant: Tenant,
    pub place: Option<Place>,
    pub discard: bool,
    /// When it was taken in.
    pub since: Timestamp,
    /// Bytes of what was made ready to be produced for it, while it leaves.
    pub outputs: usize,
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
    /// Of each tenant, where the stage is fair.
    ready: BTreeMap<Tenant, BTreeSet<SlotId>>,
    /// All of those.
    ready_in_all: usize,
    held: BTreeSet<SlotId>,
    bytes: usize,
    /// Of those, what is on its way out of a rung or redrive partition.
    bytes_leaving: usize,
    blocked: usize,
    draining: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Window {
    per_partition: usize,
    bytes_max: usize,
    outstanding_max: usize,
    waiting_max: usize,
    fair: Option<Fair>,
    input_bytes: usize,
    other_bytes: usize,
    slots: Slots<Slot>,
    partitions: BTreeMap<TopicPartition, Partition>,
    /// Whose turn it is among those that are ready.
    turns: Turns,
    waiting: BTreeSet<(Timestamp, SlotId)>,
    /// When the waiting ones were looked at last.
    woken: Timestamp,
    stuck: BTreeSet<SlotId>,
    running: usize,
    /// Bytes of all that was made ready and is not where it goes.
    outputs: usize,
    blocked: usize,
    /// Partitions of which something has ended since their offsets were last handed out.
    dirty: BTreeSet<TopicPartition>,
    /// What has ended is never open again: no transaction can be aborted.
    ends_for_good: bool,
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
            waiting_max: spec.waiting,
            fair: spec.fair.clone(),
            input_bytes: 0,
            other_bytes: 0,
            slots: Slots::default(),
            partitions: BTreeMap::new(),
            turns: Turns::new(spec.fair.clone(), spec.concurrency, spec.comeback),
            waiting: BTreeSet::new(),
            woken: Timestamp::MIN,
            stuck: BTreeSet::new(),
            running: 0,
            outputs: 0,
            blocked: 0,
            dirty: BTreeSet::new(),
            ends_for_good: spec.delivery == Delivery::AtLeastOnce,
            order: spec.ordering.map(Order::new),
            begun: BTreeMap::new(),
        }
    }

    /// Takes a record in.
    pub fn admit(&mut self, arrival: Arrival, now: Timestamp) -> Admitted {
        let Arrival { slot: id, partition, offset, size, due, past, tenant, order, origin, discard } =
            arrival;
        let Some(p) = self.partitions.get_mut(&partition).filter(|p| !p.draining) else {
            return Admitted::No;
        };
        let (lane, family) = (p.lane, p.family);
        let read = p.offsets.read(offset);
        if read == Read::Fresh {
            p.held.insert(id);
            p.bytes += size;
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
        let phase = Phase::Ready;
        let slot = Slot {
            partition,
            lane,
            offset,
            size,
            past,
            tenant,
            place,
            discard,
            since: now,
            outputs: 0,
            phase,
        };
        self.slots.insert(id, slot);
        self.turns.came(tenant, now);
        // What is due already is woken with the others that are.
        match due {
            Some(due) => self.wait(id, Alarm::on(due)),
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

    /// The input partition that a record belongs to.
    pub fn family(&self, id: SlotId) -> i32 {
        let partition = self.slots.get(&id).and_then(|slot| self.partitions.get(&slot.partition));
        partition.map_or(0, |p| p.family)
    }

    pub fn set_phase(&mut self, id: SlotId, phase: Phase) {
        let Some(slot) = self.slots.get_mut(&id) else { return };
        let old = std::mem::replace(&mut slot.phase, phase);
        if !slot.phase.is_leaving() {
            self.outputs -= std::mem::take(&mut slot.outputs);
        }
        match (old == Phase::Running, slot.phase == Phase::Running) {
            (false, true) => {
                self.running += 1;
                self.turns.began(slot.tenant);
            }
            (true, false) => {
                self.running -= 1;
                self.turns.stopped(slot.tenant);
            }
            _ => {}
        }
        if (old == Phase::Blocked) != (slot.phase == Phase::Blocked)
            && let Some(p) = self.partitions.get_mut(&slot.partition)
        {
            let by = if old == Phase::Blocked { usize::wrapping_sub } else { usize::wrapping_add };
            (self.blocked, p.blocked) = (by(self.blocked, 1), by(p.blocked, 1));
        }
        let leaves = |phase: &Phase| matches!(phase, Phase::Leaving(..));
        if leaves(&old) != leaves(&slot.phase)
            && slot.lane.brings_back()
            && let Some(p) = self.partitions.get_mut(&slot.partition)
        {
            let by = if leaves(&old) { usize::wrapping_sub } else { usize::wrapping_add };
            p.bytes_leaving = by(p.bytes_leaving, slot.size);
        }
        match (old, &slot.phase) {
            (_, Phase::Stuck(..)) => _ = self.stuck.insert(id),
            (Phase::Stuck(..), _) => _ = self.stuck.remove(&id),
            _ => {}
        }
    }

    /// To the end of its partition's queue when it is its turn, otherwise to where it waits for that.
    pub fn ready(&mut self, id: SlotId) {
        let Some(slot) = self.slots.get(&id) else { return };
        let place = slot.place;
        if let Some((order, place)) = self.order.as_mut().zip(place) {
            order.give_turn_back(place, id);
            if !order.is_first(place, id) {
                let first = order.first(place);
                self.set_phase(id, Phase::Blocked);
                return self.advance(first.filter(|first| *first != id));
            }
        }
        self.set_phase(id, Phase::Ready);
        if let Some(entry) = self.entry(id) {
            self.turns.push(&entry);
            self.note_ready(&entry, true);
        }
    }

    fn entry(&self, id: SlotId) -> Option<Entry> {
        let Slot { partition, lane, tenant, .. } = self.slots.get(&id)?;
        Some(Entry { slot: id, tenant: *tenant, partition: partition.clone(), back: lane.brings_back() })
    }

    fn note_ready(&mut self, entry: &Entry, is: bool) {
        let Some(p) = self.partitions.get_mut(&entry.partition).filter(|_| self.fair.is_some()) else {
            return;
        };
        let of = p.ready.entry(entry.tenant).or_default();
        if is && of.insert(entry.slot) {
            p.ready_in_all += 1;
        } else if !is && of.remove(&entry.slot) {
            p.ready_in_all -= 1;
        }
        if of.is_empty() {
            p.ready.remove(&entry.tenant);
        }
    }

    /// It does not wait for its turn any more.
    pub fn unready(&mut self, id: SlotId) {
        if let Some(entry) = self.entry(id) {
            self.turns.remove(&entry);
            self.note_ready(&entry, false);
        }
    }

    pub fn wait(&mut self, id: SlotId, due: Alarm) {
        self.set_phase(id, Phase::Waiting(due));
        self.waiting.insert((due.at(), id));
        if let Some((order, place)) = self.order.as_mut().zip(self.slots.get(&id).and_then(|slot| slot.place))
        {
            order.give_turn_back(place, id);
            let first = order.first(place);
            self.advance(first);
        }
    }

    /// What is due becomes ready, in the order of its due times.
    pub fn wake(&mut self, now: Timestamp) {
        if now < std::mem::replace(&mut self.woken, now) {
            self.was_set_back(now);
        }
        while let Some((due, id)) = self.waiting.first().copied()
            && due <= now
        {
            self.waiting.pop_first();
            self.ready(id);
        }
    }

    /// The clock was set back: what waited by the clock as it was waits no longer.
    fn was_set_back(&mut self, now: Timestamp) {
        let of = |id: &SlotId| match self.slots.get(id)?.phase {
            Phase::Waiting(due) if due.was_set_back(now) => Some((due.at(), *id)),
            _ => None,
        };
        let back: Vec<_> = self.waiting.iter().filter_map(|(_, id)| of(id)).collect();
        for entry in back {
            self.waiting.remove(&entry);
            self.ready(entry.1);
        }
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The next record that may begin. As a `probe` it may be anybody's.
    pub fn next_ready(&mut self, probe: bool, now: Timestamp) -> Option<SlotId> {
        loop {
            let id = self.turns.pop(probe, now)?;
            if let Some(entry) = self.entry(id) {
                self.note_ready(&entry, false);
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

    /// The first stuck record and what it tries.
    pub fn first_stuck(&self) -> Option<(SlotId, Publish, Step)> {
        let id = *self.stuck.first()?;
        match &self.slots.get(&id)?.phase {
            Phase::Stuck(what, step) => Some((id, what.clone(), *step)),
            _ => None,
        }
    }

    /// Drops a record, whether its offset has ended or not.
    pub fn remove(&mut self, id: SlotId) -> Option<Slot> {
        match self.slots.get(&id)?.phase {
            Phase::Ready => self.unready(id),
            Phase::Waiting(due) => _ = self.waiting.remove(&(due.at(), id)),
            _ => {}
        }
        // What is counted by phases is counted no more.
        self.set_phase(id, Phase::Gone);
        let slot = self.slots.remove(&id)?;
        if let Some(p) = self.partitions.get_mut(&slot.partition) {
            p.held.remove(&id);
            p.bytes -= slot.size;
            *Self::bytes(&mut self.input_bytes, &mut self.other_bytes, p.lane) -= slot.size;
        }
        Some(slot)
    }

    /// When a record could begin that has only time to wait for; as a `probe` it may be anybody's. `None`: none is
    /// ready.
    pub fn next_start(&self, probe: bool) -> Option<Timestamp> {
        self.turns.next_start(probe)
    }

    pub fn has_stuck(&self) -> bool {
        !self.stuck.is_empty()
    }

    pub fn running(&self) -> usize {
        self.running
    }

    /// So many bytes were made ready to be produced for a record that leaves.
    pub fn weigh(&mut self, id: SlotId, bytes: usize) {
        if let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.phase.is_leaving()) {
            self.outputs = self.outputs - slot.outputs + bytes;
            slot.outputs = bytes;
        }
    }

    /// Bytes that are held until Kafka and the ledger have them.
    pub fn outputs(&self) -> usize {
        self.outputs
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
