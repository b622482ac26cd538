//! What a transaction leaves behind, whatever happens to it.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use lazaret::kafka::consumer::{Change, Commit};
use lazaret::kafka::transaction::{Conclusion, Transactor};
use lazaret::kafka::{Consumer, Offsets, Piece, ProduceError, TransactError};
use lazaret::message::{OutRecord, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::oneshot;

use super::bench::{Bench, assigned, to, value};
use crate::support;

#[tokio::test]
async fn records_and_offsets_are_committed_together_with_what_is_kept_with_them() {
    let Some(bench) = Bench::new("together", "", 1, &[1]).await else { return };
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    let transactor = bench.transactor("one").await;
    let batch = vec![piece(&bench, 1, &["a", "b"]), piece(&bench, 2, &["c"])];
    let offsets = vec![commit(&bench.input, 5, "6-7"), commit(&bench.satellites[0], 3, "")];
    transactor.commit(batch, Offsets::now(offsets, &consumer)).await.expect("committed");
    assert_eq!(written(&bench).await, ["a", "b", "c"]);
    transactor
        .commit(vec![piece(&bench, 3, &["d"])], Offsets::now(Vec::new(), &consumer))
        .await
        .expect("records alone");
    assert_eq!(written(&bench).await, ["a", "b", "c", "d"]);
    let offsets = vec![commit(&bench.input, 8, "kept")];
    transactor.commit(Vec::new(), Offsets::now(offsets, &consumer)).await.expect("offsets alone");
    transactor.commit(Vec::new(), Offsets::now(Vec::new(), &consumer)).await.expect("nothing at all");
    drop(partitions);
    consumer.leave().await;
    assert_eq!(committed(&bench).await, [(Some(8), "kept".to_owned()), (Some(3), String::new())]);
}

/// As outputs pass by what fails.
#[tokio::test]
async fn what_is_written_first_may_be_concluded_last_and_the_offsets_that_were_told_last_count() {
    let Some(bench) = Bench::new("concluded", "", 1, &[]).await else { return };
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    let (slow, quick) = (bench.transactor("slow").await, bench.transactor("quick").await);
    let (conclude, first) = begun(&slow, vec![piece(&bench, 1, &["slow"])]).await;
    let second = Offsets::now(vec![commit(&bench.input, 1, "2")], &consumer);
    quick.commit(vec![piece(&bench, 2, &["quick"])], second).await.expect("committed");
    let last = Conclusion::new(vec![commit(&bench.input, 3, "")], &consumer);
    assert!(conclude.send(Some(last)).is_ok(), "it waits for that");
    first.await.expect("committed");
    assert_eq!(written(&bench).await, ["slow", "quick"], "in the order in which they were written");
    drop(partitions);
    consumer.leave().await;
    assert_eq!(committed(&bench).await, [(Some(3), String::new())]);
}

#[tokio::test]
async fn of_a_transaction_that_is_not_concluded_nothing_can_be_seen_and_the_next_one_goes_well() {
    let Some(bench) = Bench::new("undone", "", 1, &[]).await else { return };
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    let transactor = bench.transactor("one").await;
    let (conclude, ended) = begun(&transactor, vec![piece(&bench, 1, &["a"])]).await;
    assert!(conclude.send(None).is_ok(), "it waits for that");
    assert!(matches!(ended.await, Err(TransactError::Undone { .. })));
    let (conclude, ended) = begun(&transactor, vec![piece(&bench, 1, &["b"])]).await;
    drop(conclude);
    assert!(matches!(ended.await, Err(TransactError::Undone { .. })), "whoever would say so is gone");
    let offsets = Offsets::now(vec![commit(&bench.input, 1, "")], &consumer);
    transactor.commit(vec![piece(&bench, 1, &["c"])], offsets).await.expect("committed");
    assert_eq!(written(&bench).await, ["c"]);
    drop(partitions);
    consumer.leave().await;
    assert_eq!(committed(&bench).await, [(Some(1), String::new())]);
}

#[tokio::test]
async fn a_record_that_cannot_be_written_is_named_and_nothing_of_its_transaction_can_be_seen() {
    let Some(bench) = Bench::new("unwritable", "", 1, &[]).await else { return };
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    let transactor = bench.transactor("one").await;
    let offsets = || vec![commit(&bench.input, 5, "")];
    let large = "x".repeat(3 << 20);
    let batch = vec![piece(&bench, 1, &["a"]), piece(&bench, 2, &["b", &large]), piece(&bench, 3, &["c"])];
    let refused = transactor.commit(batch, Offsets::now(offsets(), &consumer)).await.expect_err("too large");
    assert!(
        matches!(&refused, TransactError::Record { tag: 2, error: ProduceError::TooLarge { .. } }),
        "{refused}"
    );
    let nowhere = Piece { tag: 9, records: [to("there.is.no.such.topic", 0, "x")].into() };
    let batch = vec![piece(&bench, 1, &["a"]), nowhere];
    let refused =
        transactor.commit(batch, Offsets::now(offsets(), &consumer)).await.expect_err("no such topic");
    assert!(
        matches!(&refused, TransactError::Record { tag: 9, error: ProduceError::UnknownTopic(_) }),
        "{refused}"
    );
    assert!(written(&bench).await.is_empty());
    let batch = vec![piece(&bench, 1, &["a"]), piece(&bench, 3, &["c"])];
    transactor.commit(batch, Offsets::now(offsets(), &consumer)).await.expect("the others are committed");
    assert_eq!(written(&bench).await, ["a", "c"]);
    drop(partitions);
    consumer.leave().await;
    assert_eq!(committed(&bench).await, [(Some(5), String::new())]);
}

#[tokio::test]
async fn a_record_that_the_broker_refuses_is_named_and_the_others_are_written_without_it() {
    let Some(bench) = Bench::new("refused", "", 1, &[]).await else { return };
    bench
        .admin()
        .alter(&bench.out(), &[("message.timestamp.before.max.ms", "3600000")])
        .await
        .expect("altered");
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    let transactor = bench.transactor("one").await;
    for round in [0, 3, 7] {
        let old = OutRecord { timestamp: Some(1_000), ..to(&bench.out(), 0, "old") };
        let old = Piece { tag: 7, records: [old].into() };
        let mut batch: Vec<_> = (10..17).map(|tag| piece(&bench, tag, &["sound"])).collect();
        batch.insert(round, old);
        let offsets = vec![commit(&bench.input, 1, "")];
        let refused =
            transactor.commit(batch, Offsets::now(offsets.clone(), &consumer)).await.expect_err("refused");
        assert!(
            matches!(&refused, TransactError::Record { tag: 7, error: ProduceError::Timestamp { .. } }),
            "{refused}"
        );
        // After a refusal the client may undo one more transaction, to number its records anew.
        let others = || vec![piece(&bench, 1, &["a"]), piece(&bench, 2, &["b"])];
        let mut done = transactor.commit(others(), Offsets::now(offsets.clone(), &consumer)).await;
        if let Err(TransactError::Again { .. }) = done {
            done = transactor.commit(others(), Offsets::now(offsets, &consumer)).await;
        }
        done.expect("the others are committed");
    }
    assert_eq!(written(&bench).await, ["a", "b", "a", "b", "a", "b"]);
    drop(partitions);
    consumer.leave().await;
}

#[tokio::test]
async fn what_a_transactor_writes_after_another_has_taken_its_name_cannot_be_seen() {
    let Some(bench) = Bench::new("zombie", "", 1, &[]).await else { return };
    let mut consumer = bench.consumer("one");
    let partitions = assigned(&mut consumer).await;
    let zombie = bench.transactor("same").await;
    zombie
        .commit(vec![piece(&bench, 1, &["a"])], Offsets::now(Vec::new(), &consumer))
        .await
        .expect("not yet a zombie");
    let successor = bench.transactor("same").await;
    for _ in 0..2 {
        let offsets = vec![commit(&bench.input, 5, "")];
        let refused = zombie.commit(vec![piece(&bench, 2, &["b"])], Offsets::now(offsets, &consumer)).await;
        assert!(matches!(&refused, Err(TransactError::Fenced { .. })), "{refused:?}");
    }
    let offsets = vec![commit(&bench.input, 1, "")];
    successor
        .commit(vec![piece(&bench, 3, &["c"])], Offsets::now(offsets, &consumer))
        .await
        .expect("the successor may");
    assert_eq!(written(&bench).await, ["a", "c"]);
    drop(partitions);
    consumer.leave().await;
    assert_eq!(committed(&bench).await, [(Some(1), String::new())]);
}

/// The member holds a partition that is to be revoked for so long that the group goes on without it. librdkafka does
/// not call that lost, and the partition counts as ours; the group knows better.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_member_commits_after_the_group_has_gone_on_without_it_is_refused_and_cannot_be_seen() {
    let kafka = "  properties: { session.timeout.ms: '6000', heartbeat.interval.ms: '500', max.poll.interval.ms: '6000' }";
    let Some(bench) = Bench::new("stale", kafka, 2, &[]).await else { return };
    let mut stale = bench.consumer("stale");
    let partitions = assigned(&mut stale).await;
    assert_eq!(partitions.len(), 2);
    let transactor = bench.transactor("stale").await;
    let mut fresh = bench.consumer("fresh");
    let (revoked, release) = loop {
        match stale.change().await.expect("the consumer goes on") {
            Change::Revoked { partitions, release } => break (partitions, release),
            _ => continue,
        }
    };
    let mut taken = Vec::new();
    while taken.len() < 2 {
        if let Change::Assigned(more) = fresh.change().await.expect("the consumer goes on") {
            taken.extend(more);
        }
    }
    let offsets = vec![Commit { name: revoked[0].clone(), offset: 5, metadata: String::new() }];
    let refused =
        transactor.commit(vec![piece(&bench, 1, &["a"])], Offsets::now(offsets.clone(), &stale)).await;
    assert!(matches!(&refused, Err(TransactError::Stale { .. })), "{refused:?}");
    drop((partitions, release));
    // Given up, it is refused without asking anybody.
    let refused =
        transactor.commit(vec![piece(&bench, 1, &["a"])], Offsets::now(offsets.clone(), &stale)).await;
    assert!(matches!(&refused, Err(TransactError::Stale { .. })), "{refused:?}");
    assert!(written(&bench).await.is_empty());
    transactor
        .commit(vec![piece(&bench, 1, &["b"])], Offsets::now(offsets, &fresh))
        .await
        .expect("its owner may commit it");
    assert_eq!(written(&bench).await, ["b"]);
    drop(taken);
    stale.leave().await;
    fresh.leave().await;
}

