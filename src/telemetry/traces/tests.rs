use std::net::TcpListener;

use metrics_exporter_prometheus::PrometheusBuilder;
use opentelemetry::trace::{SpanKind, Status};

use super::*;
use crate::flow::{Code, Fault};
use crate::message::{Coordinates, Headers, Record, SpanId, Trail, trail};
use crate::telemetry::metrics::Operation;

fn settings(endpoint: &str, more: &[(&str, &str)]) -> Settings {
    let given = |name: &str| {
        let known = more.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        known.or_else(|| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.to_owned()))
    };
    Settings::read(given).unwrap().unwrap()
}

fn record(traceparent: Option<&str>) -> Record {
    let at = Coordinates { topic: "in".into(), partition: 3, offset: 42, timestamp: Some(1_700_000_000_000) };
    let mut headers = Headers::new();
    headers.push_text("tenant-id", "acme");
    if let Some(traceparent) = traceparent {
        headers.push_text("traceparent", traceparent);
    }
    Record { at, key: Some(b"a key".to_vec().into()), value: Some(b"a payload".to_vec().into()), headers }
}

/// An attempt at a record with this past, and its spans when it ends so.
struct Case {
    sampled: bool,
    traceparent: Option<&'static str>,
    past: fn(&mut Trail),
}

const PRODUCER: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

impl Case {
    fn run(&self, end: &End<'_>, call: impl FnOnce(&mut Attempt)) -> (Attempt, Vec<SpanData>) {
        let record = record(self.traceparent);
        let mut envelope = trail::open(&record, false);
        (self.past)(&mut envelope.trail);
        let is_root = envelope.correlation.begins_trace();
        let context = envelope.correlation.context().unwrap();
        let now = Timestamp::now();
        let mut attempt = Attempt::new(context, is_root, self.sampled, &envelope.trail, now);
        call(&mut attempt);
        let group = "lazaret.p.s";
        let subject = Subject { pipeline: "p", stage: "s", group, record: &record, envelope: &envelope };
        let spans = match attempt.is_kept(end) {
            true => Spans::new(Default::default()).of(&attempt, &subject, end, now),
            false => Vec::new(),
        };
        (attempt, spans)
    }
}

fn fault() -> Fault {
    Fault::new(Code::LlmTimeout, "no answer within 2s")
}

fn id(span: &SpanData) -> String {
    span.span_context.span_id().to_string()
}

#[test]
fn a_healthy_attempt_that_is_not_sampled_leaves_no_span_and_what_follows_hangs_on_the_one_before() {
    let case = Case { sampled: false, traceparent: Some(PRODUCER), past: |_| () };
    let (attempt, spans) = case.run(&End::Ok, |_| ());
    assert!(spans.is_empty());
    let not_kept = PRODUCER.replace("-01", "-00");
    assert_eq!(attempt.onward().to_string(), not_kept);

    let (attempt, spans) = Case { sampled: true, ..case }.run(&End::Ok, |_| ());
    let onward = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", attempt.id());
    assert_eq!((attempt.onward().to_string(), spans.len()), (onward, 1));
    assert_eq!(id(&spans[0]), attempt.id().to_string());
    assert_eq!(spans[0].parent_span_id.to_string(), "00f067aa0ba902b7");
}

#[test]
fn what_fails_is_kept_whoever_says_otherwise_and_so_is_what_has_failed_or_was_sent_back() {
    let unseen = |past| Case { sampled: false, traceparent: Some(PRODUCER), past };
    let (due, fault) = (Timestamp::now(), &fault());
    let fresh: fn(&mut Trail) = |_| ();
    for end in
        [End::Retry { due, fault }, End::Dead { id: "d", fault }, End::Paused { fault }, End::Discarded]
    {
        assert_eq!(unseen(fresh).run(&end, |_| ()).1.len(), 1, "{end:?}");
    }
    assert_eq!(unseen(fresh).run(&End::Released { fault: None }, |_| ()).1.len(), 0);
    assert_eq!(unseen(fresh).run(&End::Released { fault: Some(fault) }, |_| ()).1.len(), 1);
    assert_eq!(unseen(fresh).run(&End::Parked { fault: Some(fault) }, |_| ()).1.len(), 1);
    assert_eq!(unseen(|trail| trail.attempt = 1).run(&End::Ok, |_| ()).1.len(), 1);
    assert_eq!(unseen(|trail| trail.redrives = 1).run(&End::Ok, |_| ()).1.len(), 1);
}

