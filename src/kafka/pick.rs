//! Reading single records by where they stand, from outside any group: those of one dead letter or of a thousand, without
//! reading all that lies between them. Never commits, never joins a group.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::client::{self, dispose};
use super::context::Context;
use super::convert;
use super::problem::KafkaProblem;
use super::read::is_passing;
use crate::config::{Kafka, Size};
use crate::message::{Record, Topic, TopicPartition};

/// Records that lie between two wanted ones are read and passed over up to as many; beyond that it is sought.
const GAP: i64 = 500;
/// Longest time in one poll.
const POLL: Duration = Duration::from_millis(100);
/// What it waits for when nothing more comes of what is wanted.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where a record stands.
pub type Place = (TopicPartition, i64);

/// Reads records by where they stand. Holds one connection for as many questions as there are.
pub struct Picker {
    /// `None` only while it is asked, or when a question was given up.
    consumer: Option<BaseConsumer<Context>>,
    kafka: Kafka,
    verb: String,
    message_max: Size,
}

impl Picker {
    /// Connects to nothing yet. `message_max` is `Topology::message_max`.
    pub fn new(kafka: &Kafka, verb: &str, message_max: Size) -> Self {
        Self { consumer: None, kafka: kafka.clone(), verb: verb.to_owned(), message_max }
    }

    /// The records at these places; one that Kafka no longer has is not among them. All are held in memory: whoever asks
    /// knows how large they are.
    pub async fn pick(
        &mut self,
        places: impl IntoIterator<Item = Place>,
    ) -> Result<HashMap<Place, Record>, KafkaProblem> {
        let mut wanted: BTreeMap<Topic, BTreeMap<i32, BTreeSet<i64>>> = BTreeMap::new();
        for (name, offset) in places {
            wanted.entry(name.topic).or_default().entry(name.partition).or_default().insert(offset);
        }
        self.ask(move |consumer| {
            let mut found = HashMap::new();
            // One topic at a time, because the end of a partition does not name its topic.
            wanted
                .into_iter()
                .try_for_each(|(topic, wanted)| of_topic(consumer, &topic, wanted, &mut found))
                .map(|()| found)
        })
        .await
    }

    /// The first record of this partition that stands at this offset or beyond. `None` when there is none.
    pub async fn first(
        &mut self,
        name: &TopicPartition,
        offset: i64,
    ) -> Result<Option<Record>, KafkaProblem> {
        let name = name.clone();
        self.ask(move |consumer| first_of(consumer, &name, offset)).await
    }

    /// Lets somebody read with the connection, which is there for the next question then.
    async fn ask<T: Send + 'static>(
        &mut self,
        question: impl FnOnce(&BaseConsumer<Context>) -> Result<T, KafkaProblem> + Send + 'static,
    ) -> Result<T, KafkaProblem> {
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => connect(&self.kafka, &self.verb, self.message_max)?,
        };
        let work = move || {
            let answer = question(&consumer);
            let _ = consumer.unassign();
            (consumer, answer)
        };
        let broken = |error: tokio::task::JoinError| KafkaProblem::Other {
            what: "read records".into(),
            cause: error.to_string(),
        };
        let (consumer, answer) = tokio::task::spawn_blocking(work).await.map_err(broken)?;
        self.consumer = Some(consumer);
        answer
    }
}

impl Drop for Picker {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            dispose(consumer);
        }
    }
}

fn connect(kafka: &Kafka, verb: &str, message_max: Size) -> Result<BaseConsumer<Context>, KafkaProblem> {
    let mut config = client::consumer(kafka, verb, &format!("{}{verb}", kafka.group_prefix), message_max)?;
    config
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .set("queued.max.messages.kbytes", (16 * 1024).to_string());
    config.create_with_context(Context::default()).map_err(|e| KafkaProblem::properties(&e))
}

