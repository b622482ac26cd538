//! What whoever keeps the index of dead letters tells: of letters, groups, redrives, sweeps, the archive, the API, and how far stages
//! are behind.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::catalogue::Metric;
use super::stage_labels;

/// Open dead letters of a stage that have this class.
pub fn dlq_open(pipeline: &str, stage: &str, class: &'static str, records: u64) {
    gauge!(Metric::DlqOpenRecords.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "class" => class)
    .set(records as f64);
}

/// For how long the oldest open dead letter of a stage has been dead.
pub fn dlq_oldest(pipeline: &str, stage: &str, age: Duration) {
    gauge!(Metric::DlqOldestOpenAge.name(), &stage_labels(pipeline, stage)).set(age.as_secs_f64());
}

/// Groups that had no letter before, and those that have come back. Told for 0, too, so that a first one is an increase.
pub fn dlq_groups(pipeline: &str, stage: &str, opened: u64, reopened: u64) {
    let labels = stage_labels(pipeline, stage);
    counter!(Metric::DlqGroupsOpened.name(), &labels).increment(opened);
    counter!(Metric::DlqGroupsReopened.name(), &labels).increment(reopened);
}

/// An act was read from the topic of operations.
pub fn act(deed: &'static str) {
    counter!(Metric::Acts.name(), "deed" => deed).increment(1);
}

/// A request to the API was answered. `route` is its path with the names of its parts.
pub fn api_request(route: &str, method: &'static str, status: u16, took: Duration) {
    let labels = [("route", route.to_owned()), ("method", method.to_owned())];
    histogram!(Metric::ApiRequestDuration.name(), &labels).record(took);
    let [route, method] = labels;
    counter!(Metric::ApiRequests.name(), &[route, method, ("status", status.to_string())]).increment(1);
}

/// How many redrives are in a state.
pub fn redrive_runs(state: &'static str, runs: usize) {
    gauge!(Metric::RedriveRuns.name(), "state" => state).set(runs as f64);
}

/// An act could not be written down.
pub fn audit_write_failure() {
    counter!(Metric::AuditWriteFailures.name()).increment(1);
}

/// Shows what is told of redrives of a stage at zero before there was one, so that a first failure is an increase.
pub fn redrives_known(pipeline: &str, stage: &str, results: impl Iterator<Item = &'static str>) {
    counter!(Metric::RedriveGateStops.name(), &stage_labels(pipeline, stage)).increment(0);
    for result in results {
        redrive_records(pipeline, stage, result, 0);
    }
}

/// It is known what became of a letter that a run sent back.
pub fn redrive_record(pipeline: &str, stage: &str, result: &'static str) {
    redrive_records(pipeline, stage, result, 1);
}

fn redrive_records(pipeline: &str, stage: &str, result: &'static str, records: u64) {
    counter!(Metric::RedriveRecords.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "result" => result)
    .increment(records);
}

/// A run stopped itself.
pub fn redrive_gate_stop(pipeline: &str, stage: &str) {
    counter!(Metric::RedriveGateStops.name(), &stage_labels(pipeline, stage)).increment(1);
}

/// A sweep by schedule ended so; when, if it was done.
pub fn sweep_ended(outcome: &'static str, done: Option<jiff::Timestamp>) {
    counter!(Metric::Sweeps.name(), "outcome" => outcome).increment(1);
    if let Some(done) = done {
        gauge!(Metric::SweepLastDone.name()).set(done.as_millisecond() as f64 / 1000.0);
    }
}

/// What a rule did with letters. Rules are those of the configuration.
pub fn swept(rule: &str, action: &'static str, outcome: &'static str, letters: u64) {
    counter!(Metric::SweepRecords.name(),
        "rule" => rule.to_owned(), "action" => action, "outcome" => outcome)
    .increment(letters);
}

