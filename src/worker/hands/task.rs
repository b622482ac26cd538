//! What is done to a record by itself, beside all others: an attempt, and the steps by which it leaves.

use super::Cancel;
use crate::flow::Fault;
use crate::flow::engine::{Publish, Ran, Refusal, SlotId};
use crate::worker::kit::Kit;
use crate::worker::work::Work;
use crate::worker::{attempt, publish};

/// What a task is to do with a record.
#[derive(Clone, Copy)]
pub enum Job {
    Attempt,
    Prepare,
    Settle,
}

/// A task gives its record back.
pub struct Back {
    pub slot: SlotId,
    pub work: Box<Work>,
    pub from: Task,
}

/// What a task did.
pub enum Task {
    Attempt(Ran),
    Prepare(Result<(), Refusal>),
    Send(Result<(), Refusal>),
    Settle(Result<(), Fault>),
    /// A forgotten record was given back to the ledger.
    Release,
}

impl Job {
    pub async fn run(self, kit: &Kit, work: &mut Work, what: &Publish, cancel: &Cancel) -> Task {
        match self {
            Job::Attempt => Task::Attempt(attempt::run(kit, work, cancel).await),
            Job::Prepare => Task::Prepare(publish::prepare(kit, work, what).await),
            Job::Settle => Task::Settle(publish::settle(kit, work).await),
        }
    }

    /// What it comes to when it panics.
    pub fn panicked(self, fault: Fault) -> Task {
        match self {
            Job::Attempt => Task::Attempt(Ran::Failed(fault)),
            Job::Prepare => Task::Prepare(Err(Refusal::Fault(fault))),
            Job::Settle => Task::Settle(Err(fault)),
        }
    }
}
