//! The search index of several machines: a PostgreSQL database with full text search and pgvector. Every part is one
//! transaction; each search sees one snapshot.
//!
//! The layout is in `schemas/sql/postgres/0001_index.sql`.

mod put;
mod search;
mod words;

use std::sync::Arc;

use async_trait::async_trait;

use super::page::Page;
use super::{Index, IndexError, Put, Query, Stats};
use crate::config::Postgres;
use crate::message::payload::{Evidence, Passages};
use crate::postgres::{Address, Lines, Schema, migrate};

const SCHEMA: Schema =
    Schema { name: "index", migrations: &[include_str!("../../../schemas/sql/postgres/0001_index.sql")] };

/// Vectors are found wherever somebody has installed the extension.
const SESSION: &str = "SELECT set_config('search_path', concat_ws(', ', current_setting('search_path'),
    (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector')), false); SET jit = off; SET enable_seqscan = off; SET work_mem = '32MB';";

const STATS: &str =
    "SELECT count(*), coalesce(sum((SELECT sum(passages) FROM parts WHERE document = d.id)), 0)::bigint
    FROM documents d WHERE active";

/// The search index in a PostgreSQL database.
pub struct PostgresIndex {
    lines: Lines,
}

impl PostgresIndex {
    /// Connects, and makes the tables or brings them up to date.
    pub async fn open(settings: &Postgres) -> Result<Self, IndexError> {
        let (address, place) = Address::of(settings, "search index", "index.postgres")?;
        migrate(&address, &place, &SCHEMA).await.map_err(|error| place.failure(&error))?;
        let most = usize::try_from(settings.connections).unwrap_or(1).max(1);
        Ok(Self { lines: Lines::new(Arc::new(address), place, most, SESSION) })
    }
}

#[async_trait]
impl Index for PostgresIndex {
    async fn put(&self, part: &Passages) -> Result<Put, IndexError> {
        let part = part.clone();
        // Making terms takes a while for a large part.
        let page = tokio::task::spawn_blocking(move || put::Leaf::of(Page::of(part))).await.map_err(|e| {
            self.lines
                .place()
                .unusable(format!("making terms ended early ({e})"), "report it; the log says more")
        })?;
        let page = &page;
        Ok(self.lines.ask(|line| async move { Box::pin(put::keep(&line, page)).await }).await?)
    }

    async fn search(&self, query: Query<'_>) -> Result<Vec<Evidence>, IndexError> {
        let wish = &search::Wish::of(&query);
        Ok(self.lines.ask(|line| async move { search::search(&line, wish).await }).await?)
    }

    async fn stats(&self) -> Result<Stats, IndexError> {
        let row = self
            .lines
            .ask(|line| async move { line.within(line.client().query_one(STATS, &[])).await })
            .await?;
        let (documents, passages): (i64, i64) = (row.get(0), row.get(1));
        Ok(Stats { documents: documents.unsigned_abs(), passages: passages.unsigned_abs() })
    }
}

#[cfg(test)]
mod tests;
