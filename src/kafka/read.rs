//! Bounded reading of topics from outside any group: from a start to where the topic ended when reading began. Never
//! commits, never joins a group, never waits for new records.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::client::{self, dispose};
use super::context::Context;
use super::convert;
use super::problem::KafkaProblem;
use crate::config::{Kafka, Size};
use crate::message::Record;

/// What to read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Read one after the other, so that a caller that has enough stops early.
    pub topics: Vec<String>,
    pub start: Start,
    /// For everything together.
    pub deadline: Duration,
    /// With what stands in transactions that are not committed, or never will be.
    pub uncommitted: bool,
}

/// Where to begin in each partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    #[default]
    Beginning,
    /// Per (topic, partition); partitions that are not named begin at the beginning.
    Offsets(BTreeMap<(String, i32), i64>),
    /// Records stamped at or after this time, ms since the epoch. Read from the beginning and passed over rather than
    /// sought, since the time index is only right where time stamps ascend.
    Timestamp(i64),
}

/// How the reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything that was there at the start has been seen.
    Complete,
    /// The caller had enough.
    Stopped,
    /// The deadline came first.
    Deadline,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadReport {
    pub records: u64,
    pub end: End,
}

/// Shows each record to `visit`, in order within a partition, until it breaks off. What `visit` gathers in `state`
/// comes back. Topics that do not exist are an error.
pub async fn read<S, F>(
    kafka: &Kafka,
    message_max: Size,
    reading: Reading,
    state: S,
    visit: F,
) -> Result<(S, ReadReport), KafkaProblem>
where
    S: Send + 'static,
    F: FnMut(&mut S, Record) -> ControlFlow<()> + Send + 'static,
{
    let mut config = client::consumer(kafka, "read", &format!("{}read", kafka.group_prefix), message_max)?;
    config
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .set("queued.max.messages.kbytes", (16 * 1024).to_string());
    if reading.uncommitted {
        config.set("isolation.level", "read_uncommitted");
    }
    let made = config.create_with_context(Context::default());
    let consumer: BaseConsumer<Context> = made.map_err(|e| KafkaProblem::properties(&e))?;
    let timeout = kafka.timeout.0;
    let run = move || {
        let deadline = Instant::now() + reading.deadline;
        let mut reader = Reader { consumer, reading, timeout, deadline, state, visit, records: 0 };
        let outcome = reader.all();
        dispose(reader.consumer);
        Ok((reader.state, outcome?))
    };
    tokio::task::spawn_blocking(run)
        .await
        .unwrap_or_else(|e| Err(KafkaProblem::Other { what: "read".into(), cause: e.to_string() }))
}

struct Reader<S, F> {
    consumer: BaseConsumer<Context>,
    reading: Reading,
    /// For one request.
    timeout: Duration,
    deadline: Instant,
    state: S,
    visit: F,
    records: u64,
}

impl<S, F: FnMut(&mut S, Record) -> ControlFlow<()>> Reader<S, F> {
    fn all(&mut self) -> Result<ReadReport, KafkaProblem> {
        for topic in self.reading.topics.clone() {
            let end = self.topic(&topic)?;
            let _ = self.consumer.unassign();
            if end != End::Complete {
                return Ok(ReadReport { records: self.records, end });
            }
        }
        Ok(ReadReport { records: self.records, end: End::Complete })
    }

