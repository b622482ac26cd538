//! The life of a dead letter's job through stages, rungs and redrives, as the ledger has it, and what it has cost.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::price::{Money, Spender, money};
use crate::config::Config;
use crate::ledger::{Event, JobRow, LedgerError, LedgerReader};
use crate::message::Spent;
use crate::quarantine::{Entry, Known};

/// See the module. Without a ledger everything but `unread` is empty.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Life {
    /// Why the ledger was not asked, or has not answered.
    pub unread: Option<String>,
    /// Where the job is in the stage where it died.
    pub job: Option<JobState>,
    /// What happened to the job, to those that it comes from, and to those that came from it, in time order.
    pub events: Vec<Event>,
}

/// Where a job is in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobState {
    /// `running`, `stored`, `condemned`, `done`, `waiting`, `dead`, `released`, `parked`, `discarded`.
    pub state: &'static str,
    /// Failed attempts.
    pub attempt: u32,
    pub redrives: u32,
    /// How often the stage finished it.
    pub finishes: u32,
    /// Rung topic, parking topic or dead letter id, if the last thing that happened sent it there.
    pub went_to: Option<String>,
    pub updated_at: Timestamp,
}

/// What is known of what a job has cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Attempts at the job, in all stages; absent without a ledger.
    pub attempts: Option<u64>,
    /// Those of them at stages that ask a provider.
    pub asked: Vec<Asked>,
    /// Tokens that providers have counted until it died, each time that it did; absent where nobody says.
    pub tokens: Option<Spent>,
    /// What those cost by the prices of the configuration; absent where one of them is not known.
    pub price: Option<Money>,
}

/// Attempts at a stage that asks a provider: each may have been a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    pub pipeline: String,
    pub stage: String,
    pub provider: String,
    pub model: String,
    pub attempts: u64,
}

impl Life {
    /// What the ledger knows of the job of this letter.
    pub async fn of(config: &Config, entry: &Entry) -> Self {
        match read(config, entry).await {
            Ok(Some(life)) => life,
            Ok(None) => {
                let path = config.ledger.path.display();
                Self { unread: Some(format!("there is no ledger at {path}")), ..Self::default() }
            }
            Err(error) => Self { unread: Some(error.to_string()), ..Self::default() },
        }
    }
}

async fn read(config: &Config, entry: &Entry) -> Result<Option<Life>, LedgerError> {
    let Some(ledger) = LedgerReader::find(&config.ledger)? else { return Ok(None) };
    let job = ledger.job(&entry.pipeline, &entry.stage, &entry.job).await?.map(state);
    let first = entry.job.split('/').next().unwrap_or(&entry.job);
    let mut events = ledger.history(first).await?;
    events.retain(|event| is_kin(&event.job, &entry.job));
    Ok(Some(Life { unread: None, job, events }))
}

fn state(row: JobRow) -> JobState {
    JobState {
        state: row.state.as_str(),
        attempt: row.attempt,
        redrives: row.redrives,
        finishes: row.finishes,
        went_to: row.went_to,
        updated_at: row.updated_at,
    }
}

/// Whether one of two jobs is the other, or comes from it.
pub fn is_kin(one: &str, other: &str) -> bool {
    let comes_from = |child: &str, parent: &str| {
        child.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    comes_from(one, other) || comes_from(other, one)
}

impl Cost {
    /// `deaths` are those of the job. Pure.
    pub fn of(config: &Config, life: &Life, deaths: &[Known]) -> Self {
        let mut begun: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for event in life.events.iter().filter(|event| event.kind == "started") {
            *begun.entry((&event.pipeline, &event.stage)).or_default() += 1;
        }
        let asked = begun.iter().filter_map(|((pipeline, stage), attempts)| {
            let asks = config.asks(pipeline, stage)?;
            let (provider, model) = (asks.provider.to_owned(), asks.model.to_owned());
            let (pipeline, stage) = ((*pipeline).to_owned(), (*stage).to_owned());
            Some(Asked { pipeline, stage, provider, model, attempts: *attempts })
        });
        Self {
            attempts: life.unread.is_none().then(|| begun.values().sum()),
            asked: asked.collect(),
            tokens: deaths.iter().fold(None, |sum, death| Spent::sum(sum, death.entry.spent)),
            price: money(config, deaths.iter().flat_map(Spender::parts)),
        }
    }
}

#[cfg(test)]
mod tests;
