//! Which topics and consumer groups a configuration means: the one place where their names are made. Pure; it
//! never asks a cluster what is there (see `ops::topics`).
//!
//! ```text
//! <input topic> ─► stage 1 ─► <pipeline>.<stage 2> ─► stage 2 ─► … ─► <output topic>
//!                    ├─ <pipeline>.<stage>.retry.<delay>   one per rung
//!                    ├─ <pipeline>.<stage>.redrive
//!                    ├─ <pipeline>.<stage>.park            where order is kept, or tenants share
//!                    └─ <pipeline>.<stage>.dlq
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::config::{Config, Ordering, Pipeline, Retry, Size, Span, Stage};

use super::engine::Lane;

/// Room above the largest record for what the stage itself adds: control headers on rungs, error headers on
/// dead letters (message and chain are bounded by `flow::fault`), the key, and Kafka's own framing.
pub const HEADER_ROOM: Size = Size::kib(128);
/// Shortest retention of a rung or redrive topic. Kafka deletes by time without asking whether a record was read, so
/// a stage that stands still over a long weekend must find its waiting records again.
pub const WAITING_RETENTION_MIN: Span = Span::secs(7 * 86_400);
/// Longest topic name that Kafka takes.
pub const NAME_MAX: usize = 249;
/// Largest record of the topic of operations: the ids of a thousand dead letters, and a reason.
pub const OPERATION_MAX: Size = Size::kib(512);

/// Everything a configuration needs on the cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Topology {
    /// In the order of the file: pipelines by name, stages as listed.
    pub stages: Vec<StageTopics>,
    /// Every topic once, by name.
    pub topics: Vec<TopicPlan>,
    /// Where it stands what people and rules do with dead letters; `None` where nobody does anything.
    pub operations: Option<String>,
}

/// The topics around one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StageTopics {
    pub pipeline: String,
    pub stage: String,
    /// Consumer group of the stage.
    pub group: String,
    pub input: String,
    /// True when producers outside the pipeline write the input: control headers found there are not ours.
    pub input_is_shared: bool,
    /// Where the stage's output goes: the next stage's input, or the pipeline's output topic, if it has one.
    pub next: Option<String>,
    /// True when consumers outside the pipeline read `next`.
    pub next_is_shared: bool,
    /// Ascending by delay.
    pub rungs: Vec<Rung>,
    pub redrive: String,
    /// Where followers of a failing record wait, when the stage keeps an order.
    pub park: Option<String>,
    pub dlq: String,
}

/// One step of the retry ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rung {
    pub delay: Duration,
    pub topic: String,
}

/// What a topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    Input,
    Output,
    Stage,
    Rung,
    Redrive,
    Park,
    Dlq,
    Operations,
}

/// How a topic should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicPlan {
    pub name: String,
    pub purpose: Purpose,
    pub partitions: u32,
    /// The broker's default when absent.
    pub replication: Option<u32>,
    /// For ever when absent.
    pub retention: Option<Span>,
    /// Largest record batch, in bytes.
    pub message_max: Size,
}

impl Topology {
    /// Derives all names and plans. Where two pipelines share a topic, the larger demand wins.
    pub fn derive(config: &Config) -> Self {
        let mut stages = Vec::new();
        let mut topics = BTreeMap::new();
        for (name, pipeline) in &config.pipelines {
            let of_pipeline = stages_of(&config.kafka.group_prefix, name, pipeline);
            for plan in plans_of(pipeline, &of_pipeline) {
                merge(&mut topics, plan);
            }
            stages.extend(of_pipeline);
        }
        for stage in &stages {
            follow(&mut topics, stage);
        }
        let operations = Some(config.quarantine.operations.clone()).filter(|name| !name.is_empty());
        if let Some(name) = &operations {
            let replication = config.pipelines.values().filter_map(|pipeline| pipeline.replication).max();
            merge(&mut topics, operations_plan(name, replication));
        }
        Self { stages, topics: topics.into_values().collect(), operations }
    }

    pub fn stage(&self, pipeline: &str, stage: &str) -> Option<&StageTopics> {
        self.stages.iter().find(|s| s.pipeline == pipeline && s.stage == stage)
    }

    pub fn topic(&self, name: &str) -> Option<&TopicPlan> {
        self.topics.iter().find(|t| t.name == name)
    }

    /// Largest record batch of any topic: what a client must be able to send and to receive.
    pub fn message_max(&self) -> Size {
        self.topics.iter().map(|t| t.message_max).max().unwrap_or(HEADER_ROOM)
    }

