//! Traces over a real Kafka, as a collector has them: the real one where `scripts/parts.sh collector start` has told of it, and else
//! one that takes requests and keeps them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::{Value, json};

use super::EMBED;
use crate::rig::{Rig, eventually, record};

/// Where spans are sent to and read from. Both have them as OTLP is written in JSON.
enum Collector {
    Real { endpoint: String, file: PathBuf },
    Small { endpoint: String, requests: Arc<Mutex<Vec<Value>>> },
}

impl Collector {
    async fn new() -> Self {
        let real = (std::env::var("LAZARET_TEST_OTLP"), std::env::var("LAZARET_TEST_OTLP_SPANS"));
        if let (Ok(endpoint), Ok(file)) = real {
            return Self::Real { endpoint, file: file.into() };
        }
        let requests = Arc::<Mutex<Vec<Value>>>::default();
        let router = Router::new().route("/v1/traces", post(take)).with_state(requests.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self::Small { endpoint, requests }
    }

    fn endpoint(&self) -> &str {
        match self {
            Self::Real { endpoint, .. } | Self::Small { endpoint, .. } => endpoint,
        }
    }

    /// All spans of a trace, with the service that made them.
    fn trace(&self, id: &str) -> Vec<Span> {
        let requests = match self {
            // The last line may be half a line yet.
            Self::Real { file, .. } => {
                let text = std::fs::read_to_string(file).unwrap_or_default();
                text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
            }
            Self::Small { requests, .. } => requests.lock().expect("not poisoned").clone(),
        };
        let mut spans: Vec<Span> = requests.iter().flat_map(of).collect();
        spans.retain(|span| span.trace == id);
        spans.sort_by_key(|span| span.begun);
        spans
    }
}

async fn take(State(requests): State<Arc<Mutex<Vec<Value>>>>, body: Bytes) -> Vec<u8> {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let request = serde_json::to_value(request).expect("JSON");
    requests.lock().expect("not poisoned").push(request);
    Vec::new()
}

#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    begun: u64,
    ended: u64,
    failed: bool,
    attributes: BTreeMap<String, String>,
    /// Ids, and why.
    links: Vec<(String, String)>,
    resource: BTreeMap<String, String>,
}

impl Span {
    fn is(&self, name: &str) -> &str {
        self.attributes.get(name).map(String::as_str).unwrap_or_default()
    }
}

fn of(request: &Value) -> Vec<Span> {
    let all = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let mut spans = Vec::new();
    for resource in all(request, "resourceSpans") {
        let about = attributes(&resource["resource"]);
        for span in all(&resource, "scopeSpans").iter().flat_map(|scope| all(scope, "spans")) {
            let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
            let link = |link: &Value| {
                let why = attributes(link).remove("lazaret.link").unwrap_or_default();
                (link["spanId"].as_str().unwrap_or_default().to_owned(), why)
            };
            spans.push(Span {
                trace: text("traceId"),
                id: text("spanId"),
                parent: text("parentSpanId"),
                name: text("name"),
                kind: span["kind"].as_u64().unwrap_or_default(),
                begun: text("startTimeUnixNano").parse().expect("a time"),
                ended: text("endTimeUnixNano").parse().expect("a time"),
                failed: span["status"]["code"] == 2,
                attributes: attributes(&span),
                links: all(&span, "links").iter().map(link).collect(),
                resource: about.clone(),
            });
        }
    }
    spans
}

fn attributes(of: &Value) -> BTreeMap<String, String> {
    let pair = |attribute: &Value| {
        let value = attribute["value"].as_object()?.values().next()?;
        let text = value.as_str().map(str::to_owned);
        Some((attribute["key"].as_str()?.to_owned(), text.unwrap_or_else(|| value.to_string())))
    };
    of["attributes"].as_array().into_iter().flatten().filter_map(pair).collect()
}

