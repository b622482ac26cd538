//! The way to the collector: a bounded queue, and a task that sends what is in it. It never makes anybody wait, and what it
//! cannot keep it counts.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Together;
use super::answers::{Heard, Listening, Rejected};
use super::settings::{Settings, SettingsError};
use crate::telemetry::metrics::{self, SpanEnd};

/// A collector that does not answer is complained of this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct Export {
    queue: Sender<SpanData>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Export {
    /// Asks the collector for nothing yet.
    pub fn open(settings: &Settings, instance: &str) -> Result<Self, SettingsError> {
        let heard = Heard::default();
        let exporter = exporter(settings, instance, heard.clone())?;
        metrics::spans_known();
        let (queue, waiting) = mpsc::channel(settings.queue_max);
        let stop = CancellationToken::new();
        let sending = Sending {
            exporter,
            heard,
            waiting,
            stop: stop.clone(),
            batch_max: settings.batch_max,
            delay: settings.delay,
            complaint: Complaint { endpoint: settings.endpoint.clone(), lost: 0, last: None, is_told: false },
        };
        let task = Mutex::new(Some(tokio::spawn(sending.run())));
        Ok(Self { queue, stop, task })
    }

    /// Spans that do not fit into the queue are dropped.
    pub fn take(&self, spans: Together) {
        let dropped = spans.into_iter().filter_map(|span| self.queue.try_send(span).err()).count();
        metrics::spans(SpanEnd::Dropped, dropped);
    }

    /// What waits is sent; what is not sent by then is lost.
    pub async fn stop(&self, patience: Duration) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(task) = task else { return };
        let abort = task.abort_handle();
        if tokio::time::timeout(patience, task).await.is_err() {
            abort.abort();
            tracing::warn!("the last traces were not taken within {patience:?} and are lost");
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn exporter(settings: &Settings, instance: &str, heard: Heard) -> Result<SpanExporter, SettingsError> {
    let wrong = |error: &dyn std::error::Error| SettingsError::Client {
        endpoint: settings.endpoint.clone(),
        cause: error.to_string(),
    };
    let mut client = reqwest::Client::builder()
        .user_agent(concat!("lazaret/", env!("CARGO_PKG_VERSION")))
        .timeout(settings.timeout)
        // A redirect would carry the headers to a place that nobody configured.
        .redirect(reqwest::redirect::Policy::none());
    if settings.is_loopback {
        client = client.no_proxy();
    }
    let client = client.build().map_err(|error| wrong(&error))?;
    let builder = SpanExporter::builder().with_http().with_http_client(Listening { client, heard });
    let builder = builder.with_protocol(Protocol::HttpBinary).with_timeout(settings.timeout);
    let mut exporter = builder.build().map_err(|error| wrong(&error))?;
    exporter.set_resource(&resource(instance));
    Ok(exporter)
}

/// Who we are. What the environment says comes first.
fn resource(instance: &str) -> Resource {
    let said = Resource::builder().build();
    let is_said = |name: &'static str| {
        let value = said.get(&name.into());
        value.is_some_and(|value| !value.as_str().starts_with("unknown_service"))
    };
    let ours = [
        ("service.name", "lazaret"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("service.instance.id", instance),
    ];
    let missing = ours.into_iter().filter(|(name, _)| !is_said(name));
    let missing = missing.map(|(name, value)| KeyValue::new(name, value.to_owned()));
    Resource::builder().with_attributes(missing).build()
}

/// The task.
struct Sending {
    exporter: SpanExporter,
    heard: Heard,
    waiting: Receiver<SpanData>,
    stop: CancellationToken,
    batch_max: usize,
    delay: Duration,
    complaint: Complaint,
}

impl Sending {
    async fn run(mut self) {
        while let Some(batch) = self.batch().await {
            let spans = batch.len();
            match self.exporter.export(batch).await {
                Ok(()) => self.taken(spans),
                Err(error) => {
                    metrics::spans(SpanEnd::Failed, spans);
                    let cause = format!(
                        "the collector does not take them ({error}); does it listen there, and for OTLP over HTTP?"
                    );
                    self.complaint.about(spans, &cause, Instant::now());
                }
            }
        }
    }

    /// The request was taken, and all in it but what the collector has told.
    fn taken(&mut self, spans: usize) {
        let Some(Rejected { spans: rejected, cause }) = self.heard.take() else {
            metrics::spans(SpanEnd::Exported, spans);
            return self.complaint.over();
        };
        let rejected = rejected.min(spans);
        metrics::spans(SpanEnd::Exported, spans - rejected);
        metrics::spans(SpanEnd::Failed, rejected);
        let cause = match cause.as_str() {
            "" => "the collector rejects them, and does not say why".to_owned(),
            cause => format!("the collector rejects them: {cause}"),
        };
        self.complaint.about(rejected, &cause, Instant::now());
    }

    /// Spans that are sent together: as many as may be, or what has come by the time that the first has waited long enough.
    /// `None` when all are sent and it is to stop.
    async fn batch(&mut self) -> Option<Vec<SpanData>> {
        let Self { waiting, stop, batch_max, delay, .. } = self;
        let mut batch = Vec::new();
        if let Some(first) = stop.run_until_cancelled(waiting.recv()).await {
            batch.push(first?);
            let gather = async {
                while batch.len() < *batch_max
                    && let Some(span) = waiting.recv().await
                {
                    batch.push(span);
                }
            };
            let _ = tokio::time::timeout(*delay, stop.run_until_cancelled(gather)).await;
        }
        if stop.is_cancelled() {
            // It gives what it has, and ends.
            waiting.close();
            let room = batch_max.saturating_sub(batch.len());
            waiting.recv_many(&mut batch, room).await;
        }
        (!batch.is_empty()).then_some(batch)
    }
}

/// What is lost is said once, and then from time to time.
struct Complaint {
    endpoint: String,
    lost: usize,
    last: Option<Instant>,
    /// And that it is over was not said yet.
    is_told: bool,
}

impl Complaint {
    fn about(&mut self, spans: usize, cause: &str, now: Instant) {
        self.lost += spans;
        if self.last.is_none_or(|last| now.saturating_duration_since(last) >= COMPLAIN_EVERY) {
            let (endpoint, lost) = (self.endpoint.as_str(), std::mem::take(&mut self.lost));
            tracing::warn!(endpoint, lost, "spans are lost, because {cause}");
            (self.last, self.is_told) = (Some(now), true);
        }
    }

    fn over(&mut self) {
        if std::mem::take(&mut self.is_told) {
            let (endpoint, lost) = (self.endpoint.as_str(), std::mem::take(&mut self.lost));
            tracing::info!(endpoint, lost, "the collector takes spans again");
        }
    }
}
