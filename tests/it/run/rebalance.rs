//! A planned rebalance runs nothing twice, and a stop hands everything over.

use serde_json::json;

use super::{EMBED, jobs};
use crate::rig::{Rig, eventually, job};

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_come_and_go_run_every_job_once() {
    const JOBS: usize = 400;
    let Some(rig) = Rig::new("rebalance", EMBED, "").await else { return };
    rig.faults(json!({ "latency": "60ms", "jitter": "60ms" })).await;
    let mut first = rig.worker(&[]).await;
    rig.send(jobs(&rig.topic("in"), JOBS)).await;
    eventually("work has begun", async || (rig.jobs("embed", "done").await > 20).then_some(())).await;
    // As in a roll-out, the one that comes has another configuration than the one that goes.
    rig.reconfigure("concurrency: 8", "concurrency: 6");
    rig.reconfigure("rungs: [200ms, 1s]", "rungs: [200ms, 1s, 2s]");
    assert!(rig.tell(&["topics", "apply"]).await);
    let mut second = rig.worker(&[]).await;
    let before = rig.jobs("embed", "done").await;
    assert!(before < JOBS as u64, "the rebalance came in the middle of the work");
    assert!(first.terminate().await.success());
    eventually("all jobs are indexed", async || {
        (rig.jobs("index", "done").await == JOBS as u64).then_some(())
    })
    .await;
    assert!(second.terminate().await.success());

    let ledger = rig.ledger();
    for n in 0..JOBS {
        let history = ledger.history(&format!("job-{n}")).await.expect("a history");
        let count = |stage: &str, kind: &str| {
            history.iter().filter(|event| event.stage == stage && event.kind == kind).count()
        };
        assert_eq!((count("embed", "stored"), count("embed", "done")), (1, 1), "job-{n}: {history:#?}");
    }
    let mut out: Vec<String> = rig.records("out").await.iter().map(job).collect();
    out.sort();
    let all = out.len();
    out.dedup();
    assert_eq!((out.len(), all), (JOBS, JOBS), "every job comes out once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_gives_long_work_back_within_its_deadline() {
    let Some(rig) = Rig::new("stop", EMBED, "shutdown: { drain: 1s }").await else { return };
    rig.faults(json!({ "hang": 1.0 })).await;
    let mut first = rig.worker(&[]).await;
    rig.send(jobs(&rig.topic("in"), 8)).await;
    eventually("work has begun", async || (rig.jobs("embed", "running").await == 8).then_some(())).await;
    let begun = std::time::Instant::now();
    assert!(first.terminate().await.success());
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "the stop took {:?}", begun.elapsed());
    assert_eq!(rig.jobs("embed", "running").await, 0, "what was not finished was given back");

    rig.faults(json!({ "hang": 0.0 })).await;
    let mut second = rig.worker(&[]).await;
    eventually("all jobs are indexed", async || (rig.jobs("index", "done").await == 8).then_some(())).await;
    assert!(second.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_process_at_once_and_loses_nothing() {
    let Some(rig) = Rig::new("twice", EMBED, "shutdown: { drain: 5m }").await else { return };
    rig.faults(json!({ "hang": 1.0 })).await;
    let mut first = rig.worker(&[]).await;
    rig.send(jobs(&rig.topic("in"), 8)).await;
    eventually("work has begun", async || (rig.jobs("embed", "running").await == 8).then_some(())).await;
    first.signal("TERM");
    eventually("it drains", async || first.log().contains("finishing what is in flight").then_some(())).await;
    assert!(first.terminate().await.success());

    rig.faults(json!({ "hang": 0.0 })).await;
    let mut second = rig.worker(&[]).await;
    eventually("all jobs are indexed", async || (rig.jobs("index", "done").await == 8).then_some(())).await;
    assert!(second.terminate().await.success());
}
