use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;
use crate::flow::Code;
use crate::message::JobId;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is logged in `work`, as JSON objects.
fn logged(filter: &str, work: impl FnOnce()) -> Vec<Value> {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .fmt_fields(JsonFields::new())
        .event_format(JsonLines)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = buffer.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn span() -> Span {
    let job = JobId("job-7".into());
    let correlation = Correlation {
        traceparent: crate::message::id::derived_traceparent(&job),
        job,
        tenant: Some("acme".into()),
        resource: None,
    };
    let at = Coordinates { topic: "documents".into(), partition: 3, offset: 42, timestamp: None };
    record_span("rag-ingest", "parse", &correlation, &at, 2)
}

#[test]
fn a_line_about_a_record_carries_its_ids_at_top_level() {
    let lines = logged("info", || {
        let span = span();
        let _entered = span.enter();
        tracing::info!(bytes = 12u64, "parsed\ntwice");
    });
    let line = &lines[0];
    assert_eq!(line["message"], "parsed\ntwice");
    assert_eq!(line["level"], "info");
    assert_eq!(line["bytes"], 12);
    assert_eq!(line["pipeline"], "rag-ingest");
    assert_eq!(line["stage"], "parse");
    assert_eq!(line["job_id"], "job-7");
    assert_eq!(line["tenant_id"], "acme");
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
    assert_eq!(line["topic"], "documents");
    assert_eq!((&line["partition"], &line["offset"], &line["attempt"]), (&3.into(), &42.into(), &2.into()));
    assert!(line.get("resource_id").is_none(), "an id that is not known is not written");
}

#[test]
fn the_code_stands_on_the_lines_after_the_failure() {
    let lines = logged("info", || {
        let span = span();
        let _entered = span.enter();
        tracing::info!("before");
        record_code(&span, Code::ParseCorrupt);
        tracing::warn!("after");
    });
    assert!(lines[0].get("code").is_none());
    assert_eq!(lines[1]["code"], "parse.corrupt");
    assert_eq!(lines[1]["job_id"], "job-7");
}

#[test]
fn a_strict_filter_does_not_take_the_ids_away() {
    let lines = logged("error", || {
        let span = span();
        let _entered = span.enter();
        tracing::info!("not shown");
        tracing::error!("shown");
    });
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["job_id"], "job-7");
}

#[test]
fn the_timestamp_is_utc_with_milliseconds() {
    let lines = logged("info", || tracing::info!("x"));
    let text = lines[0]["timestamp"].as_str().unwrap();
    assert!(text.ends_with('Z') && text.len() == "2026-01-01T00:00:00.000Z".len(), "{text}");
}

#[test]
fn the_variable_wins_over_the_level_unless_it_says_nothing() {
    let shown = |given: Option<&str>| filter(given.map(str::to_owned), Level::DEBUG).unwrap().to_string();
    assert_eq!(shown(None), "debug");
    assert_eq!(shown(Some(" ")), "debug");
    assert_eq!(shown(Some("warn,lazaret=trace")), "lazaret=trace,warn");
}

#[test]
fn a_filter_that_is_none_is_quoted() {
    let wrong = filter(Some("lazaret=loud".into()), Level::INFO).unwrap_err().to_string();
    assert!(wrong.starts_with("LAZARET_LOG='lazaret=loud' is not a log filter: "), "{wrong}");
}
