//! The words between the engine and the worker: what the engine is told, what it says is to be done. Data only.

use std::time::Duration;

use jiff::Timestamp;

use crate::flow::Fault;
use crate::flow::ladder::{Ladder, Past};
use crate::flow::rule::Rule;
use crate::message::TopicPartition;

/// Names a record in the window. Given by the worker, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u64);

/// Which of a stage's topics a partition belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Input,
    Rung,
    Redrive,
}

/// What the engine has to know of a record.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub slot: SlotId,
    pub partition: TopicPartition,
    pub offset: i64,
    /// Bytes it holds in memory.
    pub size: usize,
    /// Not before this time.
    pub due: Option<Timestamp>,
    pub past: Past,
}

/// What came of running a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The stage's work is done and its outputs are to be produced.
    Output,
    /// The ledger had the outputs: they are to be produced, and nothing was run.
    Replayed,
    /// The ledger says that it ended before: nothing to produce.
    Ended,
    /// The ledger says that it was condemned before and perhaps never written to the dead letter topic.
    Condemned(Fault),
    /// Another copy of the job is being run.
    Busy,
    Failed(Fault),
}

/// What is to be produced for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    Output,
    Retry { rung: usize, due: Timestamp, attempt: u32, fault: Fault },
    Dead { attempts: u32, fault: Fault },
}

/// What the engine is told.
#[derive(Clone, Debug)]
pub enum Event {
    Assigned(Vec<(TopicPartition, Lane)>),
    /// These partitions go to another member: finish what runs, start nothing.
    Revoked(Vec<TopicPartition>),
    /// These partitions are gone already: what they held is somebody else's now.
    Lost(Vec<TopicPartition>),
    Polled(Arrival),
    Ran {
        slot: SlotId,
        result: Ran,
    },
    Published {
        slot: SlotId,
        result: Result<(), Fault>,
    },
    /// Time has passed.
    Tick,
    /// The time for draining is over: hand back what still runs.
    DrainDeadline,
    /// Finish what runs, start nothing more.
    Stop,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Run the record (again).
    Start(SlotId),
    /// Produce this, settle the ledger, then say `Published`.
    Publish {
        slot: SlotId,
        what: Publish,
    },
    /// The record is no longer ours: stop its work, give its lease back, drop it.
    Forget(SlotId),
    /// The record has ended: drop it.
    Ended(SlotId),
    /// Commit these offsets when convenient.
    Commit(Vec<(TopicPartition, i64)>),
    /// Nothing of these partitions runs any more. Commit these offsets now, then let the partitions go.
    Drained {
        partitions: Vec<TopicPartition>,
        commit: Vec<(TopicPartition, i64)>,
    },
    /// The stage pauses, or pauses for another reason than before.
    Paused(Fault),
    Resumed,
}

/// Bounds and policy of one stage.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Records run at the same time.
    pub concurrency: usize,
    /// Records held per partition.
    pub window: usize,
    /// Bytes held of all input partitions together, and again of all others together.
    pub bytes: usize,
    pub ladder: Ladder,
    pub rules: Vec<Rule>,
    pub commit_every: Duration,
}

/// Numbers for metrics and progress displays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub held: usize,
    pub running: usize,
    pub waiting: usize,
}
