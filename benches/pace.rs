//! Do healthy records keep their pace while a tenth of the provider's calls fail? One stage that asks the provider,
//! on librdkafka's mock cluster, with the ledger on disk: once with a provider that always answers, once with one
//! that fails, in the same process. Beside it, the plainest loop that reads a topic, asks the same provider with the
//! same concurrency and writes a topic, without ledger, ladder or dead letters: what the stage costs.
//!
//! `cargo bench --profile dev --bench pace`

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark fails by panicking")]

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use lazaret::config::Config;
use lazaret::flow::Topology;
use lazaret::kafka::Producer;
use lazaret::message::{Headers, OutRecord};
use lazaret::provider::faults::Rates;
use lazaret::provider::{self, Options};
use lazaret::telemetry::http::Readiness;
use lazaret::worker::{Edges, Selection, Service, this_program};
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::mocking::MockCluster;
use rdkafka::{ClientConfig, Message as _};

const JOBS: usize = 1500;
const CONCURRENCY: usize = 32;
const LATENCY: &str = "20ms";

/// What one run of the stage showed, of the jobs that never failed.
struct Pace {
    /// Records a second, from the first that was started to the last that was done.
    rate: f64,
    /// From the start of an attempt to its acknowledged output, milliseconds.
    median: i64,
    p95: i64,
    /// Jobs that failed once or more, and all dead letters.
    failed: usize,
    dead: i64,
}

#[tokio::main]
async fn main() {
    let plain = plain().await;
    let healthy = stage(Rates::default()).await;
    let failing =
        stage(Rates { rate_limit: 0.04, server_error: 0.04, truncate: 0.02, ..Rates::default() }).await;
    let plain = JOBS as f64 / plain.as_secs_f64();
    println!("{JOBS} records, {CONCURRENCY} at a time, the provider takes {LATENCY}");
    println!("plain loop                 {plain:5.0} records/s");
    for (name, pace) in [("stage, provider well", &healthy), ("stage, 10 % of calls fail", &failing)] {
        let Pace { rate, median, p95, failed, dead } = pace;
        println!(
            "{name:26} {rate:5.0} records/s, median {median} ms, p95 {p95} ms (jobs that never failed); \
             {failed} jobs failed once or more, {dead} are dead letters"
        );
    }
    println!(
        "ratios: stage / plain {:.2}; of those that never failed, failing / well: rate {:.2}, median {:.2}",
        healthy.rate / plain,
        failing.rate / healthy.rate,
        failing.median as f64 / healthy.median as f64,
    );
}

fn rates(rates: Rates) -> Options {
    let latency = lazaret::config::Span::parse(LATENCY).expect("a time");
    Options { rates: Rates { latency, ..rates }, ..Options::default() }
}

fn passage(n: usize) -> String {
    serde_json::json!({
        "document": { "id": format!("doc-{n}"), "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1,
        "passages": [{ "ordinal": 0, "text": format!("Passage {n} speaks of quarantine.") }],
    })
    .to_string()
}

async fn stage(faults: Rates) -> Pace {
    let provider = provider::start(rates(faults)).await.expect("a provider");
    let cluster = MockCluster::new(1).expect("a cluster");
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "version: 1\n\
         kafka: {{ bootstrap: '{}', properties: {{ fetch.wait.max.ms: '20' }} }}\n\
         ledger: {{ path: '{}/ledger.db' }}\n\
         providers: {{ p: {{ base_url: '{}', timeout: 5s }} }}\n\
         pipelines:\n  pace:\n    delivery: at_least_once\n    input: {{ topic: in }}\n    output: {{ topic: out }}\n    partitions: 3\n    \
         retry: {{ base: 100ms, cap: 1s, rungs: [200ms, 1s] }}\n    stages:\n    \
         - {{ name: embed, kind: {{ embed: {{ provider: p, model: m }} }}, concurrency: {CONCURRENCY}, timeout: 10s }}\n",
        cluster.bootstrap_servers(),
        folder.path().display(),
        provider.base_url,
    );
    let config = Config::parse(&text, "pace").expect("a configuration");
    let topology = Topology::derive(&config);
    for topic in &topology.topics {
        cluster.create_topic(&topic.name, 3, 1).expect("a topic");
    }
    let readiness = Readiness::new();
    let which = Selection::all();
    let edges = Edges::open(&config, &which, this_program()).await.expect("edges");
    let service = Service::start(&config, &which, edges, &readiness).await.expect("a service");
    while !readiness.waiting().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let producer = Producer::new(&config.kafka, &topology, "bench").expect("a producer");
    feed(&producer).await;
    let tally = &service.tallies()[0];
    let ended = || tally.counts().done + tally.counts().dead.values().sum::<u64>();
    while ended() < JOBS as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    service.stop().await;
    provider.stop().await;
    measure(&config)
}

