//! Dead letters as they stand in their topics: listed, found again and explained, and, in `redrive`, sent back.

pub mod care;
pub mod explain;
pub mod redrive;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;

use super::advice::Advice;
use crate::config::{Config, Span};
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::kafka::client::reach;
use crate::kafka::read::{End, Reading, Start, read};
use crate::message::deadletter::DeadLetter;
use crate::message::{Headers, Record};
use crate::quarantine::{Mask, is_in_area, is_of_job};

/// How long one look at the topics may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Which dead letters to show. Absent conditions let everything through.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub pipeline: Option<String>,
    pub stage: Option<String>,
    /// A failure code, or its area (`llm`).
    pub code: Option<String>,
    pub tenant: Option<String>,
    /// A job id; its children count too.
    pub job: Option<String>,
    /// Died at or after this time.
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Pure.
    pub fn matches(&self, letter: &DeadLetter) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w == value);
        is(&self.pipeline, &letter.pipeline)
            && is(&self.stage, &letter.stage)
            && self.code.as_deref().is_none_or(|code| is_in_area(&letter.code, code))
            && self.tenant.as_deref().is_none_or(|t| letter.correlation.tenant.as_deref() == Some(t))
            && self.job.as_deref().is_none_or(|job| is_of_job(&letter.correlation.job.0, job))
            && self.since.is_none_or(|since| letter.last_failure >= since)
    }
}

/// A dead letter and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    #[serde(flatten)]
    pub letter: DeadLetter,
    /// `topic-partition@offset` of the dead letter itself.
    pub at: String,
    /// `topic-partition@offset` of the original record.
    pub from: String,
    /// Bytes of the original value; absent when it was null.
    pub size: Option<usize>,
}

/// What a look at the dead letter topics brought.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// Latest death first.
    pub letters: Vec<Found>,
    /// Letters that matched, shown or not.
    pub matched: u64,
    /// Records of the topics that are not Lazaret's dead letters.
    pub foreign: u64,
    /// False when the time was up before all topics were read.
    pub complete: bool,
}

/// A dead letter with everything it carries.
#[derive(Clone, Debug)]
pub struct Opened {
    pub found: Found,
    /// The headers the original record had.
    pub original: Headers,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

impl Opened {
    /// The same without what the mask hides.
    fn without(mut self, mask: &Mask) -> Self {
        mask.letter(&mut self.found.letter);
        let header = |(name, value): (&str, Option<&Bytes>)| {
            (name.to_owned(), value.map(|value| mask.header(name, value.clone())))
        };
        Self {
            found: self.found,
            original: self.original.shared().map(header).collect(),
            key: self.key.map(|key| mask.key(key)),
            value: self.value.map(|value| mask.payload(value)),
        }
    }
}

/// There is no such dead letter, or the topics cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    #[error("{0}")]
    NotFound(Advice),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
}

fn not_found(message: String, hint: &str) -> DlqError {
    DlqError::NotFound(Advice::new(message, hint))
}

/// Lists the latest `limit` dead letters that pass the filter, each once.
pub async fn list(config: &Config, filter: Filter, limit: usize) -> Result<Listing, DlqError> {
    let topics = topics(config, &filter)?;
    let (latest, complete) = scan(config, topics, Latest::new(limit), move |latest: &mut Latest, record| {
        match DeadLetter::read(&record) {
            Ok((letter, _)) if filter.matches(&letter) => latest.keep(found(letter, &record)),
            Ok(_) => {}
            Err(_) => latest.foreign += 1,
        }
        ControlFlow::Continue(())
    })
    .await?;
    let mut listing = latest.into_listing(complete);
    let mask = Mask::of(&config.quarantine.masking);
    listing.letters.iter_mut().for_each(|found| mask.letter(&mut found.letter));
    Ok(listing)
}

