//! Puts a release into a fresh Kafka: every record at its offset, and what the groups had committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lazaret::message::Record;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::release::{Position, Release};

const PATIENCE: Duration = Duration::from_secs(60);

/// How a part of a partition's log comes to be. In offsets where no record can be read there are marks that end transactions, and
/// records of transactions that were undone.
enum Step<'a> {
    /// One record, one offset.
    Plain(&'a Record),
    /// A record in a transaction of its own, and the mark of its end.
    Committed(&'a Record),
    /// So many records that are undone, and the mark.
    Undone(i64),
}

impl Step<'_> {
    fn offsets(&self) -> i64 {
        match self {
            Step::Plain(_) => 1,
            Step::Committed(_) => 2,
            Step::Undone(count) => count + 1,
        }
    }
}

/// The steps that lead to just these offsets.
fn steps<'a>(records: &[&'a Record], end: i64) -> Vec<Step<'a>> {
    let first = records.first().map_or(end, |record| record.at.offset);
    assert_ne!(first, 1, "a log that begins with a mark cannot be made again");
    let mut steps = Vec::new();
    if first > 0 {
        steps.push(Step::Undone(first - 1));
    }
    let next = records.iter().skip(1).map(|record| record.at.offset).chain([end]);
    for (record, next) in records.iter().zip(next) {
        match next - record.at.offset - 1 {
            0 => steps.push(Step::Plain(record)),
            1 => steps.push(Step::Committed(record)),
            gap => steps.extend([Step::Plain(record), Step::Undone(gap - 1)]),
        }
    }
    steps
}

/// Its topics must be there, and empty.
pub fn restore(release: &Release, bootstrap: &str) {
    let log = Log::open(bootstrap);
    for ((topic, partition), (records, end)) in release.partitions() {
        let mut next = 0;
        for step in steps(&records, end) {
            next += step.offsets();
            match step {
                Step::Plain(record) => log.plain(record),
                Step::Committed(record) => log.committed(record, next),
                Step::Undone(count) => log.undone(topic, partition, count, next),
            }
        }
    }
    log.plain.flush(PATIENCE).expect("Kafka has all records");
    let mut groups: BTreeMap<&str, Vec<&Position>> = BTreeMap::new();
    for position in &release.stand.positions {
        groups.entry(&position.group).or_default().push(position);
    }
    for (group, positions) in groups {
        commit(bootstrap, group, &positions);
    }
}

/// Two writers: one for records alone, one for transactions.
struct Log {
    plain: BaseProducer,
    transactional: BaseProducer,
}

impl Log {
    fn open(bootstrap: &str) -> Log {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", bootstrap).set("enable.idempotence", "true").set("linger.ms", "0");
        let plain = config.create().expect("a client");
        let transactional: BaseProducer =
            config.set("transactional.id", "restore").create().expect("a client");
        transactional.init_transactions(PATIENCE).expect("transactions");
        Log { plain, transactional }
    }

    fn plain(&self, record: &Record) {
        send(&self.plain, record);
    }

    fn committed(&self, record: &Record, next: i64) {
        self.begin();
        send(&self.transactional, record);
        self.transactional.commit_transaction(PATIENCE).expect("committed");
        self.is_marked(&record.at.topic, record.at.partition, next);
    }

    fn undone(&self, topic: &str, partition: i32, count: i64, next: i64) {
        self.begin();
        for _ in 0..count {
            let filler: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(topic).partition(partition).payload(b"undone");
            self.transactional.send(filler).expect("taken");
        }
        self.transactional.flush(PATIENCE).expect("written");
        self.transactional.abort_transaction(PATIENCE).expect("undone");
        self.is_marked(topic, partition, next);
    }

    /// Kafka writes the mark when the transaction has ended already. What comes next stands behind it.
    fn is_marked(&self, topic: &str, partition: i32, next: i64) {
        let begun = Instant::now();
        let end = || self.plain.client().fetch_watermarks(topic, partition, PATIENCE).expect("an end").1;
        while end() < next {
            assert!(begun.elapsed() < PATIENCE, "{topic}-{partition} does not end at {next}");
        }
    }

    /// What was written without a transaction stands in the log before it.
    fn begin(&self) {
        self.plain.flush(PATIENCE).expect("Kafka has the records");
        self.transactional.begin_transaction().expect("a transaction");
    }
}

fn send(producer: &BaseProducer, record: &Record) {
    let mut headers = OwnedHeaders::new();
    for (key, value) in record.headers.iter() {
        headers = headers.insert(Header { key, value });
    }
    let mut out: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(&record.at.topic).partition(record.at.partition).headers(headers);
    if let Some(key) = record.key.as_deref() {
        out = out.key(key);
    }
    if let Some(value) = record.value.as_deref() {
        out = out.payload(value);
    }
    if let Some(timestamp) = record.at.timestamp {
        out = out.timestamp(timestamp);
    }
    producer.send(out).unwrap_or_else(|(e, _)| panic!("{}: {e}", record.at));
}

fn commit(bootstrap: &str, group: &str, positions: &[&Position]) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", group);
    let consumer: BaseConsumer = config.create().expect("a client");
    let mut list = TopicPartitionList::new();
    for Position { topic, partition, offset, metadata, .. } in positions {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(*offset)).expect("an offset");
        element.set_metadata(metadata);
    }
    consumer.commit(&list, CommitMode::Sync).expect("committed");
}
