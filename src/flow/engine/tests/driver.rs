//! Drives an engine by hand: a clock that tests set, records by partition and offset, short names for effects.

use std::time::Duration;

use jiff::Timestamp;

use crate::flow::engine::*;
use crate::flow::ladder::{Ladder, Limits, Past};
use crate::flow::{Code, Fault};
use crate::message::TopicPartition;

pub const SECOND: Duration = Duration::from_secs(1);
pub const COMMIT_EVERY: Duration = Duration::from_millis(100);

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Three attempts, waits of 2 and 4 seconds, rungs of 3 and 30 seconds, no jitter.
pub fn ladder() -> Ladder {
    Ladder {
        limits: Limits { max_attempts: 3, base: SECOND * 2, cap: SECOND * 60, max_elapsed: SECOND * 600 },
        overrides: Default::default(),
        factor: 2.0,
        jitter: 0.0,
        rungs: vec![SECOND * 3, SECOND * 30],
    }
}

pub fn spec() -> Spec {
    Spec {
        concurrency: 4,
        window: 8,
        bytes: 1_000_000,
        ladder: ladder(),
        rules: Vec::new(),
        commit_every: COMMIT_EVERY,
    }
}

pub fn input(partition: i32) -> TopicPartition {
    TopicPartition::new("in", partition)
}

pub fn rung(partition: i32) -> TopicPartition {
    TopicPartition::new("p.s.retry.3s", partition)
}

pub fn start(slot: u64) -> Effect {
    Effect::Start(SlotId(slot))
}

pub fn forget(slot: u64) -> Effect {
    Effect::Forget(SlotId(slot))
}

pub fn ended(slot: u64) -> Effect {
    Effect::Ended(SlotId(slot))
}

pub fn output(slot: u64) -> Effect {
    Effect::Publish { slot: SlotId(slot), what: Publish::Output }
}

pub fn drained(partition: TopicPartition, commit: Option<i64>) -> Effect {
    let commit = commit.map(|offset| (partition.clone(), offset)).into_iter().collect();
    Effect::Drained { partitions: vec![partition], commit }
}

pub fn fault(code: Code) -> Fault {
    Fault::new(code, "as the test wants it")
}

/// The records that these effects start.
pub fn starts(effects: &[Effect]) -> Vec<u64> {
    effects.iter().filter_map(|e| if let Effect::Start(slot) = e { Some(slot.0) } else { None }).collect()
}

pub fn commits(effects: &[Effect]) -> Vec<(TopicPartition, i64)> {
    effects.iter().flat_map(|e| if let Effect::Commit(all) = e { all.clone() } else { vec![] }).collect()
}

/// An engine, its clock, and the next slot's number: records are numbered 0, 1, 2, … as they are polled.
pub struct Driver {
    pub engine: Engine,
    pub now: Timestamp,
    slots: u64,
}

impl Driver {
    /// An engine that is assigned input partition 0.
    pub fn new(change: impl FnOnce(&mut Spec)) -> Self {
        let mut spec = spec();
        change(&mut spec);
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut driver = Self { engine: Engine::new(spec), now, slots: 0 };
        driver.assign(input(0), Lane::Input);
        driver
    }

    /// Tells the engine. A wake that is not in the future would make the worker spin.
    pub fn tell(&mut self, event: Event) -> Vec<Effect> {
        let effects = self.engine.handle(event, self.now);
        assert!(self.engine.next_wake().is_none_or(|wake| wake > self.now), "the worker would spin");
        effects
    }

    pub fn assign(&mut self, partition: TopicPartition, lane: Lane) -> Vec<Effect> {
        self.tell(Event::Assigned(vec![(partition, lane)]))
    }

    pub fn poll(&mut self, partition: TopicPartition, offset: i64) -> Vec<Effect> {
        self.arrive(partition, offset, |_| {})
    }

    /// Polls these offsets of input partition 0.
    pub fn fill(&mut self, offsets: std::ops::Range<i64>) -> Vec<Effect> {
        offsets.flat_map(|offset| self.poll(input(0), offset)).collect()
    }

    pub fn arrive(
        &mut self,
        partition: TopicPartition,
        offset: i64,
        change: impl FnOnce(&mut Arrival),
    ) -> Vec<Effect> {
        let past = Past { failures: 0, first_failure: None, seed: 0 };
        let slot = SlotId(self.slots);
        self.slots += 1;
        let mut arrival = Arrival { slot, partition, offset, size: 100, due: None, past };
        change(&mut arrival);
        self.tell(Event::Polled(arrival))
    }

    pub fn ran(&mut self, slot: u64, result: Ran) -> Vec<Effect> {
        self.tell(Event::Ran { slot: SlotId(slot), result })
    }

    pub fn fails(&mut self, slot: u64, code: Code) -> Vec<Effect> {
        self.ran(slot, Ran::Failed(fault(code)))
    }

    /// The stage is done with it and Kafka has its output.
    pub fn done(&mut self, slot: u64) -> Vec<Effect> {
        let mut effects = self.ran(slot, Ran::Output);
        effects.extend(self.published(slot));
        effects
    }

    pub fn published(&mut self, slot: u64) -> Vec<Effect> {
        self.tell(Event::Published { slot: SlotId(slot), result: Ok(()) })
    }

    pub fn refused(&mut self, slot: u64, code: Code) -> Vec<Effect> {
        self.tell(Event::Published { slot: SlotId(slot), result: Err(fault(code)) })
    }

    /// Time passes; the engine is woken when it asked for it, and only then.
    pub fn pass(&mut self, time: Duration) -> Vec<Effect> {
        let end = self.now.saturating_add(time).unwrap();
        let mut effects = Vec::new();
        while let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= end) {
            self.now = wake;
            effects.extend(self.tell(Event::Tick));
        }
        self.now = end;
        effects
    }

    pub fn at(&self, time: Duration) -> Timestamp {
        self.now.saturating_add(time).unwrap()
    }
}