/// Finds one dead letter by its `dlq.id` or the beginning of it.
pub async fn show(config: &Config, id: &str) -> Result<Opened, DlqError> {
    let topics = topics(config, &Filter::default())?;
    let wanted = id.to_owned();
    let (opened, complete) = scan(config, topics, Vec::<Opened>::new(), move |matching, record| {
        match DeadLetter::read(&record) {
            Ok((letter, original)) if letter.id.starts_with(&wanted) => {
                let is_copy = matching.iter().any(|o| o.found.letter.id == letter.id);
                if !is_copy {
                    let found = found(letter, &record);
                    matching.push(Opened { found, original, key: record.key, value: record.value });
                }
            }
            _ => {}
        }
        // Two letters are enough to know that the beginning of an id is too short.
        if matching.len() > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    match <[Opened; 1]>::try_from(opened) {
        Ok([one]) => Ok(one.without(&Mask::of(&config.quarantine.masking))),
        Err(none) if none.is_empty() && !complete => Err(not_found(
            format!("no dead letter '{id}' was found within {}", Span(DEADLINE)),
            "the topics are long; try again when the cluster is less busy",
        )),
        Err(none) if none.is_empty() => Err(not_found(
            format!("there is no dead letter '{id}'"),
            "`lazaret dlq ls` lists what is there; it may be past its retention",
        )),
        Err(_) => Err(not_found(format!("several dead letters begin with '{id}'"), "write more of the id")),
    }
}

async fn scan<S: Send + 'static>(
    config: &Config,
    topics: Vec<String>,
    state: S,
    visit: impl FnMut(&mut S, Record) -> ControlFlow<()> + Send + 'static,
) -> Result<(S, bool), DlqError> {
    reach(&config.kafka, "dlq").await?;
    let reading = Reading { topics, start: Start::Beginning, deadline: DEADLINE };
    let message_max = Topology::derive(config).message_max();
    let (state, report) = read(&config.kafka, message_max, reading, state, visit).await?;
    Ok((state, report.end != End::Deadline))
}

/// The dead letter topics of the stages that the filter names.
fn topics(config: &Config, filter: &Filter) -> Result<Vec<String>, DlqError> {
    let wanted = |w: &Option<String>, value: &str| w.as_deref().is_none_or(|w| w == value);
    let stages = Topology::derive(config).stages;
    let all: Vec<String> = stages.iter().map(|s| format!("{}.{}", s.pipeline, s.stage)).collect();
    let topics: Vec<String> = stages
        .into_iter()
        .filter(|s| wanted(&filter.pipeline, &s.pipeline) && wanted(&filter.stage, &s.stage))
        .map(|s| s.dlq)
        .collect();
    if topics.is_empty() {
        let stages = all.join(", ");
        return Err(not_found("no such stage".into(), &format!("the configuration has {stages}")));
    }
    Ok(topics)
}

fn found(letter: DeadLetter, record: &Record) -> Found {
    let (at, from) = (record.at.to_string(), letter.origin.to_string());
    Found { letter, at, from, size: record.value.as_ref().map(Bytes::len) }
}

/// The latest letters seen so far, each once. Holds no more than `limit`, however long the topics are.
///
/// A death can stand in a topic twice (a crash after the write): the copies have the same `dlq.id`.
struct Latest {
    limit: usize,
    matched: u64,
    foreign: u64,
    kept: BTreeMap<(Timestamp, String), Found>,
}

impl Latest {
    fn new(limit: usize) -> Self {
        Self { limit, matched: 0, foreign: 0, kept: BTreeMap::new() }
    }

    fn keep(&mut self, found: Found) {
        let copy = self.kept.keys().find(|(_, id)| *id == found.letter.id).cloned();
        match copy {
            Some(older) if older.0 >= found.letter.last_failure => return,
            Some(older) => {
                self.kept.remove(&older);
            }
            None => self.matched += 1,
        }
        self.kept.insert((found.letter.last_failure, found.letter.id.clone()), found);
        if self.kept.len() > self.limit {
            self.kept.pop_first();
        }
    }

    fn into_listing(self, complete: bool) -> Listing {
        let Self { matched, foreign, kept, .. } = self;
        Listing { letters: kept.into_values().rev().collect(), matched, foreign, complete }
    }
}

#[cfg(test)]
mod tests;
