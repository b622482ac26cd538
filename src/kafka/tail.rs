//! Reading topics on and on from outside any group: from given offsets to whatever comes, partitions and topics that are
//! made later included. Never commits, never joins a group. For reading up to an end see [`read`](super::read).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext as _, Message as _, Offset, TopicPartitionList};

use super::client::{self, dispose};
use super::context::Context;
use super::convert;
use super::problem::KafkaProblem;
use crate::config::{Kafka, Size};
use crate::message::{Record, TopicPartition};

/// Longest time in one poll, and so between two times that the visitor is asked whether to go on.
const POLL: Duration = Duration::from_millis(100);
/// How often it is looked for new topics and partitions, and for what Kafka has deleted.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The same while a partition does not say where it begins, as one without a leader.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What is to be read.
#[derive(Clone, Debug)]
pub struct Tailing {
    /// Those that do not exist are waited for.
    pub topics: Vec<String>,
    /// The next offset by partition; one that is not named, or whose offset is no longer there, begins at its beginning.
    pub offsets: BTreeMap<TopicPartition, i64>,
}

/// The first offset that there is and the next one, by partition.
pub type Bounds = BTreeMap<TopicPartition, (i64, i64)>;

/// What is heard.
pub enum Heard {
    Record(Record),
    /// Where the partitions begin and end.
    Bounds(Bounds),
    /// Nothing came for a moment.
    Silence,
}

/// Shows what is heard to `visit`, which may block, records in order within a partition, until it breaks off. Brokers that
/// are gone are waited for.
pub async fn tail(
    kafka: &Kafka,
    verb: &str,
    message_max: Size,
    tailing: Tailing,
    mut visit: impl FnMut(Heard) -> ControlFlow<()> + Send + 'static,
) -> Result<(), KafkaProblem> {
    let consumer = consumer(kafka, verb, message_max)?;
    let mut tail = Tail { consumer, tailing, timeout: kafka.timeout.0, ours: BTreeSet::new() };
    blocking("follow topics", move || {
        let end = tail.run(&mut visit);
        dispose(tail.consumer);
        end
    })
    .await
}

/// Those of every partition of these topics that says it; topics that do not exist are passed over.
pub async fn bounds(kafka: &Kafka, verb: &str, topics: Vec<String>) -> Result<Bounds, KafkaProblem> {
    const WHAT: &str = "look where topics begin and end";
    let (consumer, timeout) = (consumer(kafka, verb, Size::kib(1))?, kafka.timeout.0);
    blocking(WHAT, move || {
        let bounds = partitions(&consumer, &topics, timeout)
            .map(|partitions| bounds_of(&consumer, &partitions, timeout));
        let bounds = bounds.map_err(|error| consumer.context().problem(WHAT, &error));
        dispose(consumer);
        bounds
    })
    .await
}

async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, KafkaProblem> + Send + 'static,
) -> Result<T, KafkaProblem> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|e| Err(KafkaProblem::Other { what: what.into(), cause: e.to_string() }))
}

fn consumer(kafka: &Kafka, verb: &str, message_max: Size) -> Result<BaseConsumer<Context>, KafkaProblem> {
    let mut config = client::consumer(kafka, verb, &format!("{}{verb}", kafka.group_prefix), message_max)?;
    config
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", (8 * 1024).to_string());
    config.create_with_context(Context::default()).map_err(|e| KafkaProblem::properties(&e))
}

struct Tail {
    consumer: BaseConsumer<Context>,
    tailing: Tailing,
    /// For one request.
    timeout: Duration,
    ours: BTreeSet<TopicPartition>,
}

impl Tail {
    fn run(&mut self, visit: &mut impl FnMut(Heard) -> ControlFlow<()>) -> Result<(), KafkaProblem> {
        let mut next_look = Instant::now();
        loop {
            if Instant::now() >= next_look {
                next_look = Instant::now() + LOOK_EVERY;
                match self.look() {
                    Ok((bounds, complete)) => {
                        if !complete {
                            next_look = Instant::now() + LOOK_AGAIN;
                        }
                        if visit(Heard::Bounds(bounds)).is_break() {
                            return Ok(());
                        }
                    }
                    Err(error) if is_passing(&error, self.consumer.context()) => {
                        tracing::warn!(
                            "cannot look for new partitions, and goes on with those there are: {error}"
                        );
                    }
                    Err(error) => return Err(self.consumer.context().problem("look for partitions", &error)),
                }
            }
            let heard = match self.consumer.poll(POLL) {
                None => Heard::Silence,
                Some(Ok(message)) => Heard::Record(convert::record(&message, message.topic().into())),
                Some(Err(error)) if is_passing(&error, self.consumer.context()) => {
                    // It has the code of a refused login.
                    if !self.consumer.context().lacks_token(&error) {
                        self.consumer.context().error(error.clone(), &error.to_string());
                    }
                    Heard::Silence
                }
                Some(Err(error)) => return Err(self.consumer.context().problem("read", &error)),
            };
            if visit(heard).is_break() {
                return Ok(());
            }
        }
    }

    /// Takes new partitions in; says where all begin and end, and whether all have said it.
    fn look(&mut self) -> Result<(Bounds, bool), KafkaError> {
        let there = partitions(&self.consumer, &self.tailing.topics, self.timeout)?;
        let bounds = bounds_of(&self.consumer, &there, self.timeout);
        let complete = bounds.len() == there.len();
        let mut new = TopicPartitionList::new();
        for (name, &(first, _)) in bounds.iter().filter(|(name, _)| !self.ours.contains(name)) {
            let at = self.tailing.offsets.get(name).copied().unwrap_or(first).max(first);
            new.add_partition_offset(&name.topic, name.partition, Offset::Offset(at))?;
        }
        if new.count() > 0 {
            self.consumer.incremental_assign(&new)?;
            self.ours.extend(bounds.keys().cloned());
        }
        Ok((bounds, complete))
    }
}

fn partitions(
    consumer: &BaseConsumer<Context>,
    topics: &[String],
    timeout: Duration,
) -> Result<BTreeSet<TopicPartition>, KafkaError> {
    let metadata = consumer.fetch_metadata(None, timeout)?;
    consumer.context().clear();
    let wanted = metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none() && topics.iter().any(|name| name == topic.name()));
    let of = |topic: &rdkafka::metadata::MetadataTopic| {
        let name = topic.name().to_owned();
        topic
            .partitions()
            .iter()
            .map(|p| p.id())
            .map(move |id| TopicPartition::new(name.as_str(), id))
            .collect::<Vec<_>>()
    };
    Ok(wanted.flat_map(of).collect())
}

/// Of those that say it.
fn bounds_of(
    consumer: &BaseConsumer<Context>,
    partitions: &BTreeSet<TopicPartition>,
    timeout: Duration,
) -> Bounds {
    let of = |name: &TopicPartition| match consumer.fetch_watermarks(&name.topic, name.partition, timeout) {
        Ok(bounds) => Some((name.clone(), bounds)),
        Err(error) => {
            tracing::warn!(partition = %name, "cannot be asked where it begins, and is passed over for now: {error}");
            None
        }
    };
    partitions.iter().filter_map(of).collect()
}

/// Errors that the client gets over by itself, or that concern a group that we do not join.
fn is_passing(error: &KafkaError, context: &Context) -> bool {
    let lasting = matches!(
        error.rdkafka_error_code(),
        None | Some(
            RDKafkaErrorCode::Fatal
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
        )
    );
    !lasting || context.lacks_token(error)
}
