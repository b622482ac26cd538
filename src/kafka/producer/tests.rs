//! What the producer writes and what it says about failures, against librdkafka's own mock cluster.

use std::ops::ControlFlow;

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::config::{Config, Size};
use crate::kafka::read::{End, Reading, Start, read};
use crate::message::{Headers, Record};

fn config(bootstrap: &str) -> Config {
    let yaml = format!(
        "version: 1
kafka: {{ bootstrap: '{bootstrap}', timeout: 10s, delivery_timeout: 5s }}
pipelines:
  p:
    input: {{ topic: in }}
    output: {{ topic: out }}
    record_max: 64KiB
    stages: [ {{ name: s, kind: validate }} ]
"
    );
    serde_saphyr::from_str(&yaml).expect("a valid configuration")
}

fn producer(config: &Config) -> Producer {
    Producer::new(&config.kafka, &Topology::derive(config), "test").expect("a producer")
}

fn to(topic: &str, key: &str, value: &str) -> OutRecord {
    OutRecord {
        topic: topic.into(),
        partition: None,
        key: Some(key.to_owned().into()),
        value: Some(value.to_owned().into()),
        headers: Headers::new(),
        timestamp: None,
    }
}

async fn all(config: &Config, topics: &[&str], start: Start) -> Vec<Record> {
    let topics = topics.iter().map(|t| (*t).to_owned()).collect();
    let reading = Reading { topics, start, deadline: Duration::from_secs(20), uncommitted: false };
    let (records, report) = read(&config.kafka, Size::mib(1), reading, Vec::new(), |all, record| {
        all.push(record);
        ControlFlow::Continue(())
    })
    .await
    .expect("a report");
    assert_eq!(report.end, End::Complete);
    records
}

#[tokio::test]
async fn key_value_headers_and_timestamp_arrive_as_they_were_sent() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    let mut headers = Headers::new();
    headers.push("twice", Some(b"1".to_vec()));
    headers.push("null", None);
    headers.push("twice", Some(vec![0xff, 0x00]));
    headers.push("empty", Some(Vec::new()));
    let full =
        OutRecord { headers: headers.clone(), timestamp: Some(1_700_000_000_123), ..to("in", "k", "v") };
    let bare = OutRecord { key: None, value: None, ..to("in", "", "") };
    let empty = to("in", "", "");
    assert_eq!(producer.send(full).await, Ok(Sent { partition: 0, offset: 0 }));
    producer.send(bare).await.expect("a null record");
    producer.send(empty).await.expect("an empty record");

    let records = all(&config, &["in"], Start::Beginning).await;
    assert_eq!(records.len(), 3);
    assert_eq!(records[0].headers, headers);
    assert_eq!(records[0].key.as_deref(), Some(b"k".as_slice()));
    assert_eq!(records[0].at.timestamp, Some(1_700_000_000_123));
    assert_eq!((&records[1].key, &records[1].value), (&None, &None));
    assert_eq!((&records[2].key, &records[2].value), (&Some(Vec::new().into()), &Some(Vec::new().into())));
}

#[tokio::test]
async fn records_that_are_shipped_together_are_reported_once_and_one_that_is_refused_speaks_for_all() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let config = config(&cluster.bootstrap_servers());
    let (producer, reports) = (producer(&config), Arc::new(Reports::default()));
    let ship = |tag, records: Vec<OutRecord>| producer.ship(records.into(), tag, &reports);
    ship(1, vec![to("in", "a", "1"), to("in", "b", "2"), to("in", "c", "3")]);
    ship(2, vec![to("in", "d", "4"), to("in", "e", &"x".repeat(2 << 20))]);
    ship(3, Vec::new());
    let mut came = Vec::new();
    while came.len() < 3 {
        came.extend(reports.next().await);
    }
    came.sort_by_key(|(tag, _)| *tag);
    assert!(matches!(&came[0], (1, Ok(Some(Sent { partition: 0, offset })) ) if *offset >= 2));
    let (2, Err(refused)) = &came[1] else { panic!("the second was not refused: {came:?}") };
    assert!(matches!(producer.explain(refused.clone()), ProduceError::TooLarge { .. }));
    assert!(matches!(&came[2], (3, Ok(None))), "nothing is soon done");
    assert!(reports.take().is_empty());
}

