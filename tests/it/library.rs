//! The library against a real Kafka: the example as it stands, and what exactly once means without a ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use lazaret::config::Config;
use lazaret::flow::Topology;
use lazaret::kafka::Producer;
use lazaret::message::{DeadLetter, Headers, OutRecord, Record as Read};
use lazaret::{Fault, Handle, Ladder, Output, Record, Service};

use crate::rig::eventually;
use crate::support;

#[path = "../../examples/orders.rs"]
#[allow(dead_code, reason = "its main is for `cargo run --example`")]
mod orders;

/// A cluster and a name that no other test uses.
struct Place {
    config: Config,
    bootstrap: String,
    name: String,
}

impl Place {
    fn new(test: &str) -> Option<Self> {
        let bootstrap = support::bootstrap()?;
        let config =
            support::config(&bootstrap, "version: 1\nkafka: { bootstrap: '{kafka}' }\npipelines: {}\n");
        Some(Self { config, bootstrap, name: support::unique(test) })
    }

    fn topic(&self, rest: &str) -> String {
        format!("{}.{rest}", self.name)
    }

    async fn send(&self, values: impl IntoIterator<Item = String>) {
        let producer = Producer::new(&self.config.kafka, &Topology::derive(&self.config), "test").unwrap();
        let topic = self.topic("in");
        let records = values.into_iter().enumerate().map(|(n, value)| OutRecord {
            topic: topic.clone().into(),
            partition: None,
            key: Some(format!("k{n}").into_bytes().into()),
            value: Some(value.into_bytes().into()),
            headers: Headers::from_iter([("from".to_owned(), Some(vec![255]))]),
            timestamp: None,
        });
        for sent in futures::future::join_all(records.map(|record| producer.send(record))).await {
            sent.expect("kafka takes the record");
        }
    }

    async fn records(&self, rest: &str) -> Vec<Read> {
        support::records(&self.config, &[&self.topic(rest)]).await
    }
}

fn text(record: &Read) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

#[tokio::test]
async fn the_example_prices_orders_retries_on_its_rung_and_keeps_dead_letters() {
    let Some(place) = Place::new("orders") else { return };
    let service = orders::service(&place.bootstrap, &place.name).unwrap_or_else(|e| panic!("{e}"));
    let handle = service.start().await.unwrap_or_else(|e| panic!("{e}"));
    handle.ready().await;
    let order = |article: &str| format!("{{\"article\":\"{article}\",\"pieces\":2}}");
    let broken = "{\"article\":".to_owned();
    place.send([order("tea"), order("coffee"), order("unicorn"), broken.clone()]).await;
    eventually("all four have ended", async || {
        let stats = handle.stats();
        (stats.done == 2 && stats.dead.values().sum::<u64>() == 2).then_some(())
    })
    .await;
    assert_eq!(handle.stats().retried.values().sum::<u64>(), 1);
    handle.stop().await;

    let mut priced: Vec<String> = place.records("priced").await.iter().map(text).collect();
    priced.sort();
    assert_eq!(priced, ["{\"article\":\"coffee\",\"cents\":640}", "{\"article\":\"tea\",\"cents\":500}"]);
    let retries = place.records("price.retry.1s").await;
    assert_eq!(retries.iter().map(text).collect::<Vec<_>>(), [order("coffee")]);
    let dead = place.records("price.dlq").await;
    let mut why: Vec<_> = dead.iter().map(|r| DeadLetter::read(r).expect("a dead letter")).collect();
    why.sort_by(|(one, _), (other, _)| one.code.cmp(&other.code));
    assert_eq!((why[0].0.code.as_str(), why[1].0.code.as_str()), ("record.undecodable", "stage.rejected"));
    assert_eq!(why[1].0.message, "there is no article 'unicorn'");
    let originals: Vec<_> = why[0].1.iter().collect();
    assert_eq!(originals, [("from", Some(&[255][..]))]);
    assert!(dead.iter().any(|record| text(record) == broken));
}

async fn copier(place: &Place, instance: &str) -> Handle {
    let copy = async |record: Record| Ok::<_, Fault>(Output::copy(&record));
    let service = Service::builder(&place.name, "copy")
        .bootstrap(&place.bootstrap)
        .property("session.timeout.ms", "6000")
        .instance(instance)
        .input(place.topic("in"))
        .output(place.topic("out"))
        .partitions(3)
        .ladder(Ladder::rungs([Duration::from_secs(1)]))
        .stage(copy);
    service.build().unwrap_or_else(|e| panic!("{e}")).start().await.unwrap_or_else(|e| panic!("{e}"))
}

#[tokio::test]
async fn without_a_ledger_each_record_is_written_once_whoever_is_stopped_in_between() {
    const RECORDS: usize = 3000;
    let Some(place) = Place::new("copier") else { return };
    let first = copier(&place, "one").await;
    first.ready().await;
    let second = copier(&place, "two").await;
    let feed = place.send((0..RECORDS).map(|n| n.to_string()));
    let stop = async {
        eventually("something is done", async || (first.stats().done > 50).then_some(())).await;
        first.stop().await;
    };
    tokio::join!(feed, stop);
    let written = eventually("all are written", async || {
        let records = place.records("out").await;
        (records.len() >= RECORDS).then_some(records)
    })
    .await;
    second.stop().await;
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for record in written.iter().chain(&place.records("out").await) {
        *times.entry(text(record)).or_default() += 1;
    }
    assert_eq!(times.len(), RECORDS);
    assert!(times.values().all(|times| *times == 2), "each once in both looks");
}

#[tokio::test]
async fn a_service_that_may_not_make_topics_says_which_are_missing() {
    let Some(place) = Place::new("missing") else { return };
    let copy = async |record: Record| Ok::<_, Fault>(Output::copy(&record));
    let service = Service::builder(&place.name, "copy").bootstrap(&place.bootstrap).input(place.topic("in"));
    let service = service.create_topics(false).stage(copy).build().unwrap_or_else(|e| panic!("{e}"));
    let error = service.start().await.err().expect("topics are missing");
    assert!(error.to_string().contains(&place.topic("copy.dlq")), "{error}");
    assert!(error.remedy().is_some_and(|remedy| remedy.contains("create_topics")));
}
