//! The index of dead letters of one machine: an SQLite file. One writer takes batches in; several questions are answered
//! beside it, each on its own snapshot.
//!
//! The layout is in `schemas/sql/sqlite/*_quarantine.sql`.

mod acts;
mod letters;
mod names;
mod objects;
mod runs;
mod stripes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use jiff::Timestamp;
use rusqlite::Connection;

use super::projection::shelf::{Base, Stripes as _};
use super::projection::{answer, objects as objects_of, restate, runs as runs_of, take};
use super::{
    Act, ActCursor, ActFilter, ActPage, Batch, Bucket, By, Cursor, Filter, Group, InRun, Known, Page, Parcel,
    Quarantine, QuarantineError, Run, Share, Stretch,
};
use crate::message::TopicPartition;
use crate::sqlite::{Place, Readers, Schema, Writer, open};

const SCHEMA: Schema = Schema {
    application_id: 0x4c5a_5155, // "LZQU"
    page_size: 4096,
    migrations: &[
        include_str!("../../schemas/sql/sqlite/0001_quarantine.sql"),
        include_str!("../../schemas/sql/sqlite/0002_quarantine.sql"),
        include_str!("../../schemas/sql/sqlite/0003_quarantine.sql"),
        include_str!("../../schemas/sql/sqlite/0004_quarantine.sql"),
        include_str!("../../schemas/sql/sqlite/0005_quarantine.sql"),
        include_str!("../../schemas/sql/sqlite/0007_quarantine.sql"),
        include_str!("../../schemas/sql/sqlite/0009_quarantine.sql"),
        include_str!("../../schemas/sql/sqlite/0011_quarantine.sql"),
    ],
};

/// Questions at the same time. Each keeps a processor busy, so more would only take longer.
const READERS: usize = 4;

/// Ids come in no order, so every batch touches pages all over their index. 64 MiB of them are kept in memory, and as many
/// are gathered in the log until each is written once into its place.
const CACHE_KIB: i64 = 65_536;
const LOG_PAGES: i64 = 16_384;

/// The index of dead letters in an SQLite file.
pub struct SqliteQuarantine {
    writer: Writer,
    readers: Readers,
}

impl SqliteQuarantine {
    /// Opens or makes the file and its folder.
    pub fn open(path: &Path) -> Result<Self, QuarantineError> {
        let place = Place {
            what: "index of dead letters",
            path: path.to_owned(),
            without_it: "it is filled from Kafka again",
        };
        let db = open(&place, &SCHEMA)?;
        let gather = || {
            db.pragma_update(None, "cache_size", -CACHE_KIB)?;
            db.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)
        };
        gather().map_err(|e| place.sqlite(&e))?;
        let writer = Writer::start(db, place.clone(), |_| Ok(false))?;
        Ok(Self { writer, readers: Readers::new(place, READERS) })
    }

    async fn write<T, W>(&self, work: W) -> Result<T, QuarantineError>
    where
        T: Send + 'static,
        W: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Ok(self.writer.write(work).await?)
    }

    async fn read<T, W>(&self, work: W) -> Result<T, QuarantineError>
    where
        T: Send + 'static,
        W: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        Ok(self.readers.read(work).await?)
    }
}

#[async_trait]
impl Quarantine for SqliteQuarantine {
    async fn positions(&self) -> Result<BTreeMap<TopicPartition, i64>, QuarantineError> {
        self.read(|db| at_once(SqliteShelf(db).positions())).await
    }

    async fn adopt(&self, rules: &str) -> Result<bool, QuarantineError> {
        let rules = rules.to_owned();
        self.write(move |db| at_once(take::adopt(&mut SqliteShelf(db), &rules))).await
    }

    async fn apply(&self, batch: Batch) -> Result<(), QuarantineError> {
        let taken = self.write(move |db| at_once(take::take(&mut SqliteShelf(db), &batch))).await?;
        taken.then_some(()).ok_or_else(QuarantineError::other_rules)
    }

