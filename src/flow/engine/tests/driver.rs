//! Drives an engine by hand: a clock that tests set, records by partition and offset, short names for effects.

use std::time::Duration;

use jiff::Timestamp;

use crate::flow::engine::*;
use crate::flow::ladder::{Ladder, Limits, Past};
use crate::flow::offsets::Position;
use crate::flow::{Code, Fault};
use crate::message::TopicPartition;
use crate::message::deadletter::Detail;

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
        stepwise: false,
    }
}

pub fn spec() -> Spec {
    Spec {
        delivery: Delivery::AtLeastOnce,
        ordering: None,
        fair: None,
        comeback: None,
        settles: true,
        waiting: 1_000_000,
        followers: 2,
        outstanding: 100,
        concurrency: 4,
        window: 8,
        bytes: 1_000_000,
        outputs: 1_000_000,
        ladder: ladder(),
        rules: Vec::new(),
        commit_every: COMMIT_EVERY,
        gather: ms(500),
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
    Effect::Prepare { slot: SlotId(slot), what: Publish::Output }
}

pub fn drained(partition: TopicPartition, commit: Option<i64>) -> Effect {
    let commit = commit.map(|offset| (partition.clone(), at(offset))).into_iter().collect();
    Effect::Drained { partitions: vec![partition], commit }
}

pub fn fault(code: Code) -> Box<Fault> {
    Box::new(Fault::new(code, "as the test wants it"))
}

/// The records that these effects start.
pub fn starts(effects: &[Effect]) -> Vec<u64> {
    effects.iter().filter_map(|e| if let Effect::Start(slot) = e { Some(slot.0) } else { None }).collect()
}

/// A position with nothing beyond it.
pub fn at(offset: i64) -> Position {
    Position { offset, map: String::new() }
}

/// The offsets that these effects commit; whether with a map is not said.
pub fn commits(effects: &[Effect]) -> Vec<(TopicPartition, i64)> {
    let offsets = |all: &[(TopicPartition, Position)]| -> Vec<_> {
        all.iter().map(|(name, position)| (name.clone(), position.offset)).collect()
    };
    effects
        .iter()
        .flat_map(|effect| match effect {
            Effect::Commit(all) | Effect::Transact { commit: Some(all), .. } => offsets(all),
            _ => Vec::new(),
        })
        .collect()
}

/// What is produced for this record.
pub fn what(effects: &[Effect]) -> Publish {
    match effects {
        [Effect::Prepare { what, .. }, ..] => what.clone(),
        other => panic!("expected a publication, got {other:?}"),
    }
}

pub fn dead_letter(attempts: u32, fault: Box<Fault>) -> Publish {
    Publish::Dead { attempts, fault, detail: Detail::Full, dated: true }
}

/// An engine, its clock, and the next slot's number: records are numbered 0, 1, 2, … as they are polled.
pub struct Driver {
    pub engine: Engine,
    pub now: Timestamp,
    /// Bytes of what every record becomes.
    pub output: usize,
    /// What is written of a transaction is not told yet.
    pub writes: bool,
    /// Records of transactions that are being written.
    open: Vec<(Course, Vec<SlotId>)>,
    /// The transaction whose offsets are being committed.
    concluding: Option<Course>,
    slots: u64,
}

impl Driver {
    /// An engine that is assigned input partition 0.
    pub fn new(change: impl FnOnce(&mut Spec)) -> Self {
        let mut spec = spec();
        change(&mut spec);
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let mut driver = Self {
            engine: Engine::new(spec),
            now,
            output: 1,
            writes: false,
            open: Vec::new(),
            concluding: None,
            slots: 0,
        };
        driver.assign(input(0), Lane::Input);
        driver
    }

    /// Tells the engine. A wake that is not in the future would make the worker spin.
    ///
    /// What the tests do not look at goes well by itself: records are made ready, at least once what was made ready is on
    /// its way to Kafka, and exactly once it is written, and seen when its transaction is concluded.
    pub fn tell(&mut self, event: Event) -> Vec<Effect> {
        let mut seen = Vec::new();
        for effect in self.engine.handle(event, self.now) {
            match effect {
                Effect::Prepare { slot, .. } => {
                    seen.push(effect);
                    seen.extend(self.tell(Event::Prepared { slot, result: Ok(self.output) }));
                }
                Effect::Send(_) => {}
                Effect::Transact { course, slots, commit: None } => {
                    self.open.push((course, slots));
                    if !self.writes {
                        seen.extend(self.written(course));
                    }
                }
                Effect::Conclude { course, commit } => {
                    let at = self.open.iter().position(|(open, _)| *open == course).expect("it is open");
                    let slots = self.open.remove(at).1;
                    if commit.is_some() {
                        self.concluding = Some(course);
                        seen.push(Effect::Transact { course, slots, commit });
                    } else {
                        seen.push(Effect::Conclude { course, commit });
                    }
                }
                Effect::Transact { course, .. } => {
                    self.concluding = Some(course);
                    seen.push(effect);
                }
                other => seen.push(other),
            }
        }
        assert!(self.engine.next_wake().is_none_or(|wake| wake > self.now), "the worker would spin");
        seen
    }

    pub fn assign(&mut self, partition: TopicPartition, lane: Lane) -> Vec<Effect> {
        let family = partition.partition;
        let assigned = Assigned { partition, lane, family, committed: None, outstanding: Vec::new() };
        self.tell(Event::Assigned(vec![assigned]))
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
        let mut arrival = Arrival {
            slot,
            partition,
            offset,
            size: 100,
            due: None,
            past,
            tenant: Tenant::default(),
            order: None,
            origin: offset,
            discard: false,
        };
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

    /// Kafka has it, and the ledger.
    pub fn published(&mut self, slot: u64) -> Vec<Effect> {
        let effects = self.tell(Event::Sent { slot: SlotId(slot), result: Ok(()) });
        self.settle(effects)
    }

    /// The ledger takes what it is told in these effects.
    pub fn settle(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut seen = Vec::new();
        for effect in effects {
            match effect {
                Effect::Settle(slot) => seen.extend(self.tell(Event::Settled { slot, result: Ok(()) })),
                other => seen.push(other),
            }
        }
        seen
    }

    pub fn refused(&mut self, slot: u64, code: Code) -> Vec<Effect> {
        let result = Err(refusal(code));
        self.tell(Event::Sent { slot: SlotId(slot), result })
    }

    /// Kafka has the records of the transaction that is being written.
    pub fn written(&mut self, course: Course) -> Vec<Effect> {
        self.tell(Event::Written(course))
    }

    /// Kafka's answer to the transaction that is being concluded.
    pub fn transacted(&mut self, result: Result<(), Abort>) -> Vec<Effect> {
        match self.concluding.take() {
            Some(course) => self.tell(Event::Transacted { course, result }),
            None => Vec::new(),
        }
    }

    /// Kafka has committed the transaction, and the ledger is told.
    pub fn committed(&mut self) -> Vec<Effect> {
        let effects = self.transacted(Ok(()));
        self.settle(effects)
    }

    pub fn aborted(&mut self, abort: Abort) -> Vec<Effect> {
        self.transacted(Err(abort))
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

    pub fn after(&self, time: Duration) -> Timestamp {
        self.now.saturating_add(time).unwrap()
    }
}

/// Records held, running, and waiting for their due time.
pub fn numbers(d: &Driver) -> (usize, usize, usize) {
    let load = d.engine.load();
    (load.held, load.running, load.waiting)
}

pub fn refusal(code: Code) -> Refusal {
    match code {
        Code::RecordTooLarge => Refusal::TooLarge(fault(code)),
        code => Refusal::Fault(fault(code)),
    }
}
