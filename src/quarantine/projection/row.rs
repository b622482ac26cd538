//! A letter as the stores keep it: names are numbers, times are milliseconds, and what is only shown is one piece of
//! JSON. Pure.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::stripes::{Column, Facts};
use crate::message::{Coordinates, Spent};
use crate::quarantine::{Entry, Kept, Known, Origin, Remarks, State, Writer};

/// Longest name or id, in bytes. What is longer is cut: an index of a database takes no more than some 2,700.
const NAME_MAX: usize = 1024;

/// What is not there has this number instead of a name's.
pub const NONE: i64 = 0;

/// What nobody has counted.
pub const UNKNOWN: i64 = -1;

/// Names of topics have numbers, too, though letters are not counted by them.
pub const TOPIC: &str = "topic";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counts from 0 without gaps.
    pub key: i64,
    pub id: String,
    pub job: String,
    pub trace: Option<String>,
    pub topic: i64,
    pub partition: i32,
    pub offset: i64,
    pub redrives: i64,
    /// The job died again after it.
    pub again: bool,
    /// It is no longer on its topic.
    pub gone: bool,
    pub facts: Facts,
    pub rest: String,
}

/// A job in its stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub pipeline: i64,
    pub stage: i64,
    pub job: String,
}

impl Row {
    pub fn subject(&self) -> Subject {
        let (pipeline, stage) = (self.facts.get(Column::Pipeline), self.facts.get(Column::Stage));
        Subject { pipeline, stage, job: self.job.clone() }
    }

    pub fn state(&self) -> State {
        state(self.facts.get(Column::State))
    }
}

/// What is only shown.
#[derive(Serialize, Deserialize)]
struct Rest {
    writer: Writer,
    logged: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chain: Vec<String>,
    attempts: u32,
    first: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    /// To a provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calls: Option<u64>,
}

/// A name, and what kind of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub what: &'static str,
    pub name: String,
}

impl Name {
    pub fn of(what: &'static str, name: &str) -> Self {
        Self { what, name: clean(name).into_owned() }
    }
}

/// The names of an entry by column; the topic is not among them.
pub fn names(entry: &Entry) -> Vec<(Column, Name)> {
    let mut names = Vec::with_capacity(11);
    let mut push = |column: Column, name: Option<&str>| {
        names.extend(name.map(|name| (column, Name::of(column.name(), name))));
    };
    push(Column::Pipeline, Some(&entry.pipeline));
    push(Column::Stage, Some(&entry.stage));
    push(Column::Code, Some(&entry.code));
    push(Column::Class, Some(&entry.class));
    push(Column::Fingerprint, Some(&entry.fingerprint));
    push(Column::Tenant, entry.tenant.as_deref());
    push(Column::Resource, entry.resource.as_deref());
    push(Column::Feature, entry.feature.as_deref());
    push(Column::Model, entry.model.as_deref());
    push(Column::Producer, entry.producer.as_deref());
    push(Column::Version, entry.revision.as_deref());
    names
}

/// The row of an entry, when `number` knows the numbers of its names.
pub fn row(entry: &Entry, key: i64, message: i64, number: impl Fn(&Name) -> i64) -> Row {
    let mut facts = Facts::default();
    for (column, name) in names(entry) {
        facts.set(column, number(&name));
    }
    facts.set(Column::Message, message);
    facts.set(Column::Died, entry.last_failure.as_millisecond());
    facts.set(Column::Trace, entry.trace.as_deref().map_or(NONE, trace_hash));
    facts.set(Column::Size, i64::try_from(entry.size).unwrap_or(i64::MAX));
    facts.set(Column::Logged, entry.logged());
    let tokens = |of: fn(Spent) -> u64| {
        entry.spent.map_or(UNKNOWN, |spent| i64::try_from(of(spent)).unwrap_or(i64::MAX))
    };
    facts.set(Column::TokensIn, tokens(|spent| spent.input));
    facts.set(Column::TokensOut, tokens(|spent| spent.output));
    let rest = Rest {
        writer: entry.writer,
        logged: entry.at.timestamp,
        chain: entry.chain.clone(),
        attempts: entry.attempts,
        first: entry.first_failure.as_millisecond(),
        origin: entry.origin.clone(),
        calls: entry.spent.map(|spent| spent.calls),
    };
    Row {
        key,
        id: clean(&entry.id).into_owned(),
        job: clean(&entry.job).into_owned(),
        trace: entry.trace.as_deref().map(|trace| clean(trace).into_owned()),
        topic: number(&Name::of(TOPIC, &entry.at.topic)),
        partition: entry.at.partition,
        offset: entry.at.offset,
        redrives: entry.redrives.into(),
        again: false,
        gone: false,
        facts,
        // Numbers and texts do not fail to be written.
        rest: serde_json::to_string(&rest).unwrap_or_default(),
    }
}

