//! Topics as code: what the configuration wants, what the cluster has, and the way from one to the other. Never deletes a
//! topic, and never changes one that others may own.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::{Config, Size, Span};
use crate::flow::Topology;
use crate::flow::topology::{Purpose, TopicPlan};
use crate::kafka::KafkaProblem;
use crate::kafka::admin::{Admin, TopicState};
use crate::kafka::client::reach;

/// How one topic differs from what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicDrift {
    pub topic: String,
    pub purpose: Purpose,
    /// Empty when the topic is as it should be.
    pub changes: Vec<Change>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// The topic is missing, or this user may not see it.
    Create { partitions: u32, replication: Option<u32>, retention: Option<Span>, max_message_bytes: Size },
    /// A setting has another value.
    Set { name: String, from: Option<String>, to: String },
    /// Fewer partitions than wanted. Applied only on request, because keys move.
    Grow { from: u32, to: u32 },
    /// A difference that Lazaret does not or cannot take away.
    Leave { what: String, why: String },
}

impl Change {
    /// True when the topic is not what the configuration asks for.
    ///
    /// A shared topic that differs is its owner's business and no drift.
    fn is_drift(&self, shared: bool) -> bool {
        match self {
            Change::Leave { .. } => !shared,
            _ => true,
        }
    }
}

impl TopicDrift {
    pub fn is_drift(&self) -> bool {
        let shared = matches!(self.purpose, Purpose::Input | Purpose::Output);
        self.changes.iter().any(|c| c.is_drift(shared))
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::Create { partitions, replication, retention, max_message_bytes } => {
                write!(f, "create with {partitions} partitions, ")?;
                match replication {
                    Some(n) => write!(f, "{n} replicas")?,
                    None => f.write_str("the broker's number of replicas")?,
                }
                write!(f, ", records up to {max_message_bytes} kept for ")?;
                match retention {
                    Some(span) => write!(f, "{span}"),
                    None => f.write_str("ever"),
                }
            }
            Change::Set { name, from, to } => {
                write!(f, "set {name} from {} to {to}", from.as_deref().unwrap_or("nothing"))
            }
            Change::Grow { from, to } => {
                write!(f, "grow from {from} to {to} partitions (new records of a key may go elsewhere)")
            }
            Change::Leave { what, why } => write!(f, "{what}; left as it is: {why}"),
        }
    }
}

/// Compares plans with the cluster. Pure.
pub fn compare(plans: &[TopicPlan], cluster: &BTreeMap<String, TopicState>) -> Vec<TopicDrift> {
    let one = |plan: &TopicPlan| TopicDrift {
        topic: plan.name.clone(),
        purpose: plan.purpose,
        changes: match cluster.get(&plan.name) {
            None => vec![Change::Create {
                partitions: plan.partitions,
                replication: plan.replication,
                retention: plan.retention,
                max_message_bytes: plan.message_max,
            }],
            Some(state) if plan.is_shared() => {
                differences(plan, state).into_iter().map(leave_to_owner).collect()
            }
            Some(state) => differences(plan, state),
        },
    };
    plans.iter().map(one).collect()
}

fn differences(plan: &TopicPlan, state: &TopicState) -> Vec<Change> {
    let mut changes = Vec::new();
    match state.partitions.cmp(&plan.partitions) {
        std::cmp::Ordering::Less => {
            changes.push(Change::Grow { from: state.partitions, to: plan.partitions })
        }
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Greater => changes.push(Change::Leave {
            what: format!("has {} partitions instead of {}", state.partitions, plan.partitions),
            why: "Kafka cannot take partitions away; raise partitions in the configuration".into(),
        }),
    }
    if let Some(wanted) = plan.replication.filter(|n| *n != state.replication) {
        changes.push(Change::Leave {
            what: format!("has {} replicas instead of {wanted}", state.replication),
            why: "replicas are moved with kafka-reassign-partitions".into(),
        });
    }
    let Some(settings) = &state.configs else {
        changes.push(Change::Leave {
            what: "its settings cannot be read".into(),
            why: "this user lacks the right DescribeConfigs on the topic".into(),
        });
        return changes;
    };
    for (name, to) in plan.configs() {
        let from = settings.get(name).map(|setting| setting.value.clone());
        if from.as_deref() != Some(to.as_str()) {
            changes.push(Change::Set { name: name.to_owned(), from, to });
        }
    }
    changes
}

fn leave_to_owner(change: Change) -> Change {
    let why = "other programs share this topic; its owner decides".to_owned();
    match change {
        Change::Leave { what, .. } => Change::Leave { what, why },
        Change::Grow { from, to } => {
            Change::Leave { what: format!("has {from} partitions instead of {to}"), why }
        }
        Change::Set { name, from, to } => {
            let from = from.unwrap_or_else(|| "nothing".into());
            Change::Leave { what: format!("has {name} {from} instead of {to}"), why }
        }
        Change::Create { .. } => change,
    }
}

