//! A pipeline: its topics, its stages, when and how often they try again. What a stage does is in `kinds`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{Size, Span};
use super::kinds::Kind;
use super::sla::Sla;
use crate::flow::{Class, Code};

/// A list of stages between an input and an output topic.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub input: Topic,
    // `None` where the last stage writes nothing, which only a stage of one's own may. The file has to say it.
    #[serde(deserialize_with = "present")]
    #[schemars(with = "Topic")]
    pub output: Option<Topic>,
    /// Format of the topics between the stages.
    #[serde(default)]
    pub between: Format,
    /// Partitions of every topic of this pipeline that is not given its own number.
    #[serde(default = "defaults::partitions")]
    pub partitions: u32,
    /// Replicas of every topic; the broker's default when absent.
    #[serde(default)]
    pub replication: Option<u32>,
    /// How long the input, output and stage topics keep records.
    #[serde(default = "defaults::retention")]
    pub retention: Span,
    /// How long dead letter topics keep records, counted from the original record's timestamp; for ever when
    /// absent.
    #[serde(default)]
    pub dlq_retention: Option<Span>,
    /// Archive them before Kafka deletes them: yes, when absent and there is a `quarantine.archive`.
    #[serde(default)]
    pub dlq_archive: Option<bool>,
    /// How long they are kept in the archive, counted from their death.
    #[serde(default)]
    pub dlq_delete_after: Option<Span>,
    /// How much room the dead letters of one stage may take in Kafka before somebody is told.
    #[serde(default)]
    pub dlq_budget: Option<Size>,
    /// Largest record of a stage topic. Dead letter topics get room for the error headers on top.
    #[serde(default = "defaults::record_max")]
    pub record_max: Size,
    /// Who answers for the stages that name nobody.
    #[serde(default)]
    pub owner: Option<String>,
    /// Where to read what to do.
    #[serde(default)]
    pub runbook: Option<String>,
    /// By when a dead letter is to be looked at (a duration alone), and to be over: `{ look: 4h, resolve: 2d }`.
    #[serde(default)]
    pub sla: Option<Sla>,
    /// Retry policy of the stages that have none of their own.
    #[serde(default)]
    pub retry: Retry,
    /// How records go from a stage to the next, for the stages that do not say it themselves.
    #[serde(default)]
    pub delivery: Delivery,
    pub stages: Vec<Stage>,
}

impl Pipeline {
    /// A pipeline of this one stage, with defaults for the rest.
    pub(crate) fn of(stage: Stage) -> Self {
        Self {
            input: Topic::named(String::new()),
            output: None,
            between: Format::default(),
            partitions: defaults::partitions(),
            replication: None,
            retention: defaults::retention(),
            dlq_retention: None,
            dlq_archive: None,
            dlq_delete_after: None,
            dlq_budget: None,
            record_max: defaults::record_max(),
            owner: None,
            runbook: None,
            sla: None,
            retry: Retry::default(),
            delivery: Delivery::default(),
            stages: vec![stage],
        }
    }
}

impl Topic {
    pub(crate) fn named(topic: String) -> Self {
        Self { topic, format: Format::default(), partitions: None }
    }
}

impl Stage {
    /// A stage with defaults for all but name and kind.
    pub(crate) fn of(name: String, kind: Kind) -> Self {
        Self {
            name,
            kind,
            concurrency: defaults::concurrency(),
            window: defaults::window(),
            timeout: defaults::stage_timeout(),
            retry: None,
            delivery: None,
            ordering: Ordering::default(),
            followers: Followers::default(),
            after_dead: AfterDead::default(),
            fairness: None,
            partitions: None,
            owner: None,
            runbook: None,
            sla: None,
            dlq_retention: None,
            dlq_archive: None,
            dlq_delete_after: None,
            dlq_budget: None,
            classify: Vec::new(),
        }
    }
}

/// How a record, what it becomes, and its offset are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Output, rung record or dead letter and the source offset in one Kafka transaction: readers that read
    /// committed records see each once.
    #[default]
    ExactlyOnce,
    /// Without transactions: after a crash an output may be written twice.
    AtLeastOnce,
}

/// Which records of a stage keep their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    #[default]
    None,
    /// Those with the same key; a record without a key has no order.
    Key,
    /// All of an input partition.
    Partition,
}

/// What the followers of a failing record do, where order is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Followers {
    /// They wait until it has ended: a few in memory, the others on the stage's parking topic.
    #[default]
    Wait,
    /// They go on while it waits on its rung.
    Pass,
}

/// What the followers of a dead letter do, where order is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterDead {
    #[default]
    Continue,
    /// They wait until it is redriven and done, or discarded.
    Hold,
}

/// How a stage shares its places among tenants.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fairness {
    pub by: FairBy,
    /// The most that one tenant may have of the places (`concurrency`), and of a partition's window, while others are
    /// there; percent. What crowds a full window goes to the stage's parking topic.
    pub share: u8,
    /// Records that a tenant begins in its turn; 1 for those that are not named.
    pub weights: BTreeMap<String, u32>,
}