    /// Reads one topic. One at a time, because the end-of-partition event does not name its topic.
    fn topic(&mut self, topic: &str) -> Result<End, KafkaProblem> {
        let context = self.consumer.context().clone();
        let failed = |error: &KafkaError| context.problem(format!("read topic '{topic}'"), error);
        let mut ends = self.ends(topic)?;
        let mut assignment = TopicPartitionList::new();
        for (&partition, &(start, _)) in &ends {
            let added = assignment.add_partition_offset(topic, partition, Offset::Offset(start));
            added.map_err(|e| failed(&e))?;
        }
        self.consumer.assign(&assignment).map_err(|e| failed(&e))?;
        while !ends.is_empty() {
            if Instant::now() >= self.deadline {
                return Ok(End::Deadline);
            }
            match self.consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) if message.topic() == topic => {
                    let record = convert::record(&message, message.topic().into());
                    let (partition, offset) = (record.at.partition, record.at.offset);
                    // What came in after the start is left for the next reading.
                    let Some(&(_, end)) = ends.get(&partition) else { continue };
                    if offset < end && self.show(record).is_break() {
                        return Ok(End::Stopped);
                    }
                    if offset + 1 >= end {
                        ends.remove(&partition);
                    }
                }
                Some(Ok(_)) => {}
                // The log may end in transaction markers, which are never handed out.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    ends.remove(&partition);
                }
                Some(Err(error)) if is_passing(&error, &context) => {}
                Some(Err(error)) => return Err(failed(&error)),
            }
        }
        Ok(End::Complete)
    }

    fn show(&mut self, record: Record) -> ControlFlow<()> {
        if let Start::Timestamp(since) = self.reading.start
            && record.at.timestamp.is_some_and(|at| at < since)
        {
            return ControlFlow::Continue(());
        }
        self.records += 1;
        (self.visit)(&mut self.state, record)
    }

    /// First offset to read and end (exclusive) of each partition that has anything to read.
    fn ends(&self, topic: &str) -> Result<BTreeMap<i32, (i64, i64)>, KafkaProblem> {
        let mut ends = BTreeMap::new();
        for partition in self.partitions(topic)? {
            let (low, high) = self.watermarks(topic, partition)?;
            let wanted = match &self.reading.start {
                Start::Offsets(offsets) => offsets.get(&(topic.to_owned(), partition)).copied(),
                Start::Beginning | Start::Timestamp(_) => None,
            };
            let start = wanted.unwrap_or(low).max(low);
            if start < high {
                ends.insert(partition, (start, high));
            }
        }
        Ok(ends)
    }

    /// First and next offset of a partition. A new topic's leader, or one that moves, is waited for.
    fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), KafkaProblem> {
        const PAUSE: Duration = Duration::from_millis(100);
        let give_up = Instant::now() + self.patience();
        loop {
            match self.consumer.fetch_watermarks(topic, partition, self.patience()) {
                Ok(marks) => return Ok(marks),
                Err(error) if is_passing(&error, self.consumer.context()) && Instant::now() < give_up => {
                    // Nothing is assigned now; polling is a pause in which errors reach the context.
                    let _ = self.consumer.poll(PAUSE);
                }
                Err(error) => return Err(self.request_failed(topic, &error)),
            }
        }
    }

    fn partitions(&self, topic: &str) -> Result<BTreeSet<i32>, KafkaProblem> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(topic), self.patience())
            .map_err(|e| self.request_failed(topic, &e))?;
        self.consumer.context().clear();
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let Some(found) = found else { return Err(KafkaProblem::UnknownTopic(topic.to_owned())) };
        if let Some(error) = found.error() {
            return Err(match RDKafkaErrorCode::from(error) {
                RDKafkaErrorCode::UnknownTopicOrPartition => KafkaProblem::UnknownTopic(topic.to_owned()),
                code => KafkaProblem::from_code(format!("read topic '{topic}'"), code),
            });
        }
        Ok(found.partitions().iter().map(|p| p.id()).collect())
    }

    fn request_failed(&self, topic: &str, error: &KafkaError) -> KafkaProblem {
        let what = format!("read topic '{topic}'");
        let context = self.consumer.context();
        match (error.rdkafka_error_code(), context.trouble()) {
            (Some(RDKafkaErrorCode::OperationTimedOut), None) => {
                KafkaProblem::TimedOut { what, waited: self.timeout }
            }
            _ => context.problem(what, error),
        }
    }

    /// How long a request may take: never past the deadline.
    fn patience(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.min(self.timeout).max(Duration::from_millis(1))
    }
}

/// Errors that the client gets over by itself, or that concern a group that we do not join.
pub(super) fn is_passing(error: &KafkaError, context: &Context) -> bool {
    use RDKafkaErrorCode as Code;
    let passing = matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::GroupAuthorizationFailed
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
        )
    );
    passing || context.lacks_token(error)
}
