//! What is done to a record by itself, beside all others: an attempt, and the steps by which it leaves.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use super::Cancel;
use crate::flow::Fault;
use crate::flow::engine::{Publish, Ran, Refusal, SlotId};
use crate::worker::attempt::{self, panicked};
use crate::worker::kit::Kit;
use crate::worker::publish;
use crate::worker::work::Work;

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
    Settle(Result<(), Box<Fault>>),
    /// A forgotten record was given back to the ledger.
    Release,
}

impl Job {
    /// A panic in it is the record's failure.
    pub async fn run(self, kit: &Kit, work: &mut Work, what: &Publish, cancel: &Cancel) -> Task {
        let run = async {
            match self {
                Job::Attempt => Task::Attempt(attempt::run(kit, work, cancel).await),
                Job::Prepare => Task::Prepare(publish::prepare(kit, work, what).await),
                Job::Settle => Task::Settle(publish::settle(kit, work).await.map_err(Box::new)),
            }
        };
        let run = AssertUnwindSafe(run).catch_unwind().await;
        run.unwrap_or_else(|panic| self.failed(panicked(panic.as_ref())))
    }

    /// What it comes to when it fails as a whole.
    pub fn failed(self, fault: Fault) -> Task {
        match self {
            Job::Attempt => Task::Attempt(Ran::Failed(fault.into())),
            Job::Prepare => Task::Prepare(Err(fault.into())),
            Job::Settle => Task::Settle(Err(fault.into())),
        }
    }
}
