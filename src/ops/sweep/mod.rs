//! The periodic sweep: what is done with dead letters by rule. Rules are ordered, and the first one that matches decides.
//!
//! ```text
//! judge      which rule is for a letter: pure
//! survey     all open letters, each held against the rules; nothing is changed
//! carry_out  what the rules say is done, in their name, each written down before
//! serve      a sweep whenever the schedule says so
//! ```
//!
//! A rule sends letters back as a person does: by a plan and a run, which has its conditions, its canaries and its gate.

mod carry_out;
mod judge;
mod serve;
mod survey;

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use self::carry_out::Sweeper;
pub use self::serve::serve;
pub use self::survey::{Match, Survey};
use super::redrive::checks::Check;
use super::redrive::{RunError, control};
use crate::config::Config;
use crate::config::sweep::Rule;
use crate::quarantine::Quarantine;
use crate::telemetry::metrics;

/// What a sweep is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Say what would be done.
    DryRun,
    /// Do it. Runs of redrive are left to whoever takes them over.
    Carry,
}

/// What a sweep has found, and done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Report {
    /// What the audit finds its acts by.
    pub sweep: String,
    pub dry_run: bool,
    pub open: u64,
    /// Open letters that no rule is for.
    pub unmatched: u64,
    /// In the order of the rules.
    pub lines: Vec<Line>,
    /// Conditions of which nobody could tell whether they hold for a letter, the first of them.
    pub untold: Vec<String>,
}

/// What became of one rule in one stage.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Line {
    #[serde(flatten)]
    pub found: Match,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What was done by a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// They are left as they are.
    Kept,
    /// A dry run: it would be done.
    Would,
    Done,
    /// A redrive was started under this id.
    Started {
        run: String,
    },
    /// These conditions of a redrive do not hold; the next sweep tries again.
    Held {
        conditions: Vec<Check>,
    },
    /// So many were, and the others must not be: why, of the first of them.
    Partly {
        done: u64,
        refused: u64,
        why: String,
    },
    /// It could not be done.
    Failed {
        why: String,
    },
}

impl Outcome {
    /// Its name, as in what is told to programs.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Kept => "kept",
            Outcome::Would => "would",
            Outcome::Done => "done",
            Outcome::Started { .. } => "started",
            Outcome::Held { .. } => "held",
            Outcome::Partly { .. } => "partly",
            Outcome::Failed { .. } => "failed",
        }
    }
}

/// Holds all open letters against the rules, and does what they say. One sweep at a time: one that another has overtaken does
/// nothing more.
pub async fn sweep(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    rules: &[Rule],
    how: How,
    now: Timestamp,
) -> Result<Report, RunError> {
    let sweep = Uuid::now_v7().to_string();
    let mut sweeper = Sweeper::open(config, index, &sweep, how, now).await?;
    control::refresh(config, index).await?;
    let Survey { open, unmatched, matches, untold } = survey::survey(config, index, rules, now).await?;
    let mut lines = Vec::with_capacity(matches.len());
    for found in matches {
        let Some(rule) = rules.get(found.place) else { continue };
        let outcome = sweeper.carry_out(rule, &found).await?;
        if how == How::Carry {
            metrics::swept(&rule.name, found.action, outcome.name(), found.now);
        }
        lines.push(Line { found, outcome });
    }
    Ok(Report { sweep, dry_run: how == How::DryRun, open, unmatched, lines, untold })
}