/// Reference: `org.apache.kafka.common.utils.UtilsTest.testMurmur2`; partition = (hash & 0x7fffffff) % partitions.
#[tokio::test]
async fn a_key_lands_on_the_partition_that_a_java_producer_would_choose() {
    const PARTITIONS: i32 = 7;
    let known: [(&str, i32); 5] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("abc", 479_470_107),
    ];
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", PARTITIONS, 1).expect("a topic");
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    for (key, hash) in known {
        let sent = producer.send(to("in", key, "v")).await.expect("acknowledged");
        assert_eq!(sent.partition, (hash & 0x7fff_ffff) % PARTITIONS, "{key}");
    }
}

#[tokio::test]
async fn a_record_beyond_the_limit_is_too_large_and_the_next_one_passes() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    let large = to("in", "k", &"x".repeat(1 << 20));
    assert!(matches!(producer.send(large).await, Err(ProduceError::TooLarge { size, .. }) if size > 1 << 20));
    assert!(producer.send(to("in", "k", "v")).await.is_ok());
}

#[tokio::test]
async fn refusals_of_the_broker_are_typed() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    let refuse = |error| cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
    refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    let sent = producer.send(to("in", "k", "v")).await;
    assert!(matches!(sent, Err(ProduceError::TooLarge { .. })), "{sent:?}");
    refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION);
    let sent = producer.send(to("in", "k", "v")).await;
    assert!(matches!(sent, Err(ProduceError::Other { .. })), "{sent:?}");
    assert!(producer.send(to("in", "k", "v")).await.is_ok());
    refuse(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(producer.send(to("in", "k", "v")).await, Err(ProduceError::NotAuthorized("in".into())));
}

#[tokio::test]
async fn a_producer_that_failed_for_good_is_replaced() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    producer.send(to("in", "k", "first")).await.expect("acknowledged");
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
    );
    let failed = producer.send(to("in", "k", "second")).await;
    assert!(matches!(failed, Err(ProduceError::Unavailable { .. })), "{failed:?}");
    assert!(producer.send(to("in", "k", "third")).await.is_ok());
}

/// A user without any right to write gets no producer id: the client fails for good before the record is sent.
#[tokio::test]
async fn a_user_that_may_write_nothing_is_told_so() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused; 3]);
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    assert_eq!(producer.send(to("in", "k", "v")).await, Err(ProduceError::NotAuthorized("in".into())));
}

#[tokio::test]
async fn a_cluster_that_is_gone_is_unavailable_within_the_delivery_timeout() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    producer.send(to("in", "k", "v")).await.expect("acknowledged");
    cluster.broker_down(1).expect("the broker goes down");
    let sent = producer.send(to("in", "k", "v")).await;
    assert!(matches!(sent, Err(ProduceError::Unavailable { .. })), "{sent:?}");
}

#[tokio::test]
async fn reading_ends_where_the_topics_ended_and_respects_start_and_break() {
    let cluster = MockCluster::new(1).expect("a cluster");
    for topic in ["in", "out"] {
        cluster.create_topic(topic, 2, 1).expect("a topic");
    }
    let config = config(&cluster.bootstrap_servers());
    let producer = producer(&config);
    for n in 0..10i64 {
        let record =
            OutRecord { partition: Some(0), timestamp: Some(1000 + n), ..to("in", "k", &n.to_string()) };
        producer.send(record).await.expect("acknowledged");
    }
    producer.send(to("out", "k", "v")).await.expect("acknowledged");
    assert_eq!(all(&config, &["in", "out"], Start::Beginning).await.len(), 11);
    assert_eq!(all(&config, &["in"], Start::Timestamp(1007)).await.len(), 3);
    let offsets = Start::Offsets([(("in".to_owned(), 0), 6)].into());
    assert_eq!(all(&config, &["in"], offsets).await.len(), 4);

    let reading = Reading {
        topics: vec!["in".into()],
        start: Start::Beginning,
        deadline: Duration::from_secs(20),
        uncommitted: false,
    };
    let report = read(&config.kafka, Size::mib(1), reading, 0, |seen, _| {
        *seen += 1;
        if *seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let (seen, report) = report.await.expect("a report");
    assert_eq!((seen, report.records, report.end), (3, 3, End::Stopped));
}
