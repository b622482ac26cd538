//! Reading the ledger: the life of a job, all jobs of a pipeline, and how many stand where. It takes no
//! part in the work: no instance is registered and nothing is written, so any tool may use it beside a running
//! worker.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::postgres::PostgresReader;
use super::sqlite::{columns, place};
use super::{Event, LedgerError, State, StateCount};
use crate::config::Store;
use crate::message::Coordinates;
use crate::sqlite::Readers;

/// Most events of one history; the latest ones.
pub(super) const HISTORY_MAX: i64 = 10_000;
/// Most jobs of one page.
const PAGE_MAX: usize = 10_000;

/// Names a row for as long as it is there. Later jobs have greater ones, but for those that were made at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub i64);

/// A job as it stands in a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    pub id: RowId,
    pub stage: String,
    pub job: String,
    pub state: State,
    pub attempt: u32,
    pub redrives: u32,
    /// Where the last record that claimed it stood; `None` when a version wrote it that did not note that.
    pub at: Option<Coordinates>,
    /// Where its record stood on the stage's input topic; `None` likewise.
    pub origin: Option<Coordinates>,
    /// Rung topic, parking topic or dead letter id, if the last thing that happened sent it there.
    pub went_to: Option<String>,
    /// How often the stage finished it.
    pub finishes: u32,
    pub updated_at: Timestamp,
}

/// Reads a ledger that exists, wherever it is.
pub struct LedgerReader {
    of: Of,
}

enum Of {
    File(Readers),
    Database(PostgresReader),
}

impl LedgerReader {
    /// The ledger that the configuration names. It is opened by the first question, which fails when there is none.
    pub fn open(config: &Store) -> Result<Self, LedgerError> {
        match &config.postgres {
            Some(postgres) => Ok(Self { of: Of::Database(PostgresReader::of(postgres)?) }),
            None => Ok(Self::of(&config.path)),
        }
    }

    /// The same, but `None` when it is a file that is not there.
    pub fn find(config: &Store) -> Result<Option<Self>, LedgerError> {
        if config.postgres.is_none() && !config.path.exists() {
            return Ok(None);
        }
        Self::open(config).map(Some)
    }

    /// That of a file, as [`Self::open`].
    pub fn of(path: &Path) -> Self {
        Self { of: Of::File(Readers::new(place(path), 1)) }
    }

    /// See [`super::Ledger::history`]. Times are exact to the millisecond.
    pub async fn history(&self, job: &str) -> Result<Vec<Event>, LedgerError> {
        match &self.of {
            Of::Database(reader) => reader.history(job).await,
            Of::File(readers) => {
                let job = job.to_owned();
                Ok(readers.read(move |db| history(db, &job)).await?)
            }
        }
    }

