//! What is known of dead letters: an index of every dead letter topic and of the topic of operations, in which they are
//! found, counted and grouped without reading Kafka.
//!
//! Kafka is the truth and this is a projection of it. Everything here follows from the records that were applied, in
//! whatever order the topics were read: dropped and built again, it is the same. Times are milliseconds, as headers have
//! them; ids and names longer than 1,024 bytes are cut.

mod act;
mod audit;
mod edit;
mod entry;
mod filter;
mod group;
mod mask;
mod open;
mod operand;
mod parcel;
pub mod postgres;
mod projection;
mod read;
mod remarks;
mod run;
pub mod sqlite;
mod state;
mod tokens;

#[cfg(test)]
pub(crate) mod contract;

pub use act::{Act, BY_INDEX, Deed, LETTERS_MAX, Outcome, times_sent};
pub use audit::{ActCursor, ActFilter, ActPage};
pub use edit::{Edit, Edition, digest};
pub use entry::{Entry, Origin, Writer};
pub use filter::{By, Condition, Cursor, Filter, NotACursor, is_of_job};
pub use group::{Bucket, Group, GroupState, Share, Stretch};
pub use mask::Mask;
pub use open::open;
pub use operand::operand;
pub use parcel::{Kept, Parcel, parcels};
pub use read::Owner;
pub use remarks::Remarks;
pub use run::{Approval, Estimate, Fate, InRun, Plan, Policy, Preview, Run, RunState, Tally};
pub use state::State;
pub use tokens::{Tokens, TokensOf};

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::failure::Failure;
use crate::message::TopicPartition;

/// Records that were read together, and how far the reading has come with them.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub entries: Vec<Entry>,
    /// The entries are of letters that no longer stand on their topic, and are known from elsewhere. One that turns up on its
    /// topic after all takes their place.
    pub gone: bool,
    /// Each with its offset in the topic of operations, whose order is theirs.
    pub acts: Vec<(i64, Act)>,
    /// By which masking rules error texts are hidden in it.
    pub rules: String,
    /// The next offset to read, by partition of the topics that are followed.
    pub positions: BTreeMap<TopicPartition, i64>,
}

/// A dead letter, and where it is now.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Known {
    #[serde(flatten)]
    pub entry: Entry,
    pub state: State,
    /// A person has done something with it, or with its group. After a group was said to be resolved, what dies later is to
    /// be looked at again.
    pub looked_at: bool,
    /// What was said of this letter; of its group more may have been.
    pub remarks: Remarks,
    pub kept: Kept,
    /// Its latest copy in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<Box<Parcel>>,
    /// What it is sent back as, if that is another value or other headers.
    pub edit: Option<Edition>,
}

/// A page of dead letters, the latest death first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub letters: Vec<Known>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// The index cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct QuarantineError(pub String);

impl QuarantineError {
    fn other_rules() -> Self {
        Self(
            "the index of dead letters is kept by other masking rules: give all processes the same configuration, and \
             start this one anew"
                .into(),
        )
    }
}

impl From<Failure> for QuarantineError {
    fn from(failure: Failure) -> Self {
        Self(failure.0)
    }
}

