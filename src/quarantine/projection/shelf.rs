//! What the projection asks of a database, within one transaction. Both stores do the same with it, each in its SQL;
//! what follows from records, and what answers a question, is decided above.

use std::collections::BTreeMap;

use super::row::{Name, Row, Subject};
use super::stripes::{Column, Facts, Packed};
use crate::message::TopicPartition;
use crate::quarantine::{Act, ActCursor, ActFilter};

/// A transaction, and how it fails.
pub trait Base {
    type Error;

    /// What was read is not what was written.
    fn damaged(&self, what: &str) -> Self::Error;
}

/// Names and messages, and their numbers. Numbers count from 1 for each kind of name.
pub trait Names: Base {
    /// The numbers of these names, which are different ones; those that have none get one.
    async fn number(&mut self, names: &[Name]) -> Result<Vec<i64>, Self::Error>;

    /// The number of this name, if it has one; and, with `areas`, of those that begin with it and a dot.
    async fn numbers_of(&mut self, name: &Name, areas: bool) -> Result<Vec<i64>, Self::Error>;

    /// In any order; what has no name is left out.
    async fn names(
        &mut self,
        wanted: &[(&'static str, i64)],
    ) -> Result<Vec<(&'static str, i64, String)>, Self::Error>;

    /// The numbers of these messages, which are different ones; those that have none get one.
    async fn number_messages(&mut self, messages: &[String]) -> Result<Vec<i64>, Self::Error>;

    /// Messages that contain this text, which is in lower case.
    async fn messages_with(&mut self, text: &str) -> Result<Vec<i64>, Self::Error>;

    async fn messages(&mut self, wanted: &[i64]) -> Result<Vec<(i64, String)>, Self::Error>;
}

/// Rows of letters.
pub trait Letters: Base {
    /// The key that the next letter gets, which is also how many there are.
    async fn next_key(&mut self) -> Result<i64, Self::Error>;

    async fn by_id(&mut self, ids: &[String]) -> Result<Vec<Row>, Self::Error>;

    async fn by_key(&mut self, keys: &[i64]) -> Result<Vec<Row>, Self::Error>;

    /// Ids of these keys.
    async fn ids(&mut self, keys: &[i64]) -> Result<Vec<(i64, String)>, Self::Error>;

    /// Keys of ids that begin so, in the order of the ids; at most two.
    async fn beginning(&mut self, prefix: &str) -> Result<Vec<i64>, Self::Error>;

    /// Letters of a job in its stage; with `redrives`, those that were redriven as often.
    async fn of_subject(&mut self, subject: &Subject, redrives: Option<i64>)
    -> Result<Vec<Row>, Self::Error>;

    /// For each, how often its most redriven letter was.
    async fn most_redriven(&mut self, subjects: &[Subject]) -> Result<Vec<Option<i64>>, Self::Error>;

    /// Letters of a partition below an offset that are not gone yet; at most `limit`.
    async fn standing_below(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        limit: usize,
    ) -> Result<Vec<Row>, Self::Error>;

    async fn insert(&mut self, rows: &[Row]) -> Result<(), Self::Error>;

    async fn remove(&mut self, keys: &[i64]) -> Result<(), Self::Error>;

    /// Writes what may become another, `again` and `gone` of rows that are there.
    async fn restate(&mut self, rows: &[Row]) -> Result<(), Self::Error>;

    /// Facts of the letters with these keys, which ascend.
    async fn facts(&mut self, keys: &[i64]) -> Result<Vec<(i64, Facts)>, Self::Error>;

    /// Facts of the letters from this key on, ascending; at most `limit`.
    async fn facts_from(&mut self, key: i64, limit: usize) -> Result<Vec<(i64, Facts)>, Self::Error>;

    /// Keys, ascending, of the letters of a job and its children.
    async fn keys_of(&mut self, job: &str) -> Result<Vec<i64>, Self::Error>;
}

/// One column of one stripe.
#[derive(Clone, Debug)]
pub struct Stripe {
    pub stripe: i64,
    pub column: Column,
    pub packed: Packed,
}

/// The columns of full stripes, how far the topics were read, and by which rules.
pub trait Stripes: Base {
    /// Every stripe's least and greatest number in these columns, by stripe.
    async fn extremes(&mut self, columns: &[Column]) -> Result<Vec<(i64, Column, i64, i64)>, Self::Error>;

    /// These columns of these stripes, by stripe.
    async fn stripes(&mut self, stripes: &[i64], columns: &[Column]) -> Result<Vec<Stripe>, Self::Error>;

    /// Writes columns, over those that are there.
    async fn put_stripes(&mut self, stripes: &[Stripe]) -> Result<(), Self::Error>;

    async fn positions(&mut self) -> Result<BTreeMap<TopicPartition, i64>, Self::Error>;

    /// Moves positions forward, never back.
    async fn advance(&mut self, positions: &BTreeMap<TopicPartition, i64>) -> Result<(), Self::Error>;

    /// The masking rules by which letters were taken in; empty for none.
    async fn rules(&mut self) -> Result<String, Self::Error>;

    async fn put_rules(&mut self, rules: &str) -> Result<(), Self::Error>;

    /// Everything but the rules, in all tables.
    async fn clear(&mut self) -> Result<(), Self::Error>;
}

/// An act as it is kept.
#[derive(Clone, Debug)]
pub struct Noted {
    pub offset: i64,
    pub id: String,
    /// As JSON, without its letters.
    pub act: String,
    /// Their ids, as JSON: what stands in the act.
    pub all: String,
    /// Their ids, each once, as letters have them.
    pub letters: Vec<String>,
    pub group: Option<String>,
    /// The run that it says something of.
    pub run: Option<String>,
    /// The object of the archive that it says something of.
    pub object: Option<String>,
    /// Letters of a plan, with the place of the first.
    pub enlisted: Option<(i64, Vec<String>)>,
    pub operation: String,
    pub by: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

impl Noted {
    /// The whole act again.
    pub fn read(act: &str, all: &str) -> Option<Act> {
        let (act, letters) = (serde_json::from_str::<Act>(act).ok()?, serde_json::from_str(all).ok()?);
        Some(Act { letters, ..act })
    }
}

/// What people and rules did. Acts are ordered by offset, then by id.
pub trait Acts: Base {
    /// Keeps acts, which are different ones. True for each that is new, or stood earlier than was known.
    async fn note(&mut self, acts: &[Noted]) -> Result<Vec<bool>, Self::Error>;

    /// The acts on these letters in order, without the letters they name.
    async fn acts_on(&mut self, letters: &[String]) -> Result<Vec<(String, Act)>, Self::Error>;

    /// The acts on one letter in order, with all letters they name.
    async fn acts_whole(&mut self, letter: &str) -> Result<Vec<Act>, Self::Error>;

    /// The acts on these groups in order.
    async fn acts_on_groups(&mut self, groups: &[String]) -> Result<Vec<(String, Act)>, Self::Error>;

    /// The acts on all groups that have letters, in order, each with the number of the fingerprint.
    async fn acts_on_all_groups(&mut self) -> Result<Vec<(i64, Act)>, Self::Error>;

    /// Acts that pass and stand before this place, each with its own, the latest first and with all letters they name; at
    /// most `limit`.
    async fn acts_before(
        &mut self,
        filter: &ActFilter,
        before: &ActCursor,
        limit: usize,
    ) -> Result<Vec<(ActCursor, Act)>, Self::Error>;
}

/// Runs of redrive.
pub trait Runs: Base {
    /// Letters of plans: the run, the place of the first, and their ids. Those that are there already stay.
    async fn enlist(&mut self, letters: &[(&str, i64, &[String])]) -> Result<(), Self::Error>;

    /// The letters of a plan from this place on; at most `limit`.
    async fn enlisted(
        &mut self,
        run: &str,
        from: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, Self::Error>;

    /// How many letters of these plans are there.
    async fn enlisted_of(&mut self, runs: &[String]) -> Result<Vec<(String, i64)>, Self::Error>;

    /// Ids of runs, the latest plan first; at most `limit`.
    async fn latest_runs(&mut self, limit: usize) -> Result<Vec<String>, Self::Error>;

    /// Whether these runs rest: they have not begun, or are over.
    async fn rest(&mut self, runs: &[(String, bool)]) -> Result<(), Self::Error>;

    /// Ids of runs that may not rest, in their order.
    async fn active_runs(&mut self) -> Result<Vec<String>, Self::Error>;

    /// Forgets acts that say something of a run, by their ids.
    async fn forget_acts(&mut self, ids: &[String]) -> Result<(), Self::Error>;

    /// Ids of runs that begin so, in their order; at most two.
    async fn runs_beginning(&mut self, prefix: &str) -> Result<Vec<String>, Self::Error>;

    /// The acts that say something of these runs as a whole, in order.
    async fn acts_on_runs(&mut self, runs: &[String]) -> Result<Vec<(String, Act)>, Self::Error>;
}

/// Objects of the archive.
pub trait Objects: Base {
    /// Names of objects after this one, in their order, whether they stand or not; at most `limit`.
    async fn objects_after(&mut self, after: &str, limit: usize) -> Result<Vec<String>, Self::Error>;

    /// The acts that say something of these objects, in order, without the letters they name.
    async fn acts_on_objects(&mut self, objects: &[String]) -> Result<Vec<(String, Act)>, Self::Error>;

    /// The acts that say something of an object, in order, with all letters they name.
    async fn acts_on_object(&mut self, object: &str) -> Result<Vec<Act>, Self::Error>;
}

/// All of it.
pub trait Shelf: Names + Letters + Stripes + Acts + Runs + Objects {}

impl<T: Names + Letters + Stripes + Acts + Runs + Objects> Shelf for T {}
