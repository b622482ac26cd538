//! Whose turn it is where a stage keeps an order. Pure.
//!
//! Records of one key stand in a line by their origin, the offset they had on the input partition. The first one
//! has the turn. A record that is on a rung, parked, or dead and waited for keeps its place in the line although
//! nobody here holds it: this is what keeps its followers back, wherever they come from.
//!
//! A parked record has not begun, and earlier records of its key may not have begun either: they may stand in the
//! input, where nobody has seen them. It has no turn before the input has been read up to its origin.

use std::collections::{BTreeMap, BTreeSet};

use super::{OrderKey, Ordering, SlotId};

/// A record's place: the family of partitions that it goes through, its key, and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub family: i32,
    pub key: OrderKey,
    pub origin: i64,
}

#[derive(Debug, Default)]
struct Line {
    /// By origin; `None` for a record that is elsewhere. Two copies of one record may be here at once.
    entries: BTreeSet<(i64, Option<SlotId>)>,
    /// Has the turn, and has begun.
    turn: Option<SlotId>,
}

/// See the module.
#[derive(Debug)]
pub struct Order {
    policy: Ordering,
    lines: BTreeMap<(i32, OrderKey), Line>,
    /// Records that are elsewhere, by family.
    elsewhere: BTreeMap<i32, usize>,
    /// By family, everything below this offset of the input has been read.
    read: BTreeMap<i32, i64>,
    /// Parked records that came before the input was read up to their origin.
    early: BTreeMap<i32, BTreeSet<(i64, SlotId)>>,
}

impl Order {
    pub fn new(policy: Ordering) -> Self {
        let (lines, elsewhere) = (BTreeMap::new(), BTreeMap::new());
        Self { policy, lines, elsewhere, read: BTreeMap::new(), early: BTreeMap::new() }
    }

    /// A record that has begun and is not over, and is not here.
    pub fn outstanding(&mut self, place: Place) {
        let line = self.line(place);
        // A copy that is here stands for it.
        if !line.entries.iter().any(|(origin, _)| *origin == place.origin) {
            self.insert(place, None);
        }
    }

    /// A record has come: it takes the place that was kept for it, or a new one.
    pub fn join(&mut self, place: Place, slot: SlotId) {
        self.remove(place, None);
        self.insert(place, Some(slot));
    }

    /// The record that has come was parked.
    pub fn was_parked(&mut self, place: Place, slot: SlotId) {
        if self.read.get(&place.family).is_none_or(|below| place.origin >= *below) {
            self.early.entry(place.family).or_default().insert((place.origin, slot));
        }
    }

    /// Everything below this offset of the input has been read. Says whose turn it may be now.
    pub fn has_read(&mut self, family: i32, below: i64) -> Vec<SlotId> {
        let read = self.read.entry(family).or_insert(below);
        *read = below.max(*read);
        let Some(early) = self.early.get_mut(&family) else { return Vec::new() };
        let late = early.split_off(&(*read, SlotId(0)));
        std::mem::replace(early, late).into_iter().map(|(_, slot)| slot).collect()
    }

    /// The input has been read to its end: an origin beyond that is none of its offsets.
    pub fn has_read_all(&mut self, family: i32) -> Vec<SlotId> {
        self.early.remove(&family).into_iter().flatten().map(|(_, slot)| slot).collect()
    }

    /// Whether it is this record's turn.
    pub fn is_first(&self, place: Place, slot: SlotId) -> bool {
        if self.early.get(&place.family).is_some_and(|early| early.contains(&(place.origin, slot))) {
            return false;
        }
        self.lines.get(&(place.family, place.key)).is_some_and(|line| {
            line.turn.is_none_or(|turn| turn == slot)
                && line.entries.first() == Some(&(place.origin, Some(slot)))
        })
    }

    /// Whether an earlier record of its key is elsewhere, so that its turn may be long in coming.
    pub fn waits_for_absent(&self, place: Place) -> bool {
        self.lines
            .get(&(place.family, place.key))
            .is_some_and(|line| line.entries.range(..(place.origin, None)).any(|(_, slot)| slot.is_none()))
    }

    /// The record that is first in this line, if it is here.
    pub fn first(&self, place: Place) -> Option<SlotId> {
        self.lines.get(&(place.family, place.key))?.entries.first()?.1
    }

    /// It begins: nobody else of its key does until it says what became of it.
    pub fn take_turn(&mut self, place: Place, slot: SlotId) {
        self.line(place).turn = Some(slot);
    }

    /// It goes on waiting here, and begins again later.
    pub fn give_turn_back(&mut self, place: Place, slot: SlotId) {
        if let Some(line) = self.lines.get_mut(&(place.family, place.key)) {
            line.turn.take_if(|turn| *turn == slot);
        }
    }

    /// It is over. Says who is first now.
    pub fn leave(&mut self, place: Place, slot: SlotId) -> Option<SlotId> {
        self.give_turn_back(place, slot);
        self.remove(place, Some(slot));
        self.first(place)
    }

    /// It went to a rung.
    pub fn climb(&mut self, place: Place, slot: SlotId) -> Option<SlotId> {
        if self.policy.wait { self.step_out(place, slot) } else { self.leave(place, slot) }
    }

    /// It is a dead letter.
    pub fn die(&mut self, place: Place, slot: SlotId) -> Option<SlotId> {
        if self.policy.hold { self.step_out(place, slot) } else { self.leave(place, slot) }
    }

    /// It is elsewhere now and comes back; its place is kept.
    pub fn step_out(&mut self, place: Place, slot: SlotId) -> Option<SlotId> {
        self.give_turn_back(place, slot);
        if self.remove(place, Some(slot)) {
            self.outstanding(place);
        }
        self.first(place)
    }

    /// The family goes to another member, which learns from the ledger what is outstanding.
    pub fn disband(&mut self, family: i32) {
        self.lines.retain(|(of, _), _| *of != family);
        self.elsewhere.remove(&family);
        self.read.remove(&family);
        self.early.remove(&family);
    }

    /// Records of this family that are known to be elsewhere.
    pub fn elsewhere(&self, family: i32) -> usize {
        self.elsewhere.get(&family).copied().unwrap_or_default()
    }

    pub fn elsewhere_in_all(&self) -> usize {
        self.elsewhere.values().sum()
    }

    fn line(&mut self, place: Place) -> &mut Line {
        self.lines.entry((place.family, place.key)).or_default()
    }

    fn insert(&mut self, place: Place, slot: Option<SlotId>) {
        if self.line(place).entries.insert((place.origin, slot)) && slot.is_none() {
            *self.elsewhere.entry(place.family).or_default() += 1;
        }
    }

    /// False when it did not stand there.
    fn remove(&mut self, place: Place, slot: Option<SlotId>) -> bool {
        if let Some(slot) = slot
            && let Some(early) = self.early.get_mut(&place.family)
        {
            early.remove(&(place.origin, slot));
        }
        let name = (place.family, place.key);
        let Some(line) = self.lines.get_mut(&name) else { return false };
        let stood = line.entries.remove(&(place.origin, slot));
        if line.entries.is_empty() && line.turn.is_none() {
            self.lines.remove(&name);
        }
        if stood
            && slot.is_none()
            && let Some(elsewhere) = self.elsewhere.get_mut(&place.family)
        {
            *elsewhere -= 1;
        }
        stood
    }
}
