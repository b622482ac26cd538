//! Reading the ledger: the life of a job, all jobs of a pipeline, and how many stand where. No instance is registered and
//! nothing is written.

use std::sync::Arc;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::recover::state;
use crate::config::Postgres;
use crate::failure::Failure;
use crate::ledger::read::{HISTORY_MAX, timestamp};
use crate::ledger::{Event, JobRow, LedgerError, RowId, StateCount};
use crate::message::Coordinates;
use crate::postgres::{Address, Error, Lines, Place};

/// Children are the jobs from `job/` up to `job0`, since `0` follows `/`.
const HISTORY: &str =
    "SELECT e.at, j.pipeline, j.stage, j.job, e.kind, e.attempt, e.redrives, j.tenant, j.resource,
      j.traceparent, e.record, e.fault, e.went_to, e.due, e.remark
    FROM jobs j JOIN events e ON e.row = j.id
    WHERE j.job = $1 OR (j.job >= $1 || '/' AND j.job < $1 || '0')
    ORDER BY e.seq DESC LIMIT $2";
const COUNTS: &str = "SELECT pipeline, stage, state, count(*) FROM jobs GROUP BY pipeline, stage, state
    ORDER BY pipeline, stage, state COLLATE \"C\"";
/// A duplicate is something that happened to another record.
const JOB: &str = "SELECT id, stage, job, state, attempt, redrives, finishes, updated_at,
      at_topic, at_partition, at_offset, origin_topic, origin_partition, origin_offset,
      (SELECT went_to FROM events WHERE row = jobs.id AND kind <> 'duplicate' ORDER BY seq DESC LIMIT 1)
    FROM jobs";

/// Reads a ledger that exists.
pub struct PostgresReader {
    lines: Lines,
}

impl PostgresReader {
    /// Connections at the same time.
    const MOST: usize = 2;

    pub fn new(address: Arc<Address>, place: Place) -> Self {
        Self { lines: Lines::new(address, place, Self::MOST, "SET default_transaction_read_only = on;") }
    }

    /// It connects with the first question.
    pub fn of(settings: &Postgres) -> Result<Self, LedgerError> {
        let (address, place) = super::address(settings)?;
        Ok(Self::new(address, place))
    }

    pub async fn history(&self, job: &str) -> Result<Vec<Event>, LedgerError> {
        let mut events: Vec<Event> =
            self.query(HISTORY.to_owned(), &[&job, &HISTORY_MAX]).await?.iter().map(event).collect();
        events.reverse();
        Ok(events)
    }

    pub async fn jobs(&self, pipeline: &str, after: i64, limit: i64) -> Result<Vec<JobRow>, LedgerError> {
        let sql = format!("{JOB} WHERE pipeline = $1 AND id > $2 ORDER BY id LIMIT $3");
        let rows = self.query(sql, &[&pipeline, &after, &limit]).await?;
        rows.iter().map(|row| self.job_row(row)).collect()
    }

    pub async fn job(&self, pipeline: &str, stage: &str, id: &str) -> Result<Option<JobRow>, LedgerError> {
        let sql = format!("{JOB} WHERE pipeline = $1 AND stage = $2 AND job = $3");
        let rows = self.query(sql, &[&pipeline, &stage, &id]).await?;
        rows.first().map(|row| self.job_row(row)).transpose()
    }

    pub async fn counts(&self) -> Result<Vec<StateCount>, LedgerError> {
        let count = |row: &Row| StateCount {
            pipeline: row.get(0),
            stage: row.get(1),
            state: row.get(2),
            jobs: row.get::<_, i64>(3).unsigned_abs(),
        };
        Ok(self.query(COUNTS.to_owned(), &[]).await?.iter().map(count).collect())
    }

    async fn query(&self, sql: String, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let sql = sql.as_str();
        self.lines.ask(|line| async move { line.within(line.client().query(sql, values)).await }).await
    }

    fn job_row(&self, row: &Row) -> Result<JobRow, LedgerError> {
        let number = |column: usize| u32::try_from(row.get::<_, i64>(column)).unwrap_or(u32::MAX);
        let coordinates = |first: usize| Coordinates {
            topic: row.get::<_, &str>(first).into(),
            partition: row.get(first + 1),
            offset: row.get(first + 2),
            timestamp: None,
        };
        let place = self.lines.place();
        Ok(JobRow {
            id: RowId(row.get(0)),
            stage: row.get(1),
            job: row.get(2),
            state: state(place, row.get(3)).map_err(|error: Error| place.failure(&error))?,
            attempt: number(4),
            redrives: number(5),
            finishes: number(6),
            updated_at: timestamp(row.get(7)),
            at: Some(coordinates(8)),
            origin: Some(coordinates(11)),
            went_to: row.get(14),
        })
    }
}

fn event(row: &Row) -> Event {
    let number = |column: usize| u32::try_from(row.get::<_, i64>(column)).unwrap_or(u32::MAX);
    Event {
        at: timestamp(row.get(0)),
        pipeline: row.get(1),
        stage: row.get(2),
        job: row.get(3),
        kind: row.get(4),
        attempt: number(5),
        redrives: number(6),
        tenant: row.get(7),
        resource: row.get(8),
        traceparent: row.get(9),
        record: row.get(10),
        // A fault of a later version, with a code unknown here, must not hide the rest of the life.
        fault: row.get::<_, Option<String>>(11).and_then(|json| serde_json::from_str(&json).ok()),
        went_to: row.get(12),
        due: row.get::<_, Option<i64>>(13).map(timestamp),
        remark: row.get(14),
    }
}
