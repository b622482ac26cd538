use super::*;
use crate::flow::engine::Lane;

/// Records one sample of every metric in a recorder of its own and renders it.
fn everything() -> String {
    let recorder = builder().unwrap().build_recorder();
    let metrics = Metrics(recorder.handle());
    metrics::with_local_recorder(&recorder, || {
        describe();
        let stage = StageMetrics::new("rag-ingest", "embed");
        stage.read(Lane::Rung);
        stage.processed(Outcome::Ok);
        stage.attempt(true, Duration::from_millis(30));
        stage.late(Duration::from_millis(8));
        stage.suppressed();
        transaction("rag-ingest", "embed", "committed", 12, Duration::from_millis(9));
        offset_map_damaged("rag-ingest", "embed");
        stage_paused("rag-ingest", "embed", Code::LlmUnauthorized, true);
        load("rag-ingest", "embed", crate::flow::engine::Load { running: 3, ..Default::default() });
        consumer_lag("rag-ingest", "embed", "rag-ingest.chunk", 2, 17);
        retry_waiting("rag-ingest", "embed", "30s", 4);
        dlq_record("rag-ingest", "embed", Code::LlmContextLength, Class::Permanent);
        dlq_publish_failure("rag-ingest", "embed");
        dlq_open("rag-ingest", "embed", "permanent", 3);
        dlq_oldest("rag-ingest", "embed", Duration::from_secs(60));
        dlq_late("rag-ingest", "embed", "look", 2);
        dlq_headroom("rag-ingest", "embed", -5.0);
        dlq_room("rag-ingest", "embed", 4096, Some(1 << 30));
        dlq_archived("rag-ingest", "embed", 2);
        archived("rag-ingest", "embed", 1000, 65_536);
        archive_pass(None);
        archive_pass(Some(jiff::Timestamp::UNIX_EPOCH));
        dlq_index_lag(3);
        dlq_index_applied(jiff::Timestamp::UNIX_EPOCH);
        dlq_groups("rag-ingest", "embed", 1, 0);
        act("noted");
        api_request("/v1/dlq/{id}", "GET", 404, Duration::from_millis(3));
        redrive_runs("running", 1);
        audit_write_failure();
        redrives_known("rag-ingest", "embed", ["failed"].into_iter());
        redrive_record("rag-ingest", "embed", "succeeded");
        redrive_gate_stop("rag-ingest", "embed");
        lag("rag-ingest", "embed", "documents", 0, "input", 3, Duration::from_secs(2));
        retry_overdue("rag-ingest", "embed", "30s", Duration::from_secs(1));
        lag_state("rag-ingest", "embed", "ok", true);
        lag_members("rag-ingest", "embed", 2);
        sweep_ended("done", Some(jiff::Timestamp::UNIX_EPOCH));
        swept("provider is back", "redrive", "started", 3);
        provider_call("main", "m", Operation::Chat, "429", Duration::from_secs(200));
        provider_tokens("main", "m", "retry", Spent { input: 5, output: 7, calls: 1 });
        provider_cost("main", "m", "retry", "USD", Amount::of(0.25).expect("an amount"));
        ledger_error("begin");
        spans(SpanEnd::Exported, 3);
    });
    metrics.render()
}

#[test]
fn every_metric_is_shown_with_its_help_and_type() {
    let text = everything();
    for metric in Metric::ALL {
        let name = metric.name();
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert!(text.contains(&format!("# HELP {name} {}", metric.help())), "no help for {name}:\n{text}");
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is not a {kind}:\n{text}");
    }
}

#[test]
fn counters_end_in_total_and_nothing_else_does() {
    for metric in Metric::ALL {
        assert_eq!(metric.kind() == Kind::Counter, metric.name().ends_with("_total"), "{}", metric.name());
        assert_eq!(metric.unit() == Unit::Seconds, metric.name().ends_with("_seconds"), "{}", metric.name());
    }
}

#[test]
fn a_known_stage_shows_zero_before_anything_happened() {
    let text = everything();
    let zero = r#"lazaret_records_processed_total{pipeline="rag-ingest",stage="embed",outcome="dlq"} 0"#;
    assert!(text.contains(zero), "{text}");
}

#[test]
fn a_long_call_has_a_bucket_of_its_own() {
    let text = everything();
    let bucket = |le: &str| {
        format!(
            r#"lazaret_provider_request_duration_seconds_bucket{{provider="main",model="m",operation="chat",le="{le}"}}"#
        )
    };
    assert!(text.contains(&format!("{} 0", bucket("120"))), "{text}");
    assert!(text.contains(&format!("{} 1", bucket("300"))), "{text}");
}

#[test]
fn installing_twice_gives_the_same_recorder() {
    let first = install().unwrap();
    ledger_error("installing_twice");
    assert!(install().unwrap().render().contains("installing_twice"));
    assert!(first.render().contains("installing_twice"));
}

/// The names of the labels of a metric, as its sample has them; not the bounds of a histogram.
fn labels(text: &str, metric: Metric) -> Vec<String> {
    let is_sample = |line: &&str| {
        let rest = line.strip_prefix(metric.name()).unwrap_or_default();
        rest.starts_with(['{', ' ']) || rest.starts_with("_bucket{")
    };
    let sample = text.lines().find(is_sample).unwrap_or_else(|| panic!("no sample of {}", metric.name()));
    let Some((_, rest)) = sample.split_once('{') else { return Vec::new() };
    let names = rest.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()));
    names.filter(|name| name != "le").collect()
}

fn table() -> String {
    let text = everything();
    let row = |metric: &Metric| {
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let unit = match metric.unit() {
            Unit::Seconds => "seconds",
            Unit::Bytes => "bytes",
            _ => "",
        };
        let labels: Vec<String> = labels(&text, *metric).iter().map(|name| format!("`{name}`")).collect();
        format!("| `{}` | {kind} | {unit} | {} | {} |\n", metric.name(), labels.join(", "), metric.help())
    };
    let head = "| metric | kind | unit | labels | what it says |\n|---|---|---|---|---|\n";
    head.to_owned() + &Metric::ALL.iter().map(row).collect::<String>()
}

fn page() -> (std::path::PathBuf, String) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = std::fs::read_to_string(&path).unwrap();
    (path, text)
}

/// With `LAZARET_BLESS=1` it is written anew.
#[test]
fn the_table_of_metrics_in_the_documentation_is_the_list_in_the_code() {
    let (path, page) = page();
    let (before, _) = page.split_once("| metric |").unwrap();
    let wanted = before.to_owned() + &table();
    if std::env::var("LAZARET_BLESS").is_ok() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "docs/metrics.md should end with the following; LAZARET_BLESS=1 writes it:\n{}",
            table()
        );
    }
}

#[test]
fn the_documentation_says_of_every_label_what_bounds_it() {
    let (text, (_, page)) = (everything(), page());
    for metric in Metric::ALL {
        for label in labels(&text, *metric) {
            assert!(page.contains(&format!("\n| `{label}` | ")), "{} has the label {label}", metric.name());
        }
    }
}