/// What is wanted of one topic, by partition.
fn of_topic(
    consumer: &BaseConsumer<Context>,
    topic: &Topic,
    mut wanted: BTreeMap<i32, BTreeSet<i64>>,
    found: &mut HashMap<Place, Record>,
) -> Result<(), KafkaProblem> {
    let context = consumer.context();
    let failed = |error: &KafkaError| context.problem(format!("read records of topic '{topic}'"), error);
    let there = partitions(consumer, topic).map_err(|e| failed(&e))?;
    wanted.retain(|partition, _| there.contains(partition));
    let mut assignment = TopicPartitionList::new();
    // From where each partition is being read: what comes from before that does since the offset is not there, and the
    // client begins anew at what is.
    let mut sought = BTreeMap::new();
    for (partition, offsets) in &wanted {
        let Some(first) = offsets.first() else { continue };
        sought.insert(*partition, *first);
        // One that Kafka has deleted lets the reading begin at what there is.
        assignment.add_partition_offset(topic, *partition, Offset::Offset(*first)).map_err(|e| failed(&e))?;
    }
    consumer.assign(&assignment).map_err(|e| failed(&e))?;
    let mut last = Instant::now();
    while !wanted.is_empty() {
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.topic() == &**topic => {
                let (partition, offset) = (message.partition(), message.offset());
                if sought.get(&partition).is_some_and(|sought| offset < *sought) {
                    wanted.remove(&partition);
                    continue;
                }
                let Some(offsets) = wanted.get_mut(&partition) else { continue };
                last = Instant::now();
                if offsets.remove(&offset) {
                    let record = convert::record(&message, topic.clone());
                    found.insert((TopicPartition::new(topic.clone(), partition), offset), record);
                }
                // Those before it are not there any more.
                *offsets = offsets.split_off(&offset);
                match offsets.first() {
                    None => _ = wanted.remove(&partition),
                    Some(next) if next - offset > GAP => {
                        sought.insert(partition, *next);
                        consumer
                            .seek(topic, partition, Offset::Offset(*next), DEADLINE)
                            .map_err(|e| failed(&e))?;
                    }
                    Some(_) => {}
                }
            }
            None | Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = wanted.remove(&partition),
            Some(Err(error)) if is_passing(&error, context) => {}
            Some(Err(error)) => return Err(failed(&error)),
        }
        if last.elapsed() > DEADLINE {
            let what = format!("read records of topic '{topic}'");
            return Err(KafkaProblem::TimedOut { what, waited: DEADLINE });
        }
    }
    let _ = consumer.unassign();
    Ok(())
}

fn first_of(
    consumer: &BaseConsumer<Context>,
    name: &TopicPartition,
    offset: i64,
) -> Result<Option<Record>, KafkaProblem> {
    let what = || format!("read the first record of '{name}'");
    let context = consumer.context();
    let failed = |error: &KafkaError| context.problem(what(), error);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(&name.topic, name.partition, Offset::Offset(offset))
        .map_err(|e| failed(&e))?;
    consumer.assign(&assignment).map_err(|e| failed(&e))?;
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        match consumer.poll(POLL) {
            Some(Ok(message)) if message.topic() == &*name.topic && message.partition() == name.partition => {
                return Ok(Some(convert::record(&message, name.topic.clone())));
            }
            None | Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(partition))) if partition == name.partition => return Ok(None),
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) if is_passing(&error, context) => {}
            Some(Err(error)) => return Err(failed(&error)),
        }
    }
    Err(KafkaProblem::TimedOut { what: what(), waited: DEADLINE })
}

/// Those that the topic has: it may have been made anew with fewer, or be gone.
fn partitions(consumer: &BaseConsumer<Context>, topic: &str) -> Result<BTreeSet<i32>, KafkaError> {
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE)?;
    consumer.context().clear();
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(BTreeSet::new());
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None => Ok(found.partitions().iter().map(|partition| partition.id()).collect()),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition) => Ok(BTreeSet::new()),
        // It may be there all the same.
        Some(error) => Err(KafkaError::MetadataFetch(error)),
    }
}
