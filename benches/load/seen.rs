//! What stands in an output topic, all of it, for readers of committed records.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::kafka::{self, PATIENCE};

/// See the module.
pub struct Seen {
    /// When the broker appended each, milliseconds, ascending. The topic must be `stamped`.
    times: Vec<i64>,
    distinct: u64,
}

impl Seen {
    /// Reads the topic from its beginning to its end. Each record must be one of `0..records`, and as long as it was.
    pub async fn read(kafka: &str, topic: &str, records: u64) -> anyhow::Result<Self> {
        let (kafka, topic) = (kafka.to_owned(), topic.to_owned());
        tokio::task::spawn_blocking(move || read(&kafka, &topic, records)).await?
    }

    /// Records that stand there more than once; an error when one is missing.
    pub fn complete(&self, records: u64) -> anyhow::Result<u64> {
        ensure!(self.distinct == records, "{} of {records} records came out", self.distinct);
        Ok(self.times.len() as u64 - records)
    }

    /// Records a second from the moment when a tenth was appended until `end` (milliseconds since 1970), when all were
    /// known to be acknowledged. The first tenth is the warm-up.
    pub fn rate(&self, end: i64) -> anyhow::Result<f64> {
        let from = *self.times.get(self.times.len() / 10).context("no records")?;
        let after = self.times.iter().filter(|at| **at > from).count();
        ensure!(end > from, "the clocks of broker and benchmark differ");
        Ok(after as f64 * 1000.0 / (end - from) as f64)
    }
}

fn read(kafka: &str, topic: &str, records: u64) -> anyhow::Result<Seen> {
    let (mut times, mut there) = (Vec::new(), vec![false; usize::try_from(records)?]);
    each(kafka, topic, PATIENCE, |record| {
        let n: usize = std::str::from_utf8(record.key().context("a key")?)?.parse()?;
        *there.get_mut(n).with_context(|| format!("nobody sent record {n}"))? = true;
        ensure!(record.payload_len() == super::records::VALUE, "record {n} has changed");
        times.push(record.timestamp().to_millis().context("a time")?);
        Ok(())
    })?;
    times.sort_unstable();
    Ok(Seen { times, distinct: there.iter().filter(|there| **there).count() as u64 })
}

/// Shows every record of a topic, from its beginning to its end. Gives up when nothing comes for so long.
pub fn each(
    kafka: &str,
    topic: &str,
    patience: Duration,
    mut show: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut config = kafka::consumer(kafka, "load-reader");
    config.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create()?;
    let known = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = known.topics().first().context("the topic")?.partitions().len();
    let mut all = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        all.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let (mut ended, mut heard) = (HashSet::new(), Instant::now());
    while ended.len() < partitions {
        match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(record)) => show(&record)?,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => bail!("{topic} cannot be read: {error}"),
            None if heard.elapsed() > patience => bail!("the end of {topic} does not come"),
            None => continue,
        }
        heard = Instant::now();
    }
    Ok(())
}