#[tokio::test]
async fn a_static_member_whose_name_was_taken_may_not_commit_any_more() {
    let kafka = "  membership: { static: true }";
    let Some(bench) = Bench::new("taken-name", kafka, 1, &[]).await else { return };
    let mut old = bench.consumer("one");
    let partitions = assigned(&mut old).await;
    let transactor = bench.transactor("one").await;
    let mut new = bench.consumer("one");
    let taken = assigned(&mut new).await;
    let offsets = vec![commit(&bench.input, 5, "")];
    let refused = transactor.commit(vec![piece(&bench, 1, &["a"])], Offsets::now(offsets, &old)).await;
    assert!(
        matches!(&refused, Err(TransactError::Fenced { .. } | TransactError::Stale { .. })),
        "{refused:?}"
    );
    assert!(written(&bench).await.is_empty());
    drop((partitions, taken));
    old.leave().await;
    new.leave().await;
}

/// What the dead process will have committed is not known before its transaction is ended.
#[tokio::test]
async fn reading_does_not_begin_before_the_transaction_of_a_dead_process_is_ended() {
    let Some(bench) = Bench::new("dead", "", 1, &[]).await else { return };
    bench.fill("first").await;
    let dead = abandoned(&bench, 1);
    let begun = Instant::now();
    let mut consumer = bench.consumer("one");
    let waited = tokio::time::timeout(Duration::from_secs(7), assigned(&mut consumer)).await;
    assert!(waited.is_err(), "it began after {:?}", begun.elapsed());
    // Its successor ends it at once.
    let successor = bench.transactor("dead").await;
    let partitions = assigned(&mut consumer).await;
    assert_eq!(partitions[0].start.committed, None);
    drop((dead, successor, partitions));
    consumer.leave().await;
}

