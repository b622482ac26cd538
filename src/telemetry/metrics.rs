//! Every metric: its labels stand here, its name, kind, unit and help in `catalogue`, and nowhere else. The rest of the
//! code calls functions with typed arguments, so that no name or label can be mistyped.
//!
//! Naming follows prometheus.io/docs/practices/naming: base units, `_total` on counters. A series that exists
//! stays: it goes to zero, it does not vanish. No label carries an id of a record, job or tenant.

mod catalogue;
mod money;
mod ops;
mod spans;
mod stage;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{Unit, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use self::catalogue::{Kind, Metric};
pub use self::ops::*;
pub use self::spans::{SpanEnd, spans, spans_known};
pub use self::stage::StageMetrics;
use crate::config::Amount;
use crate::flow::breaker::Circuit;
use crate::flow::{Class, Code};
use crate::message::Spent;

/// Bounds of duration histograms, in seconds. A model may take minutes, so they end at ten.
const SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];
/// Bounds of histograms that count things.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// What workers ask the ledger for, by the names under which failures are counted.
const LEDGER_OPERATIONS: [&str; 5] = ["own", "recover", "begin", "store", "settle"];

/// How a record left a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its output is written.
    Ok,
    /// It went to a rung.
    Retry,
    /// It went to the dead letter topic.
    Dlq,
    /// It went to the parking topic.
    Parked,
    /// A person or a rule gave it up.
    Discarded,
    /// The ledger knew its result.
    Duplicate,
    /// It was handed back unfinished: the partition was revoked or the process stops.
    Released,
}

impl Outcome {
    const ALL: [Outcome; 7] = [
        Outcome::Ok,
        Outcome::Retry,
        Outcome::Dlq,
        Outcome::Parked,
        Outcome::Discarded,
        Outcome::Duplicate,
        Outcome::Released,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Retry => "retry",
            Outcome::Dlq => "dlq",
            Outcome::Parked => "parked",
            Outcome::Discarded => "discarded",
            Outcome::Duplicate => "duplicate",
            Outcome::Released => "released",
        }
    }
}

/// What a provider is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Embeddings,
    Chat,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Embeddings => "embeddings",
            Operation::Chat => "chat",
        }
    }
}

/// The recorder could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("cannot set the histogram buckets of the metrics")]
    Buckets(#[from] BuildError),
    #[error("another metrics recorder is installed in this process")]
    Occupied,
}

/// Reads the recorded metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// All metrics in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        money::whole(self.0.render(), Metric::ProviderCost.name())
    }

    /// Folds the samples that histograms collected; to be called every few seconds, so that they do not pile
    /// up when nobody scrapes.
    pub fn fold(&self) {
        self.0.run_upkeep();
    }
}

/// Installs the recorder of this process, or finds the one installed before.
pub fn install() -> Result<Metrics, InstallError> {
    static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = &*installed {
        return Ok(metrics.clone());
    }
    let recorder = builder()?.build_recorder();
    let metrics = Metrics(recorder.handle());
    metrics::set_global_recorder(recorder).map_err(|_| InstallError::Occupied)?;
    describe();
    Ok(installed.insert(metrics).clone())
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in Metric::ALL.iter().filter(|m| m.kind() == Kind::Histogram) {
        let bounds = if metric.unit() == Unit::Seconds { SECONDS } else { COUNTS };
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name().to_owned()), bounds)?;
    }
    Ok(builder)
}

fn describe() {
    for metric in Metric::ALL {
        match metric.kind() {
            Kind::Counter => metrics::describe_counter!(metric.name(), metric.unit(), metric.help()),
            Kind::Gauge => metrics::describe_gauge!(metric.name(), metric.unit(), metric.help()),
            Kind::Histogram => metrics::describe_histogram!(metric.name(), metric.unit(), metric.help()),
        }
    }
    let revision = option_env!("LAZARET_REVISION").unwrap_or("unknown");
    gauge!(Metric::BuildInfo.name(), "version" => env!("CARGO_PKG_VERSION"), "revision" => revision).set(1.0);
    counter!(Metric::AuditWriteFailures.name()).increment(0);
}

/// Shows a stage's series at zero before anything happened, so that a first failure is an increase from 0 and
/// an alert sees it.
fn stage_known(pipeline: &str, stage: &str) {
    let labels = stage_labels(pipeline, stage);
    counter!(Metric::DlqPublishFailures.name(), &labels).increment(0);
    counter!(Metric::LedgerDuplicatesSuppressed.name(), &labels).increment(0);
    for gauge in [
        Metric::InFlight,
        Metric::Window,
        Metric::Blocked,
        Metric::Outstanding,
        Metric::OffsetSpan,
        Metric::OffsetMap,
        Metric::RecordsUnaccounted,
    ] {
        gauge!(gauge.name(), &labels).set(0.0);
    }
    counter!(Metric::OffsetMapDamaged.name(), &labels).increment(0);
    breaker(pipeline, stage, Circuit::Closed);
    for operation in LEDGER_OPERATIONS {
        counter!(Metric::LedgerErrors.name(), "operation" => operation).increment(0);
    }
}

