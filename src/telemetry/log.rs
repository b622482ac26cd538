//! Log lines on stderr, for people or as JSON. It never writes to stdout, which belongs to data.
//!
//! In JSON the fields of the spans around a line stand beside its own at top level, so that every line about
//! a record can be found by `job_id`, `tenant_id`, `resource_id` or `trace_id`.

pub mod repeats;

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Mutex;

use serde_json::{Map, Value};
use tracing::field::{Empty, Field, Visit};
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::message::{Coordinates, Correlation, SpanId};

/// Overrides the level, in the syntax of `tracing` filters: `info,lazaret::kafka=debug`.
pub const FILTER_VARIABLE: &str = "LAZARET_LOG";

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Lines for people.
    Text,
}

/// What to log and how.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub format: Format,
    /// What is let through where `LAZARET_LOG` says nothing.
    pub level: Level,
    /// Colours in text.
    pub colour: bool,
}

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("{FILTER_VARIABLE}='{value}' is not a log filter: {cause}")]
    Filter { value: String, cause: String },
    #[error("logging is set up already")]
    Again,
}

/// Starts logging to stderr: what `LAZARET_LOG` lets through, else the level of the settings.
pub fn init(settings: Settings) -> Result<(), InitError> {
    let filter = filter(std::env::var(FILTER_VARIABLE).ok(), settings.level)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match settings.format {
        Format::Json => log.fmt_fields(JsonFields::new()).event_format(JsonLines).try_init(),
        Format::Text => log.with_ansi(settings.colour).with_target(false).try_init(),
    }
    .map_err(|_| InitError::Again)
}

/// Starts logging as JSON into a file, for a process whose stderr shows something else.
pub fn init_to(file: File, level: Level) -> Result<(), InitError> {
    let filter = filter(std::env::var(FILTER_VARIABLE).ok(), level)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Mutex::new(file));
    log.fmt_fields(JsonFields::new()).event_format(JsonLines).try_init().map_err(|_| InitError::Again)
}

fn filter(given: Option<String>, level: Level) -> Result<EnvFilter, InitError> {
    match given.filter(|text| !text.trim().is_empty()) {
        None => Ok(EnvFilter::new(level.as_str())),
        Some(value) => {
            EnvFilter::try_new(&value).map_err(|e| InitError::Filter { value, cause: e.to_string() })
        }
    }
}

/// The span of one attempt at a record. `code` is empty until it is recorded with [`record_code`], and `span_id` where there
/// are no traces.
///
/// It has the level `error` so that the ids stay on the lines that a strict filter lets through.
pub fn record_span(
    pipeline: &str,
    stage: &str,
    correlation: &Correlation,
    at: &Coordinates,
    attempt: u32,
) -> Span {
    tracing::error_span!(
        "record",
        pipeline,
        stage,
        job_id = %correlation.job,
        tenant_id = correlation.tenant,
        resource_id = correlation.resource,
        trace_id = correlation.trace_id(),
        span_id = Empty,
        topic = &*at.topic,
        partition = at.partition,
        offset = at.offset,
        attempt,
        code = Empty,
    )
}

/// Says on the record's span whose it is, where the payload told and the headers had not.
pub fn record_subject(span: &Span, correlation: &Correlation) {
    if let Some(tenant) = &correlation.tenant {
        span.record("tenant_id", tenant.as_str());
    }
    if let Some(resource) = &correlation.resource {
        span.record("resource_id", resource.as_str());
    }
}

/// Says on the record's span which span of its trace it is.
pub fn record_span_id(span: &Span, id: SpanId) {
    span.record("span_id", tracing::field::display(id));
}

/// Says on the record's span why it failed.
pub fn record_code(span: &Span, code: crate::flow::Code) {
    span.record("code", code.as_str());
}

/// Writes an event and the spans around it as one flat JSON object.
struct JsonLines;

impl<S> FormatEvent<S, JsonFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("timestamp".into(), format!("{:.3}", jiff::Timestamp::now()).into());
        line.insert("level".into(), metadata.level().as_str().to_lowercase().into());
        line.insert("target".into(), metadata.target().into());
        line.insert("message".into(), "".into());
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            if let Some(Ok(fields)) = fields.map(|f| serde_json::from_str::<Map<String, Value>>(f)) {
                line.extend(fields);
            }
        }
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// Puts the fields of an event into a JSON object. Lines that came through the `log` crate bring their
/// target as a field.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            "log.target" => self.0.insert("target".into(), value),
            name if name.starts_with("log.") => None,
            name => self.0.insert(name.into(), value),
        };
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests;
