//! What verifying found, in numbers and, of what is wrong, by name. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::gather::Stage;
use super::job::{Job, Place};
use crate::flow::topology::StageTopics;

/// What became of every record of the stages that were looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub stages: Vec<StageReport>,
    /// The first of what is wrong, by stage and job.
    pub findings: Vec<Finding>,
    pub missing: u64,
    /// Jobs of which something stands twice, and must not.
    pub double: u64,
    /// Jobs of which something stands twice, as may be after a crash where a stage delivers at least once.
    pub double_allowed: u64,
    /// False when there is no ledger to ask.
    pub ledger: bool,
}

/// One stage. `records` and `older` together are `repeated` and all of `jobs`.
#[derive(Clone, Debug, Serialize)]
pub struct StageReport {
    pub pipeline: String,
    pub stage: String,
    pub input: String,
    /// Records on the input.
    pub records: u64,
    /// Jobs that are not over and whose record Kafka has deleted from the input.
    pub older: u64,
    /// Records on the input whose job stands there before.
    pub repeated: u64,
    /// Where the jobs are.
    pub jobs: BTreeMap<Place, u64>,
    /// Jobs of which something stands twice.
    pub double: u64,
    /// Offsets of the input that Kafka has deleted: nothing is said of them.
    pub deleted: u64,
    /// Partitions whose offset map cannot be read.
    pub damaged_maps: u64,
}

/// What is wrong with a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub kind: Kind,
    pub pipeline: String,
    pub stage: String,
    pub job: String,
    /// `topic-partition@offset` of its record on the input, if that is still there.
    pub record: Option<String>,
    pub what: &'static str,
    /// The stage delivers at least once, so that this may be.
    pub allowed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Missing,
    Double,
}

impl Report {
    /// Whether every record is accounted for, once.
    pub fn is_clean(&self) -> bool {
        self.missing == 0 && self.double == 0
    }
}

pub fn make(
    stages: &[Stage],
    ledger: bool,
    limit: usize,
    mut show: impl FnMut(&StageTopics, &str, &Job, Place),
) -> Report {
    let mut report =
        Report { stages: Vec::new(), findings: Vec::new(), missing: 0, double: 0, double_allowed: 0, ledger };
    for stage in stages {
        let mut of_stage = StageReport::new(stage);
        let mut findings = Vec::new();
        for (id, job) in &stage.jobs {
            let mut found =
                |kind, what, allowed| findings.push(Finding::new(stage, id, job, kind, what, allowed));
            if let Some(what) = job.doubled().filter(|_| job.is_known()) {
                of_stage.double += 1;
                found(Kind::Double, what, stage.at_least_once);
            }
            if !job.counts() {
                continue;
            }
            let (place, why) = job.place(&stage.sight);
            *of_stage.jobs.entry(place).or_default() += 1;
            of_stage.older += u64::from(job.input.is_none());
            if place == Place::Missing {
                found(Kind::Missing, why, false);
            }
            show(&stage.topics, id, job, place);
        }
        report.take(of_stage, findings, limit);
    }
    report
}

impl Report {
    fn take(&mut self, stage: StageReport, mut findings: Vec<Finding>, limit: usize) {
        for finding in &findings {
            match finding {
                Finding { kind: Kind::Missing, .. } => self.missing += 1,
                Finding { allowed: false, .. } => self.double += 1,
                Finding { allowed: true, .. } => self.double_allowed += 1,
            }
        }
        findings.sort();
        let room = limit.saturating_sub(self.findings.len());
        self.findings.extend(findings.into_iter().take(room));
        self.stages.push(stage);
    }
}

impl StageReport {
    fn new(stage: &Stage) -> Self {
        Self {
            pipeline: stage.topics.pipeline.clone(),
            stage: stage.topics.stage.clone(),
            input: stage.topics.input.clone(),
            records: stage.records,
            older: 0,
            repeated: stage.repeated,
            jobs: Place::ALL.into_iter().map(|place| (place, 0)).collect(),
            double: 0,
            deleted: stage.deleted,
            damaged_maps: stage.damaged,
        }
    }
}

impl Finding {
    fn new(stage: &Stage, id: &str, job: &Job, kind: Kind, what: &'static str, allowed: bool) -> Self {
        let topics = &stage.topics;
        Self {
            kind,
            pipeline: topics.pipeline.clone(),
            stage: topics.stage.clone(),
            job: id.to_owned(),
            record: job.input.map(|at| format!("{}-{}@{}", topics.input, at.partition, at.offset)),
            what,
            allowed,
        }
    }
}