async fn feed(producer: &Producer) {
    let record = |n: usize| OutRecord {
        topic: "in".into(),
        partition: None,
        key: Some(format!("doc-{n}").into_bytes().into()),
        value: Some(passage(n).into_bytes().into()),
        headers: [("job-id".to_owned(), Some(format!("job-{n}").into_bytes()))]
            .into_iter()
            .collect::<Headers>(),
        timestamp: None,
    };
    stream::iter((0..JOBS).map(record))
        .for_each_concurrent(256, async |record| {
            producer.send(record).await.expect("sent");
        })
        .await;
}

fn measure(config: &Config) -> Pace {
    let db = rusqlite::Connection::open(&config.ledger.path).expect("the ledger");
    let of_each = "SELECT min(at), max(at) FROM events GROUP BY row HAVING sum(kind = 'waiting') = 0";
    let mut query = db.prepare(of_each).expect("a query");
    let jobs: Vec<(i64, i64)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .expect("the jobs that never failed");
    let begun = jobs.iter().map(|(began, _)| *began).min().expect("a job");
    let done = jobs.iter().map(|(_, done)| *done).max().expect("a job");
    let mut spans: Vec<i64> = jobs.iter().map(|(began, done)| done - began).collect();
    spans.sort_unstable();
    let at = |share: usize| spans[spans.len() * share / 100];
    let dead =
        db.query_row("SELECT count(*) FROM jobs WHERE state = 'dead'", [], |r| r.get(0)).expect("a count");
    Pace {
        rate: jobs.len() as f64 * 1000.0 / (done - begun) as f64,
        median: at(50),
        p95: at(95),
        failed: JOBS - jobs.len(),
        dead,
    }
}

/// Read, ask, write; offsets as the client commits them by itself.
async fn plain() -> Duration {
    let provider = provider::start(rates(Rates::default())).await.expect("a provider");
    let cluster = MockCluster::new(1).expect("a cluster");
    for topic in ["in", "out"] {
        cluster.create_topic(topic, 3, 1).expect("a topic");
    }
    let text = format!(
        "version: 1\nkafka: {{ bootstrap: '{}' }}\npipelines:\n  p: {{ input: {{ topic: in }}, output: {{ topic: out }}, \
         stages: [{{ name: v, kind: validate }}] }}\n",
        cluster.bootstrap_servers(),
    );
    let config = Config::parse(&text, "plain").expect("a configuration");
    let producer = Producer::new(&config.kafka, &Topology::derive(&config), "bench").expect("a producer");
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "plain")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["in"]).expect("subscribed");
    let http =
        reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client");
    let url = format!("{}/embeddings", provider.base_url);
    // One record shows that the group has formed; the clock starts after it.
    let first = OutRecord {
        topic: "in".into(),
        partition: None,
        key: None,
        value: Some(b"{}".to_vec().into()),
        headers: Headers::new(),
        timestamp: None,
    };
    producer.send(first).await.expect("sent");
    consumer.recv().await.expect("a record");
    let begun = Instant::now();
    feed(&producer).await;
    let work = |value: Vec<u8>| {
        let (http, url, producer) = (http.clone(), url.clone(), &producer);
        async move {
            let text = String::from_utf8_lossy(&value).into_owned();
            let body = serde_json::json!({ "model": "m", "input": [text] });
            let reply = http.post(url).json(&body).send().await.expect("an answer");
            let reply = reply.bytes().await.expect("an answer").to_vec();
            let out = OutRecord {
                topic: "out".into(),
                partition: None,
                key: None,
                value: Some(reply.into()),
                headers: Headers::new(),
                timestamp: None,
            };
            producer.send(out).await.expect("sent");
        }
    };
    let records =
        consumer.stream().take(JOBS).map(|m| m.expect("a record").payload().unwrap_or_default().to_vec());
    records.for_each_concurrent(CONCURRENCY, work).await;
    begun.elapsed()
}