/// A producer that begins a trace and says whether it keeps it.
fn producer(n: u8, kept: bool) -> (String, String, String) {
    let (trace, span) = (uuid::Uuid::now_v7().simple().to_string(), format!("00f067aa0ba902{n:02x}"));
    let traceparent = format!("00-{trace}-{span}-0{}", u8::from(kept));
    (trace, span, traceparent)
}

/// Traces that nobody began are named after their jobs, and the collector has those of earlier runs.
fn job(rig: &Rig, name: &str) -> String {
    format!("{}-{name}", rig.name)
}

fn send(rig: &Rig, name: &str, traceparent: Option<&str>, text: &str) -> lazaret::message::OutRecord {
    let value = json!({
        "document": { "id": format!("doc-of-{name}"), "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": text }],
    });
    let job = job(rig, name);
    let ids = [("job-id", job.as_str()), ("tenant-id", "acme"), ("resource-id", "handbook")];
    let trace = traceparent.map(|traceparent| ("traceparent", traceparent));
    record(&rig.topic("in"), &ids.into_iter().chain(trace).collect::<Vec<_>>(), &value)
}

/// The stages, and a letter for what the provider answers and nobody can use.
async fn rig(collector: &Collector) -> Option<Rig> {
    let permanent = "classify: [{ code: llm.malformed, class: permanent }]";
    let pipeline = EMBED.replacen("timeout: 10s", &format!("timeout: 10s, {permanent}"), 1);
    let mut rig = Rig::new("traces", &pipeline, "").await?;
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_SERVICE_NAME", "ingest"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "messaging/dup"),
    ] {
        rig.environment.insert(name.to_owned(), value.to_owned());
    }
    Some(rig)
}

/// Every word of the log about it, as fields of JSON.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with(message))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_has_every_stage_retry_and_redrive_of_a_record_and_those_that_fail_are_always_kept() {
    let collector = Collector::new().await;
    let Some(rig) = rig(&collector).await else { return };
    rig.faults(json!({ "marked": "LATER", "spoiled": "SPOILED" })).await;
    let mut worker = rig.worker(&[]).await;

    let (well, before, traceparent) = producer(1, true);
    let (unseen, _, not_kept) = producer(2, false);
    let (seen, not_kept_before, not_kept_fails) = producer(3, false);
    rig.send(vec![
        send(&rig, "well", Some(&traceparent), "a passage about high water"),
        send(&rig, "unseen", Some(&not_kept), "a passage about low water"),
        send(&rig, "seen", Some(&not_kept_fails), "a SPOILED passage that nobody traces"),
        send(&rig, "heals", None, "a passage that works LATER"),
        send(&rig, "dies", None, "a SPOILED passage"),
    ])
    .await;
    let waits = async || {
        let rungs = [rig.records("embed.retry.200ms").await, rig.records("embed.retry.1s").await];
        rungs.iter().any(|rung| !rung.is_empty()).then_some(())
    };
    eventually("one waits for its next attempt", waits).await;
    eventually("two are dead", async || (rig.jobs("embed", "dead").await == 2).then_some(())).await;
    rig.faults(json!({ "marked": null, "spoiled": null })).await;
    eventually("three are indexed", async || (rig.jobs("index", "done").await == 3).then_some(())).await;

    let listed = rig.ask(&["dlq", "ls", "-o", "json"]).await;
    let letter =
        listed["letters"].as_array().expect("letters").iter().find(|one| one["job"] == job(&rig, "dies"));
    let letter = letter.expect("the letter")["id"].as_str().expect("an id").to_owned();
    let back = ["dlq", "redrive", &letter, "--by", "kim", "--reason", "mended", "--unchanged"];
    let back = rig.output(&back).await;
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
    eventually("it is indexed, too", async || (rig.jobs("index", "done").await == 4).then_some(())).await;
    let log = worker.log();
    assert!(worker.terminate().await.success());

    let is_whole = |id: &str, spans: usize| {
        let (id, collector) = (id.to_owned(), &collector);
        async move || {
            let trace = collector.trace(&id);
            (trace.len() >= spans).then_some(trace)
        }
    };

    let trace = eventually("the trace of what passes", is_whole(&well, 3)).await;
    passes(&rig, &trace, &before).await;
    let (healed, root) = derived(&rig, "heals");
    heals(&rig, &eventually("the trace of what heals", is_whole(&healed, 6)).await, &root);
    let (died, root) = derived(&rig, "dies");
    let trace = eventually("the trace of what dies", is_whole(&died, 6)).await;
    let dead = dies(&rig, &trace, &root, &letter).await;

    // Whoever began these keeps none of them: what fails is there all the same, and what does not is not.
    let trace = eventually("the trace of what fails", is_whole(&seen, 2)).await;
    let failed = trace.iter().find(|span| span.is("lazaret.outcome") == "dlq").expect("the failed attempt");
    assert_eq!(failed.parent, not_kept_before);
    assert_eq!(collector.trace(&unseen).len(), 0);

    // No payload in any of them, and the log leads to the span.
    let spans = [well, healed, died, seen].map(|id| format!("{:?}", collector.trace(&id)));
    assert!(spans.iter().all(|text| !text.contains("passage")), "{spans:#?}");
    let told = lines(&log, "dead letter: ");
    let told = told.iter().find(|line| line["job_id"] == job(&rig, "dies")).expect("a line about the letter");
    assert_eq!((&told["trace_id"], &told["span_id"]), (&json!(dead.trace), &json!(dead.id)));
    documented(told);
}

