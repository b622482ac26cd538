//! Traces: what spans there are, and how they get to a collector. Off unless the environment names one; then a stage pays
//! one look for nothing.
//!
//! Spans are not made by a tracer. Whether one is kept is known only when its attempt is over, since those of records
//! that fail always are, so an attempt is noted as plain data first. What is kept goes through a bounded queue to a task of
//! its own: no record ever waits for a collector.

mod answers;
mod attempt;
mod calls;
mod conventions;
mod export;
mod settings;
mod spans;

use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;

pub use self::attempt::{Attempt, End, Subject};
pub use self::calls::{Answered, Call, Called, Calls, Endpoint};
use self::export::Export;
pub use self::settings::{Settings, SettingsError};
use self::spans::Spans;
use crate::message::Envelope;
use jiff::Timestamp;

/// How long the last spans may take when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug)]
pub struct Traces {
    sampler: settings::Sampler,
    spans: Spans,
    export: Export,
}

impl Traces {
    /// As the environment says; `None` when there are to be none. `instance` tells this process from others. To be called
    /// where there is a runtime.
    pub fn open(instance: &str) -> Result<Option<Self>, SettingsError> {
        let settings = Settings::read(|name| std::env::var(name).ok())?;
        settings.map(|settings| Self::to(&settings, instance)).transpose()
    }

    fn to(settings: &Settings, instance: &str) -> Result<Self, SettingsError> {
        let export = Export::open(settings, instance)?;
        tracing::info!(endpoint = settings.endpoint, "traces are sent");
        Ok(Self { sampler: settings.sampler.clone(), spans: Spans::new(settings.names), export })
    }

    /// An attempt begins. `None` for a record that has no trace.
    pub fn begin(&self, envelope: &Envelope, now: Timestamp) -> Option<Box<Attempt>> {
        let context = envelope.correlation.context()?;
        let is_root = envelope.correlation.begins_trace();
        let sampled = self.sampler.keeps(context.trace, (!is_root).then_some(context.kept));
        Some(Box::new(Attempt::new(context, is_root, sampled, &envelope.trail, now)))
    }

    /// It is known what became of the attempt: its spans are kept, or forgotten. A second end like the first is none.
    pub fn end(&self, attempt: &mut Attempt, subject: &Subject<'_>, end: &End<'_>, now: Timestamp) {
        if attempt.told == Some(end.name()) {
            return;
        }
        attempt.told = Some(end.name());
        if attempt.is_kept(end) {
            self.export.take(self.spans.of(attempt, subject, end, now));
        }
    }

    /// Sends what waits, for a few seconds at most.
    pub async fn stop(&self) {
        self.export.stop(LAST_WORDS).await;
    }
}

/// Spans that belong together.
type Together = Vec<SpanData>;

#[cfg(test)]
mod tests;
