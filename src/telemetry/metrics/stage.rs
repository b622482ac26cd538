//! What is counted for every record of a stage. The series are looked up once: to find one by its labels for each
//! record costs more than the engine does.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

use super::catalogue::Metric;
use super::{Outcome, stage_known, stage_labels};
use crate::flow::engine::Lane;

/// The series of one stage. Made when the recorder is installed: what is recorded into series that were made before is lost.
pub struct StageMetrics {
    read: [Counter; 4],
    processed: [Counter; Outcome::ALL.len()],
    /// Of attempts that went well, and of those that did not.
    duration: [Histogram; 2],
    lateness: Histogram,
    suppressed: Counter,
}

impl StageMetrics {
    /// Finds the series of a stage, and shows them at zero.
    pub fn new(pipeline: &str, stage: &str) -> Self {
        stage_known(pipeline, stage);
        let labels = stage_labels(pipeline, stage);
        let with = |name: &'static str, value: &'static str| {
            let [pipeline, stage] = labels.clone();
            [pipeline, stage, (name, value.to_owned())]
        };
        Self {
            read: ["input", "rung", "redrive", "park"]
                .map(|lane| counter!(Metric::RecordsRead.name(), &with("lane", lane))),
            processed: Outcome::ALL
                .map(|outcome| counter!(Metric::RecordsProcessed.name(), &with("outcome", outcome.as_str()))),
            duration: [Outcome::Ok, Outcome::Retry]
                .map(|outcome| histogram!(Metric::StageDuration.name(), &with("outcome", outcome.as_str()))),
            lateness: histogram!(Metric::RetryLateness.name(), &labels),
            suppressed: counter!(Metric::LedgerDuplicatesSuppressed.name(), &labels),
        }
    }

    /// A record was taken in.
    pub fn read(&self, lane: Lane) {
        let [input, rung, redrive, park] = &self.read;
        match lane {
            Lane::Input => input,
            Lane::Rung => rung,
            Lane::Redrive => redrive,
            Lane::Park => park,
        }
        .increment(1);
    }

    /// A record reached a durable end.
    pub fn processed(&self, outcome: Outcome) {
        if let Some(counter) = self.processed.get(outcome as usize) {
            counter.increment(1);
        }
    }

    /// An attempt took this long.
    pub fn attempt(&self, well: bool, took: Duration) {
        let [good, bad] = &self.duration;
        if well { good } else { bad }.record(took);
    }

    /// A retry began this long after it was due.
    pub fn late(&self, late: Duration) {
        self.lateness.record(late);
    }

    /// A finished job came again and its stored result was used.
    pub fn suppressed(&self) {
        self.suppressed.increment(1);
    }
}
