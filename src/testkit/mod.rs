//! Tests of a [`Service`] without a broker and without waiting: topics in memory, a clock that the test sets, and the
//! engine and worker code that production runs. What the stage writes, where a failed record waits and until when, and
//! each dead letter with its headers can be looked at.
//!
//! ```
//! use std::time::Duration;
//! use lazaret::testkit::TestKit;
//! use lazaret::{Fault, Ladder, Output, Record, Service};
//!
//! async fn shout(record: Record) -> Result<Output, Fault> {
//!     if record.attempt() == 1 { return Err(Fault::transient("not yet")) }
//!     Ok(Output::new(record.text()?.to_uppercase()))
//! }
//!
//! #[tokio::test]
//! async fn the_second_attempt_comes_after_a_minute_and_shouts() -> anyhow::Result<()> {
//!     let minute = Duration::from_secs(60);
//!     let service = Service::builder("p", "shout").bootstrap("none:1").input("in").output("out");
//!     let service = service.ladder(Ladder::rungs([minute])).stage(shout).build()?;
//!     let mut kit = TestKit::new(service).await?;
//!     kit.send("hello").await;
//!     assert_eq!(kit.waiting()[0].due, kit.now() + minute);
//!     kit.advance(minute).await;
//!     assert_eq!(kit.outputs()[0].text(), "HELLO");
//!     Ok(())
//! }
//! ```
//!
//! The kit's clock stands still while stages run. A stage that sleeps, and the service's `timeout` for a call, go by
//! tokio's clock: under `#[tokio::test(start_paused = true)]` (tokio's feature `test-util`) neither takes time. On
//! tokio's current-thread runtime, the default of `#[tokio::test]`, all happens in the same order every time.

mod drive;
mod seen;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub use self::seen::{Dead, Retry, TestRecord, Written};
use crate::flow::offsets::Position;
use crate::flow::topology::StageTopics;
use crate::flow::{Engine, Fault, Topology};
use crate::message::{self, Coordinates, OutRecord, Topic, TopicPartition};
use crate::service::{Error, Service, Stats};
use crate::worker::testable::{Clock, Delivery, Hands, Kit, Spec, kit, spec};
use crate::worker::{Edges, Instance, Stages};

/// When the kit's clock begins: 2026-01-01T00:00:00Z, in milliseconds.
const BEGIN: i64 = 1_767_225_600_000;

/// See the module.
pub struct TestKit {
    spec: Spec,
    kit: Arc<Kit>,
    engine: Engine,
    hands: Hands,
    clock: Arc<AtomicI64>,
    /// What stands in every topic.
    log: BTreeMap<TopicPartition, Vec<message::Record>>,
    /// Partitions that are read, with the term of their family and the offset that is read next.
    read: BTreeMap<TopicPartition, (i64, usize)>,
    committed: BTreeMap<TopicPartition, Position>,
    /// What is written in transactions that are open, by course.
    open: [Vec<OutRecord>; 2],
    paused: Option<Fault>,
}

impl TestKit {
    /// The service as it was built: its stage, ladder, rules, order and limits. Nothing is asked of Kafka. A ledger in
    /// a file is opened, so give each test a file of its own. Delivery is exactly once, whatever the service says.
    ///
    /// `Err` when the ledger cannot be opened.
    pub async fn new(service: Service) -> Result<Self, Error> {
        let clock = Arc::new(AtomicI64::new(BEGIN));
        let now = Timestamp::from_millisecond(BEGIN).unwrap_or(Timestamp::UNIX_EPOCH);
        let ledger = service.ledger("testkit", now)?;
        let Service { config, topology, stage, .. } = service;
        let (spec, topics) = parts(&config, &topology, ledger.remembers())?;
        let instance = Instance::unlocked("testkit");
        let edges =
            Edges { topology, ledger, registry: None, stages: Stages::Own(stage), traces: None, instance };
        let made =
            config.pipelines.values().next().and_then(|pipeline| Some((pipeline, pipeline.stages.first()?)));
        let Some(made) = made else { return Err(Error::Broken) };
        // Without numbers of partitions every record keeps its own.
        let kit = kit(&config, made, topics, &edges, BTreeMap::new())?;
        let kit = Arc::new(Kit { clock: Clock::Set(clock.clone()), ..kit });
        Ok(Self {
            engine: Engine::new(spec.clone()),
            hands: Hands::new(kit.clone()),
            spec,
            kit,
            clock,
            log: BTreeMap::new(),
            read: BTreeMap::new(),
            committed: BTreeMap::new(),
            open: Default::default(),
            paused: None,
        })
    }