/// A transaction that is open with an offset of the input, and its client. Written with the client library itself,
/// because ours leaves none behind.
fn abandoned(bench: &Bench, offset: i64) -> (BaseProducer, BaseConsumer) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bench.config.kafka.bootstrap);
    let consumer: BaseConsumer = config.clone().set("group.id", &bench.group).create().expect("a consumer");
    config.set("transactional.id", format!("{}.dead", bench.input));
    let producer: BaseProducer = config.create().expect("a producer");
    let patience = Duration::from_secs(30);
    producer.init_transactions(patience).expect("transactions");
    producer.begin_transaction().expect("a transaction");
    let record: BaseRecord<'_, (), str> = BaseRecord::to(&bench.input).payload("unseen");
    producer.send(record).map_err(|(e, _)| e).expect("a record");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&bench.input, 0, Offset::Offset(offset)).expect("an offset");
    let group = consumer.group_metadata().expect("a group");
    producer.send_offsets_to_transaction(&offsets, &group, patience).expect("offsets");
    (producer, consumer)
}

/// A transaction whose records are written and which waits to be concluded.
async fn begun(
    transactor: &Transactor,
    batch: Vec<Piece>,
) -> (oneshot::Sender<Option<Conclusion>>, BoxFuture<'static, Result<(), TransactError>>) {
    let ((tell, told), (conclude, offsets)) = (oneshot::channel(), oneshot::channel());
    let written = Box::new(move || tell.send(()).expect("somebody waits for that"));
    let mut ended = transactor.commit(batch, Offsets::Later { written, offsets }).boxed();
    tokio::select! {
        ended = &mut ended => panic!("nobody has concluded it: {ended:?}"),
        told = told => told.expect("it is written"),
    }
    (conclude, ended)
}

fn piece(bench: &Bench, tag: u64, values: &[&str]) -> Piece {
    Piece { tag, records: values.iter().map(|value| to(&bench.out(), 0, value)).collect() }
}

fn commit(topic: &str, offset: i64, metadata: &str) -> Commit {
    Commit { name: TopicPartition::new(topic, 0), offset, metadata: metadata.to_owned() }
}

/// What readers of committed records see in the output.
async fn written(bench: &Bench) -> Vec<String> {
    support::records(&bench.config, &[&bench.out()]).await.iter().map(value).collect()
}

/// What the group has committed, the input first.
async fn committed(bench: &Bench) -> Vec<(Option<i64>, String)> {
    let mut consumer: Consumer = bench.consumer("look");
    let partitions = assigned(&mut consumer).await;
    let found = partitions.iter().map(|p| (p.start.committed, p.start.metadata.clone())).collect();
    drop(partitions);
    consumer.leave().await;
    found
}
