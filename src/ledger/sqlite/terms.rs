//! Terms of input partitions: whose claims count. Runs inside a transaction of the writer.

use rusqlite::{Connection, OptionalExtension, params};

use super::Who;
use super::ground::{Answer, still_current, token};
use crate::ledger::{Claim, LedgerError};
use crate::message::TopicPartition;

pub fn own(
    db: &Connection,
    who: &Who,
    pipeline: &str,
    stage: &str,
    families: &[TopicPartition],
) -> Answer<i64> {
    if let Err(error) = still_current(db, who)? {
        return Ok(Err(error));
    }
    let term = token(db)?;
    let mut put = db.prepare_cached(
        "INSERT INTO terms (pipeline, stage, topic, partition, term) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET term = ?5",
    )?;
    for TopicPartition { topic, partition } in families {
        put.execute(params![pipeline, stage, topic, partition, term])?;
    }
    Ok(Ok(term))
}

/// Whether another process has taken the family over since the record was read.
pub fn is_past(db: &Connection, claim: &Claim) -> rusqlite::Result<bool> {
    let present = present(db, &claim.pipeline, &claim.stage, &claim.family)?;
    Ok(present.is_some_and(|term| term != claim.term))
}

pub fn still_owned(
    db: &Connection,
    pipeline: &str,
    stage: &str,
    family: &TopicPartition,
    term: i64,
) -> Answer<()> {
    let ours = present(db, pipeline, stage, family)?.is_none_or(|present| present == term);
    Ok(if ours { Ok(()) } else { Err(LedgerError::Ousted(family.clone())) })
}

fn present(
    db: &Connection,
    pipeline: &str,
    stage: &str,
    family: &TopicPartition,
) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(
        "SELECT term FROM terms WHERE pipeline = ?1 AND stage = ?2 AND topic = ?3 AND partition = ?4",
    )?
    .query_row(params![pipeline, stage, family.topic, family.partition], |row| row.get(0))
    .optional()
}
