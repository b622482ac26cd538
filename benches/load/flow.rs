//! Records that come at fixed times, whatever becomes of those before, and how long each takes from the time it was to
//! be sent until a reader of committed records has its output. Both ends are in this process, and have one clock.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::kafka::{self, PATIENCE};
use super::records::{self, Count};
use super::side::Order;

/// A record to be sent. Its number is its place in the list.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// Counted from the beginning.
    pub at: Duration,
    pub tenant: Option<String>,
    /// See `ours`.
    pub fate: Option<String>,
    /// Where it goes, if not to the input.
    pub topic: Option<String>,
    /// Whether an output is waited for.
    pub comes_out: bool,
}

impl Item {
    /// Healthy ones at this pace.
    pub fn steady(per_second: u64, time: Duration) -> Vec<Self> {
        let count = per_second * time.as_millis() as u64 / 1000;
        let item = |n| Self {
            at: Duration::from_micros(n * 1_000_000 / per_second),
            comes_out: true,
            ..Self::default()
        };
        (0..count).map(item).collect()
    }

    pub fn headers(&self) -> Option<OwnedHeaders> {
        let told = [("tenant-id", &self.tenant), ("fate", &self.fate)];
        let told = told.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let headers = told.fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        (self.tenant.is_some() || self.fate.is_some()).then_some(headers)
    }
}

/// Left out of what is told: connections are made, code is compiled.
pub const WARM_UP: Duration = Duration::from_secs(3);

/// The times of those for which `which` holds, without the warm-up.
pub fn warm(items: &[Item], times: &[Option<f64>], which: impl Fn(usize, &Item) -> bool) -> Vec<f64> {
    let all = items.iter().enumerate().zip(times);
    let chosen = all.filter(|((n, item), _)| item.at >= WARM_UP && which(*n, item));
    chosen.filter_map(|(_, time)| *time).collect()
}

/// Milliseconds that each item took; of those that do not come out, and of none else, `None`.
pub async fn run(order: &Order, items: &[Item]) -> anyhow::Result<Vec<Option<f64>>> {
    let Order { kafka, input, output, .. } = order;
    let consumer = reader(kafka, output)?;
    let mut config = kafka::producer(kafka);
    // The feeder is not to add to what is measured.
    config.set("linger.ms", "0").set("compression.type", "none");
    let producer: BaseProducer<Count> = config.create_with_context(Count::default())?;
    producer.client().fetch_metadata(Some(input), PATIENCE)?;
    let begun = Instant::now();
    let (input, output, to_send, to_come) =
        (input.to_owned(), output.to_owned(), items.to_vec(), items.to_vec());
    let feeding = tokio::task::spawn_blocking(move || feed(&producer, &input, &to_send, begun));
    let reading = tokio::task::spawn_blocking(move || read(&consumer, &output, &to_come, begun));
    let (late, times) = (feeding.await?, reading.await?);
    let late = late?;
    ensure!(
        late < Duration::from_millis(500),
        "the feeder was late by {late:?}: the machine is too busy to measure"
    );
    times
}

fn reader(kafka: &str, topic: &str) -> anyhow::Result<BaseConsumer> {
    let mut config = kafka::consumer(kafka, "load-reader");
    config.set("enable.auto.commit", "false").set("fetch.wait.max.ms", "5");
    let consumer: BaseConsumer = config.create()?;
    let known = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let mut all = TopicPartitionList::new();
    for partition in known.topics().first().context("the topic")?.partitions() {
        // The end as it is now: one that is looked up after the first output would hide it.
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE)?;
        all.add_partition_offset(topic, partition.id(), Offset::Offset(end))?;
    }
    consumer.assign(&all)?;
    Ok(consumer)
}

/// How late the latest record was sent.
fn feed(
    producer: &BaseProducer<Count>,
    topic: &str,
    items: &[Item],
    begun: Instant,
) -> anyhow::Result<Duration> {
    let mut latest = Duration::ZERO;
    for (n, item) in items.iter().enumerate() {
        loop {
            let left = item.at.saturating_sub(begun.elapsed());
            // Waits for answers, or until it is time. The client counts whole milliseconds, and asking it again and again for
            // the last one would take a processor from what is measured.
            producer.poll(left);
            if left.is_zero() {
                break;
            }
            if left < Duration::from_millis(1) {
                std::thread::park_timeout(left);
            }
        }
        latest = latest.max(begun.elapsed().saturating_sub(item.at));
        let (key, value) = (n.to_string(), records::value(n as u64));
        let topic = item.topic.as_deref().unwrap_or(topic);
        let mut record = BaseRecord::to(topic).key(&key).payload(&value);
        record.headers = item.headers();
        records::send(producer, record)?;
    }
    producer.flush(PATIENCE)?;
    let failed = producer.context().failed();
    ensure!(failed == 0, "{failed} records were not taken by Kafka");
    Ok(latest)
}

fn read(
    consumer: &BaseConsumer,
    topic: &str,
    items: &[Item],
    begun: Instant,
) -> anyhow::Result<Vec<Option<f64>>> {
    let mut missing: HashSet<usize> =
        items.iter().enumerate().filter(|(_, item)| item.comes_out).map(|(n, _)| n).collect();
    let mut times = vec![None; items.len()];
    let last = items.last().map(|item| item.at).unwrap_or_default();
    let mut heard = begun;
    while !missing.is_empty() {
        let Some(record) = consumer.poll(Duration::from_millis(500)) else {
            let quiet = heard.elapsed().min(begun.elapsed().saturating_sub(last));
            ensure!(quiet < PATIENCE * 2, "{} records do not come out of {topic}", missing.len());
            continue;
        };
        heard = Instant::now();
        let record = record?;
        let n: usize = std::str::from_utf8(record.key().context("a key")?)?.parse()?;
        let item = items.get(n).with_context(|| format!("nobody sent record {n}"))?;
        if missing.remove(&n) {
            let took = begun.elapsed().saturating_sub(item.at);
            *times.get_mut(n).context("its place")? = Some(took.as_secs_f64() * 1000.0);
        }
    }
    Ok(times)
}