/// Two stages and a call, behind the producer.
async fn passes(rig: &Rig, trace: &[Span], before: &str) {
    let one = |name: String| {
        let mut found = trace.iter().filter(|span| span.name == name);
        let (Some(span), None) = (found.next(), found.next()) else { panic!("not one {name} in {trace:#?}") };
        span
    };
    let embed = one(format!("process {}", rig.topic("in")));
    let call = one("embeddings lazaret-embed".to_owned());
    let index = one(format!("process {}", rig.topic("index")));
    assert_eq!((trace.len(), embed.parent.as_str()), (3, before));
    assert_eq!((call.parent.as_str(), index.parent.as_str()), (embed.id.as_str(), embed.id.as_str()));
    assert_eq!((embed.kind, call.kind, embed.failed, embed.links.len()), (5, 3, false, 0));
    assert!(embed.begun <= call.begun && call.ended <= embed.ended && embed.ended <= index.begun);
    carries(rig, embed, call);
    let out = rig.records("out").await;
    let parents = out.iter().map(|record| record.headers.text("traceparent").unwrap_or_default().to_owned());
    assert!(parents.collect::<Vec<_>>().contains(&format!("00-{}-{}-01", index.trace, index.id)));
}

/// What the span of an attempt and that of a call say.
fn carries(rig: &Rig, embed: &Span, call: &Span) {
    let group = format!("{}{}.embed", rig.config.kafka.group_prefix, rig.name);
    for (name, value) in [
        ("messaging.system", "kafka"),
        ("messaging.system.name", "kafka"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", &rig.topic("in")),
        ("messaging.consumer.group.name", &group),
        ("lazaret.pipeline", &rig.name),
        ("lazaret.stage", "embed"),
        ("lazaret.job_id", &job(rig, "well")),
        ("lazaret.tenant_id", "acme"),
        ("lazaret.resource_id", "handbook"),
        ("lazaret.attempt", "1"),
        ("lazaret.redrives", "0"),
        ("lazaret.outcome", "ok"),
    ] {
        assert_eq!(embed.is(name), value, "{name}: {embed:#?}");
    }
    assert!(embed.is("messaging.destination.partition.id").parse::<u32>().is_ok());
    assert_eq!(embed.is("messaging.kafka.offset"), embed.is("kafka.offset"));
    for (name, value) in [
        ("gen_ai.operation.name", "embeddings"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "lazaret-embed"),
        ("http.response.status_code", "200"),
        ("server.address", "127.0.0.1"),
        ("lazaret.provider", "local"),
        ("lazaret.purpose", "first"),
    ] {
        assert_eq!(call.is(name), value, "{name}: {call:#?}");
    }
    assert!(call.is("gen_ai.usage.input_tokens").parse::<u32>().is_ok_and(|tokens| tokens > 0));
    assert_eq!(embed.resource["service.name"], "ingest");
    assert_eq!(embed.resource["deployment.environment.name"], "test");
    assert!(embed.resource.contains_key("service.instance.id"));
}

/// The trace of a record whose producer began none, and the span that it begins with.
fn derived(rig: &Rig, name: &str) -> (String, String) {
    let traceparent = lazaret::message::id::derived_traceparent(&lazaret::message::JobId(job(rig, name)));
    (traceparent[3..35].to_owned(), traceparent[36..52].to_owned())
}

/// A beginning of ours, all attempts on it, each with a link to the one before.
fn heals(rig: &Rig, trace: &[Span], root: &str) {
    let begins: Vec<_> = trace.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(begins.len(), 1, "{trace:#?}");
    assert_eq!((begins[0].id.as_str(), begins[0].kind), (root, 4));
    assert_eq!(begins[0].name, format!("create {}", rig.topic("in")));
    let attempts: Vec<_> = trace.iter().filter(|span| span.is("lazaret.stage") == "embed").collect();
    assert!(attempts.len() >= 2 && attempts.iter().all(|span| span.parent == root), "{trace:#?}");
    for (n, pair) in attempts.windows(2).enumerate() {
        let (failed, next) = (pair[0], pair[1]);
        assert_eq!(next.links, [(failed.id.clone(), "retry".to_owned())]);
        assert_eq!(failed.is("lazaret.attempt"), (n + 1).to_string());
        assert!(failed.failed && failed.is("lazaret.outcome") == "retry", "{failed:#?}");
        assert_eq!(failed.is("error.type"), "llm.server_error");
        assert_eq!(failed.is("lazaret.error.class"), "transient");
        assert!(!failed.is("lazaret.retry.due_at").is_empty());
    }
    let last = attempts.last().expect("an attempt");
    assert!(!last.failed && last.name.starts_with(&format!("process {}.retry.", rig.topic("embed"))));
    let index = trace.iter().find(|span| span.is("lazaret.stage") == "index").expect("the next stage");
    assert_eq!(index.parent, last.id);
    let calls: Vec<_> = trace.iter().filter(|span| span.name.starts_with("embeddings")).collect();
    assert_eq!(calls.len(), attempts.len(), "one call of each attempt");
    assert_eq!(calls[1].is("lazaret.purpose"), "retry");
}

/// The attempt that was the last one, and the redrive behind it.
async fn dies(rig: &Rig, trace: &[Span], root: &str, letter: &str) -> Span {
    let attempts: Vec<_> = trace.iter().filter(|span| span.is("lazaret.stage") == "embed").collect();
    let [dead, redriven] = attempts.as_slice() else { panic!("{trace:#?}") };
    assert!(dead.failed && dead.is("lazaret.outcome") == "dlq" && dead.is("error.type") == "llm.malformed");
    assert_eq!((dead.is("lazaret.dlq_id"), dead.is("lazaret.error.class")), (letter, "permanent"));
    assert_eq!(redriven.links, [(dead.id.clone(), "redrive".to_owned())]);
    assert_eq!((redriven.is("lazaret.redrives"), redriven.is("lazaret.outcome")), ("1", "ok"));
    assert!(attempts.iter().all(|span| span.parent == root));
    let letters = rig.records("embed.dlq").await;
    assert!(letters.iter().any(|letter| letter.headers.text("dlq.span") == Some(&dead.id)));
    (*dead).clone()
}

/// Every id has a query for Loki and one for Elasticsearch on the page, and is a field of the line.
fn documented(line: &Value) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/traces-and-logs.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for id in ["job_id", "tenant_id", "resource_id", "trace_id", "dlq_id"] {
        assert!(line[id].is_string(), "{id} is no field of {line}");
        assert!(page.contains(&format!("\\| json \\| {id}=")), "no LogQL for {id}");
        assert!(page.contains(&format!("`{id}: \"")), "no KQL for {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_a_line_and_nothing_else() {
    let Some(mut rig) = Rig::new("traces-lost", EMBED, "").await else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", taken.local_addr().expect("an address"));
    drop(taken);
    rig.environment.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint.clone());
    rig.environment.insert("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "50".to_owned());
    rig.environment.insert("OTEL_EXPORTER_OTLP_HEADERS".to_owned(), "api-key=s3cr3t".to_owned());
    let mut worker = rig.worker(&[]).await;
    rig.send(super::jobs(&rig.topic("in"), 40)).await;
    eventually("all are indexed", async || (rig.jobs("index", "done").await == 40).then_some(())).await;
    let lost = async || {
        let metrics = worker.metrics().await;
        let failed =
            metrics.lines().find_map(|line| line.strip_prefix("lazaret_trace_spans_total{end=\"failed\"} "));
        failed.and_then(|spans| spans.parse::<u64>().ok()).filter(|spans| *spans > 0)
    };
    eventually("spans are counted as lost", lost).await;
    let log = worker.log();
    assert!(worker.terminate().await.success());
    let complaints = lines(&log, "spans are lost");
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    assert!(complaints[0]["endpoint"].as_str().is_some_and(|shown| shown.starts_with(&endpoint)));
    assert!(!log.contains("s3cr3t"), "headers are secrets");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_the_collector_rejects_are_lost_and_the_others_of_the_request_are_not() {
    let Some(mut rig) = Rig::new("traces-rejected", EMBED, "").await else { return };
    let partial = ExportTracePartialSuccess { rejected_spans: 1, error_message: "it is\ntoo old".into() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let router = Router::new().route("/v1/traces", post(async move || answer.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    rig.environment.insert("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint);
    rig.environment.insert("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "500".to_owned());
    let mut worker = rig.worker(&[]).await;
    rig.send(super::jobs(&rig.topic("in"), 40)).await;
    eventually("all are indexed", async || (rig.jobs("index", "done").await == 40).then_some(())).await;
    let told = async || {
        let metrics = worker.metrics().await;
        let of = |end: &str| {
            let name = format!("lazaret_trace_spans_total{{end=\"{end}\"}} ");
            let told = metrics.lines().find_map(|line| line.strip_prefix(&name));
            told.and_then(|spans| spans.parse::<u64>().ok()).filter(|spans| *spans > 0)
        };
        of("failed").zip(of("exported"))
    };
    let (failed, exported) = eventually("spans are counted", told).await;
    assert!(failed < exported, "one of each request: {failed} of {exported}");
    let log = worker.log();
    assert!(worker.terminate().await.success());
    let complaints = lines(&log, "spans are lost");
    assert_eq!(complaints.len(), 1, "{complaints:#?}");
    let message = complaints[0]["message"].as_str().unwrap_or_default();
    assert!(message.ends_with("the collector rejects them: it is too old"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_cannot_be_meant_is_a_usage_error_with_a_remedy() {
    let Some(rig) = Rig::new("traces-wrong", EMBED, "").await else { return };
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lazaret"));
    command.args(["run", "--config"]).arg(rig.path("lazaret.yaml"));
    command
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    let output = command.output().await.expect("lazaret runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("OTEL_EXPORTER_OTLP_PROTOCOL='grpc'") && said.contains("http/protobuf"), "{said}");
}
