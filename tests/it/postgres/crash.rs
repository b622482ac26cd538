//! `kill -9` at any moment of several workers on one database: every input ends once, and no stage finishes a job twice.

use std::collections::BTreeMap;

use lazaret::message::Record;
use serde_json::json;

use super::server::connect;
use crate::real::postgres;
use crate::rig::{Rig, eventually, job, record};
use crate::run::{EMBED, jobs};

/// How often each job stands in these records.
fn times(records: &[Record]) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for record in records {
        *times.entry(job(record)).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_killed_at_any_moment_end_every_input_exactly_once() {
    const JOBS: usize = 240;
    const BAD: usize = 20;
    let Some(url) = postgres() else { return };
    let Some(rig) = Rig::with_database("pg-crash", EMBED, "", &url).await else { return };
    rig.faults(json!({ "latency": "60ms", "jitter": "60ms", "rate_limit": 0.05, "server_error": 0.05 }))
        .await;
    let mut inputs = jobs(&rig.topic("in"), JOBS);
    for n in 0..BAD {
        let bad = record(&rig.topic("in"), &[("job-id", &format!("bad-{n}"))], &json!("no passages"));
        inputs.insert(n * 11, bad);
    }
    rig.send(inputs).await;
    let mut workers = vec![rig.worker(&[]).await, rig.worker(&[]).await];
    for share in 1..=5 {
        let enough = (JOBS * share / 7) as u64;
        eventually("some work is done", async || (rig.jobs("embed", "done").await >= enough).then_some(()))
            .await;
        workers.remove(0).kill();
        workers.push(rig.start(&[]).await);
    }
    eventually("all jobs have ended", async || {
        let (done, dead) = (rig.jobs("index", "done").await, rig.jobs("embed", "dead").await);
        (done == JOBS as u64 && dead == BAD as u64).then_some(())
    })
    .await;
    eventually("everything is committed to its end, the markers of transactions included", async || {
        let read = lazaret::ops::offsets::look(&rig.config.kafka, &rig.topology).await.expect("offsets");
        read.iter().all(|read| read.left == 0).then_some(())
    })
    .await;
    for mut worker in workers {
        assert!(worker.terminate().await.success());
    }

    let (out, dead) = (times(&rig.records("out").await), times(&rig.records("embed.dlq").await));
    assert_eq!((out.len(), dead.len()), (JOBS, BAD), "every input is somewhere");
    assert!(out.keys().all(|job| !dead.contains_key(job)), "and in one place only");
    let twice: Vec<_> = out.iter().chain(&dead).filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "readers of committed records see each once: {twice:?}");
    let said = rig.ask(&["verify", "--output", "json"]).await;
    assert_eq!((&said["clean"], &said["ledger"]), (&json!(true), &json!(true)), "{said:#}");

    let db = connect(&url).await;
    let schema = rig.schema();
    let count =
        async |sql: String| db.query_one(&sql, &[]).await.expect("documented layout").get::<_, i64>(0);
    assert_eq!(count(format!("SELECT count(*) FROM {schema}.jobs WHERE finishes > 1")).await, 0);
    assert_eq!(
        count(format!("SELECT count(*) FROM {schema}.jobs WHERE state NOT IN ('done', 'dead')")).await,
        0
    );
    assert_eq!(count(format!("SELECT count(*) FROM {schema}.documents WHERE active")).await, JOBS as i64);
    assert_eq!(
        count(format!("SELECT count(*) FROM {schema}.names WHERE NOT gone")).await,
        0,
        "all said goodbye"
    );
    db.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.expect("dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_ask_the_ledger_is_answered_from_the_database() {
    let Some(url) = postgres() else { return };
    let Some(rig) = Rig::with_database("pg-ask", EMBED, "", &url).await else { return };
    let (early, message) = {
        let output = rig.output(&["job", "job-0"]).await;
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(early, Some(1), "{message}");
    assert!(message.contains("`lazaret run`") && message.contains("PostgreSQL at 127.0.0.1"), "{message}");
    rig.send(jobs(&rig.topic("in"), 1)).await;
    rig.send(vec![record(&rig.topic("in"), &[("job-id", "bad")], &json!("no passages"))]).await;
    let mut worker = rig.worker(&[]).await;
    eventually("both have ended", async || {
        (rig.jobs("index", "done").await == 1 && rig.jobs("embed", "dead").await == 1).then_some(())
    })
    .await;
    let life = rig.ask(&["job", "job-0", "--output", "json"]).await;
    // The next stage may begin before this one has said that it is done.
    for stage in ["embed", "index"] {
        let events = life["events"].as_array().expect("events").iter().filter(|e| e["stage"] == stage);
        assert_eq!(events.map(|e| e["kind"].clone()).collect::<Vec<_>>(), ["started", "stored", "done"]);
    }
    let listed = rig.ask(&["dlq", "ls", "--output", "json"]).await;
    let id = listed["letters"][0]["id"].as_str().expect("a dead letter").to_owned();
    assert!(rig.tell(&["dlq", "discard", &id, "--by", "ada", "--reason", "a test"]).await);
    eventually("it is given up", async || (rig.jobs("embed", "discarded").await == 1).then_some(())).await;
    assert!(worker.terminate().await.success());
    let db = connect(&url).await;
    db.batch_execute(&format!("DROP SCHEMA {} CASCADE", rig.schema())).await.expect("dropped");
}
