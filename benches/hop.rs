//! What exactly once costs: a stage that does next to nothing (`validate`) on a real Kafka, once with transactions and
//! once without, in the same process. A hop's time when the stage is idle, from the producer's call until a reader of
//! committed records has the output, at ten records a second; and the rate at which a backlog is worked off. Beside
//! it, a bare loop on librdkafka that reads, writes and commits in a transaction every 100 ms.
//!
//! `LAZARET_TEST_KAFKA=host:port cargo bench --profile dev --bench hop`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use lazaret::config::Config;
use lazaret::flow::Topology;
use lazaret::kafka::Producer;
use lazaret::message::{Headers, OutRecord};
use lazaret::telemetry::http::Readiness;
use lazaret::worker::{Edges, Selection, Service, this_program};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

/// Records of the backlog.
const BACKLOG: usize = 6000;
/// Hops that are timed one by one.
const HOPS: usize = 60;
const PARTITIONS: usize = 6;

#[tokio::main]
async fn main() {
    let kafka = std::env::var("LAZARET_TEST_KAFKA").expect("LAZARET_TEST_KAFKA names a Kafka");
    let bare = bare(&kafka).await;
    println!("bare transactional loop, a commit every 100 ms: {bare:6.0} records/s");
    for delivery in ["at_least_once", "exactly_once"] {
        let (median, p95, rate) = stage(&kafka, delivery).await;
        println!(
            "{delivery:14} a hop takes {median:5.1} ms at the median, {p95:5.1} ms at p95; a backlog goes at {rate:6.0} \
             records/s, {:.2} of the bare loop",
            rate / bare
        );
    }
}

fn unique(base: &str) -> String {
    format!("{base}-{}", uuid::Uuid::now_v7().simple())
}

fn question(n: usize) -> String {
    let id = format!("q-{n}");
    serde_json::json!({ "id": id, "tenant": "acme", "text": format!("{} {n}?", "What is a rung ".repeat(30)) })
        .to_string()
}

async fn stage(kafka: &str, delivery: &str) -> (f64, f64, f64) {
    let (name, folder) = (unique("hop"), tempfile::tempdir().expect("a folder"));
    let text = format!(
        "version: 1\n\
         kafka: {{ bootstrap: '{kafka}' }}\n\
         ledger: {{ path: '{}/ledger.db' }}\n\
         pipelines:\n  {name}:\n    input: {{ topic: {name}.in }}\n    output: {{ topic: {name}.out }}\n    \
         partitions: {PARTITIONS}\n    delivery: {delivery}\n    retry: {{ rungs: [1s] }}\n    stages:\n    \
         - {{ name: v, kind: {{ validate: {{ of: question }} }}, concurrency: 256, window: 1000 }}\n",
        folder.path().display(),
    );
    let config = Config::parse(&text, "hop").expect("a configuration");
    let topology = Topology::derive(&config);
    lazaret::ops::topics::apply(&config, false).await.expect("topics");
    let readiness = Readiness::new();
    let which = Selection::all();
    let edges = Edges::open(&config, &which, this_program()).await.expect("edges");
    let service = Service::start(&config, &which, edges, &readiness).await.expect("a service");
    while !readiness.waiting().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let producer = Producer::new(&config.kafka, &topology, "bench").expect("a producer");
    let reader = reader(kafka, &format!("{name}.out"));
    let input = format!("{name}.in");
    let (median, p95) = hops(&producer, &reader, &input).await;
    let begun = Instant::now();
    tokio::join!(feed(&producer, &input), drain(&reader, BACKLOG));
    let rate = BACKLOG as f64 / begun.elapsed().as_secs_f64();
    service.stop().await;
    (median, p95, rate)
}

/// Reads committed records from now on.
fn reader(kafka: &str, topic: &str) -> StreamConsumer {
    let reader: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", unique("reader"))
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", "5")
        .create()
        .expect("a consumer");
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        all.add_partition_offset(topic, i32::try_from(partition).unwrap(), Offset::Beginning).unwrap();
    }
    reader.assign(&all).expect("assigned");
    reader
}

