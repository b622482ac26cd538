//! What everybody around a pipeline has to be allowed to do on a cluster that asks: the least that is enough. Pure; names come
//! from the [`Topology`].

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::topology::{StageTopics, Topology};

/// Who does something on the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case", tag = "who")]
pub enum Who {
    /// `lazaret run` of this stage.
    Stage { pipeline: String, stage: String },
    /// `lazaret ops`, and people with their shells.
    Ops,
    /// `lazaret topics`.
    Topics,
    /// Those who write the input of this pipeline, `lazaret submit` too.
    Producers { pipeline: String },
    /// Those who read its output.
    Consumers { pipeline: String },
}

impl Who {
    /// A name for it, as a user could have it.
    pub fn name(&self) -> String {
        match self {
            Self::Stage { pipeline, stage } => format!("{pipeline}.{stage}"),
            Self::Ops => "ops".into(),
            Self::Topics => "topics".into(),
            Self::Producers { pipeline } => format!("{pipeline}.producers"),
            Self::Consumers { pipeline } => format!("{pipeline}.consumers"),
        }
    }
}

/// A kind of thing that Kafka guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Topic,
    Group,
    TransactionalId,
}

/// Whether a name is the whole name or how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    Literal,
    Prefixed,
}

/// An operation by Kafka's name for it. Read and Write imply Describe, but not everything that reads asks so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Operation {
    Read,
    Write,
    Create,
    Alter,
    Describe,
    DescribeConfigs,
    AlterConfigs,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What somebody has to be allowed to do with one thing, or with all whose names begin so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    pub resource: Resource,
    pub name: String,
    pub pattern: Pattern,
    /// In order, each once.
    pub operations: Vec<Operation>,
}

/// What everybody has to be allowed. `group_prefix` is that of the configuration, `others` the topics of dead letters that somebody
/// else writes.
pub fn grants(topology: &Topology, group_prefix: &str, others: &[String]) -> BTreeMap<Who, Vec<Grant>> {
    let mut all: BTreeMap<Who, Grants> = BTreeMap::new();
    for stage in &topology.stages {
        let (pipeline, name) = (stage.pipeline.clone(), stage.stage.clone());
        all.entry(Who::Stage { pipeline: pipeline.clone(), stage: name }).or_default().stage(stage);
        if stage.input_is_shared {
            let producers = all.entry(Who::Producers { pipeline: pipeline.clone() }).or_default();
            producers.topic(&stage.input, WRITE);
        }
        if let Some(output) = stage.next.as_deref().filter(|_| stage.next_is_shared) {
            all.entry(Who::Consumers { pipeline }).or_default().topic(output, READ);
        }
        all.entry(Who::Ops).or_default().operators(stage);
    }
    let ops = all.entry(Who::Ops).or_default();
    if let Some(operations) = &topology.operations {
        ops.topic(operations, BOTH);
    }
    others.iter().for_each(|topic| ops.topic(topic, READ));
    for verb in ["redrive.", "recall."] {
        let of = (Resource::TransactionalId, Pattern::Prefixed, format!("{group_prefix}{verb}"));
        ops.add(of, WRITE);
    }
    let topics = all.entry(Who::Topics).or_default();
    for plan in &topology.topics {
        // What others own is made when it is not there, and then left alone.
        topics.topic(&plan.name, if plan.is_shared() { MAKE } else { KEEP });
    }
    all.into_iter().map(|(who, grants)| (who, grants.all())).collect()
}

const READ: &[Operation] = &[Operation::Read, Operation::Describe];
const WRITE: &[Operation] = &[Operation::Write, Operation::Describe];
const BOTH: &[Operation] = &[Operation::Read, Operation::Write, Operation::Describe];
const LOOK: &[Operation] = &[Operation::Describe];
const MAKE: &[Operation] = &[Operation::Create, Operation::Describe, Operation::DescribeConfigs];
const KEEP: &[Operation] = &[
    Operation::Create,
    Operation::Alter,
    Operation::Describe,
    Operation::DescribeConfigs,
    Operation::AlterConfigs,
];

/// What one of them has to be allowed, each thing once.
#[derive(Default)]
struct Grants(BTreeMap<(Resource, Pattern, String), Vec<Operation>>);

impl Grants {
    fn add(&mut self, of: (Resource, Pattern, String), operations: &[Operation]) {
        let all = self.0.entry(of).or_default();
        all.extend(operations);
        all.sort();
        all.dedup();
    }

    fn topic(&mut self, name: &str, operations: &[Operation]) {
        self.add((Resource::Topic, Pattern::Literal, name.to_owned()), operations);
    }

    /// Whoever runs the stage: reads what is its own, and writes there what fails.
    fn stage(&mut self, stage: &StageTopics) {
        self.topic(&stage.input, READ);
        self.topic(&stage.redrive, READ);
        stage.rungs.iter().for_each(|rung| self.topic(&rung.topic, BOTH));
        stage.park.iter().for_each(|park| self.topic(park, BOTH));
        stage.next.iter().for_each(|next| self.topic(next, WRITE));
        self.topic(&stage.dlq, WRITE);
        self.add(
            (Resource::Group, Pattern::Literal, stage.group.clone()),
            &[Operation::Read, Operation::Describe],
        );
        // One for each process, by the name of its instance.
        self.add((Resource::TransactionalId, Pattern::Prefixed, format!("{}.", stage.group)), WRITE);
    }

    /// Who looks after its dead letters and its lag.
    fn operators(&mut self, stage: &StageTopics) {
        // The oldest record that waits says for how long.
        stage.read().into_iter().for_each(|topic| self.topic(topic, READ));
        stage.next.iter().for_each(|next| self.topic(next, READ));
        // What the archive brings back is written there.
        self.topic(&stage.dlq, BOTH);
        self.topic(&stage.redrive, BOTH);
        self.add((Resource::Group, Pattern::Literal, stage.group.clone()), LOOK);
    }

    fn all(self) -> Vec<Grant> {
        let grant = |((resource, pattern, name), operations)| Grant { resource, name, pattern, operations };
        self.0.into_iter().map(grant).collect()
    }
}

#[cfg(test)]
mod tests;
