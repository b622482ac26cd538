//! What is done already: one row per (pipeline, stage, job id), so that a redelivery never runs a finished
//! stage again and a stored answer is replayed instead of being paid for twice.

mod ending;
mod none;
mod open;
pub mod postgres;
mod read;
pub mod recovery;
pub mod sqlite;
pub mod state;

pub use none::NoLedger;
pub use open::open;
pub use read::{JobRow, LedgerReader, RowId};
pub use recovery::{Ended, Family, Holding, Outstanding, Recovery, Seen};
pub use state::State;

#[cfg(test)]
mod contract;

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::flow::Fault;
use crate::message::{Coordinates, Correlation, TopicPartition};

/// A stage's wish to run a job.
#[derive(Clone, Debug)]
pub struct Claim {
    pub pipeline: String,
    pub stage: String,
    pub correlation: Correlation,
    /// Failed attempts so far, as the record's own headers say (0 on an input topic).
    pub attempt: u32,
    /// How often the record was redriven, as its headers say.
    pub redrives: u32,
    /// Its value or headers are other ones since that redrive: what was stored before is no answer.
    pub edited: bool,
    pub at: Coordinates,
    /// Where the record stood on the stage's input topic.
    pub origin: Coordinates,
    /// The hash of its ordering key, `None` when it keeps no order.
    pub order: Option<u64>,
    /// The input partition whose records come through the partition where it stands.
    pub family: TopicPartition,
    /// The term of that family in which it was read, from [`Ledger::own`].
    pub term: i64,
    /// How long nobody else may take the job over while this process lives: longer than the stage's timeout,
    /// with room to produce and settle. A restart of the same instance does not wait for it.
    pub lease: Duration,
    pub now: Timestamp,
}

/// The right to finish a job. A later claim of the same job makes an earlier lease void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub pipeline: String,
    pub stage: String,
    pub job: String,
    /// Fencing token, unique in the ledger.
    pub token: i64,
    /// How long it lasts, and lasts again when something is noted under it.
    pub length: Duration,
    /// Until when nobody else can have taken the job over.
    pub until: Timestamp,
}

impl Lease {
    /// What this claim gets, beginning with its time.
    pub fn granted(claim: &Claim, token: i64) -> Self {
        let lease = Self {
            pipeline: claim.pipeline.clone(),
            stage: claim.stage.clone(),
            job: claim.correlation.job.0.clone(),
            token,
            length: claim.lease,
            until: claim.now,
        };
        lease.renewed(claim.now)
    }

    /// As it stands after something was noted under it at this time.
    pub fn renewed(self, now: Timestamp) -> Self {
        let until = now.saturating_add(self.length).unwrap_or(Timestamp::MAX).max(self.until);
        Self { until, ..self }
    }

    /// Somebody else may have taken the job over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now
    }
}

/// What a claim gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Run it.
    Fresh(Lease),
    /// It ran, and its result was stored but perhaps never produced: produce it, do not run it.
    Stored(Lease, Vec<u8>),
    /// It was condemned for this fault, and its dead letter was perhaps never written: write it, do not run it.
    Condemned(Lease, Fault),
    /// Nothing is to be done for this record, because the job is over or dead, or this very attempt was already
    /// sent on: commit and go on. The state says where the job is.
    Finished(State),
    /// As finished, but the job is another record's with the same id, wherever that is: a producer sent it twice.
    Repeated,
    /// Another copy of the job is being run, by this process or by another one that lives: look again later.
    Busy,
    /// The family was taken over since the record was read: nothing of it is ours any more.
    Ousted,
}

/// How an attempt ended, written after Kafka acknowledged where the record went, unless it says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Done,
    /// Sent to a rung; `attempt` failures so far.
    Waiting {
        attempt: u32,
        due: Timestamp,
        rung: String,
        fault: Fault,
    },
    /// Sent to the dead letter topic under this `dlq.id`.
    Dead {
        attempt: u32,
        dead_letter: String,
        fault: Fault,
    },
    /// Goes to this parking topic; no attempt counted. To be said *before* its copy and its offset are
    /// committed: when they are not, the record comes again and runs or is parked again. Said afterwards it
    /// could come too late, and [`Ledger::recover`] would take a stored result for produced.
    Parked {
        topic: String,
    },
    /// Given up by a person or a rule. To be said before its offset is committed, since nothing in Kafka tells
    /// of it.
    Discarded {
        by: String,
        reason: String,
    },
    /// Handed back without a verdict (systemic failure, revoked partition, shutdown); no attempt counted.
    Released {
        fault: Option<Fault>,
    },
}

