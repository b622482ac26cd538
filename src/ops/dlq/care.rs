//! Who looks after dead letters, where to read what to do, by when, and how long Kafka keeps them. From the configuration and
//! what the index knows.

use jiff::Timestamp;
use serde::Serialize;

use crate::config::{Config, Sla, Span};
use crate::quarantine::{Group, Kept, Known, State};

/// What the configuration says about the stage of a dead letter, and what follows for it; what it does not say is absent.
/// Of a group: what follows for the letter that stands worst.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Care {
    pub owner: Option<String>,
    pub runbook: Option<String>,
    pub sla: Option<Sla>,
    /// By when a person has to look at it, as long as nobody has.
    pub look_by: Option<Timestamp>,
    /// By when it has to be over, as long as it is not.
    pub resolve_by: Option<Timestamp>,
    /// Which of these times are over.
    pub overdue: Vec<Due>,
    /// From when on Kafka may delete it, as long as it is open.
    pub kept_until: Option<Timestamp>,
}

/// What is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// Nobody has looked at it.
    Look,
    /// It is not over.
    Resolve,
}

impl Due {
    pub const ALL: [Due; 2] = [Due::Look, Due::Resolve];

    pub fn as_str(self) -> &'static str {
        match self {
            Due::Look => "look",
            Due::Resolve => "resolve",
        }
    }

    /// How long it may take.
    pub fn within(self, sla: &Sla) -> Option<Span> {
        match self {
            Due::Look => sla.look,
            Due::Resolve => sla.resolve,
        }
    }
}

/// Since when letters wait for somebody.
struct Waiting {
    unseen: Option<Timestamp>,
    open: Option<Timestamp>,
    /// What Kafka counts the retention of open ones from.
    logged: Option<Timestamp>,
}

impl Care {
    pub fn of_letter(config: &Config, letter: &Known, now: Timestamp) -> Self {
        let Known { entry, state, looked_at, kept, .. } = letter;
        let open = matches!(state, State::Open | State::Redriving).then_some(entry.last_failure);
        let logged = Timestamp::from_millisecond(entry.logged()).ok();
        // What is archived is not lost when Kafka deletes it.
        let logged = logged.filter(|_| *state == State::Open && *kept == Kept::Kafka);
        let waiting = Waiting { unseen: open.filter(|_| !looked_at), open, logged };
        Self::of(config, &entry.pipeline, &entry.stage, &waiting, now)
    }

    pub fn of_group(config: &Config, group: &Group, now: Timestamp) -> Self {
        let (unseen, open, logged) = (group.oldest_unseen, group.oldest_open, group.oldest_record);
        Self::of(config, &group.pipeline, &group.stage, &Waiting { unseen, open, logged }, now)
    }

    fn of(config: &Config, pipeline: &str, stage: &str, waiting: &Waiting, now: Timestamp) -> Self {
        let Some(settings) = config.pipelines.get(pipeline) else { return Self::default() };
        let of_stage = settings.stage(stage);
        let after = |since: Option<Timestamp>, span: Option<Span>| since?.checked_add(span?.0).ok();
        let sla = sla_of(config, pipeline, stage);
        let look_by = after(waiting.unseen, sla.and_then(|sla| sla.look));
        let resolve_by = after(waiting.open, sla.and_then(|sla| sla.resolve));
        let is_over = |by: Option<Timestamp>| by.is_some_and(|by| by < now);
        let times = [(Due::Look, look_by), (Due::Resolve, resolve_by)];
        Self {
            owner: of_stage.and_then(|s| s.owner.clone()).or_else(|| settings.owner.clone()),
            runbook: of_stage.and_then(|s| s.runbook.clone()).or_else(|| settings.runbook.clone()),
            sla,
            look_by,
            resolve_by,
            overdue: times.into_iter().filter(|(_, by)| is_over(*by)).map(|(due, _)| due).collect(),
            kept_until: after(waiting.logged, config.retention(pipeline, stage).keep),
        }
    }
}

/// What the stage says itself, else what its pipeline says. Pure.
pub fn sla_of(config: &Config, pipeline: &str, stage: &str) -> Option<Sla> {
    let pipeline = config.pipelines.get(pipeline)?;
    pipeline.stage(stage).and_then(|stage| stage.sla).or(pipeline.sla)
}

#[cfg(test)]
mod tests;
