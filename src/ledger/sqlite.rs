//! The ledger of one machine: an SQLite file. Every answer is given after the commit that makes it durable.
//!
//! The layout is in `schemas/sql/sqlite/*_ledger.sql`, the rules in [`super::state`]. Opening the file
//! raises the epoch of the instance, so that after `kill -9` and restart nothing waits for leases of the
//! process that died. Other instances wait for them until their time is over, or until they have the partition and
//! know what that process did.

pub(super) mod columns;
mod events;
mod ground;
mod recover;
mod rows;
mod terms;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::ending::Ending;
use super::read::LedgerReader;
use super::{
    Begin, Claim, End, Event, Lease, Ledger, LedgerError, Outstanding, Recovery, StateCount, millis,
};
use crate::flow::Fault;
use crate::message::TopicPartition;
use crate::sqlite::{Place, Schema, Writer, open};

const SCHEMA: Schema = Schema {
    application_id: 0x4c5a_4c47, // "LZLG"
    page_size: 4096,
    migrations: &[
        include_str!("../../schemas/sql/sqlite/0001_ledger.sql"),
        include_str!("../../schemas/sql/sqlite/0002_ledger.sql"),
        include_str!("../../schemas/sql/sqlite/0003_ledger.sql"),
    ],
};

/// Jobs that are over are looked for once in this many milliseconds of the records' time.
const FORGET_EVERY: i64 = 60_000;
/// Most jobs forgotten in one transaction.
const FORGET_MAX: usize = 256;

const FORGET: &str = "DELETE FROM jobs WHERE id IN
   (SELECT id FROM jobs WHERE state IN ('done', 'discarded') AND updated_at < ?1 ORDER BY updated_at LIMIT ?2)";

/// The job ledger in an SQLite file.
pub struct SqliteLedger {
    writer: Writer,
    reader: LedgerReader,
    who: Arc<Who>,
    /// The latest time any caller named; what is old is judged by it.
    clock: Arc<AtomicI64>,
}

/// The holder of this process's leases.
struct Who {
    instance: String,
    epoch: i64,
}

pub(super) fn place(path: &Path) -> Place {
    Place {
        what: "job ledger",
        path: path.to_owned(),
        without_it: "no record is lost, since Kafka has them, but jobs that were done may run once more",
    }
}

impl SqliteLedger {
    /// Opens or makes the file and its folder, and voids the leases of earlier openings by this instance.
    ///
    /// `instance` is unique among the processes that share the file. Jobs that are over are forgotten `retention`
    /// after they ended, by the time that callers name.
    pub fn open(
        path: &Path,
        instance: &str,
        retention: Duration,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let place = place(path);
        let db = open(&place, &SCHEMA)?;
        let epoch = register(&db, instance, now).map_err(|e| place.sqlite(&e))?;
        let clock = Arc::new(AtomicI64::new(now.as_millisecond()));
        let writer = Writer::start(db, place, forget(clock.clone(), millis(retention)))?;
        let reader = LedgerReader::of(path);
        Ok(Self { writer, reader, who: Arc::new(Who { instance: instance.to_owned(), epoch }), clock })
    }

    fn noticed(&self, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        self.clock.fetch_max(now, Ordering::Relaxed);
        now
    }
}

fn register(db: &Connection, instance: &str, now: Timestamp) -> rusqlite::Result<i64> {
    db.query_row(
        "INSERT INTO instances (name, epoch, opened_at) VALUES (?1, 1, ?2)
         ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1, opened_at = ?2 RETURNING epoch",
        params![instance, now.as_millisecond()],
        |row| row.get(0),
    )
}

/// The writer's chore: deletes jobs that ended long ago, with their events, in small steps.
fn forget(
    clock: Arc<AtomicI64>,
    retention: i64,
) -> impl FnMut(&Connection) -> rusqlite::Result<bool> + Send + 'static {
    let mut next = i64::MIN;
    move |db| {
        let now = clock.load(Ordering::Relaxed);
        if now < next {
            return Ok(false);
        }
        let before = now.saturating_sub(retention);
        let forgotten = db.prepare_cached(FORGET)?.execute(params![before, FORGET_MAX as i64])?;
        let more = forgotten == FORGET_MAX;
        if !more {
            next = now.saturating_add(FORGET_EVERY);
        }
        Ok(more)
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn begin(&self, claim: Claim) -> Result<Begin, LedgerError> {
        let now = self.noticed(claim.now);
        let who = self.who.clone();
        self.writer.write(move |db| rows::begin(db, &who, &claim, now)).await?
    }

    async fn store(&self, lease: &Lease, result: Vec<u8>, now: Timestamp) -> Result<(), LedgerError> {
        let (lease, now) = (lease.clone(), self.noticed(now));
        self.writer.write(move |db| rows::store(db, &lease, &result, now)).await?
    }

    async fn withhold(&self, lease: &Lease, now: Timestamp) -> Result<(), LedgerError> {
        let (lease, now) = (lease.clone(), self.noticed(now));
        self.writer.write(move |db| rows::withhold(db, &lease, now)).await?
    }

    async fn condemn(&self, lease: &Lease, fault: &Fault, now: Timestamp) -> Result<(), LedgerError> {
        let (lease, now) = (lease.clone(), self.noticed(now));
        let fault = serde_json::to_string(fault).unwrap_or_default();
        self.writer.write(move |db| rows::condemn(db, &lease, &fault, now)).await?
    }

    async fn settle(&self, lease: &Lease, end: End, now: Timestamp) -> Result<(), LedgerError> {
        let (lease, now) = (lease.clone(), self.noticed(now));
        let ending = Ending::of(&end);
        self.writer.write(move |db| rows::settle(db, &lease, &ending, now)).await?
    }

    async fn own(
        &self,
        pipeline: &str,
        stage: &str,
        families: Vec<TopicPartition>,
    ) -> Result<i64, LedgerError> {
        let (pipeline, stage, who) = (pipeline.to_owned(), stage.to_owned(), self.who.clone());
        self.writer.write(move |db| terms::own(db, &who, &pipeline, &stage, &families)).await?
    }

    async fn recover(&self, recovery: Recovery) -> Result<Vec<Outstanding>, LedgerError> {
        self.noticed(recovery.now);
        self.writer.write(move |db| recover::recover(db, &recovery)).await?
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
