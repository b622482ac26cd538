//! The records that go in. Number `n` is the key, so that one can tell afterwards which came out.

use std::time::Duration;

use anyhow::{bail, ensure};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use std::sync::atomic::{AtomicU64, Ordering};

use super::kafka::{self, PATIENCE};

pub const VALUE: usize = 512;

const WORDS: [&str; 32] = [
    "record",
    "partition",
    "offset",
    "stage",
    "rung",
    "ladder",
    "letter",
    "ledger",
    "window",
    "broker",
    "group",
    "tenant",
    "answer",
    "passage",
    "vector",
    "index",
    "model",
    "prompt",
    "retry",
    "commit",
    "fetch",
    "batch",
    "lease",
    "drain",
    "term",
    "fault",
    "code",
    "trace",
    "header",
    "topic",
    "key",
    "value",
];

/// 512 bytes of JSON with words in an order of their own: zstd packs them about as well as real text.
pub fn value(n: u64) -> Vec<u8> {
    let mut text = format!("{{\"id\":{n},\"text\":\"");
    let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while text.len() < VALUE {
        // xorshift: cheap, and the same in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(WORDS[(state >> 32) as usize % WORDS.len()]);
        text.push(' ');
    }
    text.truncate(VALUE - 2);
    text.push_str("\"}");
    text.into_bytes()
}

#[derive(Default)]
pub struct Count {
    acked: AtomicU64,
    failed: AtomicU64,
}

impl Count {
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.acked } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes records of these numbers as fast as it goes, and waits until all are acknowledged. `headers` gives each its
/// own.
pub async fn fill(
    kafka: &str,
    topic: &str,
    numbers: std::ops::Range<u64>,
    headers: impl Fn(u64) -> Option<OwnedHeaders> + Send + 'static,
) -> anyhow::Result<()> {
    let (config, topic) = (kafka::producer(kafka), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let producer: BaseProducer<Count> = config.create_with_context(Count::default())?;
        let count = numbers.end - numbers.start;
        for n in numbers {
            let (key, value) = (n.to_string(), value(n));
            let mut record = BaseRecord::to(&topic).key(&key).payload(&value);
            record.headers = headers(n);
            send(&producer, record)?;
        }
        producer.flush(PATIENCE)?;
        let acked = producer.context().acked.load(Ordering::Relaxed);
        ensure!(acked == count, "{acked} of {count} records were taken by Kafka");
        Ok(())
    })
    .await?
}

/// Hands a record over; while the queue is full its answers are taken in.
pub fn send<C: ProducerContext>(
    producer: &BaseProducer<C>,
    record: BaseRecord<
        '_,
        impl rdkafka::message::ToBytes + ?Sized,
        impl rdkafka::message::ToBytes + ?Sized,
        C::DeliveryOpaque,
    >,
) -> anyhow::Result<()> {
    let mut record = record;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(100));
                record = back;
            }
            Err((error, _)) => bail!("a record cannot be sent: {error}"),
        }
    }
}
