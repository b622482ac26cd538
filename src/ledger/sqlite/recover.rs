//! Brings the ledger up to what Kafka has committed, and lists what is not over. Runs inside one transaction
//! of the writer.

use rusqlite::{Connection, Row, params};

use super::columns::place;
use super::events::Note;
use super::ground::Answer;
use super::terms;
use crate::ledger::LedgerError;
use crate::ledger::ending::{RECOVERED, found_out, too_many};
use crate::ledger::recovery::{Family, Holding, OUTSTANDING_MAX, Outstanding, Recovery};
use crate::ledger::state::State;
use crate::message::{Coordinates, JobId, TopicPartition};

pub fn recover(db: &Connection, recovery: &Recovery) -> Answer<Vec<Outstanding>> {
    let now = recovery.now.as_millisecond();
    let Recovery { pipeline, stage, .. } = recovery;
    for Family { input, term, .. } in &recovery.families {
        if let Err(ousted) = terms::still_owned(db, pipeline, stage, input, *term)? {
            return Ok(Err(ousted));
        }
    }
    for job in ended(db, recovery)? {
        job.settle(db, recovery, now)?;
    }
    void_leases(db, recovery)?;
    outstanding(db, recovery)
}

/// What processes that are gone held of these families is free: what they did there is known now.
fn void_leases(db: &Connection, recovery: &Recovery) -> rusqlite::Result<()> {
    let mut void = db.prepare_cached(
        "UPDATE jobs SET lease_until = 0
         WHERE pipeline = ?1 AND stage = ?2 AND state IN ('running', 'stored', 'condemned') AND family = ?3
           AND epoch <> (SELECT epoch FROM instances WHERE name = holder)",
    )?;
    for family in &recovery.families {
        void.execute(params![recovery.pipeline, recovery.stage, family.input.partition])?;
    }
    Ok(())
}

/// A job whose last claimed record has ended in Kafka, while the ledger takes it for being worked on.
struct Left {
    row: i64,
    job: JobId,
    redrives: u32,
    state: State,
    result: bool,
}

/// As many as records were in flight: what ended long ago is not looked at.
pub const CANDIDATES: &str =
    "SELECT id, job, redrives, state, result IS NOT NULL, at_topic, at_partition, at_offset FROM jobs
     WHERE pipeline = ?1 AND stage = ?2 AND state IN ('running', 'stored', 'condemned', 'released')";

fn ended(db: &Connection, recovery: &Recovery) -> rusqlite::Result<Vec<Left>> {
    let seen = recovery.ended();
    let has =
        |at: &Coordinates| seen.get(&(&*at.topic, at.partition)).is_some_and(|ended| ended.has(at.offset));
    let mut candidates = db.prepare_cached(CANDIDATES)?;
    let mut rows = candidates.query(params![recovery.pipeline, recovery.stage])?;
    let mut left = Vec::new();
    while let Some(row) = rows.next()? {
        if place(row, 5)?.is_some_and(|at| has(&at)) {
            left.push(Left::of(row)?);
        }
    }
    Ok(left)
}

impl Left {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            row: row.get(0)?,
            job: JobId(row.get(1)?),
            redrives: row.get(2)?,
            state: row.get(3)?,
            result: row.get(4)?,
        })
    }

    /// Its token stays, so that its last holder, if it lives, may say the same end again.
    fn settle(&self, db: &Connection, recovery: &Recovery, now: i64) -> rusqlite::Result<()> {
        let Self { job, redrives, state, result, .. } = self;
        let (state, letter) = found_out(recovery, job, *redrives, *state, *result);
        self.end(db, state, letter.as_deref(), now)
    }

    fn end(&self, db: &Connection, state: State, went_to: Option<&str>, now: i64) -> rusqlite::Result<()> {
        db.prepare_cached(
            "UPDATE jobs SET state = ?2, finishes = finishes + (?2 = 'done'), attempt = attempt + (?2 = 'waiting'),
               result = iif(?2 = 'done', NULL, result), updated_at = ?3
             WHERE id = ?1",
        )?
        .execute(params![self.row, state, now])?;
        let (row, kind, remark) = (self.row, state.as_str(), Some(RECOVERED));
        Note { row, kind, at: now, went_to, remark, ..Note::default() }.write(db)
    }
}

fn outstanding(db: &Connection, recovery: &Recovery) -> Answer<Vec<Outstanding>> {
    let mut all = Vec::new();
    if recovery.holding == Holding::Nothing {
        return Ok(Ok(all));
    }
    for family in &recovery.families {
        of_family(db, recovery, family, &mut all)?;
        if all.len() > OUTSTANDING_MAX {
            return Ok(Err(LedgerError::Unavailable(too_many(recovery, &family.input))));
        }
    }
    Ok(Ok(all))
}

/// Reads the index `jobs_outstanding` alone; the terms of its WHERE stand here word for word, or SQLite would
/// not use it.
pub const OUTSTANDING: &str = "SELECT order_key, origin_offset, state FROM jobs
     WHERE order_key IS NOT NULL AND state NOT IN ('done', 'discarded')
       AND pipeline = ?1 AND stage = ?2 AND origin_topic = ?3 AND origin_partition = ?4
       AND state IN ('running', 'stored', 'condemned', 'waiting', 'released', 'parked', iif(?5, 'dead', ''))
     ORDER BY origin_offset LIMIT ?6";

fn of_family(
    db: &Connection,
    recovery: &Recovery,
    family: &Family,
    all: &mut Vec<Outstanding>,
) -> rusqlite::Result<()> {
    let TopicPartition { topic, partition } = &family.input;
    // One more than may be, so that too many are noticed.
    let most = (OUTSTANDING_MAX + 1).saturating_sub(all.len()) as i64;
    let mut found = db.prepare_cached(OUTSTANDING)?;
    let dead = recovery.holding == Holding::LiveAndDead;
    let mut rows = found.query(params![recovery.pipeline, recovery.stage, topic, partition, dead, most])?;
    while let Some(row) = rows.next()? {
        all.push(Outstanding {
            partition: family.input.clone(),
            order: row.get::<_, i64>(0)?.cast_unsigned(),
            origin: row.get(1)?,
            state: row.get(2)?,
        });
    }
    Ok(())
}
