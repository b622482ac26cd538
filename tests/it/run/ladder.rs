//! Transient failures heal by waiting, and nothing healthy waits for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lazaret::ledger::Event;
use serde_json::json;

use super::{EMBED, jobs};
use crate::rig::{Rig, eventually, job};

/// Every attempt of the job, in the order of time: when it began, and when it was due.
fn attempts(history: &[Event]) -> Vec<(Timestamp, Option<Timestamp>)> {
    let mut due = None;
    let mut attempts = Vec::new();
    for event in history.iter().filter(|event| event.stage == "embed") {
        match event.kind.as_str() {
            "waiting" => due = event.due,
            "started" => attempts.push((event.at, due.take())),
            _ => {}
        }
    }
    attempts
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_failures_climb_the_ladder_and_heal_and_no_retry_is_early() {
    let Some(rig) = Rig::new("ladder", EMBED, "").await else { return };
    rig.faults(json!({ "rate_limit": 0.15, "server_error": 0.1, "overloaded": 0.05, "truncate": 0.05 }))
        .await;
    let mut worker = rig.worker(&[]).await;
    rig.send(jobs(&rig.topic("in"), 60)).await;
    eventually("all jobs are indexed", async || (rig.jobs("index", "done").await == 60).then_some(())).await;

    let mut out: Vec<String> = rig.records("out").await.iter().map(job).collect();
    out.sort();
    out.dedup();
    assert_eq!(out.len(), 60);
    assert_eq!(rig.records("embed.dlq").await.len(), 0, "nothing transient is a dead letter");
    assert!(!rig.records("embed.retry.1s").await.is_empty(), "a Retry-After of a second leads to that rung");

    let ledger = rig.ledger();
    let mut retried = 0;
    for n in 0..60 {
        let history = ledger.history(&format!("job-{n}")).await.expect("a history");
        for (began, due) in attempts(&history).into_iter().skip(1) {
            let due = due.expect("a retry has a due time");
            assert!(began >= due, "job-{n} began at {began}, due at {due}");
            retried += 1;
        }
    }
    assert!(retried >= 5, "with 35 % of the calls failing, only {retried} retries were seen");
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_never_heals_is_a_dead_letter_with_its_history_and_its_original_bytes() {
    let pipeline = EMBED.replace("max_attempts: 50", "max_attempts: 3");
    let Some(rig) = Rig::new("exhausted", &pipeline, "").await else { return };
    rig.faults(json!({ "rate_limit": 1.0 })).await;
    let mut worker = rig.worker(&[]).await;
    let mut sent = jobs(&rig.topic("in"), 1);
    sent[0].timestamp = Some(1_700_000_000_123);
    sent[0].headers.push("lazaret.attempt", Some(b"99".to_vec()));
    sent[0].headers.push("empty", None);
    rig.send(sent.clone()).await;
    eventually("the job is dead", async || (rig.jobs("embed", "dead").await == 1).then_some(())).await;

    let letters = rig.records("embed.dlq").await;
    let letter = letters.first().expect("a dead letter");
    assert_eq!((&letter.key, &letter.value), (&sent[0].key, &sent[0].value));
    assert_eq!(letter.at.timestamp, Some(1_700_000_000_123));
    let original: Vec<_> = letter.headers.iter().take(3).collect();
    assert_eq!(original, sent[0].headers.iter().collect::<Vec<_>>(), "the original headers stand first");

    let expected = BTreeMap::from([
        ("dlq.pipeline", rig.name.as_str()),
        ("dlq.stage", "embed"),
        ("dlq.error.code", "llm.rate_limited"),
        ("dlq.error.class", "transient"),
        ("dlq.attempts", "3"),
        ("dlq.redrives", "0"),
        ("dlq.origin.timestamp", "2023-11-14T22:13:20.123Z"),
        ("tenant-id", "acme"),
        ("resource-id", "doc-0"),
    ]);
    for (name, value) in expected {
        assert_eq!(letter.headers.text(name), Some(value), "{name}");
    }
    assert_eq!(letter.headers.text("dlq.origin.topic"), Some(rig.topic("in").as_str()));
    assert!(letter.headers.text("dlq.error.chain").is_some_and(|chain| chain.contains("max_attempts")));
    let log = worker.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(r#""job_id":"job-0""#)).collect();
    assert!(lines.len() >= 4, "three attempts and the end");
    for line in lines {
        for id in [r#""tenant_id":"acme""#, r#""resource_id":"doc-0""#, r#""trace_id":""#, r#""code":"llm."#]
        {
            assert!(line.contains(id), "{id} is missing in {line}");
        }
    }
    for name in ["dlq.first.failure.at", "dlq.last.failure.at"] {
        let time = letter.headers.text(name).expect("a time");
        assert!(time.ends_with('Z') && time.len() == 24, "{name} is RFC 3339 with milliseconds: {time}");
    }
    assert!(worker.terminate().await.success());
}
