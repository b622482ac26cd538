//! The index of dead letters of several machines: a PostgreSQL database. Batches take turns, whichever process has them;
//! every question sees one snapshot.
//!
//! The layout is in `schemas/sql/postgres/*_quarantine.sql`.

mod acts;
mod letters;
mod names;
mod objects;
mod runs;
mod stripes;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_postgres::Row as Sql;
use tokio_postgres::types::ToSql;

use super::projection::shelf::{Base, Stripes as _};
use super::projection::{answer, objects as objects_of, restate, runs as runs_of, take};
use super::{
    Act, ActCursor, ActFilter, ActPage, Batch, Bucket, By, Cursor, Filter, Group, InRun, Known, Page, Parcel,
    Quarantine, QuarantineError, Run, Share, Stretch,
};
use crate::config::Postgres;
use crate::failure::Failure;
use crate::message::TopicPartition;
use crate::postgres::{Address, Error, Line, Lines, Place, Schema, migrate};

const SCHEMA: Schema = Schema {
    name: "quarantine",
    migrations: &[
        include_str!("../../../schemas/sql/postgres/0001_quarantine.sql"),
        include_str!("../../../schemas/sql/postgres/0002_quarantine.sql"),
        include_str!("../../../schemas/sql/postgres/0003_quarantine.sql"),
        include_str!("../../../schemas/sql/postgres/0004_quarantine.sql"),
        include_str!("../../../schemas/sql/postgres/0005_quarantine.sql"),
        include_str!("../../../schemas/sql/postgres/0007_quarantine.sql"),
        include_str!("../../../schemas/sql/postgres/0009_quarantine.sql"),
        include_str!("../../../schemas/sql/postgres/0011_quarantine.sql"),
    ],
};

/// Every statement finds its rows by an index, or reads a small table as a whole.
const SESSION: &str = "SET jit = off; SET enable_seqscan = off; SET work_mem = '16MB';";

/// Whoever writes holds this, since keys have no gaps and stripes are rewritten as a whole.
const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' quarantine', 7))";
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// The index of dead letters in a PostgreSQL database.
pub struct PostgresQuarantine {
    lines: Lines,
}

impl PostgresQuarantine {
    /// Connects, and makes the tables or brings them up to date.
    pub async fn open(settings: &Postgres) -> Result<Self, QuarantineError> {
        let (address, place) = Address::of(settings, "index of dead letters", "quarantine.postgres")?;
        migrate(&address, &place, &SCHEMA).await.map_err(|error| place.failure(&error))?;
        let most = usize::try_from(settings.connections).unwrap_or(1).max(1);
        Ok(Self { lines: Lines::new(Arc::new(address), place, most, SESSION) })
    }

    /// One transaction of a shelf.
    async fn within<T, W>(
        &self,
        begin: &'static str,
        work: impl Fn(PostgresShelf) -> W,
    ) -> Result<T, QuarantineError>
    where
        W: Future<Output = Result<T, Error>>,
    {
        let transaction = |line: Arc<Line>| {
            let work = work(PostgresShelf { line: line.clone(), place: self.lines.place().clone() });
            async move {
                line.run(begin).await?;
                let done = work.await?;
                line.run("COMMIT").await?;
                Ok(done)
            }
        };
        Ok(self.lines.ask(transaction).await?)
    }
}

#[async_trait]
impl Quarantine for PostgresQuarantine {
    async fn positions(&self) -> Result<BTreeMap<TopicPartition, i64>, QuarantineError> {
        self.within(READ, |mut shelf| async move { shelf.positions().await }).await
    }

    async fn adopt(&self, rules: &str) -> Result<bool, QuarantineError> {
        self.within(WRITE, |mut shelf| async move { take::adopt(&mut shelf, rules).await }).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), QuarantineError> {
        let batch = &batch;
        let take = |mut shelf| Box::pin(async move { take::take(&mut shelf, batch).await });
        self.within(WRITE, take).await?.then_some(()).ok_or_else(QuarantineError::other_rules)
    }

    async fn expire(&self, first: BTreeMap<TopicPartition, i64>) -> Result<u64, QuarantineError> {
        let mut all = 0;
        for (partition, offset) in &first {
            loop {
                let some = |mut shelf| {
                    Box::pin(async move { restate::expire(&mut shelf, partition, *offset).await })
                };
                let (seen, expired) = self.within(WRITE, some).await?;
                all += expired;
                if seen < restate::EXPIRED_MAX {
                    break;
                }
            }
        }
        Ok(all)
    }

