//! `lazaret verify` on a real Kafka in which somebody has arranged what is to be found. No worker runs.

use std::time::Duration;

use lazaret::flow::offsets::{Committed, Offsets};
use lazaret::message::OutRecord;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use crate::rig::{Rig, record};

const ONE: &str = "
  '{p}':
    input: { topic: '{p}.in' }
    output: { topic: '{p}.out' }
    partitions: 1
    retry: { rungs: [1s] }
    stages: [ { name: embed, kind: { embed: { provider: local, model: m } } } ]
";

fn jobs(rig: &Rig, topic: &str, names: &[&str]) -> Vec<OutRecord> {
    names.iter().map(|name| record(&rig.topic(topic), &[("job-id", name)], &json!({}))).collect()
}

/// Says in the name of the stage's group what has ended.
fn commit(rig: &Rig, positions: &[(&str, i64, &str)]) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &rig.config.kafka.bootstrap)
        .set("group.id", &rig.topology.stages[0].group);
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for (topic, offset, metadata) in positions {
        let topic = rig.topic(topic);
        list.add_partition_offset(&topic, 0, Offset::Offset(*offset)).expect("a partition");
        list.find_partition(&topic, 0).expect("it").set_metadata(*metadata);
    }
    consumer.commit(&list, CommitMode::Sync).expect("committed");
}

async fn verify(rig: &Rig) -> (bool, Value) {
    let output = rig.output(&["verify", "--output", "json"]).await;
    let said = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
        panic!("{e}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    });
    assert!(matches!(output.status.code(), Some(0 | 5)), "{:?}", output.status);
    (output.status.code() == Some(0), said)
}

fn found(said: &Value) -> Vec<(&str, &str)> {
    let all = said["findings"].as_array().expect("findings");
    all.iter().map(|f| (f["kind"].as_str().unwrap_or(""), f["job"].as_str().unwrap_or(""))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_and_what_stands_twice_is_named_and_the_rest_is_counted() {
    let Some(rig) = Rig::new("verify", ONE, "").await else { return };
    rig.send(jobs(&rig, "in", &["done", "lost", "twice", "waits", "again", "unread"])).await;
    rig.send(jobs(&rig, "out", &["done", "twice", "twice", "somebody-elses"])).await;
    rig.send(jobs(&rig, "embed.retry.1s", &["waits"])).await;
    let (clean, said) = verify(&rig).await;
    assert!(!clean, "two outputs of one job are wrong even when nothing is committed");
    assert_eq!(found(&said), [("double", "twice")]);

    commit(&rig, &[("in", 5, "")]);
    let (clean, said) = verify(&rig).await;
    assert!(!clean);
    assert_eq!(found(&said), [("missing", "again"), ("missing", "lost"), ("double", "twice")]);
    assert_eq!(said["findings"][1]["record"], format!("{}-0@1", rig.topic("in")));
    let jobs = &said["stages"][0]["jobs"];
    let counts = ["done", "waiting", "unread", "missing"].map(|place| jobs[place].as_u64().unwrap_or(0));
    assert_eq!(counts, [2, 1, 1, 2], "{said:#}");
    assert_eq!((&said["missing"], &said["double"], &said["ledger"]), (&json!(2), &json!(1), &json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_beyond_the_committed_offset_stands_in_the_map() {
    let Some(rig) = Rig::new("verifymap", ONE, "").await else { return };
    rig.send(jobs(&rig, "in", &["open", "done", "lost", "unread"])).await;
    rig.send(jobs(&rig, "out", &["done"])).await;
    let mut offsets = Offsets::resume(Some(&Committed::bare(0)));
    for offset in 0..3 {
        offsets.read(offset);
    }
    [1, 2].into_iter().for_each(|offset| offsets.end(offset));
    let position = offsets.commit().expect("something to commit");
    assert_eq!(position.offset, 0);
    commit(&rig, &[("in", position.offset, &position.map)]);
    let (_, said) = verify(&rig).await;
    assert_eq!(found(&said), [("missing", "lost")]);
    assert_eq!(said["stages"][0]["jobs"]["unread"], 2);
    assert_eq!(said["stages"][0]["damaged_maps"], 0);

    commit(&rig, &[("in", 0, "no map of ours")]);
    let (clean, said) = verify(&rig).await;
    assert!(clean, "nothing is known to have ended");
    assert_eq!(said["stages"][0]["damaged_maps"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_an_open_transaction_are_waited_for_and_those_of_an_aborted_one_are_not_there() {
    const PATIENCE: Duration = Duration::from_secs(20);
    let Some(rig) = Rig::new("verifytx", ONE, "").await else { return };
    rig.send(jobs(&rig, "in", &["done", "aborted"])).await;
    commit(&rig, &[("in", 2, "")]);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &rig.config.kafka.bootstrap).set("transactional.id", &rig.name);
    let producer: ThreadedProducer<_> = config.create().expect("a producer");
    producer.init_transactions(PATIENCE).expect("a transactional producer");
    let begin_with = |job: &str| {
        producer.begin_transaction().expect("begun");
        let topic = rig.topic("out");
        let headers = OwnedHeaders::new().insert(Header { key: "job-id", value: Some(job) });
        let out: BaseRecord<'_, (), str> = BaseRecord::to(&topic).payload("{}").headers(headers);
        producer.send(out).map_err(|(e, _)| e).expect("queued");
        producer.flush(PATIENCE).expect("written");
    };
    begin_with("aborted");
    producer.abort_transaction(PATIENCE).expect("aborted");
    begin_with("done");
    let hasty = rig.output(&["verify", "--timeout", "1s"]).await;
    assert_eq!(hasty.status.code(), Some(8), "{}", String::from_utf8_lossy(&hasty.stderr));
    assert!(String::from_utf8_lossy(&hasty.stderr).contains("a transaction stays open"));

    producer.commit_transaction(PATIENCE).expect("committed");
    let (_, said) = verify(&rig).await;
    assert_eq!(found(&said), [("missing", "aborted")]);
    assert_eq!(said["stages"][0]["jobs"]["done"], 1, "{said:#}");
}
