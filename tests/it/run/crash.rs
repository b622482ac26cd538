//! `kill -9` at any moment: every input ends once, offsets have no gaps, and no stage finishes a job twice.

use std::collections::BTreeMap;

use lazaret::message::Record;
use serde_json::json;

use super::{EMBED, jobs};
use crate::rig::{Rig, eventually, job, record};

/// How often each job stands in these records.
fn times(records: &[Record]) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for record in records {
        *times.entry(job(record)).or_default() += 1;
    }
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_input_ends_exactly_once() {
    const JOBS: usize = 240;
    let Some(rig) = Rig::new("crash", EMBED, "").await else { return };
    rig.faults(json!({ "latency": "80ms", "jitter": "80ms", "rate_limit": 0.05, "server_error": 0.05 }))
        .await;
    let mut inputs = jobs(&rig.topic("in"), JOBS);
    for n in 0..20 {
        inputs.insert(
            n * 11,
            record(&rig.topic("in"), &[("job-id", &format!("bad-{n}"))], &json!("no passages")),
        );
    }
    rig.send(inputs).await;
    for share in 1..=4 {
        let worker = rig.worker(&[]).await;
        let enough = (JOBS * share / 6) as u64;
        eventually("some work is done", async || (rig.jobs("embed", "done").await >= enough).then_some(()))
            .await;
        worker.kill();
    }
    let mut worker = rig.worker(&[]).await;
    eventually("all jobs have ended", async || {
        let (done, dead) = (rig.jobs("index", "done").await, rig.jobs("embed", "dead").await);
        (done == JOBS as u64 && dead == 20).then_some(())
    })
    .await;
    eventually("everything is committed to its end, the markers of transactions included", async || {
        let read = lazaret::ops::offsets::look(&rig.config.kafka, &rig.topology).await.expect("offsets");
        read.iter().all(|read| read.left == 0).then_some(())
    })
    .await;
    assert!(worker.terminate().await.success());

    let (out, dead) = (times(&rig.records("out").await), times(&rig.records("embed.dlq").await));
    assert_eq!((out.len(), dead.len()), (JOBS, 20), "every input is somewhere");
    assert!(out.keys().all(|job| !dead.contains_key(job)), "and in one place only");
    let twice: Vec<_> = out.iter().chain(&dead).filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "readers of committed records see each once: {twice:?}");
    let db = rusqlite::Connection::open(&rig.config.ledger.path).expect("the ledger");
    let twice: i64 =
        db.query_row("SELECT count(*) FROM jobs WHERE finishes > 1", [], |row| row.get(0)).expect("a count");
    let open: i64 = db
        .query_row("SELECT count(*) FROM jobs WHERE state NOT IN ('done', 'dead')", [], |row| row.get(0))
        .expect("a count");
    assert_eq!((twice, open), (0, 0));
}
