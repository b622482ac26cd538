//! The plainest good loops on librdkafka that read a topic and write another: what Lazaret is compared with. As durable
//! as Lazaret, without ladder, dead letters, or a stage that could fail.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{ClientContext, Message as _};

use super::kafka::{self, PATIENCE};
use super::records;
use super::side::{Order, Report};

/// How often offsets are stored, or a transaction is committed.
const COMMIT_EVERY: Duration = Duration::from_millis(100);
/// Records between two looks at the answers.
const ANSWERS_EVERY: u32 = 256;
const PARTITIONS_MAX: usize = 64;

/// What was acknowledged. An answer names its record by partition and offset of the input, in one number.
struct Acks {
    acked: AtomicU64,
    failed: AtomicU64,
    next: [AtomicI64; PARTITIONS_MAX],
}

const OFFSET_BITS: u32 = 48;

fn mark(partition: i32, offset: i64) -> usize {
    (partition as usize) << OFFSET_BITS | offset as usize
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, mark: usize) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // The answers of an input partition come in order: its keys all go to one partition of the output.
        let (partition, offset) = (mark >> OFFSET_BITS, mark & ((1 << OFFSET_BITS) - 1));
        self.next[partition % PARTITIONS_MAX].store(offset as i64 + 1, Ordering::Relaxed);
        self.acked.fetch_add(1, Ordering::Relaxed);
    }
}

pub fn run(order: &Order, transactional: bool) -> anyhow::Result<Report> {
    let expect = order.expect.context("a bare loop must know when it is done")?;
    let acks = Acks {
        acked: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        next: std::array::from_fn(|_| AtomicI64::new(-1)),
    };
    let mut config = kafka::producer(&order.kafka);
    if transactional {
        config.set("transactional.id", &order.name).set("retry.backoff.ms", "10");
    }
    let producer: BaseProducer<Acks> = config.create_with_context(acks)?;
    let mut config = kafka::consumer(&order.kafka, &order.name);
    config.set("enable.auto.offset.store", "false");
    config.set("enable.auto.commit", if transactional { "false" } else { "true" });
    let consumer: BaseConsumer = config.create()?;
    let mut lane = Lane { order, producer, consumer, read: 0 };
    if transactional {
        lane.producer.init_transactions(PATIENCE)?;
    }
    lane.consumer.subscribe(&[&order.input])?;
    let mut idle = Instant::now();
    while lane.acked() < expect {
        let before = lane.acked();
        if transactional {
            lane.transaction(expect)?
        } else {
            lane.stretch(expect)?
        };
        if lane.acked() > before {
            idle = Instant::now();
        }
        ensure!(idle.elapsed() < PATIENCE * 2, "nothing more comes; {} of {expect} are done", lane.acked());
        let failed = lane.producer.context().failed.load(Ordering::Relaxed);
        ensure!(failed == 0, "{failed} records were not taken");
    }
    Report::now(lane.acked())
}

struct Lane<'a> {
    order: &'a Order,
    producer: BaseProducer<Acks>,
    consumer: BaseConsumer,
    read: u64,
}

impl Lane<'_> {
    fn acked(&self) -> u64 {
        self.producer.context().acked.load(Ordering::Relaxed)
    }

    /// Copies for a while, then stores the offsets of what was acknowledged; the client commits them by itself.
    fn stretch(&mut self, expect: u64) -> anyhow::Result<()> {
        self.copy(expect)?;
        for (partition, next) in self.producer.context().next.iter().enumerate() {
            let next = next.swap(-1, Ordering::Relaxed);
            if next >= 0 {
                self.consumer.store_offset(&self.order.input, i32::try_from(partition)?, next - 1)?;
            }
        }
        Ok(())
    }

    fn transaction(&mut self, expect: u64) -> anyhow::Result<()> {
        self.producer.begin_transaction()?;
        self.copy(expect)?;
        self.producer.flush(PATIENCE)?;
        if let (Ok(position), Some(group)) = (self.consumer.position(), self.consumer.group_metadata()) {
            self.producer.send_offsets_to_transaction(&position, &group, PATIENCE)?;
        }
        self.producer.commit_transaction(PATIENCE)?;
        Ok(())
    }

    fn copy(&mut self, expect: u64) -> anyhow::Result<()> {
        let until = Instant::now() + COMMIT_EVERY;
        let mut sent = 0_u32;
        while self.acked() < expect {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if self.read >= expect {
                // Only answers are still to come; a transaction waits for them by itself.
                if self.order_is_transactional() {
                    break;
                }
                self.producer.poll(left);
                continue;
            }
            let Some(record) = self.consumer.poll(left.min(Duration::from_millis(10))) else {
                self.producer.poll(Duration::ZERO);
                continue;
            };
            let record = record?;
            let mark = mark(record.partition(), record.offset());
            let mut copy = BaseRecord::with_opaque_to(&self.order.output, mark);
            (copy.key, copy.payload) = (record.key(), record.payload());
            copy.headers = record.headers().map(|headers| headers.detach());
            records::send(&self.producer, copy)?;
            self.read += 1;
            sent += 1;
            if sent.is_multiple_of(ANSWERS_EVERY) {
                self.producer.poll(Duration::ZERO);
            }
        }
        Ok(())
    }

    fn order_is_transactional(&self) -> bool {
        matches!(self.order.program, super::side::Program::BareTransactions)
    }
}