/// The index of dead letters. Every method is safe to repeat.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// The next offset to read, by partition; a partition that is absent is read from its beginning.
    async fn positions(&self) -> Result<BTreeMap<TopicPartition, i64>, QuarantineError>;

    /// Has letters by these masking rules from now on; empty for none. Whether it had them by others, and so has forgotten
    /// everything.
    async fn adopt(&self, rules: &str) -> Result<bool, QuarantineError>;

    /// Takes the records in and moves the positions, both or neither. One that was taken in before changes nothing. A batch
    /// by other masking rules is refused.
    async fn apply(&self, batch: Batch) -> Result<(), QuarantineError>;

    /// Everything of these partitions below these offsets is gone from Kafka: open letters there that are not archived are
    /// expired, and how many they were. A letter that turns up later stays what it is; only a copy that stands later brings
    /// one that is gone back.
    ///
    /// Here a rebuild gives something else, and cannot give the same: what neither Kafka nor the archive has is not there at
    /// all then.
    async fn expire(&self, first: BTreeMap<TopicPartition, i64>) -> Result<u64, QuarantineError>;

    /// Dead letters that pass the filter, the latest first; at most `limit` (and 1,000).
    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, QuarantineError>;

    /// Those whose id begins so, at most two: one is the answer, two say that more of the id is needed.
    async fn find(&self, prefix: &str) -> Result<Vec<Known>, QuarantineError>;

    /// The letters with these ids, in any order; those that are not known are not among them.
    async fn get(&self, ids: &[String]) -> Result<Vec<Known>, QuarantineError>;

    /// How many pass the filter.
    async fn count(&self, filter: &Filter) -> Result<u64, QuarantineError>;

    /// The groups of what passes the filter, the one with the latest death first; at most `limit` (and 1,000).
    async fn groups(&self, filter: &Filter, limit: usize) -> Result<Vec<Group>, QuarantineError>;

    /// Of what passes the filter, how much each value has, the greatest share first, of equal ones that with the later
    /// death: who is hit. At most `limit` (and 1,000) values.
    async fn shares(&self, filter: &Filter, by: By, limit: usize) -> Result<Vec<Share>, QuarantineError>;

    /// Deaths by hour, for a trend: the hours that have any, ascending.
    async fn trend(&self, filter: &Filter) -> Result<Vec<Bucket>, QuarantineError>;

    /// Deaths of each group, by fingerprint, in the parts of a stretch of time: those groups that have any.
    async fn trends(
        &self,
        filter: &Filter,
        stretch: &Stretch,
    ) -> Result<BTreeMap<String, Vec<u64>>, QuarantineError>;

    /// Bytes of the records of what passes.
    async fn bytes(&self, filter: &Filter) -> Result<u64, QuarantineError>;

    /// What stands in the archive, by the names of the objects, from after this one on; at most `limit` (and 1,000).
    async fn parcels(&self, after: &str, limit: usize) -> Result<Vec<Parcel>, QuarantineError>;

    /// What this object is, with the ids of its letters in its order; `None` when it does not stand in the archive.
    async fn parcel(&self, object: &str) -> Result<Option<(Parcel, Vec<String>)>, QuarantineError>;

    /// The earliest of the times that Kafka counts the retention of these letters from.
    async fn oldest_record(&self, filter: &Filter) -> Result<Option<Timestamp>, QuarantineError>;

    /// What people and rules did with this group as a whole, in the order of the topic of operations.
    async fn group_acts(&self, fingerprint: &str) -> Result<Vec<Act>, QuarantineError>;

    /// What people and rules did with this letter, in the order of the topic of operations.
    async fn acts(&self, id: &str) -> Result<Vec<Act>, QuarantineError>;

    /// The latest runs of redrive, the latest plan first; at most `limit` (and 1,000).
    async fn runs(&self, limit: usize) -> Result<Vec<Run>, QuarantineError>;

    /// Those that have begun and not ended, in the order of their plans.
    async fn active_runs(&self) -> Result<Vec<Run>, QuarantineError>;

    /// Those whose id begins so, at most two.
    async fn run(&self, prefix: &str) -> Result<Vec<Run>, QuarantineError>;

    /// The letters of a run from this place on, in the order of the plan; at most `limit` (and 1,000).
    async fn in_run(&self, run: &str, from: u64, limit: usize) -> Result<Vec<InRun>, QuarantineError>;

    /// These letters of a run, each with its place.
    async fn fates(&self, run: &str, letters: &[(u64, String)]) -> Result<Vec<InRun>, QuarantineError>;

    /// Acts that pass the filter, the one that stands last on the topic of operations first; at most `limit` (and 1,000).
    async fn audit(
        &self,
        filter: &ActFilter,
        after: Option<&ActCursor>,
        limit: usize,
    ) -> Result<ActPage, QuarantineError>;

    /// Forgets everything but the masking rules, positions too: what follows is a rebuild.
    async fn clear(&self) -> Result<(), QuarantineError>;
}