    /// Writes a record to the input topic and runs what can be run.
    pub async fn send(&mut self, record: impl Into<TestRecord>) {
        self.push(record);
        self.run().await;
    }

    /// Writes a record to the input topic; it is read with the next [`run`](Self::run).
    pub fn push(&mut self, record: impl Into<TestRecord>) {
        let TestRecord { partition, key, value, headers, timestamp } = record.into();
        let topic = self.kit.topics.input.clone();
        self.append(topic.into(), partition, timestamp, (key, value, headers));
    }

    /// Runs until nothing more is to be done at this time.
    pub async fn run(&mut self) {
        self.assign().await;
        loop {
            self.poll();
            match self.hands.next().await {
                Some(Some(event)) => self.tell(event),
                Some(None) => {}
                None => return,
            }
        }
    }

    /// Time passes: what becomes due meanwhile is run at its time.
    pub async fn advance(&mut self, time: Duration) {
        let end = self.now().saturating_add(time).unwrap_or(Timestamp::MAX);
        while let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= end) {
            self.set(wake);
            self.tick().await;
        }
        self.set(end);
        self.tick().await;
    }

    /// As after `kill -9` and a new start: what was only in memory is gone; topics, offsets and ledger are as they were.
    pub async fn restart(&mut self) {
        self.engine = Engine::new(self.spec.clone());
        self.hands = Hands::new(self.kit.clone());
        self.read.clear();
        self.paused = None;
        self.run().await;
    }

    /// What the clock says.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.load(SeqCst)).unwrap_or(Timestamp::MAX)
    }

    /// What stands in the output topic, by partition and offset.
    pub fn outputs(&self) -> Vec<Written> {
        self.kit.topics.next.as_deref().map(|topic| self.written(topic)).unwrap_or_default()
    }

    /// What stands in any topic.
    pub fn written(&self, topic: &str) -> Vec<Written> {
        self.in_topic(topic).cloned().map(Written).collect()
    }

    /// All that was ever sent to a rung.
    pub fn retries(&self) -> Vec<Retry> {
        let rungs = self.kit.topics.rungs.iter();
        rungs.flat_map(|rung| self.in_topic(&rung.topic)).filter_map(Retry::read).collect()
    }

    /// What waits on a rung until its time comes.
    pub fn waiting(&self) -> Vec<Retry> {
        let now = self.now();
        self.retries().into_iter().filter(|retry| retry.due > now).collect()
    }

    /// What stands in the dead letter topic.
    pub fn dead_letters(&self) -> Vec<Dead> {
        self.in_topic(&self.kit.topics.dlq).filter_map(Dead::read).collect()
    }

    /// Why the stage pauses, if it does.
    pub fn paused(&self) -> Option<&Fault> {
        self.paused.as_ref()
    }

    pub fn stats(&self) -> Stats {
        self.kit.tally.counts()
    }

    fn in_topic<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a message::Record> {
        self.log.iter().filter(move |(name, _)| &*name.topic == topic).flat_map(|(_, records)| records)
    }

    fn append(&mut self, topic: Topic, partition: i32, timestamp: Option<i64>, (key, value, headers): Body) {
        let timestamp = timestamp.or(Some(self.clock.load(SeqCst)));
        let records = self.log.entry(TopicPartition::new(topic.clone(), partition)).or_default();
        let offset = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let at = Coordinates { topic, partition, offset, timestamp };
        records.push(message::Record { at, key, value, headers });
    }

    fn set(&mut self, time: Timestamp) {
        let rest = i64::from(time.as_nanosecond().rem_euclid(1_000_000) != 0);
        self.clock.store(time.as_millisecond().saturating_add(rest), SeqCst);
    }
}

type Body = (Option<Bytes>, Option<Bytes>, message::Headers);

fn parts(
    config: &crate::config::Config,
    topology: &Topology,
    settles: bool,
) -> Result<(Spec, StageTopics), Error> {
    let pipeline = config.pipelines.values().next();
    let parts =
        pipeline.and_then(|pipeline| Some((pipeline, pipeline.stages.first()?, topology.stages.first()?)));
    let (pipeline, stage, topics) = parts.ok_or(Error::Broken)?;
    // Nothing gathers: a test would have to wait for it.
    let (delivery, gather) = (Delivery::ExactlyOnce, Duration::ZERO);
    let spec = Spec { delivery, gather, ..spec(pipeline, stage, settles) };
    Ok((spec, topics.clone()))
}

#[cfg(test)]
mod tests;
