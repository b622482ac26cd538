//! Which dead letters are listed, and what is said about one.

use super::care::Care;
use super::explain::{Telling, age, command, explain, payload_text};
use super::*;
use crate::flow::{Code, Fault};
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Coordinates, Correlation, JobId};

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

fn dead(job: &str, code: Code, second: i64) -> Record {
    let at = |topic: &str| Coordinates { topic: topic.into(), partition: 1, offset: 7, timestamp: Some(5) };
    let correlation = Correlation {
        job: JobId(job.into()),
        tenant: Some("acme".into()),
        resource: Some("a.pdf".into()),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    let scene = Scene {
        pipeline: "rag",
        stage: "parse",
        revision: "r1",
        origin: &at("documents"),
        correlation: &correlation,
        attempts: 3,
        first_failure: time(0),
        last_failure: time(second),
        redrives: 0,
    };
    let fault = Fault::new(code, "cannot read the page tree")
        .caused_by(&std::io::Error::other("xref table is cut off"));
    let mut original = Headers::new();
    original.push_text("x-secret", "s3cr3t");
    let headers = DeadLetter::new(scene, &fault).seal(&original, Detail::Full);
    let value = Some(br#"{"id":"a.pdf"}"#.to_vec());
    Record {
        at: at("rag.parse.dlq"),
        key: Some(b"a.pdf".to_vec().into()),
        value: value.map(Into::into),
        headers,
    }
}

fn letter(record: &Record) -> Found {
    found(DeadLetter::read(record).expect("a dead letter").0, record)
}

fn told(opened: &Opened, payload: bool, now: Timestamp) -> String {
    explain(opened, &Telling { payload, now, care: &Care::default(), command: "lazaret" })
}

fn opened(record: Record) -> Opened {
    let (letter, original) = DeadLetter::read(&record).expect("a dead letter");
    Opened { found: found(letter, &record), original, key: record.key, value: record.value }
}

#[test]
fn a_filter_knows_codes_areas_jobs_with_children_tenants_and_time() {
    let found = letter(&dead("j1/3", Code::ParseCorrupt, 60));
    let passes = |filter: Filter| filter.matches(&found.letter);
    let text = |t: &str| Some(t.to_owned());
    assert!(passes(Filter::default()));
    assert!(passes(Filter { code: text("parse.corrupt"), ..Filter::default() }));
    assert!(passes(Filter { code: text("parse"), ..Filter::default() }));
    assert!(!passes(Filter { code: text("par"), ..Filter::default() }));
    assert!(passes(Filter { job: text("j1"), ..Filter::default() }));
    assert!(!passes(Filter { job: text("j"), ..Filter::default() }));
    assert!(!passes(Filter { tenant: text("other"), ..Filter::default() }));
    assert!(!passes(Filter { stage: text("chunk"), ..Filter::default() }));
    assert!(passes(Filter { since: Some(time(60)), ..Filter::default() }));
    assert!(!passes(Filter { since: Some(time(61)), ..Filter::default() }));
}

#[test]
fn the_latest_letters_are_kept_each_once_and_memory_is_bounded() {
    let mut latest = Latest::new(3);
    for n in [4, 1, 9, 2, 7] {
        latest.keep(letter(&dead(&format!("j{n}"), Code::ParseCorrupt, n)));
    }
    latest.keep(letter(&dead("j9", Code::ParseCorrupt, 9)));
    assert_eq!(latest.kept.len(), 3);
    let listing = latest.into_listing(true);
    let jobs: Vec<_> = listing.letters.iter().map(|f| f.letter.correlation.job.0.as_str()).collect();
    assert_eq!(jobs, ["j9", "j7", "j4"]);
    assert_eq!(listing.matched, 5);
}

#[test]
fn an_account_begins_with_the_cause_and_ends_with_commands() {
    let text = told(&opened(dead("j 1'", Code::ParseCorrupt, 60)), false, time(3_660));
    assert!(text.starts_with("parse.corrupt (permanent): cannot read the page tree\n"), "{text}");
    assert!(text.contains(Code::ParseCorrupt.page().trim()));
    for part in ["acme", "0af7651916cd43dd8448eb211c80319c", "documents-1@7", "rag.parse.dlq-1@7", ", 1h ago"]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(text.contains("xref table is cut off"));
    assert!(text.contains(r"lazaret job 'j 1'\'''"), "{text}");
}

#[test]
fn payload_and_header_values_are_shown_only_on_request() {
    let record = dead("j1", Code::ParseCorrupt, 60);
    let masked = told(&opened(record.clone()), false, time(60));
    assert!(!masked.contains("s3cr3t") && !masked.contains(r#""id": "a.pdf""#));
    let full = told(&opened(record), true, time(60));
    assert!(full.contains("x-secret: s3cr3t") && full.contains(r#""id": "a.pdf""#));
}

#[test]
fn a_payload_that_is_not_text_is_shown_in_hexadecimal_and_cut() {
    let bytes: Vec<u8> = (0..=255).cycle().take(300).collect();
    let text = payload_text(&bytes);
    assert!(text.starts_with("00000000  00 01 02 03"), "{text}");
    assert!(text.ends_with("… 44 more bytes"), "{text}");
}

#[test]
fn a_payload_cannot_steer_the_terminal() {
    assert_eq!(payload_text(b"a\x1b[2Jb\x07\n\tc"), "a\u{fffd}[2Jb\u{fffd}\n\tc");
    assert!(payload_text("é".repeat(20_000).as_bytes()).ends_with("more bytes"));
}

#[test]
fn an_age_has_one_unit() {
    let ages = [(5, "5s"), (65, "1m"), (7_300, "2h"), (200_000, "2d")];
    for (seconds, expected) in ages {
        assert_eq!(age(time(0), time(seconds)), expected);
    }
    assert_eq!(age(time(9), time(0)), "0s");
}

#[test]
fn a_stage_names_its_owner_and_its_pipeline_the_rest() {
    let yaml = "version: 1
kafka: { bootstrap: 'localhost:9092' }
pipelines:
  rag:
    input: { topic: d }
    output: { topic: i }
    owner: team-rag
    runbook: https://wiki/rag
    sla: 4h
    stages: [ { name: parse, kind: parse, owner: team-pdf } ]
";
    let config: Config = serde_saphyr::from_str(yaml).expect("a valid configuration");
    let opened = opened(dead("j1", Code::ParseCorrupt, 60));
    let care = Care::of(&config, &opened.found.letter);
    let expected = Care {
        owner: Some("team-pdf".into()),
        runbook: Some("https://wiki/rag".into()),
        sla: Some(Span::secs(4 * 3600)),
        look_by: Some(time(60 + 4 * 3600)),
    };
    assert_eq!(care, expected);
    let telling = Telling { payload: false, now: time(60), care: &care, command: "lazaret" };
    let text = explain(&opened, &telling);
    let look_by = format!("look by       {:.3}\n", time(60 + 4 * 3600));
    for line in ["owner         team-pdf\n", "runbook       https://wiki/rag\n", &look_by] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(!told(&opened, false, time(60)).contains("owner"), "what is not set is not shown");
}

#[test]
fn commands_name_the_configuration_that_was_named() {
    let command = |path: &str| command(std::path::Path::new(path));
    assert_eq!(command("lazaret.yaml"), "lazaret");
    let named = command("my demo/lazaret.yaml");
    assert_eq!(named, "lazaret --config 'my demo/lazaret.yaml'");
    let care = Care::default();
    let telling = Telling { payload: false, now: time(60), care: &care, command: &named };
    let text = explain(&opened(dead("j1", Code::ParseCorrupt, 60)), &telling);
    let (_, next) = text.rsplit_once("next\n").expect("commands");
    assert!(next.lines().all(|line| line.trim().starts_with(&named)), "{next}");
}
