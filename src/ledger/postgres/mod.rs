//! The ledger of several machines: a PostgreSQL database. Every answer is given after the commit that makes it durable.
//!
//! The layout is in `schemas/sql/postgres/*_ledger.sql`, the rules in [`super::state`] and [`rows`]. What one file's
//! single writer gives for free is made here of locks: a claim holds the row of its family's term until it is committed
//! ([`page`]), so that no later term begins meanwhile; rows of jobs are locked in the order of their names. A process
//! has its name by a lock of a session of its own ([`names`]), and what that means for its leases is said there.

mod desk;
mod forget;
pub mod names;
mod notes;
mod page;
mod read;
mod recover;
mod rows;
mod save;
mod terms;

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

pub use self::read::PostgresReader;
use super::ending::Ending;
use super::{
    Begin, Claim, End, Event, Lease, Ledger, LedgerError, Outstanding, Recovery, StateCount, millis,
};
use crate::config::Postgres;
use crate::failure::Failure;
use crate::flow::Fault;
use crate::message::TopicPartition;
use crate::postgres::{Address, Lines, Place, Schema, migrate};
use desk::{Ask, Desk, Reply};

const SCHEMA: Schema =
    Schema { name: "ledger", migrations: &[include_str!("../../../schemas/sql/postgres/0001_ledger.sql")] };

/// What is rare, beside the work: terms, recoveries, forgetting.
const RARE: usize = 2;
/// The plan of a page is the same whatever is asked, and never reads a table from end to end.
const SESSION: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off; \
                       SET enable_mergejoin = off; SET jit = off;";

/// The job ledger in a PostgreSQL database.
pub struct PostgresLedger {
    desk: Desk,
    shared: Arc<Shared>,
    reader: PostgresReader,
}

/// What the writers and everything else work with.
struct Shared {
    /// For pages.
    lines: Lines,
    /// For what is rare.
    rare: Lines,
    who: Who,
    /// Tokens that were given and, as far as we know, reached nobody.
    unanswered: Mutex<HashSet<i64>>,
    /// The latest time any caller named; what is old is judged by it.
    clock: AtomicI64,
    retention: i64,
}

/// The holder of this process's leases.
pub struct Who {
    instance: String,
    epoch: i64,
    /// Leases of this name up to this epoch are void.
    voided: i64,
}

/// Whether the last process of this name is known to be gone, so that its leases need not be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predecessor {
    Gone,
    /// It could not be reached, and may run somewhere.
    Unknown,
}

fn address(settings: &Postgres) -> Result<(Arc<Address>, Place), Failure> {
    let (address, place) = Address::of(settings, "job ledger", "ledger.postgres")?;
    Ok((Arc::new(address), place))
}

impl PostgresLedger {
    /// Connects, makes the tables or brings them up to date, and voids the leases of earlier openings by this instance
    /// if their process is gone.
    ///
    /// `instance` is unique among the processes that share the database ([`names`]). Jobs that are over are forgotten
    /// `retention` after they ended, by the time that callers name.
    pub async fn open(
        settings: &Postgres,
        instance: &str,
        predecessor: Predecessor,
        retention: Duration,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let (address, place) = address(settings)?;
        migrate(&address, &place, &SCHEMA).await.map_err(|e| place.failure(&e))?;
        let writers = usize::try_from(settings.connections).unwrap_or(1).max(1);
        let rare = Lines::new(address.clone(), place.clone(), RARE, SESSION);
        let who = register(&rare, instance, predecessor, now).await?;
        let shared = Arc::new(Shared {
            lines: Lines::new(address.clone(), place.clone(), writers, SESSION),
            rare,
            who,
            unanswered: Mutex::default(),
            clock: AtomicI64::new(now.as_millisecond()),
            retention: millis(retention),
        });
        let reader = PostgresReader::new(address, place);
        Ok(Self { desk: Desk::open(&shared, writers), shared, reader })
    }

    fn replaced(&self) -> LedgerError {
        LedgerError::Unavailable(super::ending::replaced(&self.shared.who.instance))
    }

    fn noticed(&self, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        self.shared.clock.fetch_max(now, Ordering::Relaxed);
        now
    }

    async fn note(&self, lease: &Lease, ask: Ask, now: Timestamp) -> Result<(), LedgerError> {
        match self.desk.ask(ask, self.noticed(now)).await? {
            Reply::Noted => Ok(()),
            Reply::Begun(_) | Reply::Fenced => Err(LedgerError::Fenced(lease.job.clone())),
            Reply::Replaced => Err(self.replaced()),
        }
    }
}

async fn register(
    lines: &Lines,
    instance: &str,
    predecessor: Predecessor,
    now: Timestamp,
) -> Result<Who, LedgerError> {
    const REGISTER: &str = "INSERT INTO instances (name, epoch, voided, opened_at) VALUES ($1, 1, 0, $2)
        ON CONFLICT (name) DO UPDATE SET epoch = instances.epoch + 1, opened_at = $2,
          voided = CASE WHEN $3 THEN instances.epoch ELSE instances.voided END
        RETURNING epoch, voided";
    let (now, gone) = (now.as_millisecond(), predecessor == Predecessor::Gone);
    let row =
        lines
            .ask(|line| async move {
                line.within(line.client().query_one(REGISTER, &[&instance, &now, &gone])).await
            })
            .await?;
    Ok(Who { instance: instance.to_owned(), epoch: row.get(0), voided: row.get(1) })
}

#[async_trait]
impl Ledger for PostgresLedger {
    async fn begin(&self, claim: Claim) -> Result<Begin, LedgerError> {
        let now = self.noticed(claim.now);
        match self.desk.ask(Ask::Begin(Box::new(claim)), now).await? {
            Reply::Begun(begin) => Ok(*begin),
            Reply::Replaced => Err(self.replaced()),
            Reply::Noted | Reply::Fenced => Err(LedgerError::Unavailable("a claim had no answer".into())),
        }
    }

    async fn store(&self, lease: &Lease, result: Vec<u8>, now: Timestamp) -> Result<(), LedgerError> {
        self.note(lease, Ask::Store(lease.clone(), result), now).await
    }

    async fn withhold(&self, lease: &Lease, now: Timestamp) -> Result<(), LedgerError> {
        self.note(lease, Ask::Withhold(lease.clone()), now).await
    }

    async fn condemn(&self, lease: &Lease, fault: &Fault, now: Timestamp) -> Result<(), LedgerError> {
        let fault = serde_json::to_string(fault).unwrap_or_default();
        self.note(lease, Ask::Condemn(lease.clone(), fault), now).await
    }

    async fn settle(&self, lease: &Lease, end: End, now: Timestamp) -> Result<(), LedgerError> {
        self.note(lease, Ask::Settle(lease.clone(), Box::new(Ending::of(&end))), now).await
    }

    async fn own(
        &self,
        pipeline: &str,
        stage: &str,
        families: Vec<TopicPartition>,
    ) -> Result<i64, LedgerError> {
        terms::own(&self.shared, pipeline, stage, families).await
    }

    async fn recover(&self, recovery: Recovery) -> Result<Vec<Outstanding>, LedgerError> {
        self.noticed(recovery.now);
        recover::recover(&self.shared, &recovery).await
    }

    async fn history(&self, job: &str) -> Result<Vec<Event>, LedgerError> {
        self.reader.history(job).await
    }

    async fn counts(&self) -> Result<Vec<StateCount>, LedgerError> {
        self.reader.counts().await
    }
}

#[cfg(test)]
mod tests;