    async fn expire(&self, first: BTreeMap<TopicPartition, i64>) -> Result<u64, QuarantineError> {
        let mut all = 0;
        for (partition, offset) in first {
            let partition = Arc::new(partition);
            loop {
                let partition = partition.clone();
                let some =
                    move |db: &Connection| at_once(restate::expire(&mut SqliteShelf(db), &partition, offset));
                let (seen, expired) = self.write(some).await?;
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
        let (filter, after) = (filter.clone(), after.cloned());
        self.read(move |db| at_once(answer::list(&mut SqliteShelf(db), &filter, after.as_ref(), limit))).await
    }

    async fn find(&self, prefix: &str) -> Result<Vec<Known>, QuarantineError> {
        let prefix = prefix.to_owned();
        self.read(move |db| at_once(answer::find(&mut SqliteShelf(db), &prefix))).await
    }

    async fn get(&self, ids: &[String]) -> Result<Vec<Known>, QuarantineError> {
        let ids = ids.to_vec();
        self.read(move |db| at_once(answer::letters_of(&mut SqliteShelf(db), &ids))).await
    }

    async fn count(&self, filter: &Filter) -> Result<u64, QuarantineError> {
        let filter = filter.clone();
        self.read(move |db| at_once(answer::count(&mut SqliteShelf(db), &filter))).await
    }

    async fn groups(&self, filter: &Filter, limit: usize) -> Result<Vec<Group>, QuarantineError> {
        let filter = filter.clone();
        self.read(move |db| at_once(answer::groups(&mut SqliteShelf(db), &filter, limit))).await
    }

    async fn shares(&self, filter: &Filter, by: By, limit: usize) -> Result<Vec<Share>, QuarantineError> {
        let filter = filter.clone();
        self.read(move |db| at_once(answer::shares(&mut SqliteShelf(db), &filter, by, limit))).await
    }

    async fn trend(&self, filter: &Filter) -> Result<Vec<Bucket>, QuarantineError> {
        let filter = filter.clone();
        self.read(move |db| at_once(answer::trend(&mut SqliteShelf(db), &filter))).await
    }

    async fn trends(
        &self,
        filter: &Filter,
        stretch: &Stretch,
    ) -> Result<BTreeMap<String, Vec<u64>>, QuarantineError> {
        let (filter, stretch) = (filter.clone(), *stretch);
        self.read(move |db| at_once(answer::trends(&mut SqliteShelf(db), &filter, &stretch))).await
    }

    async fn oldest_record(&self, filter: &Filter) -> Result<Option<Timestamp>, QuarantineError> {
        let filter = filter.clone();
        self.read(move |db| at_once(answer::oldest_record(&mut SqliteShelf(db), &filter))).await
    }

    async fn bytes(&self, filter: &Filter) -> Result<u64, QuarantineError> {
        let filter = filter.clone();
        self.read(move |db| at_once(answer::bytes(&mut SqliteShelf(db), &filter))).await
    }

    async fn parcels(&self, after: &str, limit: usize) -> Result<Vec<Parcel>, QuarantineError> {
        let after = after.to_owned();
        self.read(move |db| at_once(objects_of::parcels_after(&mut SqliteShelf(db), &after, limit))).await
    }

    async fn parcel(&self, object: &str) -> Result<Option<(Parcel, Vec<String>)>, QuarantineError> {
        let object = object.to_owned();
        self.read(move |db| at_once(objects_of::parcel(&mut SqliteShelf(db), &object))).await
    }

    async fn group_acts(&self, fingerprint: &str) -> Result<Vec<Act>, QuarantineError> {
        let fingerprint = fingerprint.to_owned();
        self.read(move |db| at_once(answer::group_acts(&mut SqliteShelf(db), &fingerprint))).await
    }

    async fn acts(&self, id: &str) -> Result<Vec<Act>, QuarantineError> {
        let id = id.to_owned();
        self.read(move |db| at_once(answer::acts(&mut SqliteShelf(db), &id))).await
    }

    async fn runs(&self, limit: usize) -> Result<Vec<Run>, QuarantineError> {
        self.read(move |db| at_once(runs_of::latest(&mut SqliteShelf(db), limit))).await
    }

    async fn active_runs(&self) -> Result<Vec<Run>, QuarantineError> {
        self.read(move |db| at_once(runs_of::active(&mut SqliteShelf(db)))).await
    }

    async fn run(&self, prefix: &str) -> Result<Vec<Run>, QuarantineError> {
        let prefix = prefix.to_owned();
        self.read(move |db| at_once(runs_of::find(&mut SqliteShelf(db), &prefix))).await
    }

    async fn in_run(&self, run: &str, from: u64, limit: usize) -> Result<Vec<InRun>, QuarantineError> {
        let run = run.to_owned();
        self.read(move |db| at_once(runs_of::letters(&mut SqliteShelf(db), &run, from, limit))).await
    }

    async fn fates(&self, run: &str, letters: &[(u64, String)]) -> Result<Vec<InRun>, QuarantineError> {
        let (run, letters) = (run.to_owned(), letters.to_vec());
        self.read(move |db| at_once(runs_of::fates(&mut SqliteShelf(db), &run, &letters))).await
    }

    async fn audit(
        &self,
        filter: &ActFilter,
        after: Option<&ActCursor>,
        limit: usize,
    ) -> Result<ActPage, QuarantineError> {
        let (filter, after) = (filter.clone(), after.cloned());
        self.read(move |db| at_once(answer::audit(&mut SqliteShelf(db), &filter, after.as_ref(), limit)))
            .await
    }

    async fn clear(&self) -> Result<(), QuarantineError> {
        self.write(|db| at_once(SqliteShelf(db).clear())).await
    }
}

/// A transaction of SQLite. Nothing in it waits for anything.
struct SqliteShelf<'a>(&'a Connection);

impl Base for SqliteShelf<'_> {
    type Error = rusqlite::Error;

    fn damaged(&self, what: &str) -> rusqlite::Error {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        rusqlite::Error::SqliteFailure(code, Some(what.to_owned()))
    }
}

/// What comes of work that does not wait.
fn at_once<T>(work: impl Future<Output = rusqlite::Result<T>>) -> rusqlite::Result<T> {
    let waited = || {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISUSE);
        Err(rusqlite::Error::SqliteFailure(code, Some("work on a file has waited".to_owned())))
    };
    work.now_or_never().unwrap_or_else(waited)
}

#[cfg(test)]
mod tests;