async fn hops(producer: &Producer, reader: &StreamConsumer, topic: &str) -> (f64, f64) {
    let mut times = Vec::new();
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    for n in 0..HOPS {
        beat.tick().await;
        let begun = Instant::now();
        producer.send(record(topic, 1_000_000 + n)).await.expect("sent");
        reader.recv().await.expect("the output");
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    times.drain(..10);
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 95 / 100])
}

async fn drain(reader: &StreamConsumer, records: usize) {
    reader.stream().take(records).for_each(async |record| drop(record.expect("a record"))).await;
}

fn record(topic: &str, n: usize) -> OutRecord {
    OutRecord {
        topic: topic.to_owned(),
        partition: None,
        key: Some(format!("q-{n}").into_bytes()),
        value: Some(question(n).into_bytes()),
        headers: [("job-id".to_owned(), Some(format!("job-{n}").into_bytes()))]
            .into_iter()
            .collect::<Headers>(),
        timestamp: None,
    }
}

async fn feed(producer: &Producer, topic: &str) {
    stream::iter((0..BACKLOG).map(|n| record(topic, n)))
        .for_each_concurrent(1000, async |record| {
            producer.send(record).await.expect("sent");
        })
        .await;
}

/// Reads, writes, and commits both in a transaction every 100 ms.
async fn bare(kafka: &str) -> f64 {
    let name = unique("bare");
    let text = format!(
        "version: 1\nkafka: {{ bootstrap: '{kafka}' }}\npipelines:\n  {name}: {{ input: {{ topic: {name}.in }}, \
         output: {{ topic: {name}.out }}, partitions: {PARTITIONS}, retry: {{ rungs: [1s] }}, \
         stages: [{{ name: v, kind: validate }}] }}\n",
    );
    let config = Config::parse(&text, "bare").expect("a configuration");
    lazaret::ops::topics::apply(&config, false).await.expect("topics");
    let feeder = Producer::new(&config.kafka, &Topology::derive(&config), "bench").expect("a producer");
    feed(&feeder, &format!("{name}.in")).await;
    let kafka = kafka.to_owned();
    tokio::task::spawn_blocking(move || copy(&kafka, &name)).await.expect("the loop ends")
}

fn copy(kafka: &str, name: &str) -> f64 {
    let runtime = tokio::runtime::Handle::current();
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("group.id", name)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[&format!("{name}.in")]).expect("subscribed");
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", kafka)
        .set("transactional.id", name)
        .set("linger.ms", "0")
        .set("retry.backoff.ms", "10")
        .create()
        .expect("a producer");
    producer.init_transactions(Duration::from_secs(30)).expect("transactions");
    let out = format!("{name}.out");
    let (mut begun, mut done) = (None, 0);
    while done < BACKLOG {
        producer.begin_transaction().expect("begun");
        let (until, mut sent) = (Instant::now() + Duration::from_millis(100), Vec::new());
        while Instant::now() < until && done < BACKLOG {
            let next = runtime.block_on(async {
                tokio::time::timeout(Duration::from_millis(20), consumer.recv()).await.ok()
            });
            let Some(Ok(record)) = next else { continue };
            // The clock starts when the group has formed.
            begun.get_or_insert_with(Instant::now);
            let copy: FutureRecord<'_, [u8], [u8]> =
                FutureRecord::to(&out).key(record.key().unwrap()).payload(record.payload().unwrap());
            sent.push(producer.send_result(copy).unwrap_or_else(|(error, _)| panic!("{error}")));
            done += 1;
        }
        for delivery in sent {
            runtime.block_on(delivery).expect("an answer").expect("sent");
        }
        if let (Ok(position), Some(group)) = (consumer.position(), consumer.group_metadata()) {
            producer
                .send_offsets_to_transaction(&position, &group, Duration::from_secs(10))
                .expect("offsets");
        }
        producer.commit_transaction(Duration::from_secs(10)).expect("committed");
    }
    BACKLOG as f64 / begun.expect("a record").elapsed().as_secs_f64()
}
