//! What a stage tells the outside about itself: its state in `/readyz`, its pauses in the log, its lag.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tally::Tally;
use crate::flow::Fault;
use crate::message::TopicPartition;
use crate::telemetry::http::Readiness;
use crate::telemetry::metrics;

/// See the module.
pub struct Report {
    tally: Arc<Tally>,
    readiness: Readiness,
}

impl Report {
    /// The stage is waited for until it has joined its group.
    pub fn new(tally: Arc<Tally>, readiness: Readiness) -> Self {
        let report = Self { tally, readiness };
        report.readiness.wait_for(report.joined(), "joining the consumer group");
        report
    }

    pub fn assigned(&self) {
        self.readiness.met(&self.joined());
    }

    /// Whether the stage is in its group and brokers answer.
    pub fn standing(&self, lost: bool, reachable: bool) {
        match (lost, reachable) {
            (true, _) => self.away("fell out of the consumer group and joins again"),
            (_, false) => self.away("no broker answers"),
            _ => self.readiness.met(&self.connected()),
        }
    }

    /// The stage is not in its group, or no broker answers; told again when that is over.
    pub fn away(&self, reason: &str) {
        self.readiness.wait_for(self.connected(), reason);
    }

    /// Partitions have come and cannot be worked on yet.
    pub fn held_up(&self, fault: &Fault) {
        let Tally { pipeline, stage, .. } = &*self.tally;
        tracing::warn!(pipeline, stage, code = fault.code.as_str(), "partitions have to wait: {fault}");
        self.readiness.wait_for(self.arrived(), format!("partitions wait: {fault}"));
    }

    pub fn recovered(&self) {
        self.readiness.met(&self.arrived());
    }

    /// Kafka does not let the stage read.
    pub fn refused(&self, reason: &str) {
        self.readiness.wait_for(self.joined(), reason);
    }

    pub fn paused(&self, fault: &Fault) {
        let Tally { pipeline, stage, .. } = &*self.tally;
        let code = fault.code.as_str();
        tracing::warn!(
            pipeline,
            stage,
            code,
            "the stage pauses and tries one record from time to time; nothing is dead-lettered: {fault}"
        );
        self.tally.paused(Some(fault));
        self.readiness.wait_for(self.running(), format!("paused: {fault}"));
    }

    pub fn resumed(&self) {
        let Tally { pipeline, stage, .. } = &*self.tally;
        tracing::info!(pipeline, stage, "the stage goes on");
        self.tally.paused(None);
        self.readiness.met(&self.running());
    }

    pub fn lag(&self, lag: BTreeMap<TopicPartition, i64>) {
        for (name, records) in lag {
            let Tally { pipeline, stage, .. } = &*self.tally;
            metrics::consumer_lag(pipeline, stage, &name.topic, name.partition, records);
        }
    }

    fn joined(&self) -> String {
        format!("{}.{} joined", self.tally.pipeline, self.tally.stage)
    }

    fn arrived(&self) -> String {
        format!("{}.{} partitions", self.tally.pipeline, self.tally.stage)
    }

    fn connected(&self) -> String {
        format!("{}.{} connected", self.tally.pipeline, self.tally.stage)
    }

    fn running(&self) -> String {
        format!("{}.{} running", self.tally.pipeline, self.tally.stage)
    }
}