/// The letter of a row, with nothing said of it yet, when `name` knows the names of its numbers. `None` when the row is none that was written here.
pub fn known(row: Row, message: String, name: impl Fn(&'static str, i64) -> Option<String>) -> Option<Known> {
    let named = |column: Column| match row.facts.get(column) {
        NONE => None,
        number => name(column.name(), number),
    };
    let rest: Rest = serde_json::from_str(&row.rest).ok()?;
    let (state, looked_at) = (row.state(), row.facts.get(Column::Looked) != 0);
    let kept = kept(row.facts.get(Column::Kept));
    let tokens = |column| u64::try_from(row.facts.get(column)).ok();
    let spent = tokens(Column::TokensIn).zip(tokens(Column::TokensOut));
    let calls = rest.calls.unwrap_or_default();
    let entry = Entry {
        writer: rest.writer,
        at: Coordinates {
            topic: name(TOPIC, row.topic)?.into(),
            partition: row.partition,
            offset: row.offset,
            timestamp: rest.logged,
        },
        pipeline: named(Column::Pipeline)?,
        stage: named(Column::Stage)?,
        revision: named(Column::Version),
        code: named(Column::Code)?,
        class: named(Column::Class)?,
        message,
        chain: rest.chain,
        fingerprint: named(Column::Fingerprint)?,
        attempts: rest.attempts,
        first_failure: time(rest.first),
        last_failure: time(row.facts.get(Column::Died)),
        origin: rest.origin,
        redrives: u32::try_from(row.redrives).unwrap_or(u32::MAX),
        tenant: named(Column::Tenant),
        resource: named(Column::Resource),
        trace: row.trace,
        producer: named(Column::Producer),
        feature: named(Column::Feature),
        model: named(Column::Model),
        size: row.facts.get(Column::Size).unsigned_abs(),
        spent: spent.map(|(input, output)| Spent { input, output, calls }),
        id: row.id,
        job: row.job,
    };
    let remarks = Remarks::default();
    Some(Known { entry, state, looked_at, remarks, kept, archived: None, edit: None })
}

/// What a trace is found by. Two traces that share it would be needed among 2^63.
pub fn trace_hash(trace: &str) -> i64 {
    let hash = blake3::hash(clean(trace).as_bytes());
    let first = hash.as_bytes().first_chunk().copied().unwrap_or_default();
    (u64::from_le_bytes(first) >> 1).cast_signed()
}

/// A time that is out of range is the beginning of time.
pub fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

pub fn state(number: i64) -> State {
    usize::try_from(number).ok().and_then(|n| State::ALL.get(n)).copied().unwrap_or(State::Open)
}

fn kept(number: i64) -> Kept {
    usize::try_from(number).ok().and_then(|n| Kept::ALL.get(n)).copied().unwrap_or(Kept::Kafka)
}

pub fn number(state: State) -> i64 {
    state as i64
}

/// A name as both stores can hold and index it: without NUL, which PostgreSQL does not know, and not too long.
pub fn clean(text: &str) -> Cow<'_, str> {
    let cut = |text: &str| text.floor_char_boundary(NAME_MAX);
    // NUL becomes longer, so that it is cut once more.
    match whole(text.get(..cut(text)).unwrap_or_default()) {
        Cow::Owned(mut text) => {
            text.truncate(cut(&text));
            text.into()
        }
        same => same,
    }
}

/// The same of any length.
pub fn whole(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}
