//! A look at a consumer group and at the ends of topics from outside: joins no group, commits nothing.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, dispose};
use super::context::Context;
use super::problem::KafkaProblem;
use crate::config::{Kafka, Size};
use crate::message::TopicPartition;

/// Between two questions that had no answer yet.
const PAUSE: Duration = Duration::from_millis(100);
/// These looks fetch nothing; the client wants to know a largest record all the same.
const MESSAGE_MAX: Size = Size::mib(1);

/// What a group has committed, by partition: the offset and the text that goes with it. A partition of which nothing
/// is committed is not there.
pub type Positions = BTreeMap<TopicPartition, (i64, String)>;

/// First offset kept, and end, by partition.
pub type Bounds = BTreeMap<TopicPartition, (i64, i64)>;

/// What a group has committed of these topics. Waits until `deadline` for transactions that are about to change it.
pub async fn positions(
    kafka: &Kafka,
    group: &str,
    topics: &[&str],
    deadline: Instant,
) -> Result<Positions, KafkaProblem> {
    let what = format!("read the offsets of group '{group}'");
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let asked =
        Asked { kafka: kafka.clone(), group: group.to_owned(), isolation: "read_committed", deadline };
    asked
        .ask(what, move |consumer, asked| {
            let mut list = TopicPartitionList::new();
            for name in partitions(consumer, &topics, asked)? {
                list.add_partition(&name.topic, name.partition);
            }
            let committed = asked.again(|| {
                let committed = consumer.committed_offsets(list.clone(), asked.patience())?;
                committed.elements().iter().try_for_each(TopicPartitionListElem::error)?;
                Ok(committed)
            })?;
            let position = |element: &TopicPartitionListElem<'_>| match element.offset() {
                Offset::Offset(offset) => {
                    let name = TopicPartition::new(element.topic(), element.partition());
                    Some((name, (offset, metadata(element))))
                }
                _ => None,
            };
            Ok(committed.elements().iter().filter_map(position).collect())
        })
        .await
}

/// Where these topics begin and end, once everything that stands in them now can be seen by readers of committed
/// records: no transaction that was open at the beginning is open any more. Fails at the deadline.
pub async fn settled(kafka: &Kafka, topics: &[&str], deadline: Instant) -> Result<Bounds, KafkaProblem> {
    let all = bounds(kafka, topics, "read_uncommitted", deadline).await?;
    loop {
        let seen = bounds(kafka, topics, "read_committed", deadline).await?;
        let hidden = all.iter().find(|(name, (_, end))| seen.get(*name).is_none_or(|(_, seen)| seen < end));
        match hidden {
            None => return Ok(all),
            Some((name, _)) if Instant::now() >= deadline => {
                let what = format!("read '{name}' to its end: a transaction stays open there");
                return Err(KafkaProblem::Other { what, cause: "the time is up".into() });
            }
            Some(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn bounds(
    kafka: &Kafka,
    topics: &[&str],
    isolation: &'static str,
    deadline: Instant,
) -> Result<Bounds, KafkaProblem> {
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let asked =
        Asked { kafka: kafka.clone(), group: format!("{}look", kafka.group_prefix), isolation, deadline };
    asked
        .ask("read the ends of topics".to_owned(), move |consumer, asked| {
            let mut all = Bounds::new();
            for name in partitions(consumer, &topics, asked)? {
                let fetch = || consumer.fetch_watermarks(&name.topic, name.partition, asked.patience());
                let marks = asked.again(fetch)?;
                all.insert(name, marks);
            }
            Ok(all)
        })
        .await
}

/// Who asks, and until when.
struct Asked {
    kafka: Kafka,
    group: String,
    isolation: &'static str,
    deadline: Instant,
}

impl Asked {
    async fn ask<T: Send + 'static>(
        self,
        what: String,
        work: impl FnOnce(&BaseConsumer<Context>, &Asked) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, KafkaProblem> {
        let mut config = client::consumer(&self.kafka, "look", &self.group, MESSAGE_MAX)?;
        config.set("isolation.level", self.isolation);
        let made = config.create_with_context(Context::quiet());
        let consumer: BaseConsumer<Context> = made.map_err(|e| KafkaProblem::properties(&e))?;
        let broken = what.clone();
        let run = move || {
            let answer = work(&consumer, &self);
            dispose(consumer);
            answer.map_err(|problem| match problem {
                Problem::Topic(topic) => KafkaProblem::UnknownTopic(topic),
                Problem::Kafka(error) => KafkaProblem::from_error(what, &error),
            })
        };
        let asked = tokio::task::spawn_blocking(run).await;
        asked.unwrap_or_else(|e| Err(KafkaProblem::Other { what: broken, cause: e.to_string() }))
    }

    /// Leaders and coordinators move, and a transaction that is being ended hides what it commits: asked again until
    /// the deadline.
    fn again<T>(&self, mut ask: impl FnMut() -> Result<T, KafkaError>) -> Result<T, Problem> {
        loop {
            match ask() {
                Ok(answer) => return Ok(answer),
                Err(error) if Instant::now() >= self.deadline => return Err(Problem::Kafka(error)),
                Err(_) => std::thread::park_timeout(PAUSE),
            }
        }
    }

    fn patience(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.min(self.kafka.timeout.0).max(PAUSE)
    }
}

enum Problem {
    /// There is no such topic.
    Topic(String),
    Kafka(KafkaError),
}

fn partitions(
    consumer: &BaseConsumer<Context>,
    topics: &[String],
    asked: &Asked,
) -> Result<Vec<TopicPartition>, Problem> {
    let metadata = asked.again(|| consumer.fetch_metadata(None, asked.patience()))?;
    let mut all = Vec::new();
    for topic in topics {
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        let found = found.ok_or_else(|| Problem::Topic(topic.clone()))?;
        all.extend(found.partitions().iter().map(|p| TopicPartition::new(topic.clone(), p.id())));
    }
    Ok(all)
}

/// rdkafka 0.39 panics on metadata that is not UTF-8, which anybody may commit; no offset map reads like its stand-in.
fn metadata(element: &TopicPartitionListElem<'_>) -> String {
    catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).unwrap_or_else(|_| "?".to_owned())
}
