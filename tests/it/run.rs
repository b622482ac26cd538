//! `lazaret run` as a process against the real Kafka.

mod avro;
mod cost;
mod crash;
mod dead;
mod edit;
mod fairness;
mod ladder;
mod lag;
mod map;
mod ops;
mod order;
mod pause;
mod peers;
mod rebalance;
mod redrive;
mod start;
mod sweep;
mod trace;
mod traces;

/// Two stages, the first of which asks the provider; short rungs.
pub const EMBED: &str = "
  '{p}':
    input: { topic: '{p}.in' }
    output: { topic: '{p}.out' }
    partitions: 3
    retry: { max_attempts: 50, base: 200ms, factor: 2, cap: 1s, max_elapsed: 5m, rungs: [200ms, 1s] }
    stages:
      - { name: embed, kind: { embed: { provider: local, model: lazaret-embed } }, concurrency: 8, timeout: 10s }
      - { name: index, kind: index, timeout: 10s }
";

/// The passages of document `n`, as the embed stage reads them.
fn passages(n: usize) -> serde_json::Value {
    serde_json::json!({
        "document": { "id": format!("doc-{n}"), "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1,
        "passages": [{ "ordinal": 0, "text": format!("Passage {n} speaks of quarantine.") }],
    })
}

/// `count` jobs for the embed stage, `job-<n>`.
pub fn jobs(topic: &str, count: usize) -> Vec<lazaret::message::OutRecord> {
    (0..count).map(|n| crate::rig::record(topic, &[("job-id", &format!("job-{n}"))], &passages(n))).collect()
}