impl Default for Fairness {
    fn default() -> Self {
        Self { by: FairBy::Tenant, share: 50, weights: BTreeMap::new() }
    }
}

/// What says whose a record is. Records that do not say it are one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FairBy {
    /// The header `tenant-id`.
    #[default]
    Tenant,
    /// The record's key.
    Key,
    /// The header of this name.
    Header(String),
}

/// A topic that others share with us.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub topic: String,
    #[serde(default)]
    pub format: Format,
    #[serde(default)]
    pub partitions: Option<u32>,
}

/// How the value of a record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    /// Confluent wire format through the schema registry, subject `<topic>-value`.
    Avro,
    /// The value is the document itself; its id is the key or `resource-id`, the rest stands in the headers
    /// `tenant-id`, `content-type`, `file-name`. Input topics of documents only.
    Bytes,
}

/// One stage.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub name: String,
    /// What it does: a kind alone (`parse`), or a kind with settings (`parse: { size_max: 20MiB }`).
    pub kind: Kind,
    /// Records worked on at the same time by one process.
    #[serde(default = "defaults::concurrency")]
    pub concurrency: usize,
    /// Records of one partition held at the same time, waiting ones included.
    #[serde(default = "defaults::window")]
    pub window: usize,
    /// How long one attempt may take, all calls included.
    #[serde(default = "defaults::stage_timeout")]
    pub timeout: Span,
    #[serde(default)]
    pub retry: Option<Retry>,
    /// As for the pipeline, when absent.
    #[serde(default)]
    pub delivery: Option<Delivery>,
    #[serde(default)]
    pub ordering: Ordering,
    #[serde(default)]
    pub followers: Followers,
    #[serde(default)]
    pub after_dead: AfterDead,
    /// All records are alike, when absent.
    #[serde(default)]
    pub fairness: Option<Fairness>,
    #[serde(default)]
    pub partitions: Option<u32>,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub runbook: Option<String>,
    #[serde(default)]
    pub sla: Option<Sla>,
    /// As for the pipeline, when absent; so are the next three.
    #[serde(default)]
    pub dlq_retention: Option<Span>,
    #[serde(default)]
    pub dlq_archive: Option<bool>,
    #[serde(default)]
    pub dlq_delete_after: Option<Span>,
    #[serde(default)]
    pub dlq_budget: Option<Size>,
    /// Rules that give a failure another class; the first that matches wins.
    #[serde(default)]
    pub classify: Vec<ClassRule>,
}

/// Gives failures another class.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    #[serde(default)]
    pub code: Option<Code>,
    #[serde(default)]
    pub status: Option<u16>,
    /// Text that the message contains.
    #[serde(default)]
    pub message: Option<String>,
    pub class: Class,
}

/// When and how often to try again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Wait after the first failure.
    pub base: Span,
    /// Factor from one wait to the next.
    pub factor: f64,
    /// Longest wait of the backoff; a provider's Retry-After may be longer.
    pub cap: Span,
    /// Share of the wait that is spread at random, 0 to 1.
    pub jitter: f64,
    /// From the first failure; a wait that would end later is not begun.
    pub max_elapsed: Span,
    /// Most records a second of one process that come back from rungs, redrives included. After an outage many are due
    /// at once. No limit when absent; they take turns with fresh records in any case.
    pub per_second: Option<u32>,
    /// Delays of the rung topics, ascending. A wait goes to the first rung that is at least as long.
    pub rungs: Vec<Span>,
    /// The waits are the rungs, one after the other, instead of `base × factor^failures`.
    #[serde(skip)]
    pub stepwise: bool,
    /// Other limits for single codes.
    pub overrides: BTreeMap<Code, RetryOverride>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 8,
            base: Span::secs(1),
            factor: 3.0,
            cap: Span::secs(600),
            jitter: 0.2,
            max_elapsed: Span::secs(6 * 3600),
            per_second: None,
            rungs: vec![Span::secs(1), Span::secs(5), Span::secs(30), Span::secs(120), Span::secs(600)],
            stepwise: false,
            overrides: BTreeMap::new(),
        }
    }
}

/// What differs for one code; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryOverride {
    pub max_attempts: Option<u32>,
    pub base: Option<Span>,
    pub cap: Option<Span>,
    pub max_elapsed: Option<Span>,
}

/// An output topic has to stand in the file.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Topic>, D::Error> {
    Topic::deserialize(deserializer).map(Some)
}

mod defaults {
    use super::{Size, Span};

    pub fn partitions() -> u32 {
        6
    }
    pub fn retention() -> Span {
        Span::secs(7 * 86_400)
    }
    pub fn record_max() -> Size {
        Size::mib(8)
    }
    pub fn concurrency() -> usize {
        32
    }
    pub fn window() -> usize {
        1024
    }
    pub fn stage_timeout() -> Span {
        Span::secs(120)
    }
}
