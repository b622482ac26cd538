//! Records what a release leaves behind when it is killed in the middle of its work; scripts/record-release.sh runs it.

use std::path::PathBuf;

use jiff::Timestamp;
use lazaret::message::OutRecord;
use serde_json::json;

use super::broker::Broker;
use super::dump;
use super::release::Release;
use super::scenario::{FOLLOWERS, INSTANCE, NAME, PIPELINE, document, sent, version};
use crate::real::postgres;
use crate::rig::{Rig, eventually};
use crate::support::unique;

/// The program of the release, and where what it leaves behind is to lie.
fn asked() -> (PathBuf, PathBuf) {
    let path =
        |name: &str| PathBuf::from(std::env::var(name).unwrap_or_else(|_| panic!("{name} names a path")));
    (path("LAZARET_RECORD_PROGRAM"), path("LAZARET_RECORD_TO"))
}

/// A dead letter's id, by the job of which it is the latest one.
async fn letter(rig: &Rig, job: &str) -> String {
    let filter = ["dlq", "ls", "--job", job, "--state", "all", "-o", "json"];
    let listed = rig.ask(&filter).await;
    listed["letters"][0]["id"].as_str().unwrap_or_else(|| panic!("{job} is dead: {listed}")).to_owned()
}

async fn kim(rig: &Rig, args: &[&str]) {
    let output = rig.output(&[args, &["--by", "kim"]].concat()).await;
    assert!(output.status.success(), "{args:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A plan to send back the letters of a job; its id.
async fn plan(rig: &Rig, job: &str) -> String {
    let plan =
        ["redrive", "plan", "--stage", "embed", "--job", job, "--name", job, "--by", "kim", "-o", "json"];
    rig.ask(&plan).await["id"].as_str().expect("an id").to_owned()
}

async fn are(rig: &Rig, stage: &str, state: &str, jobs: u64) {
    eventually(&format!("{jobs} jobs of {stage} are {state}"), async || {
        (rig.jobs(stage, state).await >= jobs).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes fixtures; scripts/record-release.sh runs it"]
async fn what_a_release_leaves_behind_when_it_is_killed_is_recorded() {
    let (program, to) = asked();
    let shared = postgres().expect("a PostgreSQL");
    for (name, database) in [("sqlite", None), ("postgres", Some(unique("release")))] {
        let to = to.join(name);
        let Some(broker) = Broker::start().await else { return };
        let url = match &database {
            None => None,
            Some(database) => Some(dump::database(&shared, database).await),
        };
        let mut rig = Rig::named(&broker.kafka, NAME, PIPELINE, INSTANCE, url.as_deref()).await;
        rig.program.clone_from(&program);
        leave(&rig, &broker).await;
        let release = Release::take(&rig, Timestamp::now()).await;
        release.write(&to);
        match &url {
            None => {
                for file in ["ledger", "quarantine"] {
                    let sql = dump::of_file(&rig.path(&format!("{file}.db")));
                    std::fs::write(to.join(format!("{file}.sql")), sql).expect("written");
                }
            }
            Some(url) => {
                let sql = dump::of_schema(url, &rig.schema());
                std::fs::write(to.join("database.sql"), sql).expect("written");
            }
        }
    }
}

/// Brings the release to where it is killed.
async fn leave(rig: &Rig, broker: &Broker) {
    rig.lazaret(&["topics", "apply"]);
    rig.faults(json!({ "marked": "FAIL-ME", "spoiled": "SPOILED" })).await;
    let worker = rig.worker(&[]).await;

    // One waits on a rung, and those of its key behind it; others do not wait for them.
    let held = |n: usize, text: &str| version(rig, &format!("held-{n}"), "held", n + 1, text);
    rig.send(vec![held(0, "FAIL-ME")]).await;
    are(rig, "embed", "waiting", 1).await;
    let mut records: Vec<OutRecord> = (1..=FOLLOWERS).map(|n| held(n, "is behind it")).collect();
    records.extend((0..2).map(|n| document(rig, &format!("waits-{n}"), "FAIL-ME")));
    records.extend((0..6).map(|n| document(rig, &format!("well-{n}"), "is well")));
    records.extend((0..5).map(|n| document(rig, &format!("spoiled-{n}"), "SPOILED")));
    records.push(document(rig, "empty-0", ""));
    records.push(sent(rig, "foreign-0", &json!({ "order": 17 })));
    records.push(sent(rig, "broken-0", &json!("cut")));
    records.push(sent(rig, "broken-1", &json!("cut")));
    rig.send(records).await;
    are(rig, "chunk", "dead", 4).await;
    are(rig, "embed", "dead", 5).await;
    are(rig, "embed", "done", 6).await;
    are(rig, "embed", "parked", 3).await;
    speak(rig).await;

    // So many calls are under way at a time. When they end Kafka is silent: what they brought is in the ledger alone.
    rig.faults(json!({ "latency": "1500ms" })).await;
    rig.send((0..6).map(|n| document(rig, &format!("late-{n}"), "is late")).collect()).await;
    are(rig, "embed", "running", 4).await;
    broker.pause().await;
    are(rig, "embed", "stored", 3).await;
    are(rig, "embed", "running", 1).await;
    worker.kill();
    broker.resume().await;

    // What is asked of stages that nobody runs.
    kim(rig, &["dlq", "redrive", &letter(rig, "spoiled-4").await, "--reason", "the provider is mended"])
        .await;
    kim(rig, &["dlq", "discard", &letter(rig, "empty-0").await, "--reason", "it has no text"]).await;
}

/// What people say of dead letters and do with them, in every way that there is.
async fn speak(rig: &Rig) {
    let dead = async |job: &str| letter(rig, job).await;
    let mended = ["--reason", "the provider is mended"];
    kim(rig, &["dlq", "note", &dead("spoiled-0").await, "-m", "asked the provider", "--yes"]).await;
    kim(rig, &["dlq", "assign", &dead("spoiled-0").await, "--to", "ann", "--yes"]).await;
    kim(rig, &["dlq", "link", &dead("spoiled-0").await, "--to", "OPS-17", "--yes"]).await;
    let code = ["--to", "document.mismatch", "--reason", "another program's", "--yes"];
    kim(rig, &[&["dlq", "reclassify", &dead("foreign-0").await][..], &code].concat()).await;
    kim(rig, &["dlq", "discard", &dead("broken-0").await, "--reason", "hopeless"]).await;
    kim(rig, &["dlq", "discard", &dead("broken-1").await, "--reason", "hopeless"]).await;
    are(rig, "chunk", "discarded", 2).await;
    kim(rig, &["dlq", "restore", &dead("broken-1").await, "--reason", "not so", "--yes"]).await;

    // One dies again, one is well, and so is one of a run. Another run is left to `lazaret ops`, which nobody has
    // started, and a plan is only a plan.
    kim(rig, &[&["dlq", "redrive", &dead("spoiled-1").await][..], &mended].concat()).await;
    eventually("it is dead again", async || (rig.records("embed.dlq").await.len() == 6).then_some(())).await;
    rig.faults(json!({ "spoiled": null })).await;
    kim(rig, &[&["dlq", "redrive", &dead("spoiled-2").await][..], &mended].concat()).await;
    let start = ["--override", "changed", "--yes"];
    let run = plan(rig, "spoiled-3").await;
    kim(rig, &[&["redrive", "start", &run][..], &mended, &start].concat()).await;
    let run = plan(rig, "spoiled-1").await;
    kim(rig, &[&["redrive", "start", &run, "--detach"][..], &mended, &start].concat()).await;
    plan(rig, "spoiled-0").await;
    are(rig, "embed", "done", 8).await;
}
