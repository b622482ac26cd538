//! Dead letters that Kafka is about to delete are kept as objects of a folder or a store, and are read from there when Kafka has
//! them no longer: nothing open is lost to retention.
//!
//! ```text
//! keep    what is due goes into objects, and an act says so
//! vault   objects, read with their hashes checked
//! find    records of letters: from their topic, or from the vault
//! recall  letters back to their topic, to another one, or into a file
//! remove  objects whose time is over, and what to do with what is still open in them
//! verify  whether every object is what the acts say
//! refill  letters that an index does not know, since Kafka had deleted them before it was built
//! serve   keeps and removes, from time to time
//! ```
//!
//! An object is written before the act that names it. A process that dies in between leaves an object that nothing names: the
//! same letters give the same object, so that it is written over.

pub mod find;
mod keep;
pub mod recall;
pub mod refill;
mod remove;
mod serve;
mod vault;
mod verify;

pub use self::keep::{Kept, keep, keep_these};
pub use self::remove::{Removed, remove};
pub use self::serve::{Pass, pass, serve};
pub use self::vault::{Vault, VaultError};
pub use self::verify::{Checked, Verdict, Verified, verify};

use super::advice::Advice;
use super::quarantine::FollowError;
use super::quarantine::change::ChangeError;
use super::quarantine::selection::SelectionError;
use super::redrive::send::SendError;
use crate::config::Config;
use crate::kafka::{KafkaProblem, ProduceError};
use crate::quarantine::QuarantineError;

/// In whose name letters go into the archive, and in whose they leave it.
pub const BY_ARCHIVE: &str = "rule:archive";
pub const BY_RETENTION: &str = "rule:retention";

/// Nothing, or not everything, was done.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// What was asked for cannot be meant.
    #[error("{0}")]
    Wrong(Advice),
    /// It cannot be done so, and nothing was.
    #[error("{0}")]
    Refused(Advice),
    #[error("{0}")]
    NotFound(Advice),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Index(#[from] FollowError),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error("it cannot be written down, and so it was not done: {0}")]
    Unnoted(#[from] ProduceError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("cannot write '{file}': {cause}")]
    File { file: String, cause: String },
}

impl From<QuarantineError> for ArchiveError {
    fn from(error: QuarantineError) -> Self {
        Self::Index(error.into())
    }
}

impl From<SelectionError> for ArchiveError {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::NotFound(advice) => Self::NotFound(advice),
            SelectionError::TooMany(advice) => Self::Refused(advice),
            SelectionError::Index(error) => error.into(),
        }
    }
}

impl From<ChangeError> for ArchiveError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Kafka(problem) => problem.into(),
            ChangeError::Selection(error) => error.into(),
            ChangeError::Wrong(advice) => Self::Wrong(advice),
            ChangeError::Unwritten { error, .. } => Self::Unnoted(error),
            ChangeError::Refused(mut all) => {
                let none = || Advice::new("it cannot be done", "look at the log");
                Self::Refused(if all.is_empty() { none() } else { all.remove(0) })
            }
        }
    }
}

/// The archive of this configuration.
pub fn open(config: &Config) -> Result<Vault, ArchiveError> {
    let none = || {
        let hint = "name a folder or a store with 'quarantine: { archive: { to: … } }'";
        ArchiveError::Wrong(Advice::new("this configuration has no archive", hint))
    };
    Vault::open(config)?.ok_or_else(none)
}
