//! Dead letters that others wrote: what their headers say, in one form. Pure.
//!
//! Nothing here is believed further than that: every text is cut, a header that is missing or damaged leaves its field
//! empty, and no value can do harm. `docs/headers.md` has the names of the headers, by family.

mod cause;
mod class;
mod kafka;
mod karafka;
mod nservicebus;
mod smallrye;
mod spring;
mod value;

pub use class::class;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Headers, Record};

/// Longest name of an exception's class that is kept, in bytes.
pub const EXCEPTION_MAX: usize = 200;

/// Whose way of writing dead letters it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Spring,
    KafkaConnect,
    KafkaStreams,
    ShareGroup,
    Karafka,
    SmallRye,
    NServiceBus,
}

/// Where the original record stood, as far as the letter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Origin {
    pub topic: String,
    pub partition: Option<i32>,
    pub offset: Option<i64>,
    /// Milliseconds since 1970.
    pub timestamp: Option<i64>,
}

/// What the headers of a letter say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    pub family: Family,
    /// The class of the exception, with its package. Of exceptions that only wrap another one, the wrapped one's.
    pub exception: Option<String>,
    /// Of the same exception, one line; empty when there is none.
    pub message: String,
    /// The stack trace by its causes, outermost first, each with the first of its frames on one line. Without a trace,
    /// the cause that the headers name.
    pub chain: Vec<String>,
    pub attempts: Option<u32>,
    pub origin: Option<Origin>,
    /// Who failed: a consumer group, a connector and its task, an endpoint. One line.
    pub consumer: Option<String>,
    pub failed_at: Option<Timestamp>,
}

impl Foreign {
    fn new(family: Family, told: cause::Told) -> Self {
        let cause::Told { exception, message, chain } = told;
        Self {
            family,
            exception,
            message,
            chain,
            attempts: None,
            origin: None,
            consumer: None,
            failed_at: None,
        }
    }
}

/// One way of writing dead letters.
struct Kind {
    /// Names by which it is known.
    marks: &'static [&'static str],
    /// Whether all of them must be there, because each alone is a name that anybody may choose; else any.
    all: bool,
    read: fn(&Headers) -> Foreign,
}

impl Kind {
    /// Which header is the last one by which it is known.
    fn place(&self, headers: &Headers) -> Option<usize> {
        if self.all && !self.marks.iter().all(|mark| headers.contains(mark)) {
            return None;
        }
        let marked = headers.iter().enumerate().filter(|(_, (name, _))| self.marks.contains(name));
        marked.map(|(place, _)| place).last()
    }
}

static KINDS: &[&Kind] = &[
    &spring::CONTAINER,
    &spring::LADDER,
    &spring::BINDER,
    &kafka::CONNECT,
    &kafka::STREAMS,
    &kafka::SHARE_GROUP,
    &karafka::KIND,
    &smallrye::DEAD_LETTER,
    &smallrye::DELAYED_RETRY,
    &nservicebus::KIND,
];

/// The last block in the headers that is of a known family, and where it is known. Writers append, so that of several
/// the last one says why the record lies where it was read.
fn last(headers: &Headers) -> Option<(usize, &'static Kind)> {
    let known = KINDS.iter().filter_map(|kind| Some((kind.place(headers)?, *kind)));
    known.max_by_key(|(place, _)| *place)
}

/// Which header is the last one by which a known family can be told.
pub fn place(headers: &Headers) -> Option<usize> {
    last(headers).map(|(place, _)| place)
}

/// What the record's headers say, if they are of a known family.
pub fn read(record: &Record) -> Option<Foreign> {
    last(&record.headers).map(|(_, kind)| (kind.read)(&record.headers))
}

#[cfg(test)]
mod tests;
