//! Very many dead letters of forty causes on a real Kafka, by the program alone: taken in, asked for, built anew.
//!
//! In every run there are some thousands; `LAZARET_TEST_LETTERS=1000000` makes it as many as docs/benchmarks.md tells of.

use std::collections::BTreeMap;
use std::time::Instant;

use lazaret::flow::Code;
use serde_json::Value;

use crate::acts::PIPELINE;
use crate::dlq::dead_of;
use crate::rig::Rig;

const CODES: [Code; 10] = [
    Code::ParseCorrupt,
    Code::ParseEncrypted,
    Code::ParseTimeout,
    Code::DocumentEmpty,
    Code::DocumentTooLarge,
    Code::RecordUndecodable,
    Code::SourceNotFound,
    Code::LlmTimeout,
    Code::LlmRateLimited,
    Code::StageFailed,
];
const CAUSES: [&str; 4] = ["the anchor is lost", "the tide is out", "the light is dark", "the pilot sleeps"];
const TENANTS: [&str; 5] = ["acme", "globex", "initech", "umbrella", "hooli"];

fn letters() -> usize {
    std::env::var("LAZARET_TEST_LETTERS").ok().and_then(|text| text.parse().ok()).unwrap_or(8_000)
}

/// What `lazaret` says, and how long it took, the start of the process included.
async fn timed(rig: &Rig, what: &str, args: &[&str]) -> Value {
    let begin = Instant::now();
    let told = rig.ask(args).await;
    eprintln!("{what}: {:.2} s", begin.elapsed().as_secs_f64());
    told
}

/// Everything that is asked of the index, as it answers.
async fn all_answers(rig: &Rig) -> BTreeMap<&'static str, Value> {
    let mut answers = BTreeMap::new();
    for (what, args) in [
        ("groups", vec!["dlq", "groups", "--state", "all", "--limit", "1000"]),
        ("count by tenant", vec!["dlq", "count", "--by", "tenant"]),
        ("count by code", vec!["dlq", "count", "--by", "code", "--state", "all"]),
        ("count by state", vec!["dlq", "count", "--by", "state", "--state", "all"]),
        ("a page", vec!["dlq", "ls", "--limit", "1000"]),
        (
            "a page of a tenant, an area",
            vec!["dlq", "ls", "--tenant", "globex", "--code", "llm", "--limit", "100"],
        ),
        ("text", vec!["dlq", "count", "--text", "PILOT"]),
        ("audit", vec!["dlq", "audit", "--limit", "1000"]),
    ] {
        let args: Vec<&str> = args.into_iter().chain(["-o", "json"]).collect();
        answers.insert(what, timed(rig, what, &args).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn many_dead_letters_of_forty_causes_are_taken_in_told_apart_and_are_the_same_when_built_anew() {
    let Some(rig) = Rig::new("many", PIPELINE, "").await else { return };
    let all = letters();
    for first in (0..all).step_by(10_000) {
        let record = |n: usize| {
            let (code, cause) = (CODES[n % 10], CAUSES[n / 10 % 4]);
            let text = format!("{cause}, wreck {}", n / 40);
            dead_of(&rig.name, &format!("job-{n}"), code, &text, TENANTS[n % 7 % 5]).1
        };
        rig.send((first..all.min(first + 10_000)).map(record).collect()).await;
    }
    let begin = Instant::now();
    let groups = timed(&rig, "taken in", &["dlq", "groups", "--limit", "1000", "-o", "json"]).await;
    eprintln!("{:.0} letters/s", all as f64 / begin.elapsed().as_secs_f64());
    let groups = groups["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 40, "wrecks have numbers, and are of the same cause");
    assert!(groups.iter().all(|group| group["count"].as_u64() == Some(all as u64 / 40)), "{groups:?}");

    let kim = ["--by", "kim", "--yes", "--max", "1000000", "-o", "json"];
    for act in [
        vec!["dlq", "assign", "--code", "parse.encrypted", "--to", "data"],
        vec![
            "dlq",
            "reclassify",
            "--code",
            "document.empty",
            "--tenant",
            "hooli",
            "--to",
            "parse.corrupt",
            "--reason",
            "so",
        ],
        vec!["dlq", "resolve", "--code", "source.not_found", "--reason", "mended"],
    ] {
        rig.ask(&[&act[..], &kim].concat()).await;
    }
    let live = all_answers(&rig).await;
    let rebuilt = timed(&rig, "built anew", &["ops", "rebuild", "-o", "json"]).await;
    assert!(rebuilt["records"].as_u64().is_some_and(|records| records >= all as u64), "{rebuilt}");
    let again = all_answers(&rig).await;
    for (what, answer) in live {
        assert!(again[what] == answer, "{what} is another when it is built anew");
    }
}
