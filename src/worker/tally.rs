//! What a stage has done since it started: once as metrics, once as numbers that displays can read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::flow::breaker::Circuit;
use crate::flow::engine::{Lane, Load, Publish};
use crate::flow::topology::StageTopics;
use crate::flow::{Code, Fault};
use crate::telemetry::metrics::{self, Outcome, StageMetrics};

/// Numbers of one stage in this process. Counts are records; a record that climbs the ladder counts once as read
/// and once for each retry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Read from the input topic.
    pub read: u64,
    /// Finished: outputs written, or known to be written before.
    pub done: u64,
    /// Records written to the next topic.
    pub sent: u64,
    /// Sent to a rung, by code.
    pub retried: BTreeMap<Code, u64>,
    /// Sent to the dead letter topic, by code.
    pub dead: BTreeMap<Code, u64>,
    /// Came again after they had finished.
    pub duplicates: u64,
    /// Stored results that were produced without running the stage again.
    pub replayed: u64,
    /// Being worked on now.
    pub running: usize,
    /// Held now until they are due, by rung.
    pub waiting: BTreeMap<String, usize>,
    /// Why the stage pauses, if it does.
    pub paused: Option<String>,
}

/// See the module.
pub struct Tally {
    pub pipeline: String,
    pub stage: String,
    metrics: StageMetrics,
    counts: Mutex<Counts>,
    paused_for: Mutex<Option<Code>>,
    /// Records taken in, and records that ended or were handed back: their difference is what is held.
    taken: AtomicU64,
    left: AtomicU64,
}

impl Tally {
    pub fn new(topics: &StageTopics) -> Self {
        let waiting = topics.rungs.iter().map(|rung| (rung.topic.clone(), 0)).collect();
        Self {
            pipeline: topics.pipeline.clone(),
            stage: topics.stage.clone(),
            metrics: StageMetrics::new(&topics.pipeline, &topics.stage),
            counts: Mutex::new(Counts { waiting, ..Counts::default() }),
            paused_for: Mutex::default(),
            taken: AtomicU64::new(0),
            left: AtomicU64::new(0),
        }
    }

    /// As of now.
    pub fn counts(&self) -> Counts {
        self.lock().clone()
    }

    pub fn read(&self, lane: Lane) {
        self.taken.fetch_add(1, Relaxed);
        self.metrics.read(lane);
        self.lock().read += u64::from(lane == Lane::Input);
    }

    /// A retry starts this long after it was due.
    pub fn late(&self, late: Duration) {
        self.metrics.late(late);
    }

    /// An attempt of the stage itself ended.
    pub fn ran(&self, well: bool, took: Duration) {
        self.metrics.attempt(well, took);
    }

    pub fn replayed(&self) {
        self.lock().replayed += 1;
        self.metrics.suppressed();
    }

    pub fn duplicate(&self) {
        let mut counts = self.lock();
        counts.duplicates += 1;
        counts.done += 1;
        self.metrics.suppressed();
        self.processed(Outcome::Duplicate);
    }

    /// The record's journey through this stage, or this attempt at it, is over and durable: Kafka has `produced`
    /// records of it.
    pub fn published(&self, what: &Publish, produced: usize) {
        let mut counts = self.lock();
        match what {
            Publish::Output => {
                counts.done += 1;
                counts.sent += produced as u64;
                self.processed(Outcome::Ok);
            }
            Publish::Retry { fault, .. } => {
                *counts.retried.entry(fault.code).or_default() += 1;
                self.processed(Outcome::Retry);
            }
            Publish::Dead { fault, .. } => {
                *counts.dead.entry(fault.code).or_default() += 1;
                self.processed(Outcome::Dlq);
                metrics::dlq_record(&self.pipeline, &self.stage, fault.code, fault.class);
            }
            Publish::Park => self.processed(Outcome::Parked),
            Publish::Discard => self.processed(Outcome::Discarded),
        }
    }

    /// A record is no longer held: it has ended, or was handed back.
    pub fn let_go(&self) {
        self.left.fetch_add(1, Relaxed);
    }

    pub fn released(&self) {
        self.let_go();
        self.processed(Outcome::Released);
    }

    pub fn dead_letter_refused(&self) {
        metrics::dlq_publish_failure(&self.pipeline, &self.stage);
    }

    /// The stage pauses for this reason, or goes on.
    pub fn paused(&self, fault: Option<&Fault>) {
        self.lock().paused = fault.map(Fault::to_string);
        let mut paused_for = self.paused_for.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = paused_for.take() {
            metrics::stage_paused(&self.pipeline, &self.stage, before, false);
        }
        if let Some(fault) = fault {
            metrics::stage_paused(&self.pipeline, &self.stage, fault.code, true);
            *paused_for = Some(fault.code);
        }
    }

    /// How the breaker between the stage and its provider stands.
    pub fn breaker(&self, is: Circuit) {
        metrics::breaker(&self.pipeline, &self.stage, is);
    }

    /// What is held now; `waiting` by rung topic.
    pub fn holds(&self, load: Load, waiting: impl Iterator<Item = String>) {
        let mut counts = self.lock();
        counts.running = load.running;
        counts.waiting.values_mut().for_each(|n| *n = 0);
        for topic in waiting {
            *counts.waiting.entry(topic).or_default() += 1;
        }
        metrics::load(&self.pipeline, &self.stage, load);
        let accounted = self.left.load(Relaxed) as f64 + load.held as f64;
        metrics::unaccounted(&self.pipeline, &self.stage, self.taken.load(Relaxed) as f64 - accounted);
        for (topic, n) in &counts.waiting {
            let rung = topic.rsplit('.').next().unwrap_or(topic);
            metrics::retry_waiting(&self.pipeline, &self.stage, rung, *n);
        }
    }

    fn processed(&self, outcome: Outcome) {
        self.metrics.processed(outcome);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
