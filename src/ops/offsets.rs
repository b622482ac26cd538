//! How far each stage has committed what it reads, asked from the broker. Joins no group, commits nothing.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use crate::config::{Kafka, Span};
use crate::flow::Topology;
use crate::flow::topology::StageTopics;
use crate::kafka::client::{self, dispose};
use crate::kafka::{Context, KafkaProblem};

/// One topic as a stage's consumer group sees it. Counts are records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Read {
    pub pipeline: String,
    pub stage: String,
    pub topic: String,
    /// The delay, if the topic is a rung.
    pub rung: Option<String>,
    pub partitions: u32,
    /// Written since the topic was made.
    pub written: i64,
    /// Written and not yet committed by the group.
    pub left: i64,
}

/// Every topic that a stage reads, in the order of the topology.
pub async fn look(kafka: &Kafka, topology: &Topology) -> Result<Vec<Read>, KafkaProblem> {
    let (kafka, topology) = (kafka.clone(), topology.clone());
    let work = move || {
        let mut all = Vec::new();
        for stage in &topology.stages {
            let config = client::consumer(&kafka, "offsets", &stage.group, topology.message_max())?;
            let made = config.create_with_context(Context::quiet());
            let consumer: BaseConsumer<Context> = made.map_err(|e| KafkaProblem::properties(&e))?;
            let read = of_stage(&consumer, stage, &topology, kafka.timeout.0);
            dispose(consumer);
            let what = || format!("read the offsets of group '{}'", stage.group);
            all.extend(read.map_err(|e| KafkaProblem::from_error(what(), &e))?);
        }
        Ok(all)
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(KafkaProblem::Other { what: "read offsets".into(), cause: e.to_string() }))
}

fn of_stage(
    consumer: &BaseConsumer<Context>,
    stage: &StageTopics,
    topology: &Topology,
    timeout: Duration,
) -> Result<Vec<Read>, KafkaError> {
    let mut asked = TopicPartitionList::new();
    let partitions = |topic: &str| topology.topic(topic).map_or(0, |plan| plan.partitions);
    for topic in stage.read() {
        for partition in 0..partitions(topic) {
            asked.add_partition(topic, i32::try_from(partition).unwrap_or(i32::MAX));
        }
    }
    let committed = consumer.committed_offsets(asked, timeout)?;
    let mut all = Vec::new();
    for topic in stage.read() {
        let (mut written, mut left) = (0, 0);
        for element in committed.elements_for_topic(topic) {
            let (_, end) = consumer.fetch_watermarks(topic, element.partition(), timeout)?;
            let done = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            };
            written += end;
            left += end - done;
        }
        all.push(Read {
            pipeline: stage.pipeline.clone(),
            stage: stage.stage.clone(),
            topic: topic.to_owned(),
            rung: stage.rung(topic).map(|rung| Span(rung.delay).to_string()),
            partitions: partitions(topic),
            written,
            left,
        });
    }
    Ok(all)
}
