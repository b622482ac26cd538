//! One tenant does not notice another: neither its backlog nor its slowness.

use std::collections::BTreeSet;

use lazaret::message::OutRecord;
use serde_json::json;

use super::passages;
use crate::rig::{Rig, eventually, job, record};

const FAIR: &str = "
  '{p}':
    input: { topic: '{p}.in' }
    output: { topic: '{p}.out' }
    partitions: 1
    retry: { max_attempts: 50, base: 200ms, factor: 2, cap: 1s, max_elapsed: 5m, rungs: [200ms, 1s] }
    stages:
      - name: embed
        kind: { embed: { provider: local, model: lazaret-embed } }
        concurrency: 2
        window: 8
        timeout: 10s
        fairness: { share: 50 }
";
const BACKLOG: usize = 100;
const QUIET: usize = 5;

fn of(tenant: &str, topic: &str, from: usize, count: usize) -> Vec<OutRecord> {
    let one = |n: usize| {
        record(topic, &[("job-id", &format!("{tenant}-{n}")), ("tenant-id", tenant)], &passages(n))
    };
    (from..from + count).map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_one_tenant_that_stands_before_another_ones_records_does_not_hold_them_up() {
    let Some(rig) = Rig::new("fair", FAIR, "").await else { return };
    rig.faults(json!({ "latency": "250ms", "server_error": 0.1 })).await;
    let topic = rig.topic("in");
    // The quiet tenant is there before, and its records come behind the whole backlog.
    rig.send(of("quiet", &topic, 0, 1)).await;
    rig.send(of("noisy", &topic, 0, BACKLOG)).await;
    rig.send(of("quiet", &topic, 1, QUIET - 1)).await;
    let mut worker = rig.worker(&[]).await;
    let all = BACKLOG + QUIET;
    eventually("all jobs are done", async || (rig.jobs("embed", "done").await == all as u64).then_some(()))
        .await;

    let out: Vec<String> = rig.records("out").await.iter().map(job).collect();
    assert_eq!(out.iter().collect::<BTreeSet<_>>().len(), all, "each once: {out:?}");
    assert_eq!(out.len(), all);
    let last = out.iter().rposition(|job| job.starts_with("quiet")).expect("the quiet one's records");
    assert!(
        last < all / 2,
        "the last of the quiet tenant's {QUIET} records came out as number {last}: {out:?}"
    );
    assert!(!rig.records("embed.park").await.is_empty(), "what crowded the window was parked");
    assert!(worker.terminate().await.success());
}
