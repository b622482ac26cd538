//! A look at a consumer group and at the ends of topics from outside: joins no group, commits nothing.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
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
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let who = |isolation| Asked {
        kafka: kafka.clone(),
        group: format!("{}look", kafka.group_prefix),
        isolation,
        deadline,
    };
    let what = || "read the topics to their ends".to_owned();
    let ends = who("read_uncommitted").ask(what(), move |consumer, asked| {
        let names = partitions(consumer, &topics, asked)?;
        names.into_iter().map(|name| Ok((name.clone(), asked.bounds(consumer, &name)?))).collect()
    });
    let ends: Bounds = ends.await?;
    let until_seen = who("read_committed").ask(what(), move |consumer, asked| {
        for (name, (_, end)) in &ends {
            while asked.bounds(consumer, name)?.1 < *end {
                asked.pause(|| format!("a transaction stays open on '{name}'"))?;
            }
        }
        Ok(ends)
    });
    until_seen.await
}

/// How many members a group has. Of groups that the broker leads (KIP-848) rdkafka 0.39 cannot ask it.
pub async fn members(kafka: &Kafka, group: &str, deadline: Instant) -> Result<usize, KafkaProblem> {
    let asked =
        Asked { kafka: kafka.clone(), group: group.to_owned(), isolation: "read_committed", deadline };
    let what = format!("ask for the members of group '{group}'");
    let group = group.to_owned();
    asked
        .ask(what, move |consumer, asked| {
            let groups =
                asked.again(|| consumer.client().fetch_group_list(Some(&group), asked.patience()))?;
            let found = groups.groups().iter().find(|found| found.name() == group);
            Ok(found.map_or(0, |found| found.members().len()))
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
        let waited = self.deadline.saturating_duration_since(Instant::now());
        let run = move || {
            let answer = work(&consumer, &self);
            dispose(consumer);
            answer.map_err(|problem| match problem {
                Problem::Topic(topic) => KafkaProblem::UnknownTopic(topic),
                Problem::Refused(error) => KafkaProblem::from_error(what, &error),
                Problem::Late(cause) => KafkaProblem::TimedOut { what: format!("{what} ({cause})"), waited },
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
                Err(error) if is_refusal(&error) => return Err(Problem::Refused(error)),
                Err(error) => self.pause(|| error.to_string())?,
            }
        }
    }

    /// Waits a little, unless the time is up.
    fn pause(&self, cause: impl FnOnce() -> String) -> Result<(), Problem> {
        if Instant::now() >= self.deadline {
            return Err(Problem::Late(cause()));
        }
        std::thread::park_timeout(PAUSE);
        Ok(())
    }

    fn bounds(&self, consumer: &BaseConsumer<Context>, name: &TopicPartition) -> Result<(i64, i64), Problem> {
        self.again(|| consumer.fetch_watermarks(&name.topic, name.partition, self.patience()))
    }

    fn patience(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // The last question needs some time, too.
        left.min(self.kafka.timeout.0).max(Duration::from_secs(1))
    }
}

/// What no waiting changes.
fn is_refusal(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
        )
    )
}

enum Problem {
    /// There is no such topic.
    Topic(String),
    /// This user may not ask.
    Refused(KafkaError),
    /// The time is up, and this is the last that was heard.
    Late(String),
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