/// One line in the life of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub at: Timestamp,
    pub pipeline: String,
    pub stage: String,
    pub job: String,
    /// `started`, `stored`, `condemned`, `done`, `waiting`, `dead`, `released`, `replayed`, `buried`,
    /// `duplicate`, `parked`, `discarded`.
    pub kind: String,
    pub attempt: u32,
    pub redrives: u32,
    pub tenant: Option<String>,
    pub resource: Option<String>,
    pub traceparent: String,
    /// `topic-partition@offset` of the record that caused it.
    pub record: Option<String>,
    pub fault: Option<Fault>,
    /// Rung topic, parking topic or dead letter id, where the record went.
    pub went_to: Option<String>,
    pub due: Option<Timestamp>,
    /// Who gave the job up and why, or how its end came to be known.
    #[serde(default)]
    pub remark: Option<String>,
}

/// Rows per (pipeline, stage, state).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateCount {
    pub pipeline: String,
    pub stage: String,
    /// `running`, `stored`, `condemned`, `done`, `waiting`, `dead`, `released`, `parked`, `discarded`.
    pub state: String,
    pub jobs: u64,
}

/// The ledger cannot do its work. Always systemic.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Not openable, not writable, disk full, corrupt: message says which and what to do.
    #[error("{0}")]
    Unavailable(String),
    /// The lease was taken over by a later claim: whoever held it must not produce.
    #[error("the lease on job {0} was taken over")]
    Fenced(String),
    /// Another process has taken the partition over.
    #[error("another process has taken partition {0} over")]
    Ousted(TopicPartition),
}

impl From<Failure> for LedgerError {
    fn from(failure: Failure) -> Self {
        LedgerError::Unavailable(failure.0)
    }
}

/// The job ledger. Implementations batch writes; a returned `Ok` is durable.
#[async_trait]
pub trait Ledger: Send + Sync {
    async fn begin(&self, claim: Claim) -> Result<Begin, LedgerError>;

    /// False for a ledger that keeps nothing: it is not asked for jobs, and told neither results nor ends.
    fn remembers(&self) -> bool {
        true
    }

    /// Stores the result before anything is produced, and renews the lease. Storing it again only renews the lease.
    async fn store(&self, lease: &Lease, result: Vec<u8>, now: Timestamp) -> Result<(), LedgerError>;

    /// The stored result is not produced now, a rung comes first: the end of the record is not to be taken for the
    /// end of the job.
    async fn withhold(&self, lease: &Lease, now: Timestamp) -> Result<(), LedgerError>;

    /// Renews the lease, and notes that the job is to be a dead letter, before that is produced: after a crash it does not run again, so
    /// that it cannot end both in the dead letter topic and in the next stage.
    async fn condemn(&self, lease: &Lease, fault: &Fault, now: Timestamp) -> Result<(), LedgerError>;

    async fn settle(&self, lease: &Lease, end: End, now: Timestamp) -> Result<(), LedgerError>;

    /// Begins a new term of these families: who had them before cannot claim anything of them any more. To be done
    /// when their partitions come, before it is read what is committed.
    async fn own(
        &self,
        pipeline: &str,
        stage: &str,
        families: Vec<TopicPartition>,
    ) -> Result<i64, LedgerError>;

    /// Takes over what a process did in Kafka and did not live to say here, and lists what later records have
    /// to wait for, family by family, by origin. To be asked with offsets that were read after the term began, and
    /// before any of their records is. [`LedgerError::Ousted`] when a later term has begun.
    ///
    /// A stored job whose last claimed record has ended is done, a condemned one is dead; a record that ended
    /// while its job ran is on a rung. Leases of processes that are known to be gone are void.
    async fn recover(&self, recovery: Recovery) -> Result<Vec<Outstanding>, LedgerError>;

    /// The life of a job and of its children (`id/…`), in time order.
    async fn history(&self, job: &str) -> Result<Vec<Event>, LedgerError>;

    async fn counts(&self) -> Result<Vec<StateCount>, LedgerError>;
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
