//! Random lives of a partition against a model that is a set: reads, ends, transactions that commit or abort,
//! markers, logs that are cut, and crashes after which another process goes on with what Kafka has.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Action {
    /// Reads up to so many records, as far as there is room.
    Read(usize),
    /// Up to so many records end, and the position with them is handed out. The transaction is left in flight.
    End(usize, u16),
    /// The transaction in flight is committed, or is not.
    Committed(bool),
    Silent,
    /// The log is cut at an offset that was read, and other records are written there.
    Cut(u16),
    /// The process dies; whether the transaction in flight was committed is seen afterwards.
    Crash(bool),
}

/// A position handed out, with the records that had ended by then, and those that ended for it.
type Handed = (Position, BTreeSet<i64>, Vec<i64>);

struct Session {
    /// The offsets that hold records, ascending.
    log: Vec<i64>,
    /// The index in the log of what is read next.
    next: usize,
    window: usize,
    offsets: Offsets,
    open: BTreeSet<i64>,
    ended: BTreeSet<i64>,
    /// What Kafka has.
    durable: Option<(Position, BTreeSet<i64>)>,
    in_flight: Option<Handed>,
}

impl Session {
    fn new(gaps: &[i64], window: usize) -> Self {
        let log = gaps.iter().scan(-1, |at, gap| {
            *at += gap;
            Some(*at)
        });
        Self {
            log: log.collect(),
            next: 0,
            window,
            offsets: Offsets::resume(None),
            open: BTreeSet::new(),
            ended: BTreeSet::new(),
            durable: None,
            in_flight: None,
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Read(count) => (0..*count).for_each(|_| self.read()),
            Action::End(count, which) => self.end(*count, *which),
            Action::Committed(well) => self.settle(*well),
            Action::Silent => self.silent(),
            Action::Cut(at) => self.cut(*at),
            Action::Crash(committed) => self.crash(*committed),
        }
        self.check_now();
    }

    fn read(&mut self) {
        let Some(offset) = self.log.get(self.next).copied() else { return };
        if self.open.len() >= self.window || !self.offsets.has_room() {
            return;
        }
        self.next += 1;
        let ended_before = self.ended.contains(&offset);
        let expected = match self.open.contains(&offset) {
            true => Read::Repeated,
            false if ended_before => Read::Ended,
            false => Read::Fresh,
        };
        assert_eq!(self.offsets.read(offset), expected, "at {offset}");
        if !ended_before {
            self.open.insert(offset);
        }
        assert_eq!(self.offsets.open(), self.open.len());
    }

    fn end(&mut self, count: usize, which: u16) {
        self.settle(true);
        let mut ending = Vec::new();
        while ending.len() < count && !self.open.is_empty() {
            // Far apart, so that gaps of every width come to be.
            let at = (usize::from(which) + ending.len() * 7) % self.open.len();
            let offset = *self.open.iter().nth(at).unwrap();
            self.open.remove(&offset);
            self.ended.insert(offset);
            self.offsets.end(offset);
            ending.push(offset);
        }
        if let Some(position) = self.offsets.commit() {
            self.in_flight = Some((position, self.ended.clone(), ending));
        }
    }

    fn settle(&mut self, well: bool) {
        let Some((position, ended, ending)) = self.in_flight.take() else { return };
        if well {
            self.durable = Some((position, ended));
            return;
        }
        self.offsets.unhand();
        for offset in ending {
            self.offsets.reopen(offset);
            self.ended.remove(&offset);
            self.open.insert(offset);
        }
    }

    fn silent(&mut self) {
        if let Some(next) = self.log.get(self.next) {
            self.offsets.silent(*next);
        }
    }

    fn cut(&mut self, at: u16) {
        if self.next == 0 || !self.open.is_empty() || self.offsets.position().is_none() {
            return;
        }
        self.settle(true);
        self.next = usize::from(at) % self.next;
        self.ended.split_off(&self.log[self.next]);
        self.read();
        // What was committed before it was known that the log was cut cannot be helped.
        self.end(0, at);
        self.settle(true);
    }

    fn crash(&mut self, committed: bool) {
        if let Some((position, ended, _)) = self.in_flight.take().filter(|_| committed) {
            self.durable = Some((position, ended));
        }
        self.open.clear();
        self.ended = self.durable.as_ref().map(|(_, ended)| ended.clone()).unwrap_or_default();
        let durable = self.durable.as_ref().map(|(position, _)| self::committed(position));
        self.offsets = Offsets::resume(durable.as_ref());
        let from = durable.map_or(0, |durable| durable.below());
        self.next = self.log.partition_point(|offset| *offset < from);
    }

    /// What would be committed now is exactly what the model knows, and it fits.
    fn check_now(&self) {
        let Some(position) = self.offsets.position() else { return };
        assert!(position.map.len() < METADATA_MAX);
        let held = &self.offsets.held;
        assert!(held.is_empty() || self.offsets.held_bits == self.offsets.count_held_bits());
        let committed = self::committed(&position);
        for offset in &self.log {
            assert_eq!(committed.has_ended(*offset), self.ended.contains(offset), "at {offset}");
        }
    }
}

fn actions(most: usize) -> impl Strategy<Value = Action> {
    prop_oneof![
        10 => (1..=most).prop_map(Action::Read),
        10 => (1..=most, any::<u16>()).prop_map(|(count, which)| Action::End(count, which)),
        4 => any::<bool>().prop_map(Action::Committed),
        1 => Just(Action::Silent),
        1 => any::<u16>().prop_map(Action::Cut),
        1 => any::<bool>().prop_map(Action::Crash),
    ]
}

fn live(gaps: &[i64], window: usize, actions: &[Action]) {
    let mut session = Session::new(gaps, window);
    actions.iter().for_each(|action| session.act(action));
    // Whatever has happened: there is a way to the end of the log.
    session.act(&Action::Committed(true));
    while session.next < session.log.len() || !session.open.is_empty() {
        session.act(&Action::Read(window));
        session.act(&Action::End(1 + session.open.len() / 2, 0));
    }
    let end = session.log.last().map(|last| last + 1);
    assert_eq!(session.offsets.position(), end.and_then(at));
}

proptest! {
    #[test]
    fn whatever_happens_nothing_is_lost_and_nothing_that_was_committed_is_run_again(
        gaps in vec(prop_oneof![6 => Just(1i64), 2 => 1i64..5, 1 => 1i64..5_000_000], 1..60),
        window in 1usize..12,
        actions in vec(actions(8), 0..80),
    ) {
        live(&gaps, window, &actions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Windows so wide and gaps so large that the map gets full.
    #[test]
    fn a_map_never_exceeds_its_limit_and_never_forgets(
        gaps in vec(prop_oneof![2 => Just(1i64), 6 => 1i64..5_000, 1 => 1i64..5_000_000], 1_500..3_000),
        window in 1_000usize..2_000,
        actions in vec(actions(1_500), 0..12),
    ) {
        live(&gaps, window, &actions);
    }
}