    async fn list(
        &self,
        filter: &Filter,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, QuarantineError> {
        let list = |mut shelf| Box::pin(async move { answer::list(&mut shelf, filter, after, limit).await });
        self.within(READ, list).await
    }

    async fn find(&self, prefix: &str) -> Result<Vec<Known>, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { answer::find(&mut shelf, prefix).await })).await
    }

    async fn get(&self, ids: &[String]) -> Result<Vec<Known>, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { answer::letters_of(&mut shelf, ids).await }))
            .await
    }

    async fn count(&self, filter: &Filter) -> Result<u64, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { answer::count(&mut shelf, filter).await })).await
    }

    async fn groups(&self, filter: &Filter, limit: usize) -> Result<Vec<Group>, QuarantineError> {
        let groups = |mut shelf| Box::pin(async move { answer::groups(&mut shelf, filter, limit).await });
        self.within(READ, groups).await
    }

    async fn shares(&self, filter: &Filter, by: By, limit: usize) -> Result<Vec<Share>, QuarantineError> {
        let shares = |mut shelf| Box::pin(async move { answer::shares(&mut shelf, filter, by, limit).await });
        self.within(READ, shares).await
    }

    async fn trend(&self, filter: &Filter) -> Result<Vec<Bucket>, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { answer::trend(&mut shelf, filter).await })).await
    }

    async fn trends(
        &self,
        filter: &Filter,
        stretch: &Stretch,
    ) -> Result<BTreeMap<String, Vec<u64>>, QuarantineError> {
        let trends = |mut shelf| Box::pin(async move { answer::trends(&mut shelf, filter, stretch).await });
        self.within(READ, trends).await
    }

    async fn oldest_record(&self, filter: &Filter) -> Result<Option<Timestamp>, QuarantineError> {
        let oldest = |mut shelf| Box::pin(async move { answer::oldest_record(&mut shelf, filter).await });
        self.within(READ, oldest).await
    }

    async fn bytes(&self, filter: &Filter) -> Result<u64, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { answer::bytes(&mut shelf, filter).await })).await
    }

    async fn parcels(&self, after: &str, limit: usize) -> Result<Vec<Parcel>, QuarantineError> {
        let parcels =
            |mut shelf| Box::pin(async move { objects_of::parcels_after(&mut shelf, after, limit).await });
        self.within(READ, parcels).await
    }

    async fn parcel(&self, object: &str) -> Result<Option<(Parcel, Vec<String>)>, QuarantineError> {
        let parcel = |mut shelf| Box::pin(async move { objects_of::parcel(&mut shelf, object).await });
        self.within(READ, parcel).await
    }

    async fn group_acts(&self, fingerprint: &str) -> Result<Vec<Act>, QuarantineError> {
        let acts = |mut shelf| Box::pin(async move { answer::group_acts(&mut shelf, fingerprint).await });
        self.within(READ, acts).await
    }

    async fn acts(&self, id: &str) -> Result<Vec<Act>, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { answer::acts(&mut shelf, id).await })).await
    }

    async fn runs(&self, limit: usize) -> Result<Vec<Run>, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { runs_of::latest(&mut shelf, limit).await })).await
    }

    async fn active_runs(&self) -> Result<Vec<Run>, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { runs_of::active(&mut shelf).await })).await
    }

    async fn run(&self, prefix: &str) -> Result<Vec<Run>, QuarantineError> {
        self.within(READ, |mut shelf| Box::pin(async move { runs_of::find(&mut shelf, prefix).await })).await
    }

    async fn in_run(&self, run: &str, from: u64, limit: usize) -> Result<Vec<InRun>, QuarantineError> {
        let letters =
            |mut shelf| Box::pin(async move { runs_of::letters(&mut shelf, run, from, limit).await });
        self.within(READ, letters).await
    }

    async fn fates(&self, run: &str, letters: &[(u64, String)]) -> Result<Vec<InRun>, QuarantineError> {
        let fates = |mut shelf| Box::pin(async move { runs_of::fates(&mut shelf, run, letters).await });
        self.within(READ, fates).await
    }

    async fn audit(
        &self,
        filter: &ActFilter,
        after: Option<&ActCursor>,
        limit: usize,
    ) -> Result<ActPage, QuarantineError> {
        let audit =
            |mut shelf| Box::pin(async move { answer::audit(&mut shelf, filter, after, limit).await });
        self.within(READ, audit).await
    }

    async fn clear(&self) -> Result<(), QuarantineError> {
        self.within(WRITE, |mut shelf| async move { shelf.clear().await }).await
    }
}

/// A transaction of PostgreSQL.
struct PostgresShelf {
    line: Arc<Line>,
    place: Place,
}

impl PostgresShelf {
    async fn rows(&self, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Sql>, Error> {
        let statement = self.line.prepared(sql).await?;
        self.line.within(self.line.client().query(&statement, values)).await
    }

    async fn run(&self, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, Error> {
        let statement = self.line.prepared(sql).await?;
        self.line.within(self.line.client().execute(&statement, values)).await
    }
}

impl Base for PostgresShelf {
    type Error = Error;

    fn damaged(&self, what: &str) -> Error {
        let failure: Failure =
            self.place.unusable(format!("it is damaged ({what})"), "build it again: `lazaret ops rebuild`");
        failure.into()
    }
}

#[cfg(test)]
mod tests;
