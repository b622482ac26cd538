//! What became of every input, told from the records that stand at the ends of the pipelines and from nothing
//! else: no counter of a worker is asked. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Subject;
use crate::message::headers::JOB_ID;
use crate::message::payload::{Answer, Indexed};
use crate::message::{DeadLetter, Record};
use crate::ops::dlq::Found;

/// A record that ends a job, or one part of it.
#[derive(Clone, Debug)]
pub enum End {
    /// A part of a document's passages is in the index.
    Indexed(Indexed),
    Answered(Box<Answer>),
    /// `part` of `parts`, when a part of a document died and not all of it.
    Dead {
        letter: Box<Found>,
        part: Option<Part>,
    },
}

/// Which part of how many, as records after the fan-out say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Part {
    pub part: u32,
    pub parts: u32,
}

/// Something that was submitted.
#[derive(Clone, Debug)]
pub struct Input {
    pub job: String,
    pub resource: String,
    pub subject: Subject,
    /// The question's text.
    pub text: String,
    /// The document that should answer it, where somebody said so.
    pub expected: Option<String>,
}

/// How an input stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// No end of it, or not of all its parts, has been seen.
    Open,
    Indexed,
    Answered,
    Dead,
    /// Every part has ended, some in the index and some as dead letters.
    PartlyDead,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Account {
    inputs: Vec<Input>,
    ends: BTreeMap<String, Ends>,
    /// Records at the ends that belong to no job at all.
    unreadable: u64,
}

/// The ends of one job.
#[derive(Debug, Default)]
struct Ends {
    /// How often the job ended as a whole.
    whole: u32,
    parts: u32,
    /// How often each part ended.
    by_part: BTreeMap<u32, u32>,
    passages: u64,
    letters: Vec<Found>,
    answer: Option<Answer>,
}

/// How the books stand. They balance when `open`, `doubled` and `strangers` are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    pub submitted: u64,
    pub indexed: u64,
    pub answered: u64,
    pub dead: u64,
    pub partly_dead: u64,
    pub open: u64,
    /// Inputs of which something ended more than once.
    pub doubled: u64,
    /// Ends of jobs that nobody submitted.
    pub strangers: u64,
}

impl Balance {
    pub fn is_even(&self) -> bool {
        self.open == 0 && self.doubled == 0 && self.strangers == 0
    }
}

impl Account {
    pub fn submitted(&mut self, input: Input) {
        self.inputs.push(input);
    }

    /// Takes in a record of an output topic or a dead letter topic.
    pub fn ended(&mut self, job: Option<&str>, end: Option<End>) {
        let (Some(job), Some(end)) = (job, end) else {
            self.unreadable += 1;
            return;
        };
        // A child's id is its parent's with `/n`.
        let root = job.split('/').next().unwrap_or(job);
        self.ends.entry(root.to_owned()).or_default().add(end);
    }

    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    pub fn fate(&self, input: &Input) -> Fate {
        self.ends.get(&input.job).map_or(Fate::Open, Ends::fate)
    }

    pub fn answer(&self, input: &Input) -> Option<&Answer> {
        self.ends.get(&input.job)?.answer.as_ref()
    }

    /// Passages of an input that are in the index.
    pub fn passages(&self, input: &Input) -> u64 {
        self.ends.get(&input.job).map_or(0, |ends| ends.passages)
    }

    /// The dead letters, in the order of the inputs.
    pub fn letters(&self) -> impl Iterator<Item = &Found> {
        self.inputs.iter().filter_map(|input| self.ends.get(&input.job)).flat_map(|ends| &ends.letters)
    }

    /// Inputs that have not ended.
    pub fn open(&self) -> impl Iterator<Item = &Input> {
        self.inputs.iter().filter(|input| self.fate(input) == Fate::Open)
    }

    pub fn balance(&self) -> Balance {
        let mut balance = Balance { submitted: self.inputs.len() as u64, ..Balance::default() };
        for input in &self.inputs {
            match self.fate(input) {
                Fate::Open => balance.open += 1,
                Fate::Indexed => balance.indexed += 1,
                Fate::Answered => balance.answered += 1,
                Fate::Dead => balance.dead += 1,
                Fate::PartlyDead => balance.partly_dead += 1,
            }
            balance.doubled += u64::from(self.ends.get(&input.job).is_some_and(Ends::is_doubled));
        }
        let known: std::collections::BTreeSet<_> = self.inputs.iter().map(|input| &input.job).collect();
        let strangers = self.ends.keys().filter(|job| !known.contains(job)).count() as u64;
        balance.strangers = strangers + self.unreadable;
        balance
    }
}

impl Ends {
    fn add(&mut self, end: End) {
        match end {
            End::Indexed(Indexed { part, parts, passages, .. }) => {
                self.passages += u64::from(passages);
                self.part(Part { part, parts });
            }
            End::Answered(answer) => {
                self.whole += 1;
                self.answer = Some(*answer);
            }
            End::Dead { letter, part } => {
                self.letters.push(*letter);
                match part {
                    Some(part) => self.part(part),
                    None => self.whole += 1,
                }
            }
        }
    }

    fn part(&mut self, part: Part) {
        self.parts = self.parts.max(part.parts);
        *self.by_part.entry(part.part).or_default() += 1;
    }

    fn fate(&self) -> Fate {
        let all_parts = self.parts > 0 && (0..self.parts).all(|part| self.by_part.contains_key(&part));
        match (self.whole > 0, all_parts) {
            (false, false) => Fate::Open,
            (true, _) if self.answer.is_some() => Fate::Answered,
            (true, _) => Fate::Dead,
            (false, true) if self.letters.is_empty() => Fate::Indexed,
            (false, true) if self.letters.len() >= self.by_part.len() => Fate::Dead,
            (false, true) => Fate::PartlyDead,
        }
    }

    fn is_doubled(&self) -> bool {
        self.whole > 1
            || (self.whole > 0 && !self.by_part.is_empty())
            || self.by_part.values().any(|times| *times > 1)
    }
}

/// What a record of an output or dead letter topic ends: its job, and how.
pub fn read(record: &Record, is_dead: bool, subject: Subject) -> (Option<String>, Option<End>) {
    let value = record.value.as_deref().unwrap_or_default();
    if is_dead {
        let Ok((letter, _)) = DeadLetter::read(record) else { return (None, None) };
        let (at, from) = (record.at.to_string(), letter.origin.to_string());
        let job = letter.correlation.job.0.clone();
        let letter = Box::new(Found { letter, at, from, size: record.value.as_ref().map(bytes::Bytes::len) });
        return (Some(job), Some(End::Dead { letter, part: serde_json::from_slice(value).ok() }));
    }
    let job = record.headers.text(JOB_ID).map(str::to_owned);
    let end = match subject {
        Subject::Document => serde_json::from_slice(value).ok().map(End::Indexed),
        Subject::Question => serde_json::from_slice(value).ok().map(End::Answered),
    };
    (job, end)
}

#[cfg(test)]
mod tests;
