//! Schemas as code: what the topics carry by the configuration, what the registry knows, and the way from one to
//! the other. Never changes a compatibility level, never deletes, never forces.

use serde::Serialize;

use crate::config::Config;
use crate::flow::Fault;
use crate::schema::{Plan, Registry, Shape};

/// How the registry's subject of one topic stands to our schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Our schema is one of the subject's versions.
    Registered,
    /// There is no such subject yet.
    New,
    /// Our schema may become the next version.
    Compatible,
    /// The subject's compatibility level forbids our schema.
    Incompatible,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Registered => "registered",
            State::New => "new",
            State::Compatible => "compatible",
            State::Incompatible => "incompatible",
        }
    }
}

/// One subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    pub subject: String,
    /// Full name of our schema.
    pub schema: &'static str,
    /// False for an input topic that only others write: its subject is theirs, we only have to be able to read it.
    pub ours: bool,
    /// The subject's latest version.
    pub version: Option<u32>,
    /// The registry's id of our schema.
    pub id: Option<u32>,
    pub state: State,
}

impl Subject {
    /// True when the schema still has to be registered before a stage can write.
    pub fn is_missing(&self) -> bool {
        match self.state {
            State::Registered | State::Incompatible => false,
            State::New => true,
            State::Compatible => self.ours,
        }
    }
}

/// Why schemas were not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error(transparent)]
    Registry(#[from] Fault),
    /// Nothing was changed. The report says which.
    #[error("subjects of the registry forbid our schemas; nothing was registered")]
    Incompatible(Vec<Subject>),
}

/// Compares every Avro topic's schema with the registry, in the order of the flow.
pub async fn check(config: &Config, registry: &Registry) -> Result<Vec<Subject>, Fault> {
    let mut subjects = Vec::new();
    for plan in Plan::avro_topics(config) {
        subjects.push(compare(&plan, registry).await?);
    }
    Ok(subjects)
}

/// Registers what is missing, or nothing when a subject that we write would refuse.
///
/// A subject that others fill and that exists is left to them.
pub async fn register(config: &Config, registry: &Registry) -> Result<Vec<Subject>, RegisterError> {
    let mut subjects = check(config, registry).await?;
    if subjects.iter().any(|s| s.ours && s.state == State::Incompatible) {
        return Err(RegisterError::Incompatible(subjects));
    }
    for (subject, plan) in subjects.iter_mut().zip(Plan::avro_topics(config)) {
        if subject.is_missing() {
            registry.register(&subject.subject, plan.shape).await?;
            *subject = compare(&plan, registry).await?;
        }
    }
    Ok(subjects)
}

/// Checks the compiled-in schemas themselves; says what is wrong with each that is not Avro.
pub fn check_local() -> Vec<(&'static str, Option<String>)> {
    Shape::ALL.iter().map(|shape| (shape.name(), shape.schema().err().map(|e| e.to_string()))).collect()
}

async fn compare(plan: &Plan, registry: &Registry) -> Result<Subject, Fault> {
    let subject = plan.subject();
    let version = registry.latest(&subject).await?;
    let id = if version.is_some() { registry.id_of(&subject, plan.shape).await? } else { None };
    let state = match (version, id) {
        (None, _) => State::New,
        (Some(_), Some(_)) => State::Registered,
        (Some(_), None) if registry.accepts(&subject, plan.shape).await? => State::Compatible,
        (Some(_), None) => State::Incompatible,
    };
    Ok(Subject { subject, schema: plan.shape.name(), ours: plan.ours, version, id, state })
}