/// Looks at the cluster and says how it differs from the configuration.
pub async fn drift(config: &Config) -> Result<Vec<TopicDrift>, KafkaProblem> {
    reach(&config.kafka, "topics").await?;
    let admin = Admin::new(&config.kafka, "topics")?;
    look(&admin, &Topology::derive(config)).await
}

async fn look(admin: &Admin, topology: &Topology) -> Result<Vec<TopicDrift>, KafkaProblem> {
    let names: Vec<&str> = topology.topics.iter().map(|t| t.name.as_str()).collect();
    Ok(compare(&topology.topics, &admin.describe(&names).await?))
}

/// What became of one change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    pub topic: String,
    pub change: Change,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "why")]
pub enum Outcome {
    Done,
    /// Not asked for, or not possible.
    Skipped(String),
    /// The user lacks the right.
    NotAllowed(String),
    Failed(String),
}

/// Makes the cluster what the configuration says. A change that fails does not keep the others from being made. Partitions
/// are added only when `grow` is true.
pub async fn apply(config: &Config, grow: bool) -> Result<Vec<Applied>, KafkaProblem> {
    reach(&config.kafka, "topics").await?;
    let admin = Admin::new(&config.kafka, "topics")?;
    let topology = Topology::derive(config);
    let found = look(&admin, &topology).await?;
    let is_missing = |plan: &&TopicPlan| {
        let creates =
            |d: &TopicDrift| d.topic == plan.name && matches!(d.changes.as_slice(), [Change::Create { .. }]);
        found.iter().any(creates)
    };
    let missing: Vec<_> = topology.topics.iter().filter(is_missing).collect();
    let mut created = admin.create(&missing).await?;
    let mut applied = Vec::new();
    for drift in found {
        let Some(plan) = topology.topic(&drift.topic) else { continue };
        let settings = set(&admin, plan, &drift.changes).await;
        for change in drift.changes {
            let outcome = match &change {
                Change::Create { .. } => outcome(created.remove(&drift.topic).unwrap_or(Ok(()))),
                Change::Set { .. } => settings.clone(),
                Change::Grow { to, .. } if grow => outcome(admin.grow(&plan.name, *to).await),
                Change::Grow { .. } => Outcome::Skipped("--grow was not given".into()),
                Change::Leave { why, .. } => Outcome::Skipped(why.clone()),
            };
            applied.push(Applied { topic: drift.topic.clone(), change, outcome });
        }
    }
    Ok(applied)
}

/// Makes all settings of a topic in one request: a second one could read the old values of the first.
async fn set(admin: &Admin, plan: &TopicPlan, changes: &[Change]) -> Outcome {
    let mut settings = Vec::new();
    for change in changes {
        if let Change::Set { name, to, .. } = change {
            settings.push((name.as_str(), to.as_str()));
        }
    }
    if settings.is_empty() {
        return Outcome::Done;
    }
    outcome(admin.alter(&plan.name, &settings).await)
}

fn outcome(result: Result<(), KafkaProblem>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(problem @ KafkaProblem::NotAuthorized { .. }) => Outcome::NotAllowed(problem.to_string()),
        Err(problem) => Outcome::Failed(problem.to_string()),
    }
}

/// The topics of a configuration as YAML, for people to read and for reviews to compare.
pub fn listing(topology: &Topology) -> String {
    use std::fmt::Write as _;
    let mut yaml = String::from("topics:\n");
    for topic in &topology.topics {
        // Writing to a string cannot fail.
        let _ = writeln!(yaml, "  {}:", topic.name);
        let _ = writeln!(yaml, "    purpose: {}", purpose_name(topic.purpose));
        let _ = writeln!(yaml, "    partitions: {}", topic.partitions);
        if let Some(replication) = topic.replication {
            let _ = writeln!(yaml, "    replication: {replication}");
        }
        let _ = writeln!(yaml, "    configs:");
        for (name, value) in topic.configs() {
            let _ = writeln!(yaml, "      {name}: \"{value}\"");
        }
    }
    yaml
}

/// The word that stands for a purpose in listings and tables.
pub fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Input => "input",
        Purpose::Output => "output",
        Purpose::Stage => "stage",
        Purpose::Rung => "rung",
        Purpose::Redrive => "redrive",
        Purpose::Park => "park",
        Purpose::Dlq => "dlq",
        Purpose::Operations => "operations",
    }
}

#[cfg(test)]
mod tests;
