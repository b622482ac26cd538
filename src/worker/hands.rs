//! The records in a worker's hands, and the tasks that work on them. It starts what it is told to start and brings
//! back what came of it; it decides nothing.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::attempt::{self, panicked};
use super::kit::Kit;
use super::publish::publish;
use super::work::Work;
use crate::flow::Fault;
use crate::flow::engine::{Arrival, Event, Publish, Ran, SlotId};
use crate::message::Record;
use crate::telemetry::log;

/// A record in the engine's window.
struct Held {
    /// `None` while a task has it.
    work: Option<Work>,
    cancel: CancellationToken,
    span: Span,
    topic: String,
    due: Option<Timestamp>,
}

/// A task gives its record back.
struct Back {
    slot: SlotId,
    work: Work,
    from: Task,
}

/// What a task did.
enum Task {
    Attempt(Ran),
    Publish(Publish, Result<(), Fault>),
    /// A forgotten record was given back to the ledger.
    Release,
}

/// See the module.
pub struct Hands {
    kit: Arc<Kit>,
    held: HashMap<SlotId, Held>,
    tasks: JoinSet<Back>,
    next_slot: u64,
}

impl Hands {
    pub fn new(kit: Arc<Kit>) -> Self {
        Self { kit, held: HashMap::new(), tasks: JoinSet::new(), next_slot: 0 }
    }

    /// Takes a record in under a name of its own. `own_topic` as in `trail::open`.
    pub fn take(&mut self, record: Record, own_topic: bool) -> Arrival {
        let slot = SlotId(self.next_slot);
        self.next_slot += 1;
        let work = Work::new(record, own_topic);
        let arrival = work.arrival(slot);
        self.held.insert(slot, self.hold(work));
        arrival
    }

    /// The record has ended.
    pub fn let_go(&mut self, slot: SlotId) {
        self.held.remove(&slot);
    }

    /// The next end of a task, as the engine is told of it. `None` without a task that runs. Safe to cancel.
    pub async fn next(&mut self) -> Option<Option<Event>> {
        let back = self.tasks.join_next().await?;
        Some(self.back(back))
    }

    /// Waits for the last tasks. The engine holds nothing any more; what comes back goes to the ledger.
    pub async fn finish(&mut self) {
        while self.next().await.is_some() {}
    }

    /// Number of tasks that run.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// The topics of the records that have not been started since they were taken in, and have a due time.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.held.values().filter(|held| held.due.is_some()).map(|held| held.topic.as_str())
    }

    fn hold(&self, work: Work) -> Held {
        let topics = &self.kit.topics;
        let attempt = work.envelope.trail.attempt + 1;
        let correlation = &work.envelope.correlation;
        Held {
            span: log::record_span(&topics.pipeline, &topics.stage, correlation, &work.record.at, attempt),
            topic: work.record.at.topic.clone(),
            due: work.due(),
            work: Some(work),
            cancel: CancellationToken::new(),
        }
    }

    fn back(&mut self, back: Result<Back, JoinError>) -> Option<Event> {
        // Tasks catch panics and are never aborted, so there is always an end to report.
        let Back { slot, work, from } = back.ok()?;
        let Some(held) = self.held.get_mut(&slot) else {
            if work.lease.is_some() {
                self.release(slot, work);
            }
            return None;
        };
        let event = match from {
            Task::Attempt(result) => {
                if let Ran::Failed(fault) = &result {
                    log::record_code(&held.span, fault.code);
                    held.span.in_scope(|| {
                        let chain = (!fault.chain.is_empty()).then(|| fault.chain.join(": "));
                        tracing::warn!(class = %fault.class, chain, "{fault}");
                    });
                }
                if result == Ran::Ended {
                    self.kit.tally.duplicate();
                }
                Event::Ran { slot, result }
            }
            Task::Publish(what, result) => {
                if result.is_ok() {
                    self.kit.tally.published(&what);
                    held.span.in_scope(|| told(&what));
                } else if let Err(fault) = &result {
                    log::record_code(&held.span, fault.code);
                    held.span.in_scope(|| tracing::warn!(class = %fault.class, "{fault}"));
                }
                Event::Published { slot, result }
            }
            Task::Release => return None,
        };
        held.work = Some(work);
        Some(event)
    }

    /// Begins an attempt.
    pub fn start(&mut self, slot: SlotId) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let Some(mut work) = held.work.take() else { return };
        if let Some(due) = held.due.take() {
            self.kit.tally.late(Duration::try_from(Timestamp::now().duration_since(due)).unwrap_or_default());
        }
        let (kit, cancel, before) = (self.kit.clone(), held.cancel.clone(), work.clone());
        let task = async move {
            let run = AssertUnwindSafe(attempt::run(&kit, &mut work, &cancel)).catch_unwind().await;
            match run {
                Ok(ran) => Back { slot, work, from: Task::Attempt(ran) },
                Err(panic) => {
                    let failed = Ran::Failed(panicked(panic.as_ref()));
                    Back { slot, work: before, from: Task::Attempt(failed) }
                }
            }
        };
        self.tasks.spawn(task.instrument(held.span.clone()));
    }

    /// Begins to produce.
    pub fn publish(&mut self, slot: SlotId, what: Publish) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let Some(mut work) = held.work.take() else { return };
        let (kit, before) = (self.kit.clone(), work.clone());
        let task = async move {
            let sent = AssertUnwindSafe(publish(&kit, &mut work, &what)).catch_unwind().await;
            match sent {
                Ok(result) => Back { slot, work, from: Task::Publish(what, result) },
                Err(panic) => {
                    let result = Err(panicked(panic.as_ref()));
                    Back { slot, work: before, from: Task::Publish(what, result) }
                }
            }
        };
        self.tasks.spawn(task.instrument(held.span.clone()));
    }

    /// Gives a record back: whoever reads it next finds the job free in the ledger.
    pub fn forget(&mut self, slot: SlotId) {
        let Some(held) = self.held.remove(&slot) else { return };
        held.cancel.cancel();
        self.kit.tally.released();
        if let Some(work) = held.work.filter(|work| work.lease.is_some()) {
            self.release(slot, work);
        }
    }

    fn release(&mut self, slot: SlotId, mut work: Work) {
        let kit = self.kit.clone();
        self.tasks.spawn(async move {
            attempt::release(&kit, &mut work, None).await;
            Back { slot, work, from: Task::Release }
        });
    }
}

/// The line about where a record went.
fn told(what: &Publish) {
    match what {
        Publish::Output => tracing::debug!("done"),
        Publish::Retry { due, attempt, .. } => {
            tracing::info!(failures = attempt, due = %format!("{due:.3}"), "waits for its next attempt");
        }
        Publish::Dead { attempts, fault } => {
            tracing::error!(code = fault.code.as_str(), class = %fault.class, attempts, "dead letter: {fault}");
        }
    }
}
