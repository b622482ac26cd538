//! Redrives of many, as an operator wants them: a plan that is frozen, and a run of it that begins with canaries, is judged by
//! what became of what it sent, stops by itself, and outlives whoever runs it.
//!
//! ```text
//! plan     what was selected, counted and frozen on the topic of operations
//! checks   what must hold before a plan is started
//!   approval whether another person has to agree, and has
//! control  start, pause, resume, cancel: acts on the topic of operations
//! execute  the run itself, by whichever process has taken it over
//!   pace   when how many letters go: pure
//!   send   letters and the act that says so, in one Kafka transaction
//! serve    takes over runs that nobody runs
//! ```
//!
//! Nothing of a run is kept anywhere but on Kafka: what was sent and what became of it follows from the acts, so a process
//! that dies is followed by another one that goes on where it was.

pub mod approval;
pub mod checks;
pub mod control;
mod estimate;
mod execute;
pub mod pace;
pub mod plan;
pub mod send;
mod serve;

pub use self::execute::{Ended, SILENCE, execute, successor};
pub use self::serve::serve;

use super::advice::Advice;
use super::quarantine::FollowError;
use super::quarantine::selection::SelectionError;
use crate::kafka::{KafkaProblem, ProduceError};
use crate::ledger::LedgerError;
use crate::quarantine::QuarantineError;

/// A plan cannot be made, or nothing can be done with a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nothing was selected, or there is no such run.
    #[error("{0}")]
    NotFound(Advice),
    /// What was asked for cannot be meant.
    #[error("{0}")]
    Wrong(Advice),
    /// What was asked for cannot be done so.
    #[error("{0}")]
    Refused(Advice),
    /// The index does not become up to date.
    #[error("{0}")]
    Late(Advice),
    /// Another run is in the way.
    #[error("{0}")]
    Conflict(Advice),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error(transparent)]
    Index(#[from] FollowError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Send(#[from] send::SendError),
    #[error("it cannot be written down, and so nothing was done: {0}")]
    Unnoted(#[from] ProduceError),
}

impl From<SelectionError> for RunError {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::NotFound(advice) => Self::NotFound(advice),
            SelectionError::TooMany(advice) => Self::Refused(advice),
            SelectionError::Index(error) => error.into(),
        }
    }
}

impl From<QuarantineError> for RunError {
    fn from(error: QuarantineError) -> Self {
        Self::Index(error.into())
    }
}
