//! The words between the engine and the worker: what the engine is told, what it says is to be done. Data only.
//!
//! They are moved a dozen times for each record, and most records have nothing to tell of a failure: faults are boxed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::flow::Fault;
use crate::flow::ladder::{Ladder, Past};
use crate::flow::offsets::{Committed, Position};
use crate::flow::rule::Rule;
use crate::message::TopicPartition;
use crate::message::deadletter::Detail;

/// Names a record in the window. Given by the worker, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u64);

/// Stands for a key whose records keep their order. Two keys that share one only wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderKey(pub u64);

/// Stands for a tenant, or whatever else a stage is fair among. Two that share one are treated as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(pub u64);

/// Which of a stage's topics a partition belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Input,
    Rung,
    Redrive,
    /// Followers of a failing record of their key.
    Park,
}

impl Lane {
    /// Whether records come back through it to be run again, most of them at a time of their own.
    pub fn brings_back(self) -> bool {
        matches!(self, Lane::Rung | Lane::Redrive)
    }
}

/// A partition that is ours now, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    pub partition: TopicPartition,
    pub lane: Lane,
    /// The input partition whose records come through it. All partitions of a family come and go together.
    pub family: i32,
    /// What is committed; `None` before the group's first commit.
    pub committed: Option<Committed>,
    /// On an input partition: records of its family that have begun and are not over, by key and origin.
    pub outstanding: Vec<(OrderKey, i64)>,
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
    /// Whose it is, where the stage is fair.
    pub tenant: Tenant,
    /// Its key, where the stage keeps an order.
    pub order: Option<OrderKey>,
    /// Its offset on the input partition: its place among the records of its key.
    pub origin: i64,
    /// A person or a rule gave it up: it is ended without being run.
    pub discard: bool,
}

/// What came of running a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// The stage's work is done, and so many bytes of outputs are ready to be produced.
    Ready(usize),
    /// The stage's work is done, and its outputs are to be made ready.
    Output,
    /// The ledger had the outputs: they are to be produced, and nothing was run.
    Replayed,
    /// The ledger says that it was sent on before: nothing to produce.
    Ended(Rest),
    /// The ledger says that it was condemned before and perhaps never written to the dead letter topic.
    Condemned(Box<Fault>),
    /// Another copy of the job is being run.
    Busy,
    /// The ledger says that another process has taken the partition over.
    Ousted,
    Failed(Box<Fault>),
}

/// Where the ledger says that the job of a record is, of which a copy came again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Done or discarded, or another record's job.
    Over,
    /// On a rung: it comes back, and others may pass it where the stage says so.
    Waiting,
    /// Parked, or in other hands: it comes back.
    Elsewhere,
    /// In the dead letter topic.
    Dead,
}

/// What is to be produced for a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    Output,
    Retry {
        rung: usize,
        due: Timestamp,
        attempt: u32,
        fault: Box<Fault>,
    },
    /// `detail` is how much of the fault is told; without `dated` the record's own time is left out, because
    /// Kafka refuses it.
    Dead {
        attempts: u32,
        fault: Box<Fault>,
        detail: Detail,
        dated: bool,
    },
    /// To the parking topic, behind an earlier record of its key.
    Park,
    /// Nowhere: a person or a rule gave it up.
    Discard,
}

/// Why something was not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Larger than the topic takes.
    TooLarge(Box<Fault>),
    /// The topic takes no record of this time.
    Dated(Box<Fault>),
    /// Another copy has the job, or had it: what became of it is looked up again before anything is said of this one.
    TakenOver,
    /// The ledger says that there is nothing to do for it.
    Ended(Rest),
    /// The ledger says that another process has taken the partition over.
    Ousted,
    /// Anything else; its class says whether it is the record's fault.
    Fault(Box<Fault>),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal::Fault(Box::new(fault))
    }
}

/// The way that a record takes out: each has transactions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Outputs.
    On,
    /// What fails, and what makes room: to rungs, dead letters, the parking topic.
    Aside,
}

impl Course {
    pub const ALL: [Self; 2] = [Self::On, Self::Aside];
}

/// Why a transaction was not committed. Nothing of it can be seen by anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abort {
    /// Kafka does not take what this record becomes.
    Record(SlotId, Refusal),
    /// The same may be tried again.
    Again(Box<Fault>),
    /// The group has changed meanwhile; the same may be tried again as a member of the new one.
    Stale,
    /// As the engine wanted, or because its turn did not come in time: the same may be tried again.
    Undone,
    /// We are not, or no longer, who may write it, or nobody can say whether it was committed: everything in
    /// hand is void, and the stage joins its group anew.
    Fenced,
}

