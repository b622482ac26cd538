//! Stages that keep an order: records of a key end in the order in which they came, through retries, parking, crashes
//! and redrives, while other keys go on.

use std::collections::BTreeMap;

use lazaret::message::{OutRecord, Record};
use serde_json::json;

use super::passages;
use crate::rig::{Rig, eventually, job, record};

/// One ordered stage that asks the provider, with a small window, so that followers are parked.
fn pipeline(policy: &str) -> String {
    format!(
        "
  '{{p}}':
    input: {{ topic: '{{p}}.in' }}
    output: {{ topic: '{{p}}.out' }}
    partitions: 3
    retry: {{ max_attempts: 50, base: 100ms, factor: 2, cap: 500ms, max_elapsed: 5m, rungs: [100ms, 500ms] }}
    stages:
      - name: embed
        kind: {{ embed: {{ provider: local, model: lazaret-embed }} }}
        concurrency: 16
        window: 32
        timeout: 10s
        ordering: key
{policy}
"
    )
}

/// `count` jobs of each key, in turn: job `<key>-<n>`.
fn in_turn(topic: &str, keys: usize, count: usize) -> Vec<OutRecord> {
    let one = |n: usize, key: usize| {
        let id = format!("{key}-{n}");
        let out = record(topic, &[("job-id", &id), ("resource-id", &format!("key-{key}"))], &passages(n));
        OutRecord { key: Some(format!("key-{key}").into_bytes().into()), ..out }
    };
    (0..count).flat_map(|n| (0..keys).map(move |key| (n, key))).map(|(n, key)| one(n, key)).collect()
}

/// The numbers of each key's jobs, in the order of the topic's partitions.
fn by_key(records: &[Record]) -> BTreeMap<String, Vec<usize>> {
    let mut all: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut sorted: Vec<&Record> = records.iter().collect();
    sorted.sort_by_key(|record| (record.at.partition, record.at.offset));
    for record in sorted {
        let id = job(record);
        let (key, n) = id.split_once('-').expect("<key>-<n>");
        all.entry(key.to_owned()).or_default().push(n.parse().expect("a number"));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_key_keep_their_order_through_retries_parking_kills_and_rebalances() {
    const KEYS: usize = 12;
    const EACH: usize = 25;
    let Some(rig) = Rig::new("order", &pipeline(""), "").await else { return };
    rig.faults(json!({ "latency": "10ms", "jitter": "20ms", "rate_limit": 0.1, "server_error": 0.1 })).await;
    rig.send(in_turn(&rig.topic("in"), KEYS, EACH)).await;
    let total = (KEYS * EACH) as u64;
    for share in 1..=2 {
        let worker = rig.worker(&[]).await;
        let enough = total * share / 5;
        eventually("some work is done", async || (rig.jobs("embed", "done").await >= enough).then_some(()))
            .await;
        worker.kill();
    }
    let mut first = rig.worker(&[]).await;
    let mut second = rig.worker(&[]).await;
    eventually("more work is done", async || {
        (rig.jobs("embed", "done").await >= total * 3 / 5).then_some(())
    })
    .await;
    assert!(first.terminate().await.success());
    eventually("all jobs are done", async || (rig.jobs("embed", "done").await == total).then_some(())).await;
    assert!(second.terminate().await.success());

    let out = by_key(&rig.records("out").await);
    let in_order: Vec<usize> = (0..EACH).collect();
    assert_eq!(out.len(), KEYS);
    for (key, jobs) in out {
        assert_eq!(jobs, in_order, "key {key}");
    }
    let retried = rig.records("embed.retry.100ms").await.len() + rig.records("embed.retry.500ms").await.len();
    assert!(retried > 20, "a fifth of the calls failed, and only {retried} records climbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_of_a_failing_record_are_parked_and_other_keys_go_on() {
    let Some(rig) = Rig::new("park", &pipeline(""), "").await else { return };
    let mut records = in_turn(&rig.topic("in"), 1, 60);
    let others = |n: usize| {
        let id = format!("other-{n}");
        let out = record(&rig.topic("in"), &[("job-id", &id), ("resource-id", &id)], &passages(n));
        OutRecord { key: Some(id.into_bytes().into()), ..out }
    };
    // The first record of the key fails until the faults are over; those of other keys come behind its followers.
    records[0].value = Some(passages_marked("FAIL-ME").to_string().into_bytes().into());
    records.extend((0..30).map(others));
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    rig.send(records).await;
    let mut worker = rig.worker(&[]).await;
    eventually("all other keys are done", async || (rig.jobs("embed", "done").await == 30).then_some(()))
        .await;
    eventually("followers are parked", async || (rig.jobs("embed", "parked").await >= 40).then_some(()))
        .await;
    assert!(rig.records("out").await.iter().all(|record| job(record).starts_with("other-")));

    rig.faults(json!({ "marked": null })).await;
    eventually("the key is done", async || (rig.jobs("embed", "done").await == 90).then_some(())).await;
    assert!(worker.terminate().await.success());
    let mut out = by_key(&rig.records("out").await);
    out.remove("other");
    assert_eq!(out.remove("0"), Some((0..60).collect()));
}

fn passages_marked(mark: &str) -> serde_json::Value {
    let mut passages = passages(0);
    passages["passages"][0]["text"] = json!(format!("{mark} passage"));
    passages
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_dead_letter_the_key_is_held_until_it_is_discarded_or_redriven() {
    let policy = "        after_dead: hold";
    let Some(rig) = Rig::new("hold", &pipeline(policy), "").await else { return };
    let mut records = in_turn(&rig.topic("in"), 3, 4);
    // The first of keys 0 and 1 can never be read.
    for at in [0, 1] {
        records[at].value = Some(b"{".to_vec().into());
    }
    rig.send(records).await;
    let mut worker = rig.worker(&[]).await;
    eventually("the healthy key is done", async || (rig.jobs("embed", "done").await == 4).then_some(()))
        .await;
    eventually("two are dead", async || (rig.jobs("embed", "dead").await == 2).then_some(())).await;
    let dead = rig.records("embed.dlq").await;
    let id = |name: &str| {
        let letter = dead.iter().find(|letter| job(letter) == name).expect("the dead letter");
        letter.headers.text("dlq.id").expect("its id").to_owned()
    };
    assert_eq!(by_key(&rig.records("out").await).len(), 1, "two keys are held");

    // A restart forgets nothing of it.
    assert!(worker.terminate().await.success());
    let mut worker = rig.worker(&[]).await;
    rig.lazaret(&["dlq", "discard", &id("0-0"), "--reason", "a test of the producer", "--by", "kim"]);
    eventually("the key of the discarded one is done", async || {
        (rig.jobs("embed", "done").await == 7 && rig.jobs("embed", "discarded").await == 1).then_some(())
    })
    .await;
    // Redriven as it is, it dies again, and its key is still held.
    rig.lazaret(&["dlq", "redrive", &id("1-0"), "--unchanged", "--reason", "a test of the stage"]);
    eventually("it is dead again", async || (rig.records("embed.dlq").await.len() == 3).then_some(())).await;
    assert!(worker.terminate().await.success());
    let out = by_key(&rig.records("out").await);
    assert_eq!(out.get("0"), Some(&vec![1, 2, 3]));
    assert_eq!(out.get("1"), None);
    assert_eq!(out.get("2"), Some(&vec![0, 1, 2, 3]));
}
