//! Members come and go, under each protocol: the partitions of the satellites go where those of the input go.

use std::collections::BTreeSet;

use lazaret::message::TopicPartition;

use super::bench::{Bench, Member};
use crate::rig::eventually;

const COOPERATIVE: &str = "  properties: { session.timeout.ms: '6000', heartbeat.interval.ms: '500' }";
const RANGE: &str = "  membership: { assignor: range }\n  properties: { session.timeout.ms: '6000', heartbeat.interval.ms: '500' }";
const ROUNDROBIN: &str = "  membership: { assignor: roundrobin }\n  properties: { session.timeout.ms: '6000', heartbeat.interval.ms: '500' }";
const BROKER: &str = "  membership: { protocol: consumer }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn satellites_follow_their_input_in_cooperative_rebalances() {
    follow(COOPERATIVE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn satellites_follow_their_input_in_eager_rebalances() {
    follow(RANGE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn satellites_follow_their_input_when_the_broker_leads() {
    follow(BROKER).await;
}

/// Four partitions of the input; a satellite with as many, and one with more.
async fn follow(kafka: &str) {
    let Some(bench) = Bench::new("follow", kafka, 4, &[4, 6]).await else { return };
    let mut sent = bench.fill("first").await;
    let one = bench.member("one");
    until_owned(&bench, &[&one], 14).await;
    let two = bench.member("two");
    until_owned(&bench, &[&one, &two], 14).await;
    for member in [&one, &two] {
        assert_eq!(inputs(&bench, member).len(), 2);
        together(&bench, member);
    }
    sent.extend(bench.fill("second").await);
    until_read(&[&one, &two], &sent).await;
    let first = one.values();
    one.leave().await;
    until_owned(&bench, &[&two], 14).await;
    sent.extend(bench.fill("third").await);
    until(&sent, || first.iter().cloned().chain(two.values()).collect()).await;
    // What was read was committed before it went: nobody read it again.
    let mut all: Vec<_> = first.into_iter().chain(two.values()).collect();
    all.sort();
    assert_eq!(all, sent.into_iter().collect::<Vec<_>>());
    two.leave().await;
    bench.assert_nothing_went_wrong();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_read_in_cooperative_rebalances() {
    grow(COOPERATIVE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_read_in_eager_rebalances() {
    grow(ROUNDROBIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_are_added_are_read_when_the_broker_leads() {
    grow(BROKER).await;
}

/// First the satellite grows, of which the group knows nothing, then the input.
async fn grow(kafka: &str) {
    let kafka = match kafka.strip_suffix(" }").filter(|k| k.contains("properties")) {
        Some(kafka) => format!("{kafka}, topic.metadata.refresh.interval.ms: '1000' }}"),
        None => format!("{kafka}\n  properties: {{ topic.metadata.refresh.interval.ms: '1000' }}"),
    };
    let Some(bench) = Bench::new("grow", &kafka, 2, &[2]).await else { return };
    let (one, two) = (bench.member("one"), bench.member("two"));
    until_owned(&bench, &[&one, &two], 4).await;
    bench.admin().grow(&bench.satellites[0], 4).await.expect("the satellite grows");
    until_owned(&bench, &[&one, &two], 6).await;
    bench.admin().grow(&bench.input, 4).await.expect("the input grows");
    until_owned(&bench, &[&one, &two], 8).await;
    eventually("satellites are where their input is", async || {
        let is_right = |member: &&Member| {
            let owned = bench.owned(member);
            (0..4).all(|p| {
                let name = |topic: &String| TopicPartition::new(topic.clone(), p);
                owned.contains(&name(&bench.input)) == owned.contains(&name(&bench.satellites[0]))
            })
        };
        [&one, &two].iter().all(is_right).then_some(())
    })
    .await;
    let sent = bench.fill("only").await;
    until_read(&[&one, &two], &sent).await;
    one.leave().await;
    two.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_member_that_is_back_in_time_gets_its_partitions_without_a_rebalance() {
    let kafka = "  membership: { static: true }\n  properties: { session.timeout.ms: '30000', heartbeat.interval.ms: '500' }";
    let Some(bench) = Bench::new("static", kafka, 4, &[4]).await else { return };
    let (one, two) = (bench.member("one"), bench.member("two"));
    until_owned(&bench, &[&one, &two], 8).await;
    let revoked = || two.notes.lock().unwrap().revocations;
    let (before, revoked_before) = (bench.owned(&one), revoked());
    one.leave().await;
    let one = bench.member("one");
    until_owned(&bench, &[&one, &two], 8).await;
    assert_eq!(bench.owned(&one), before);
    // A rebalance would have taken something away from who was alone for a while.
    assert_eq!(revoked(), revoked_before);
    let sent = bench.fill("only").await;
    until_read(&[&one, &two], &sent).await;
    one.leave().await;
    two.leave().await;
    bench.assert_nothing_went_wrong();
}

fn inputs(bench: &Bench, member: &Member) -> BTreeSet<i32> {
    bench
        .owned(member)
        .into_iter()
        .filter(|name| *name.topic == bench.input)
        .map(|name| name.partition)
        .collect()
}

/// Every satellite's partition is where the partition of the input is that it follows.
fn together(bench: &Bench, member: &Member) {
    let inputs = inputs(bench, member);
    for name in bench.owned(member) {
        assert!(inputs.contains(&(name.partition % 4)), "{name} without its input: {inputs:?}");
    }
}

/// Waits until these members have so many partitions, and each of them some.
async fn until_owned(bench: &Bench, members: &[&Member], partitions: usize) {
    eventually("the partitions are shared out", async || {
        let owned: Vec<usize> = members.iter().map(|member| bench.owned(member).len()).collect();
        (owned.iter().all(|n| *n > 0) && owned.iter().sum::<usize>() == partitions).then_some(())
    })
    .await;
}

async fn until_read(members: &[&Member], sent: &BTreeSet<String>) {
    until(sent, || members.iter().flat_map(|member| member.values()).collect()).await;
}

async fn until(sent: &BTreeSet<String>, read: impl Fn() -> BTreeSet<String>) {
    eventually("everything is read", async || sent.is_subset(&read()).then_some(())).await;
}