    /// Smallest limit of any topic that stages write. A producer that gathers more than this in one batch has the whole
    /// batch refused. Acts are written one by one.
    pub fn batch_max(&self) -> Size {
        let written = self.topics.iter().filter(|topic| topic.purpose != Purpose::Operations);
        written.map(|topic| topic.message_max).min().unwrap_or(HEADER_ROOM)
    }
}

impl StageTopics {
    /// Topics the stage reads: its input and the satellites.
    pub fn read(&self) -> Vec<&str> {
        std::iter::once(self.input.as_str()).chain(self.satellites()).collect()
    }

    /// Topics of the stage alone that it reads besides its input: rungs, redrive, parking. Whoever owns a partition
    /// of the input reads the same partition of each of these, so that all records of a key meet in one place.
    pub fn satellites(&self) -> Vec<&str> {
        let rungs = self.rungs.iter().map(|r| r.topic.as_str());
        rungs.chain([self.redrive.as_str()]).chain(self.park.as_deref()).collect()
    }

    /// True for the topics that only this stage writes, where its control headers are trusted.
    pub fn is_own(&self, topic: &str) -> bool {
        topic == self.dlq || self.satellites().contains(&topic)
    }

    /// What one of the topics that the stage reads is to it.
    pub fn lane(&self, topic: &str) -> Lane {
        if topic == self.redrive {
            Lane::Redrive
        } else if self.park.as_deref() == Some(topic) {
            Lane::Park
        } else if self.rung(topic).is_some() {
            Lane::Rung
        } else {
            Lane::Input
        }
    }

    /// The rung with this topic name.
    pub fn rung(&self, topic: &str) -> Option<&Rung> {
        self.rungs.iter().find(|r| r.topic == topic)
    }
}

impl TopicPlan {
    /// True when others may own the topic: Lazaret makes it when it is missing and then leaves it alone.
    pub fn is_shared(&self) -> bool {
        matches!(self.purpose, Purpose::Input | Purpose::Output)
    }

    /// Topic settings as Kafka names them.
    pub fn configs(&self) -> Vec<(&'static str, String)> {
        let retention = self.retention.map_or("-1".to_owned(), |span| span.0.as_millis().to_string());
        let mut configs = vec![
            ("cleanup.policy", "delete".to_owned()),
            ("max.message.bytes", self.message_max.0.to_string()),
            ("retention.ms", retention),
        ];
        let timestamps = match self.purpose {
            Purpose::Input | Purpose::Output | Purpose::Stage => None,
            // Records here are copies of old ones. By their own time they could be past the retention when they
            // arrive, and Kafka would delete a waiting record. The control block keeps the original time.
            Purpose::Rung | Purpose::Redrive | Purpose::Park => Some("LogAppendTime"),
            // A dead letter is the original record with its time, whatever the broker does elsewhere.
            Purpose::Dlq => Some("CreateTime"),
            Purpose::Operations => None,
        };
        configs.extend(timestamps.map(|kind| ("message.timestamp.type", kind.to_owned())));
        configs
    }
}

/// Why Kafka would not take a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameProblem {
    Empty,
    /// `.` or `..`.
    Reserved,
    /// Letters, digits, `.`, `_` and `-` are allowed, and this is none of them.
    Character(char),
    /// It has more characters than [`NAME_MAX`].
    TooLong,
}

/// Says why Kafka would not take a topic of this name. Rules: `org.apache.kafka.common.internals.Topic`.
pub fn name_problem(name: &str) -> Option<NameProblem> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    match name.chars().find(|c| !legal(*c)) {
        _ if name.is_empty() => Some(NameProblem::Empty),
        _ if name == "." || name == ".." => Some(NameProblem::Reserved),
        Some(bad) => Some(NameProblem::Character(bad)),
        None => (name.len() > NAME_MAX).then_some(NameProblem::TooLong),
    }
}

fn stages_of(group_prefix: &str, name: &str, pipeline: &Pipeline) -> Vec<StageTopics> {
    let input_of = |at: usize| pipeline.stages.get(at).map(|stage| format!("{name}.{}", stage.name));
    let of_stage = |(at, stage): (usize, &Stage)| {
        let base = format!("{name}.{}", stage.name);
        let next = input_of(at + 1);
        StageTopics {
            pipeline: name.to_owned(),
            stage: stage.name.clone(),
            group: format!("{group_prefix}{base}"),
            input: if at == 0 { pipeline.input.topic.clone() } else { base.clone() },
            input_is_shared: at == 0,
            next_is_shared: next.is_none(),
            next: next.or_else(|| pipeline.output.as_ref().map(|output| output.topic.clone())),
            rungs: rungs_of(&base, retry_of(pipeline, stage)),
            redrive: format!("{base}.redrive"),
            park: (stage.ordering != Ordering::None || stage.fairness.is_some())
                .then(|| format!("{base}.park")),
            dlq: format!("{base}.dlq"),
        }
    };
    pipeline.stages.iter().enumerate().map(of_stage).collect()
}

