//! Where reading begins, what is kept with a committed offset, and how far reading got.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use lazaret::config::{Config, Size};
use lazaret::kafka::Consumer;
use lazaret::kafka::consumer::{Commit, DAMAGED, Membership, Partition};
use lazaret::kafka::transaction::{Offsets, Piece};
use lazaret::message::TopicPartition;
use rdkafka::mocking::MockCluster;

use super::bench::{Bench, assigned, to, value};
use crate::rig::eventually;
use crate::support;

#[tokio::test]
async fn reading_begins_where_the_group_committed_and_what_was_kept_with_it_is_handed_out() {
    let Some(bench) = Bench::new("positions", "", 1, &[1]).await else { return };
    bench.fill("first").await;
    bench.fill("second").await;
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    assert!(partitions.iter().all(|p| p.start.committed.is_none() && p.start.metadata.is_empty()));
    let satellite = name(&bench.satellites[0]);
    let kept = format!("ended: {}", "5-9,".repeat(900));
    consumer.commit_now(vec![commit(&satellite, 1, &kept)]).await;
    drop(partitions);
    consumer.leave().await;

    let mut consumer = bench.consumer("two");
    let partitions = assigned(&mut consumer).await;
    let input = partitions.iter().find(|p| *p.name.topic == bench.input).expect("the input");
    assert_eq!((input.start.committed, input.start.metadata.as_str(), &input.input), (None, "", &input.name));
    let followed = input.name.clone();
    let satellite = partitions.iter().find(|p| p.name == satellite).expect("the satellite");
    assert_eq!((satellite.start.committed, satellite.start.metadata.as_str()), (Some(1), kept.as_str()));
    assert_eq!(satellite.input, followed);
    assert!(first_value(satellite).await.ends_with("/second"));
    assert!(first_value(input).await.ends_with("/first"));
    drop(partitions);
    consumer.leave().await;
}

#[tokio::test]
async fn what_is_kept_is_committed_in_the_background_as_well() {
    let Some(bench) = Bench::new("background", "", 1, &[]).await else { return };
    bench.fill("first").await;
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    consumer.commit(&[commit(&name(&bench.input), 1, "kept")]);
    // A commit that is waited for comes after those that are not.
    consumer.commit_now(vec![commit(&name(&bench.out()), 0, "")]).await;
    assert!(!consumer.commit_failed());
    drop(partitions);
    consumer.leave().await;
    let mut consumer = bench.consumer("two");
    let partitions = assigned(&mut consumer).await;
    assert_eq!((partitions[0].start.committed, partitions[0].start.metadata.as_str()), (Some(1), "kept"));
    drop(partitions);
    consumer.leave().await;
}

/// A broker of Apache Kafka repairs such text; others keep the bytes.
#[tokio::test]
async fn metadata_that_is_not_text_is_handed_out_as_damaged() {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("in", 1, 1).expect("a topic");
    commit_bytes(&cluster.bootstrap_servers(), "g", "in", 7, b"a\xff\xfe");
    let yaml = "version: 1\nkafka: { bootstrap: '{kafka}' }\npipelines: {}\n";
    let config: Config = support::config(&cluster.bootstrap_servers(), yaml);
    let membership = Membership {
        group: "g",
        input: "in",
        satellites: &[],
        message_max: Size::mib(1),
        patience: Duration::from_secs(5),
        instance: None,
    };
    let mut consumer = Consumer::join(&config.kafka, membership).expect("a consumer");
    let partitions = assigned(&mut consumer).await;
    assert_eq!((partitions[0].start.committed, partitions[0].start.metadata.as_str()), (Some(7), DAMAGED));
    drop(partitions);
    consumer.leave().await;
}

/// The end of a topic that is written in transactions is no record, and neither is what was aborted.
#[tokio::test]
async fn reading_catches_up_with_the_end_of_a_transactional_topic_and_its_lag_with_nothing() {
    let kafka = "  properties: { statistics.interval.ms: '500' }";
    let Some(bench) = Bench::new("caught-up", kafka, 1, &[]).await else { return };
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    let input = &partitions[0];
    let writer = bench.transactor("writer").await;
    let piece = |tag: u64| Piece { tag, records: [to(&bench.input, 0, &tag.to_string())].into() };
    for tag in 0..3 {
        writer.commit(vec![piece(tag)], Offsets::now(Vec::new(), &consumer)).await.expect("committed");
    }
    let mut bad = piece(3);
    bad.records = [to(&bench.input, 0, "3"), to("there.is.no.such.topic", 0, "x")].into();
    writer.commit(vec![bad], Offsets::now(Vec::new(), &consumer)).await.expect_err("aborted");

    let (mut values, mut reached) = (Vec::new(), 0);
    // Three records with a mark each, one that was aborted with its mark.
    eventually("the end is reached", async || {
        while input.is_filled() {
            values.extend(input.poll().as_ref().map(value));
        }
        for (name, offset) in consumer.caught_up() {
            assert_eq!(name, input.name);
            assert!(offset > reached, "{offset} was told after {reached}");
            reached = offset;
        }
        (reached == 8).then_some(())
    })
    .await;
    assert_eq!(values, ["0", "1", "2"]);
    eventually("there is a lag", async || (consumer.lag()[&input.name] > 0).then_some(())).await;
    writer
        .commit(Vec::new(), Offsets::now(vec![commit(&input.name, reached, "")], &consumer))
        .await
        .expect("committed");
    eventually("the lag is gone", async || (consumer.lag()[&input.name] == 0).then_some(())).await;
    assert!(consumer.caught_up().is_empty());
    drop(partitions);
    consumer.leave().await;
}

fn name(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, 0)
}

fn commit(name: &TopicPartition, offset: i64, metadata: &str) -> Commit {
    Commit { name: name.clone(), offset, metadata: metadata.to_owned() }
}

async fn first_value(partition: &Partition) -> String {
    eventually("a record comes", async || partition.poll().as_ref().map(value)).await
}

/// Commits as the protocol's OffsetCommit version 2, because no client library commits bytes.
fn commit_bytes(broker: &str, group: &str, topic: &str, offset: i64, metadata: &[u8]) {
    let text = |bytes: &[u8]| [&i16::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat();
    let number = |n: i32| n.to_be_bytes().to_vec();
    let body = [
        [8_i16.to_be_bytes(), 2_i16.to_be_bytes()].concat(),
        number(1),
        text(b"test"),
        text(group.as_bytes()),
        number(-1),
        text(b""),
        (-1_i64).to_be_bytes().to_vec(),
        number(1),
        text(topic.as_bytes()),
        number(1),
        number(0),
        offset.to_be_bytes().to_vec(),
        text(metadata),
    ]
    .concat();
    let mut stream = TcpStream::connect(broker).expect("the broker listens");
    stream.write_all(&number(i32::try_from(body.len()).expect("short"))).expect("a request is sent");
    stream.write_all(&body).expect("a request is sent");
    let mut size = [0; 4];
    stream.read_exact(&mut size).expect("an answer");
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(size)).expect("a size")];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer[answer.len() - 2..], [0, 0], "refused");
}
