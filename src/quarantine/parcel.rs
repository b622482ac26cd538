//! Letters of one partition in one object of the archive, and where a letter is kept. Plain data and pure functions.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::act::{Act, Deed};

/// What stands in an object of the archive. The same is its manifest, beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parcel {
    /// The name of the object, below where the archive is.
    pub object: String,
    /// SHA-256 of its bytes, 64 hex digits.
    pub sha256: String,
    pub bytes: u64,
    pub letters: u64,
    /// Empty for a topic of others that no stage is named for.
    pub pipeline: String,
    pub stage: String,
    /// Where they stood.
    pub topic: String,
    pub partition: i32,
    pub first_offset: i64,
    pub last_offset: i64,
    /// When the first and the last of them died.
    pub from: Timestamp,
    pub to: Timestamp,
}

/// Where a letter can be read. As a number it is a column of the index.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    Kafka,
    /// Kafka has deleted it.
    Nowhere,
    Both,
    Archive,
}

impl Kept {
    pub const ALL: [Kept; 4] = [Kept::Kafka, Kept::Nowhere, Kept::Both, Kept::Archive];
    /// What takes room in Kafka.
    pub const IN_KAFKA: [Kept; 2] = [Kept::Kafka, Kept::Both];

    pub fn of(gone: bool, archived: bool) -> Self {
        match (gone, archived) {
            (false, false) => Kept::Kafka,
            (true, false) => Kept::Nowhere,
            (false, true) => Kept::Both,
            (true, true) => Kept::Archive,
        }
    }
}

/// Of the acts on a letter, in order, those that put it into objects that are still there; the last is the latest.
pub fn parcels<'a>(acts: impl IntoIterator<Item = &'a Act>) -> Vec<&'a Parcel> {
    let mut standing: Vec<&Parcel> = Vec::new();
    for act in acts {
        match &act.deed {
            Deed::Archived { parcel } => {
                standing.retain(|other| other.object != parcel.object);
                standing.push(parcel);
            }
            Deed::Unarchived { object } => standing.retain(|other| other.object != *object),
            _ => {}
        }
    }
    standing
}