/// Whether what was read adds up.
pub fn unaccounted(pipeline: &str, stage: &str, records: f64) {
    gauge!(Metric::RecordsUnaccounted.name(), &stage_labels(pipeline, stage)).set(records);
}

/// The stage paused, or resumed, because of this failure.
pub fn stage_paused(pipeline: &str, stage: &str, reason: Code, paused: bool) {
    gauge!(Metric::StagePaused.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "reason" => reason.as_str())
    .set(if paused { 1.0 } else { 0.0 });
}

/// How the breaker of the stage stands.
pub fn breaker(pipeline: &str, stage: &str, is: Circuit) {
    for state in Circuit::ALL {
        gauge!(Metric::BreakerState.name(),
            "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "state" => state.as_str())
        .set(f64::from(u8::from(state == is)));
    }
}

/// What the stage holds now.
pub fn load(pipeline: &str, stage: &str, load: crate::flow::engine::Load) {
    let labels = stage_labels(pipeline, stage);
    let set = |metric: Metric, value: f64| gauge!(metric.name(), &labels).set(value);
    set(Metric::InFlight, load.running as f64);
    set(Metric::Window, load.held as f64);
    set(Metric::Blocked, load.blocked as f64);
    set(Metric::Outstanding, load.outstanding as f64);
    set(Metric::OffsetSpan, load.span as f64);
    set(Metric::OffsetMap, load.map_bytes as f64);
}

/// An offset map that was found in a commit could not be read.
pub fn offset_map_damaged(pipeline: &str, stage: &str) {
    counter!(Metric::OffsetMapDamaged.name(), &stage_labels(pipeline, stage)).increment(1);
}

/// A transaction ended: `committed`, `aborted` or `fenced`.
pub fn transaction(pipeline: &str, stage: &str, end: &'static str, records: usize, took: Duration) {
    let labels = stage_labels(pipeline, stage);
    counter!(Metric::Transactions.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "end" => end)
    .increment(1);
    histogram!(Metric::TransactionDuration.name(), &labels).record(took);
    histogram!(Metric::TransactionSize.name(), &labels).record(records as f64);
}

/// Lag of one partition. Set it to 0 when the partition is revoked: its new owner reports it.
pub fn consumer_lag(pipeline: &str, stage: &str, topic: &str, partition: i32, records: i64) {
    gauge!(Metric::ConsumerLag.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(),
        "topic" => topic.to_owned(), "partition" => partition.to_string())
    .set(records as f64);
}

/// Number of records held until they are due. `rung` is the rung's delay, such as `30s`.
pub fn retry_waiting(pipeline: &str, stage: &str, rung: &str, records: usize) {
    gauge!(Metric::RetryWaiting.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(), "rung" => rung.to_owned())
    .set(records as f64);
}

/// A dead letter was written.
pub fn dlq_record(pipeline: &str, stage: &str, code: Code, class: Class) {
    counter!(Metric::DlqRecords.name(),
        "pipeline" => pipeline.to_owned(), "stage" => stage.to_owned(),
        "code" => code.as_str(), "class" => class.to_string())
    .increment(1);
}

/// A dead letter was not accepted by Kafka.
pub fn dlq_publish_failure(pipeline: &str, stage: &str) {
    counter!(Metric::DlqPublishFailures.name(), &stage_labels(pipeline, stage)).increment(1);
}

/// A call to a provider ended. `status` is the HTTP status, or `timeout` or `connect` where there was none.
pub fn provider_call(provider: &str, model: &str, operation: Operation, status: &str, took: Duration) {
    counter!(Metric::ProviderRequests.name(),
        "provider" => provider.to_owned(), "model" => model.to_owned(),
        "operation" => operation.as_str(), "status" => status.to_owned())
    .increment(1);
    histogram!(Metric::ProviderRequestDuration.name(),
        "provider" => provider.to_owned(), "model" => model.to_owned(), "operation" => operation.as_str())
    .record(took);
}

/// Tokens of one call. `purpose`: `first`, `retry`, `redrive` or `probe`.
pub fn provider_tokens(provider: &str, model: &str, purpose: &'static str, spent: Spent) {
    for (token_type, tokens) in [("prompt", spent.input), ("completion", spent.output)] {
        counter!(Metric::ProviderTokens.name(),
            "provider" => provider.to_owned(), "model" => model.to_owned(), "token_type" => token_type,
            "purpose" => purpose)
        .increment(tokens);
    }
}

/// What one call cost. Counters are whole numbers, so it is counted in billionths, and shown as what it is ([`money::whole`]).
pub fn provider_cost(provider: &str, model: &str, purpose: &'static str, currency: &str, cost: Amount) {
    counter!(Metric::ProviderCost.name(),
        "provider" => provider.to_owned(), "model" => model.to_owned(), "purpose" => purpose,
        "currency" => currency.to_owned())
    .increment(cost.parts());
}

/// A ledger operation failed. `operation` is the ledger's method.
pub fn ledger_error(operation: &'static str) {
    counter!(Metric::LedgerErrors.name(), "operation" => operation).increment(1);
}

fn stage_labels(pipeline: &str, stage: &str) -> [(&'static str, String); 2] {
    [("pipeline", pipeline.to_owned()), ("stage", stage.to_owned())]
}

#[cfg(test)]
mod tests;
