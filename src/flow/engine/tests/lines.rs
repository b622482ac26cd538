//! Lines of records with one key, whatever happens to them in whatever order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::flow::engine::order::{Order, Place};
use crate::flow::engine::{OrderKey, Ordering, SlotId};

const KEYS: u64 = 3;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next record of this key is read.
    Read(u64),
    /// The first of this key begins, if it may.
    Begin(u64),
    /// What begins of this key ends: over, on a rung, dead, parked.
    End(u64, u8),
    /// What is elsewhere of this key comes back, the latest first.
    Back(u64),
    /// The ledger says what is outstanding of this key, of which copies may be here.
    Told(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS;
    let step = prop_oneof![
        3 => key.clone().prop_map(Step::Read),
        4 => key.clone().prop_map(Step::Begin),
        4 => (key.clone(), 0..4u8).prop_map(|(key, how)| Step::End(key, how)),
        2 => key.clone().prop_map(Step::Back),
        1 => key.prop_map(Step::Told),
    ];
    prop::collection::vec(step, 0..120)
}

/// What is true of the records of one key.
#[derive(Debug, Default)]
struct Line {
    here: BTreeMap<i64, SlotId>,
    elsewhere: BTreeSet<i64>,
    running: Option<i64>,
}

struct World {
    order: Order,
    policy: Ordering,
    lines: Vec<Line>,
    next: i64,
    slots: u64,
}

impl World {
    fn new(policy: Ordering) -> Self {
        let lines = (0..KEYS).map(|_| Line::default()).collect();
        Self { order: Order::new(policy), policy, lines, next: 0, slots: 0 }
    }

    fn place(key: u64, origin: i64) -> Place {
        Place { family: 0, key: OrderKey(key), origin }
    }

    fn join(&mut self, key: u64, origin: i64) {
        let slot = SlotId(self.slots);
        self.slots += 1;
        self.order.join(Self::place(key, origin), slot);
        self.lines[key as usize].here.insert(origin, slot);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Read(key) => {
                self.join(key, self.next);
                self.next += 1;
            }
            Step::Begin(key) => self.begin(key),
            Step::End(key, how) => self.end(key, how),
            Step::Back(key) => {
                if let Some(origin) = self.lines[key as usize].elsewhere.pop_last() {
                    self.join(key, origin);
                }
            }
            Step::Told(key) => {
                let line = &self.lines[key as usize];
                let known: Vec<i64> = line.here.keys().chain(&line.elsewhere).copied().collect();
                known.into_iter().for_each(|origin| self.order.outstanding(Self::place(key, origin)));
            }
        }
    }

    fn begin(&mut self, key: u64) {
        let line = &mut self.lines[key as usize];
        let first =
            |(origin, slot): &(&i64, &SlotId)| self.order.is_first(Self::place(key, **origin), **slot);
        let firsts: Vec<(i64, SlotId)> = line.here.iter().filter(first).map(|(o, s)| (*o, *s)).collect();
        assert!(firsts.len() <= 1, "two have the turn: {firsts:?}");
        if let Some((origin, slot)) = firsts.into_iter().find(|(origin, _)| line.running != Some(*origin)) {
            assert_eq!(line.running, None, "{origin} begins while another one of its key runs");
            let before = line.here.keys().chain(&line.elsewhere).filter(|other| **other < origin).min();
            assert_eq!(before, None, "{origin} overtakes it");
            line.running = Some(origin);
            self.order.take_turn(Self::place(key, origin), slot);
        }
    }

    fn end(&mut self, key: u64, how: u8) {
        let Some(origin) = self.lines[key as usize].running.take() else { return };
        let Some(slot) = self.lines[key as usize].here.remove(&origin) else { return };
        let place = Self::place(key, origin);
        let (comes_back, _) = match how {
            0 => (false, self.order.leave(place, slot)),
            1 => (self.policy.wait, self.order.climb(place, slot)),
            2 => (self.policy.hold, self.order.die(place, slot)),
            _ => (true, self.order.step_out(place, slot)),
        };
        if comes_back {
            self.lines[key as usize].elsewhere.insert(origin);
        }
        let elsewhere: usize = self.lines.iter().map(|line| line.elsewhere.len()).sum();
        assert_eq!(self.order.elsewhere(0), elsewhere);
    }

    /// Everything comes back and ends, one after the other.
    fn finish(&mut self) {
        for key in 0..KEYS {
            while !self.lines[key as usize].elsewhere.is_empty() {
                self.take(Step::Back(key));
            }
            for _ in 0..=self.next {
                self.begin(key);
                self.end(key, 0);
            }
            let line = &self.lines[key as usize];
            assert!(line.here.is_empty(), "these never have the turn: {line:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_record_begins_before_an_earlier_one_of_its_key_has_ended_and_each_begins_at_last(
        wait: bool,
        hold: bool,
        steps in steps(),
    ) {
        let mut world = World::new(Ordering { wait, hold });
        steps.into_iter().for_each(|step| world.take(step));
        world.finish();
    }
}