    /// The jobs of a pipeline in the order of their ids: at most `limit` (and 10,000) of those after `after`.
    /// Each page is a snapshot of its own. None left: an empty page.
    pub async fn jobs(
        &self,
        pipeline: &str,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<JobRow>, LedgerError> {
        let after = after.map_or(i64::MIN, |RowId(id)| id);
        let limit = limit.min(PAGE_MAX) as i64;
        match &self.of {
            Of::Database(reader) => reader.jobs(pipeline, after, limit).await,
            Of::File(readers) => {
                let pipeline = pipeline.to_owned();
                Ok(readers.read(move |db| jobs(db, &pipeline, after, limit)).await?)
            }
        }
    }

    /// One job of a stage.
    pub async fn job(&self, pipeline: &str, stage: &str, id: &str) -> Result<Option<JobRow>, LedgerError> {
        match &self.of {
            Of::Database(reader) => reader.job(pipeline, stage, id).await,
            Of::File(readers) => {
                let (pipeline, stage, id) = (pipeline.to_owned(), stage.to_owned(), id.to_owned());
                Ok(readers.read(move |db| job(db, &pipeline, &stage, &id)).await?)
            }
        }
    }

    /// See [`super::Ledger::counts`].
    pub async fn counts(&self) -> Result<Vec<StateCount>, LedgerError> {
        match &self.of {
            Of::Database(reader) => reader.counts().await,
            Of::File(readers) => Ok(readers.read(counts).await?),
        }
    }
}

/// Children are the jobs from `job/` up to `job0`, since `0` follows `/`.
fn history(db: &Connection, job: &str) -> rusqlite::Result<Vec<Event>> {
    let mut events = db
        .prepare_cached(
            "SELECT e.at, j.pipeline, j.stage, j.job, e.kind, e.attempt, e.redrives, j.tenant, j.resource,
                    j.traceparent, e.record, e.fault, e.went_to, e.due, e.remark
             FROM jobs j JOIN events e ON e.row = j.id
             WHERE j.job = ?1 OR (j.job >= ?1 || '/' AND j.job < ?1 || '0')
             ORDER BY e.seq DESC LIMIT ?2",
        )?
        .query_map(params![job, HISTORY_MAX], event)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    events.reverse();
    Ok(events)
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let fault: Option<String> = row.get(11)?;
    Ok(Event {
        at: timestamp(row.get(0)?),
        pipeline: row.get(1)?,
        stage: row.get(2)?,
        job: row.get(3)?,
        kind: row.get(4)?,
        attempt: row.get(5)?,
        redrives: row.get(6)?,
        tenant: row.get(7)?,
        resource: row.get(8)?,
        traceparent: row.get(9)?,
        record: row.get(10)?,
        // A fault of a later version, with a code unknown here, must not hide the rest of the life.
        fault: fault.and_then(|json| serde_json::from_str(&json).ok()),
        went_to: row.get(12)?,
        due: row.get::<_, Option<i64>>(13)?.map(timestamp),
        remark: row.get(14)?,
    })
}

/// What [`job_row`] reads. A duplicate is something that happened to another record.
const JOB_ROW: &str = "SELECT id, stage, job, state, attempt, redrives, finishes, updated_at,
            at_topic, at_partition, at_offset, origin_topic, origin_partition, origin_offset,
            (SELECT went_to FROM events WHERE row = jobs.id AND kind <> 'duplicate' ORDER BY seq DESC LIMIT 1)
     FROM jobs";

/// The plus sign keeps SQLite from the index on the pipeline, for which it would sort all jobs for every page.
fn jobs(db: &Connection, pipeline: &str, after: i64, limit: i64) -> rusqlite::Result<Vec<JobRow>> {
    db.prepare_cached(&format!("{JOB_ROW} WHERE +pipeline = ?1 AND id > ?2 ORDER BY id LIMIT ?3"))?
        .query_map(params![pipeline, after, limit], job_row)?
        .collect()
}

fn job(db: &Connection, pipeline: &str, stage: &str, job: &str) -> rusqlite::Result<Option<JobRow>> {
    db.prepare_cached(&format!("{JOB_ROW} WHERE pipeline = ?1 AND stage = ?2 AND job = ?3"))?
        .query_row(params![pipeline, stage, job], job_row)
        .optional()
}

fn job_row(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    Ok(JobRow {
        id: RowId(row.get(0)?),
        stage: row.get(1)?,
        job: row.get(2)?,
        state: row.get(3)?,
        attempt: row.get(4)?,
        redrives: row.get(5)?,
        finishes: row.get(6)?,
        updated_at: timestamp(row.get(7)?),
        at: columns::place(row, 8)?,
        origin: columns::place(row, 11)?,
        went_to: row.get(14)?,
    })
}

pub(super) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn counts(db: &Connection) -> rusqlite::Result<Vec<StateCount>> {
    db.prepare_cached(
        "SELECT pipeline, stage, state, count(*) FROM jobs GROUP BY pipeline, stage, state
         ORDER BY pipeline, stage, state",
    )?
    .query_map([], |row| {
        let jobs: i64 = row.get(3)?;
        let jobs = jobs.unsigned_abs();
        Ok(StateCount { pipeline: row.get(0)?, stage: row.get(1)?, state: row.get(2)?, jobs })
    })?
    .collect()
}