/// What a stage has not ended of a partition, and how long the oldest of it waits.
pub fn lag(
    pipeline: &str,
    stage: &str,
    topic: &str,
    partition: i32,
    lane: &'static str,
    records: u64,
    behind: Duration,
) {
    let labels = [
        ("pipeline", pipeline.to_owned()),
        ("stage", stage.to_owned()),
        ("topic", topic.to_owned()),
        ("partition", partition.to_string()),
        ("lane", lane.to_owned()),
    ];
    gauge!(Metric::Lag.name(), &labels).set(records as f64);
    gauge!(Metric::LagSeconds.name(), &labels).set(behind.as_secs_f64());
}

/// How long the oldest record of a rung is overdue. `rung` is the rung's delay, such as `30s`.
pub fn retry_overdue(pipeline: &str, stage: &str, rung: &str, overdue: Duration) {
    gauge!(Metric::RetryOverdue.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "rung" => rung.to_owned())
    .set(overdue.as_secs_f64());
}

/// Whether this is how a stage gets on.
pub fn lag_state(pipeline: &str, stage: &str, state: &'static str, is_so: bool) {
    gauge!(Metric::LagState.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "state" => state)
    .set(f64::from(u8::from(is_so)));
}

/// Members of a stage's consumer group.
pub fn lag_members(pipeline: &str, stage: &str, members: usize) {
    gauge!(Metric::LagMembers.name(), &stage_labels(pipeline, stage)).set(members as f64);
}

/// Dead letters of a stage that are late; `sla` is what is: `look` or `resolve`.
pub fn dlq_late(pipeline: &str, stage: &str, sla: &'static str, records: u64) {
    gauge!(Metric::DlqSlaBreaches.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "sla" => sla)
    .set(records as f64);
}

/// Seconds until Kafka may delete the oldest open dead letter of a stage.
pub fn dlq_headroom(pipeline: &str, stage: &str, seconds: f64) {
    gauge!(Metric::DlqRetentionHeadroom.name(), &stage_labels(pipeline, stage)).set(seconds);
}

/// Bytes of the dead letters of a stage that Kafka has, and how many there may be.
pub fn dlq_room(pipeline: &str, stage: &str, bytes: u64, budget: Option<u64>) {
    let labels = stage_labels(pipeline, stage);
    gauge!(Metric::DlqStandingBytes.name(), &labels).set(bytes as f64);
    if let Some(budget) = budget {
        gauge!(Metric::DlqBudgetBytes.name(), &labels).set(budget as f64);
    }
}

/// Dead letters of a stage that only the archive has.
pub fn dlq_archived(pipeline: &str, stage: &str, records: u64) {
    gauge!(Metric::DlqArchivedRecords.name(), &stage_labels(pipeline, stage)).set(records as f64);
}

/// Dead letters went into the archive, as an object of so many bytes.
pub fn archived(pipeline: &str, stage: &str, letters: u64, bytes: u64) {
    let labels = stage_labels(pipeline, stage);
    counter!(Metric::ArchiveRecords.name(), &labels).increment(letters);
    counter!(Metric::ArchiveBytes.name(), &labels).increment(bytes);
}

/// A pass over what is to be archived has ended: when, if it succeeded.
pub fn archive_pass(succeeded: Option<jiff::Timestamp>) {
    match succeeded {
        Some(at) => gauge!(Metric::ArchiveLastSuccess.name()).set(at.as_millisecond() as f64 / 1000.0),
        None => counter!(Metric::ArchiveFailures.name()).increment(1),
    }
}

/// What stands in Kafka and not yet in the index of dead letters.
pub fn dlq_index_lag(records: u64) {
    gauge!(Metric::DlqIndexLag.name()).set(records as f64);
}

/// The index of dead letters took records in.
pub fn dlq_index_applied(at: jiff::Timestamp) {
    gauge!(Metric::DlqIndexLastApplied.name()).set(at.as_millisecond() as f64 / 1000.0);
}
