//! Who looks after a dead letter, where to read what to do, and by when. From the configuration alone.

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Config, Span};
use crate::message::deadletter::DeadLetter;

/// What the configuration says about the stage of a dead letter; what it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Care {
    pub owner: Option<String>,
    pub runbook: Option<String>,
    /// Time to a first look at a dead letter.
    pub sla: Option<Span>,
    /// The last failure and the `sla` after it.
    pub look_by: Option<Timestamp>,
}

impl Care {
    /// What the stage says itself, else what its pipeline says. Pure.
    pub fn of(config: &Config, letter: &DeadLetter) -> Self {
        let Some(pipeline) = config.pipelines.get(&letter.pipeline) else { return Self::default() };
        let stage = pipeline.stages.iter().find(|stage| stage.name == letter.stage);
        let sla = stage.and_then(|s| s.sla).or(pipeline.sla);
        Self {
            owner: stage.and_then(|s| s.owner.clone()).or_else(|| pipeline.owner.clone()),
            runbook: stage.and_then(|s| s.runbook.clone()).or_else(|| pipeline.runbook.clone()),
            sla,
            look_by: sla.and_then(|sla| letter.last_failure.checked_add(sla.0).ok()),
        }
    }
}