#[test]
fn a_trace_that_nobody_began_begins_with_the_record_and_once() {
    let begins = |past| Case { sampled: true, traceparent: None, past }.run(&End::Ok, |_| ()).1;
    let spans = begins(|_| ());
    let [root, attempt] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((&*root.name, &root.span_kind), ("create in", &SpanKind::Producer));
    assert_eq!(attempt.parent_span_id, root.span_context.span_id());
    assert_eq!(Timestamp::try_from(root.start_time).unwrap().as_millisecond(), 1_700_000_000_000);
    assert_eq!(begins(|_| ())[0], *root, "a second delivery says the same");

    let later = begins(|trail| trail.attempt = 1);
    assert_eq!((later.len(), later[0].parent_span_id), (1, root.span_context.span_id()));
}

#[test]
fn an_attempt_links_to_the_one_before_and_says_why() {
    let link = |past: fn(&mut Trail)| {
        let case = Case { sampled: true, traceparent: Some(PRODUCER), past };
        let links = case.run(&End::Ok, |_| ()).1.remove(0).links;
        links
            .first()
            .map(|link| (link.span_context.span_id().to_string(), link.attributes[0].value.to_string()))
    };
    let before = || SpanId::read("b7ad6b7169203331");
    assert_eq!(link(|_| ()), None);
    let linked = |why: &str| Some((before().unwrap().to_string(), why.to_owned()));
    assert_eq!(
        link(|trail| (trail.attempt, trail.span) = (2, SpanId::read("b7ad6b7169203331"))),
        linked("retry")
    );
    assert_eq!(
        link(|trail| (trail.redrives, trail.span) = (1, SpanId::read("b7ad6b7169203331"))),
        linked("redrive")
    );
}

#[test]
fn a_call_is_a_child_of_its_attempt_and_one_that_is_given_up_says_so() {
    let calls = Calls::default();
    let endpoint = || Endpoint {
        provider: "main".into(),
        operation: Operation::Chat,
        model: "m-1".into(),
        address: "models.example".into(),
        port: Some(443),
        purpose: "first",
    };
    calls.begin(endpoint()).end(Answered { status: Some(200), ..Answered::default() }, None);
    drop(calls.begin(endpoint()));
    let case = Case { sampled: true, traceparent: Some(PRODUCER), past: |_| () };
    let (attempt, spans) = case.run(&End::Ok, |attempt| attempt.called(calls.take()));
    let [_, well, given_up] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!((&*well.name, &well.span_kind, &well.status), ("chat m-1", &SpanKind::Client, &Status::Unset));
    assert!([well, given_up].iter().all(|call| call.parent_span_id.to_string() == attempt.id().to_string()));
    let error = given_up.attributes.iter().find(|attribute| attribute.key.as_str() == "error.type");
    assert_eq!(error.map(|error| error.value.to_string()).as_deref(), Some("cancelled"));
}

#[test]
fn neither_payload_nor_key_is_in_a_span() {
    let case = Case { sampled: true, traceparent: None, past: |_| () };
    let spans = format!("{:?}", case.run(&End::Dead { id: "d", fault: &fault() }, |_| ()).1);
    assert!(spans.contains("acme") && !spans.contains("a payload") && !spans.contains("a key"), "{spans}");
}

/// A collector that takes connections and never answers.
#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted_and_nobody_waits() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = ::metrics::set_default_local_recorder(&recorder);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let few = [("OTEL_BSP_MAX_QUEUE_SIZE", "4"), ("OTEL_BSP_SCHEDULE_DELAY", "1")];
    let traces = Traces::to(&settings(&endpoint, &few), "test").unwrap();

    let record = record(None);
    let envelope = trail::open(&record, false);
    let subject = Subject { pipeline: "p", stage: "s", group: "g", record: &record, envelope: &envelope };
    let mut told = 0;
    for _ in 0..20 {
        let mut attempt = traces.begin(&envelope, Timestamp::now()).unwrap();
        traces.end(&mut attempt, &subject, &End::Ok, Timestamp::now());
        traces.end(&mut attempt, &subject, &End::Ok, Timestamp::now());
        told += 2;
    }
    let dropped = format!("lazaret_trace_spans_total{{end=\"dropped\"}} {}", told - 4);
    assert!(metrics.render().contains(&dropped), "{}", metrics.render());

    let begun = std::time::Instant::now();
    traces.export.stop(Duration::from_millis(200)).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "the silent collector holds nobody up");
}
