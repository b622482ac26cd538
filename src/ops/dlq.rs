//! Dead letters one by one: found in the index, told with everything that is known of them, and, in `edit`
//! and `redrive`, corrected and sent back.

pub mod account;
pub mod care;
pub mod edit;
pub mod explain;
pub mod life;
pub mod links;
pub mod list;
pub mod original;
pub mod price;
pub mod redrive;
pub mod runbook;

use serde::Serialize;

use super::advice::Advice;
use super::quarantine::FollowError;
use super::quarantine::selection::SelectionError;
use crate::kafka::KafkaProblem;
use crate::message::deadletter::DeadLetter;
use crate::quarantine::QuarantineError;

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

/// There is no such dead letter, or the topics cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    #[error("{0}")]
    NotFound(Advice),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error(transparent)]
    Index(#[from] FollowError),
}

impl From<QuarantineError> for DlqError {
    fn from(error: QuarantineError) -> Self {
        Self::Index(error.into())
    }
}

impl From<SelectionError> for DlqError {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::NotFound(advice) | SelectionError::TooMany(advice) => Self::NotFound(advice),
            SelectionError::Index(error) => error.into(),
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture;
