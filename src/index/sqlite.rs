//! The search index of one machine: an SQLite file with full text search (FTS5) and vectors. One writer
//! commits in groups; several searches run beside it, each on its own snapshot.
//!
//! The layout is in `schemas/sql/sqlite/0001_index.sql`.

mod put;
mod search;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use super::page::Page;
use super::{Index, IndexError, Put, Query, Stats};
use crate::message::payload::{Evidence, Passages};
use crate::sqlite::{Place, Readers, Schema, Writer, open};

const SCHEMA: Schema = Schema {
    application_id: 0x4c5a_4958, // "LZIX"
    // A search reads all vectors of a tenant; large pages make that few reads.
    page_size: 16_384,
    migrations: &[include_str!("../../schemas/sql/sqlite/0001_index.sql")],
};

/// Searches at the same time. Each keeps a processor busy, so more would only take longer.
const READERS: usize = 4;

/// The search index in an SQLite file.
pub struct SqliteIndex {
    writer: Writer,
    readers: Readers,
    place: Place,
    strangers: Arc<search::Strangers>,
}

impl SqliteIndex {
    /// Opens or makes the file and its folder.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let place = Place {
            what: "search index",
            path: path.to_owned(),
            without_it: "it is empty then, and the documents must be sent again",
        };
        let db = open(&place, &SCHEMA)?;
        let writer = Writer::start(db, place.clone(), |_| Ok(false))?;
        let readers = Readers::new(place.clone(), READERS);
        Ok(Self { writer, readers, place, strangers: Arc::default() })
    }
}

#[async_trait]
impl Index for SqliteIndex {
    async fn put(&self, part: &Passages) -> Result<Put, IndexError> {
        let part = part.clone();
        // Making terms takes a while for a large part, and the writer must not wait for it.
        let page = tokio::task::spawn_blocking(move || Page::of(part)).await.map_err(|e| {
            self.place.unusable(format!("making terms ended early ({e})"), "report it; the log says more")
        })?;
        Ok(self.writer.write(move |db| put::keep(db, &page)).await?)
    }

    async fn search(&self, query: Query<'_>) -> Result<Vec<Evidence>, IndexError> {
        let wish = search::Wish::of(&query, self.strangers.clone());
        Ok(self.readers.read(move |db| search::search(db, &wish)).await?)
    }

    async fn stats(&self) -> Result<Stats, IndexError> {
        Ok(self.readers.read(stats).await?)
    }
}

fn stats(db: &Connection) -> rusqlite::Result<Stats> {
    db.prepare_cached(
        "SELECT count(*), coalesce(sum((SELECT sum(passages) FROM parts WHERE document = d.id)), 0)
         FROM documents d WHERE active",
    )?
    .query_row([], |row| {
        let (documents, passages): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(Stats { documents: documents.unsigned_abs(), passages: passages.unsigned_abs() })
    })
}

#[cfg(test)]
mod tests;
