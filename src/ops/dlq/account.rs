//! Everything that is known of one dead letter: from the index, the ledger, the configuration, and Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::DlqError;
use super::edit::{self, Change};
use super::life::{Cost, Life, is_kin};
use super::links::links;
use super::list::Letter;
use super::original::{Standing, standing};
use crate::config::Config;
use crate::message::Spent;
use crate::ops::quarantine::selection::one;
use crate::quarantine::{Act, Edition, Entry, Filter, Group, Known, Quarantine};
use crate::worker::revision;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    #[serde(flatten)]
    pub letter: Letter,
    /// The group it belongs to, with all its letters.
    pub group: Option<Group>,
    /// What people and rules did with the letter, and with its group as a whole; without the other letters they name.
    pub acts: Vec<Act>,
    pub group_acts: Vec<Act>,
    pub life: Life,
    pub cost: Cost,
    pub changes: Changes,
    /// `logs`, `trace`.
    pub links: BTreeMap<&'static str, String>,
    /// Absent when Kafka was not asked.
    #[serde(flatten)]
    pub standing: Option<Standing>,
    /// Where the record died as something else before, and as what it was sent back then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_of: Option<EditOf>,
    /// What an edit that counts has changed; absent when there is none, or contents are not told, or Kafka does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit_changes: Option<Vec<Change>>,
}

/// An earlier death of the job in its stage, after which the record was edited: what died now is no longer what the producer
/// wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EditOf {
    /// The letter of that death.
    pub letter: String,
    #[serde(flatten)]
    pub edit: Edition,
}

/// How much of the record is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Kafka is not asked for it.
    Nothing,
    /// What is there, and how long it is.
    Lengths,
    /// Contents too, which not everybody may see.
    Contents,
}

/// What is another now than when the record died, as far as that is known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Of the stage, when the record died.
    pub revision_then: Option<String>,
    /// The same by this configuration; absent when it has no such stage.
    pub revision_now: Option<String>,
    /// Absent when one of them is not known.
    pub revision_differs: Option<bool>,
    /// When the cause of the group was said to be removed, if that was after the death.
    pub resolved_at: Option<Timestamp>,
}

/// The latest edit with which the job was sent back before it died this time.
async fn edit_of(index: &Arc<dyn Quarantine>, entry: &Entry) -> Result<Option<EditOf>, DlqError> {
    const MOST: usize = 1000;
    let filter = Filter {
        pipeline: Some(entry.pipeline.clone()),
        stage: Some(entry.stage.clone()),
        job: Some(entry.job.clone()),
        ..Filter::default()
    };
    let deaths = index.list(&filter, None, MOST).await?.letters.into_iter();
    let before = deaths.filter(|one| one.entry.job == entry.job && one.entry.redrives < entry.redrives);
    let sent = before.filter(|one| one.edit.as_ref().is_some_and(|edit| edit.sent));
    let last = sent.max_by_key(|one| one.entry.redrives);
    Ok(last.and_then(|one| Some(EditOf { letter: one.entry.id, edit: one.edit? })))
}

/// Puts together what is known.
pub async fn account(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    id: &str,
    told: Told,
    now: Timestamp,
) -> Result<Account, DlqError> {
    let known = one(&**index, id, "`lazaret dlq ls --state all` lists those that the index knows").await?;
    let entry = &known.entry;
    let alike = Filter { fingerprint: Some(entry.fingerprint.clone()), ..Filter::default() };
    let group = index.groups(&alike, 1).await?.pop();
    let acts = bare(index.acts(&entry.id).await?);
    let group_acts = bare(index.group_acts(&entry.fingerprint).await?);
    let record = async {
        match told {
            Told::Nothing => None,
            Told::Lengths | Told::Contents => Some(standing(config, &known).await),
        }
    };
    let edited = async {
        match (told, &known.edit) {
            (Told::Contents, Some(_)) => edit::changes(config, &known).await.unwrap_or_default(),
            _ => None,
        }
    };
    let (life, standing, edit_changes) = tokio::join!(Life::of(config, entry), record, edited);
    let usage = match &standing {
        Some(Standing::There(original)) => original.usage,
        _ => None,
    };
    let mut deaths = deaths(index, entry).await?;
    if deaths.iter().all(|death| death.entry.spent.is_none())
        && let Some(this) = deaths.iter_mut().find(|death| death.entry.id == entry.id)
    {
        // Letters of older versions do not say, and what their payload tells is better than nothing.
        this.entry.spent = usage.and_then(Spent::of);
    }
    let standing = match standing {
        Some(Standing::There(original)) if told != Told::Contents => {
            Some(Standing::There(Box::new(original.without_contents())))
        }
        as_it_is => as_it_is,
    };
    Ok(Account {
        acts,
        group_acts,
        cost: Cost::of(config, &life, &deaths),
        life,
        changes: Changes::of(config, entry, group.as_ref()),
        links: links(config, entry),
        standing,
        edit_of: edit_of(index, entry).await?,
        edit_changes,
        group,
        letter: Letter::new(config, known, now),
    })
}

/// The deaths of the job, of those that it comes from, and of those that came from it.
async fn deaths(index: &Arc<dyn Quarantine>, entry: &Entry) -> Result<Vec<Known>, DlqError> {
    const MOST: usize = 1000;
    let first = entry.job.split('/').next().unwrap_or(&entry.job);
    let filter = Filter { job: Some(first.to_owned()), ..Filter::default() };
    let mut deaths = index.list(&filter, None, MOST).await?.letters;
    deaths.retain(|death| is_kin(&death.entry.job, &entry.job));
    if !deaths.iter().any(|death| death.entry.id == entry.id) {
        // Among so many that it is not one of the latest.
        deaths.extend(index.get(std::slice::from_ref(&entry.id)).await?);
    }
    Ok(deaths)
}

/// Acts without the letters they name, which may be a thousand.
fn bare(acts: Vec<Act>) -> Vec<Act> {
    acts.into_iter().map(|act| Act { letters: Vec::new(), ..act }).collect()
}

impl Changes {
    pub fn of(config: &Config, entry: &Entry, group: Option<&Group>) -> Self {
        let stage = config.stage(&entry.pipeline, &entry.stage);
        let revision_now = stage.map(|stage| revision(stage, config));
        let differs = entry.revision.as_ref().zip(revision_now.as_ref()).map(|(then, now)| then != now);
        Self {
            revision_then: entry.revision.clone(),
            revision_differs: differs,
            revision_now,
            resolved_at: group.and_then(|group| group.resolved_at).filter(|at| *at >= entry.last_failure),
        }
    }
}