fn rungs_of(base: &str, retry: &Retry) -> Vec<Rung> {
    let rung = |delay: &Span| Rung { delay: delay.0, topic: format!("{base}.retry.{delay}") };
    retry.rungs.iter().map(rung).collect()
}

/// The stage's own retry policy, or the pipeline's.
pub fn retry_of<'a>(pipeline: &'a Pipeline, stage: &'a Stage) -> &'a Retry {
    stage.retry.as_ref().unwrap_or(&pipeline.retry)
}

/// Rungs and redrive topics keep a record at least twice as long as it can have to wait there.
fn waiting_retention(retry: &Retry) -> Span {
    let overrides = retry.overrides.values().flat_map(|o| [o.cap, o.max_elapsed]).flatten();
    let longest = retry.rungs.iter().copied().chain([retry.cap, retry.max_elapsed]).chain(overrides).max();
    let doubled = longest.map_or(Duration::ZERO, |span| span.0.saturating_mul(2));
    Span(doubled.max(WAITING_RETENTION_MIN.0))
}

fn plans_of(pipeline: &Pipeline, stages: &[StageTopics]) -> Vec<TopicPlan> {
    let roomy = Size(pipeline.record_max.0.saturating_add(HEADER_ROOM.0));
    let plan = |name: &str, purpose, partitions: Option<u32>, retention, message_max| TopicPlan {
        name: name.to_owned(),
        purpose,
        partitions: partitions.unwrap_or(pipeline.partitions),
        replication: pipeline.replication,
        retention,
        message_max,
    };
    let flow = |name: &str, purpose, partitions| {
        plan(name, purpose, partitions, Some(pipeline.retention), pipeline.record_max)
    };
    let mut plans = vec![flow(&pipeline.input.topic, Purpose::Input, pipeline.input.partitions)];
    plans
        .extend(pipeline.output.iter().map(|output| flow(&output.topic, Purpose::Output, output.partitions)));
    for (stage, topics) in pipeline.stages.iter().zip(stages) {
        if !topics.input_is_shared {
            plans.push(flow(&topics.input, Purpose::Stage, stage.partitions));
        }
        let waiting = Some(waiting_retention(retry_of(pipeline, stage)));
        for rung in &topics.rungs {
            plans.push(plan(&rung.topic, Purpose::Rung, stage.partitions, waiting, roomy));
        }
        plans.push(plan(&topics.redrive, Purpose::Redrive, stage.partitions, waiting, roomy));
        if let Some(park) = &topics.park {
            plans.push(plan(park, Purpose::Park, stage.partitions, waiting, roomy));
        }
        plans.push(plan(
            &topics.dlq,
            Purpose::Dlq,
            stage.partitions,
            stage.dlq_retention.or(pipeline.dlq_retention),
            roomy,
        ));
    }
    plans
}

/// One partition, since what was done to a letter is read in the order in which it was done; for ever, since it cannot be
/// told from anything else.
fn operations_plan(name: &str, replication: Option<u32>) -> TopicPlan {
    TopicPlan {
        name: name.to_owned(),
        purpose: Purpose::Operations,
        partitions: 1,
        replication,
        retention: None,
        message_max: OPERATION_MAX,
    }
}

/// A record keeps its partition on every topic of its stage, so these have as many as the input.
fn follow(topics: &mut BTreeMap<String, TopicPlan>, stage: &StageTopics) {
    let Some(partitions) = topics.get(&stage.input).map(|input| input.partitions) else { return };
    for topic in stage.satellites().into_iter().chain([stage.dlq.as_str()]) {
        if let Some(plan) = topics.get_mut(topic) {
            plan.partitions = partitions;
        }
    }
}

/// Two demands on one topic: the larger of each wins, so that the order of the pipelines does not matter.
fn merge(topics: &mut BTreeMap<String, TopicPlan>, plan: TopicPlan) {
    let Some(known) = topics.get_mut(&plan.name) else {
        topics.insert(plan.name.clone(), plan);
        return;
    };
    known.purpose = known.purpose.min(plan.purpose);
    known.partitions = known.partitions.max(plan.partitions);
    known.replication = known.replication.max(plan.replication);
    known.retention = known.retention.zip(plan.retention).map(|(one, other)| one.max(other));
    known.message_max = known.message_max.max(plan.message_max);
}

#[cfg(test)]
mod tests;