/// What the engine is told.
#[derive(Clone, Debug)]
pub enum Event {
    Assigned(Vec<Assigned>),
    /// These partitions go to another member: finish what runs, start nothing.
    Revoked(Vec<TopicPartition>),
    /// These partitions are gone already: what they held is somebody else's now.
    Lost(Vec<TopicPartition>),
    /// Another process has taken a partition over, or commits for it, and the group has not told us.
    Ousted,
    Polled(Arrival),
    /// Everything below this offset was polled or is no record.
    CaughtUp(TopicPartition, i64),
    Ran {
        slot: SlotId,
        result: Ran,
    },
    /// The bytes that are to be produced, or why not.
    Prepared {
        slot: SlotId,
        result: Result<usize, Refusal>,
    },
    /// At least once: Kafka's answer.
    Sent {
        slot: SlotId,
        result: Result<(), Refusal>,
    },
    /// Exactly once: Kafka has the records of a transaction that is still open.
    Written(Course),
    /// Exactly once: what became of a transaction.
    Transacted {
        course: Course,
        result: Result<(), Abort>,
    },
    Settled {
        slot: SlotId,
        result: Result<(), Box<Fault>>,
    },
    /// Time has passed.
    Tick,
    /// Offsets are to be committed again even where nothing moved, so that Kafka does not forget them.
    Refresh,
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
    /// Make ready what is to be produced and note it in the ledger where that comes first; then say `Prepared`.
    Prepare {
        slot: SlotId,
        what: Publish,
    },
    /// At least once: produce what was prepared, then say `Sent`.
    Send(SlotId),
    /// Exactly once: produce what was prepared for these records and commit these offsets in one transaction, then say
    /// `Transacted`. Without offsets: produce, say `Written`, and wait for `Conclude`. One at a time of each course.
    Transact {
        course: Course,
        slots: Vec<SlotId>,
        commit: Option<Vec<(TopicPartition, Position)>>,
    },
    /// Exactly once: commit these offsets with what is written, or else undo that; then say `Transacted`.
    Conclude {
        course: Course,
        commit: Option<Vec<(TopicPartition, Position)>>,
    },
    /// Kafka has it: tell the ledger, then say `Settled`.
    Settle(SlotId),
    /// The record is no longer ours: stop its work, give its lease back, drop it.
    Forget(SlotId),
    /// The record has ended: drop it.
    Ended(SlotId),
    /// At least once: commit these offsets when convenient.
    Commit(Vec<(TopicPartition, Position)>),
    /// Nothing of these partitions runs any more. Commit these offsets now, then let the partitions go.
    Drained {
        partitions: Vec<TopicPartition>,
        commit: Vec<(TopicPartition, Position)>,
    },
    /// Leave the group and join it anew; nothing is held any more.
    Rejoin,
    /// The stage pauses, or pauses for another reason than before.
    Paused(Box<Fault>),
    Resumed,
}

/// How a record, what it becomes and its offset are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    #[default]
    ExactlyOnce,
    AtLeastOnce,
}

/// What a stage that keeps an order does when a record fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordering {
    /// Followers of a record on a rung wait until it has ended, instead of passing it.
    pub wait: bool,
    /// Followers of a dead letter wait until it is redriven and done, or discarded.
    pub hold: bool,
}

/// How a stage is fair among tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fair {
    /// Records that a tenant begins in its turn; 1 for those that are not named.
    pub weights: BTreeMap<Tenant, u32>,
    /// The most that one tenant may have of the places, and of a partition's window, while others are there; percent.
    pub share: u8,
}

/// Bounds and policy of one stage.
#[derive(Clone, Debug)]
pub struct Spec {
    pub delivery: Delivery,
    /// `None` for a stage that keeps no order.
    pub ordering: Option<Ordering>,
    /// `None` for a stage that treats all records alike.
    pub fair: Option<Fair>,
    /// Most records a second that come back from rungs, when many are due at once.
    pub comeback: Option<u32>,
    /// Whether there is a ledger to be told where records went, once Kafka has them.
    pub settles: bool,
    /// Records run at the same time.
    pub concurrency: usize,
    /// Records held per partition.
    pub window: usize,
    /// Followers of failing records that are held in memory per partition; more are parked.
    pub followers: usize,
    /// Records of a family that are known to be outstanding; with more, its input waits.
    pub outstanding: usize,
    /// Bytes held of all input partitions together, and again of all others together.
    pub bytes: usize,
    /// Bytes of what was made of them and is not written yet, beyond which no other begins.
    pub outputs: usize,
    /// Bytes of records that wait on rungs, of all rungs together.
    pub waiting: usize,
    pub ladder: Ladder,
    pub rules: Vec<Rule>,
    pub commit_every: Duration,
    /// Exactly once: how long what fails gathers before it goes into a transaction of its own.
    pub gather: Duration,
}

/// Numbers for metrics and progress displays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub held: usize,
    pub running: usize,
    /// Not due yet.
    pub waiting: usize,
    /// Due, and behind an earlier record of their key.
    pub blocked: usize,
    /// Known to be on a rung, parked, or dead and waited for.
    pub outstanding: usize,
    /// Bytes of the longest offset map committed last.
    pub map_bytes: usize,
    /// Offsets between the committed one and the highest one read, of the partition where they are most.
    pub span: i64,
}
