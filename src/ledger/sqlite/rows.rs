//! The statements behind the ledger's methods. Each function runs inside a transaction of the writer.

use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::events::Note;
use super::ground::{Answer, still_current, token};
use super::{Who, terms};
use crate::ledger::ending::{Ending, verdict};
use crate::ledger::state::{ABANDONED, Known, Ruling, rule};
use crate::ledger::{Begin, Claim, Lease, LedgerError, millis};
use crate::message::Coordinates;

pub fn begin(db: &Connection, who: &Who, claim: &Claim, now: i64) -> Answer<Begin> {
    if let Err(error) = still_current(db, who)? {
        return Ok(Err(error));
    }
    if terms::is_past(db, claim)? {
        return Ok(Ok(Begin::Ousted));
    }
    let mut found = find(db, who, claim, now)?;
    let mut outdated = false;
    if let Some((_, known)) = &mut found {
        (*known, outdated) = known.without_outdated(claim.redrives, claim.edited);
    }
    let ruling = rule(found.map(|(_, known)| known), claim.redrives, claim.attempt);
    Ok(Ok(match (ruling, found) {
        (Ruling::Busy, _) => Begin::Busy,
        (Ruling::Finished, Some((row, known))) => {
            Note { row, kind: "duplicate", at: now, record: Some(claim), ..Note::default() }.write(db)?;
            if is_of(db, row, claim)? { Begin::Finished(known.state) } else { Begin::Repeated }
        }
        (ruling, found) => {
            if let Some((row, _)) = found.filter(|_| outdated && ruling == Ruling::Run) {
                db.prepare_cached("UPDATE jobs SET result = NULL WHERE id = ?1")?.execute([row])?;
            }
            let taken = take(db, who, claim, found.map(|(row, _)| row), now, ruling)?;
            let lease = Lease::granted(claim, taken.token);
            let (kind, begin) = match (ruling, taken.result) {
                (Ruling::Bury, _) => ("buried", Begin::Condemned(lease, verdict(taken.fault.as_deref()))),
                (_, Some(result)) => ("replayed", Begin::Stored(lease, result)),
                (_, None) => ("started", Begin::Fresh(lease)),
            };
            Note { row: taken.row, kind, at: now, record: Some(claim), ..Note::default() }.write(db)?;
            begin
        }
    }))
}

fn find(db: &Connection, who: &Who, claim: &Claim, now: i64) -> rusqlite::Result<Option<(i64, Known)>> {
    db.prepare_cached(
        "SELECT id, state, redrives, attempt, result IS NOT NULL,
                (lease_until > :now AND NOT (holder = :holder AND epoch <> :epoch))
                OR (state <> 'running' AND family <> :family AND lease_until + :abandoned > :now)
         FROM jobs WHERE job = :job AND stage = :stage AND pipeline = :pipeline",
    )?
    .query_row(named_params! {
        ":job": claim.correlation.job.0, ":stage": claim.stage, ":pipeline": claim.pipeline, ":now": now,
        ":holder": who.instance, ":epoch": who.epoch, ":family": claim.family.partition, ":abandoned": ABANDONED,
    }, |row| {
        let known = Known {
            state: row.get(1)?,
            redrives: row.get(2)?,
            attempt: row.get(3)?,
            result: row.get(4)?,
            held: row.get::<_, Option<bool>>(5)?.unwrap_or(false),
        };
        Ok((row.get(0)?, known))
    })
    .optional()
}

/// Whether the job is this record's, and not that of another one with the same id.
fn is_of(db: &Connection, row: i64, claim: &Claim) -> rusqlite::Result<bool> {
    let Coordinates { topic, partition, offset, .. } = &claim.origin;
    db.prepare_cached(
        "SELECT 1 FROM jobs WHERE id = ?1 AND (origin_topic IS NULL
           OR (origin_topic = ?2 AND origin_partition = ?3 AND origin_offset = ?4))",
    )?
    .exists(params![row, topic, partition, offset])
}

/// A job that was given to a new holder.
struct Taken {
    row: i64,
    token: i64,
    result: Option<Vec<u8>>,
    fault: Option<String>,
}

/// Gives the job to `who` under a new token, whoever had it.
fn take(
    db: &Connection,
    who: &Who,
    claim: &Claim,
    row: Option<i64>,
    now: i64,
    ruling: Ruling,
) -> rusqlite::Result<Taken> {
    let token = token(db)?;
    let until = now.saturating_add(millis(claim.lease));
    let Claim { correlation: id, at, origin, .. } = claim;
    db.prepare_cached(
        "INSERT INTO jobs (id, job, stage, pipeline, state, attempt, redrives, token, holder, epoch, lease_until,
                           tenant, resource, traceparent, created_at, updated_at, at_topic, at_partition,
                           at_offset, origin_topic, origin_partition, origin_offset, order_key, family)
         VALUES (:row, :job, :stage, :pipeline, 'running', :attempt, :redrives, :token, :holder, :epoch, :until,
                 :tenant, :resource, :traceparent, :now, :now, :at_topic, :at_partition, :at_offset,
                 :topic, :partition, :offset, :order, :family)
         ON CONFLICT (id) DO UPDATE SET
           state = CASE WHEN :bury THEN 'condemned' WHEN result IS NULL THEN 'running' ELSE 'stored' END,
           attempt = :attempt, redrives = :redrives, token = :token, holder = :holder, epoch = :epoch,
           lease_until = :until, updated_at = :now, at_topic = :at_topic, at_partition = :at_partition,
           at_offset = :at_offset, origin_topic = :topic, origin_partition = :partition,
           origin_offset = :offset, order_key = :order, family = :family
         RETURNING id, result, fault",
    )?
    .query_row(
        named_params! {
            ":row": row, ":job": id.job.0, ":stage": claim.stage, ":pipeline": claim.pipeline,
            ":attempt": claim.attempt, ":redrives": claim.redrives, ":token": token,
            ":holder": who.instance, ":epoch": who.epoch, ":until": until,
            ":tenant": id.tenant, ":resource": id.resource, ":traceparent": id.traceparent, ":now": now,
            ":bury": ruling == Ruling::Bury,
            ":at_topic": at.topic, ":at_partition": at.partition, ":at_offset": at.offset,
            ":topic": origin.topic, ":partition": origin.partition, ":offset": origin.offset,
            ":order": claim.order.map(u64::cast_signed), ":family": claim.family.partition,
        },
        |row| Ok(Taken { row: row.get(0)?, token, result: row.get(1)?, fault: row.get(2)? }),
    )
}

pub fn store(db: &Connection, lease: &Lease, result: &[u8], now: i64) -> Answer<()> {
    if stands(db, lease, "stored")? {
        return renew(db, lease, now);
    }
    let row: Option<i64> = db
        .prepare_cached(
            "UPDATE jobs SET state = 'stored', result = ?5, updated_at = ?6, lease_until = max(lease_until, ?7)
             WHERE job = ?1 AND stage = ?2 AND pipeline = ?3 AND token = ?4 AND state IN ('running', 'stored')
             RETURNING id",
        )?
        .query_row(
            params![lease.job, lease.stage, lease.pipeline, lease.token, result, now, until(lease, now)],
            |row| row.get(0),
        )
        .optional()?;
    let Some(row) = row else { return Ok(Err(LedgerError::Fenced(lease.job.clone()))) };
    Note { row, kind: "stored", at: now, ..Note::default() }.write(db)?;
    Ok(Ok(()))
}

fn until(lease: &Lease, now: i64) -> i64 {
    now.saturating_add(millis(lease.length))
}

fn renew(db: &Connection, lease: &Lease, now: i64) -> Answer<()> {
    db.prepare_cached(
        "UPDATE jobs SET lease_until = max(lease_until, ?5)
         WHERE job = ?1 AND stage = ?2 AND pipeline = ?3 AND token = ?4",
    )?
    .execute(params![lease.job, lease.stage, lease.pipeline, lease.token, until(lease, now)])?;
    Ok(Ok(()))
}

/// What is stored stays; only the job counts as running again.
pub fn withhold(db: &Connection, lease: &Lease, now: i64) -> Answer<()> {
    let changed = db
        .prepare_cached(
            "UPDATE jobs SET state = iif(state = 'stored', 'running', state), updated_at = ?5
             WHERE job = ?1 AND stage = ?2 AND pipeline = ?3 AND token = ?4
               AND state IN ('running', 'stored', 'condemned')",
        )?
        .execute(params![lease.job, lease.stage, lease.pipeline, lease.token, now])?;
    Ok(if changed > 0 { Ok(()) } else { Err(LedgerError::Fenced(lease.job.clone())) })
}

pub fn condemn(db: &Connection, lease: &Lease, fault: &str, now: i64) -> Answer<()> {
    // A dead letter that Kafka refuses for a day is tried thousands of times; its history says so once.
    if stands(db, lease, "condemned")? {
        return renew(db, lease, now);
    }
    let row: Option<i64> = db
        .prepare_cached(
            "UPDATE jobs SET state = 'condemned', fault = ?5, updated_at = ?6, lease_until = max(lease_until, ?7)
             WHERE job = ?1 AND stage = ?2 AND pipeline = ?3 AND token = ?4
               AND state IN ('running', 'stored', 'condemned')
             RETURNING id",
        )?
        .query_row(
            params![lease.job, lease.stage, lease.pipeline, lease.token, fault, now, until(lease, now)],
            |row| row.get(0),
        )
        .optional()?;
    let Some(row) = row else { return Ok(Err(LedgerError::Fenced(lease.job.clone()))) };
    Note { row, kind: "condemned", at: now, fault: Some(fault), ..Note::default() }.write(db)?;
    Ok(Ok(()))
}

/// Ends the lease. Saying the same end again is no second end, so a caller that got no answer may ask again.
pub fn settle(db: &Connection, lease: &Lease, ending: &Ending, now: i64) -> Answer<()> {
    let word = ending.state.as_str();
    let row: Option<i64> = db
        .prepare_cached(
            "UPDATE jobs SET state = iif(:state = 'released' AND state = 'condemned', state, :state),
               lease_until = iif(:state = 'released', 0, lease_until), attempt = coalesce(:attempt, attempt),
               finishes = finishes + (:state = 'done'), result = iif(:state = 'done', NULL, result),
               fault = coalesce(:fault, fault), updated_at = :now
             WHERE job = :job AND stage = :stage AND pipeline = :pipeline AND token = :token
               AND state IN ('running', 'stored', 'condemned')
             RETURNING id",
        )?
        .query_row(
            named_params! {
                ":state": word, ":attempt": ending.attempt, ":fault": ending.fault, ":now": now,
                ":job": lease.job, ":stage": lease.stage, ":pipeline": lease.pipeline, ":token": lease.token,
            },
            |row| row.get(0),
        )
        .optional()?;
    let Some(row) = row else { return repeated(db, lease, word) };
    let Ending { fault, went_to, remark, .. } = ending;
    let (fault, went_to, remark) = (fault.as_deref(), went_to.as_deref(), remark.as_deref());
    Note { row, kind: word, at: now, fault, went_to, due: ending.due, remark, ..Note::default() }
        .write(db)?;
    Ok(Ok(()))
}

fn repeated(db: &Connection, lease: &Lease, word: &str) -> Answer<()> {
    Ok(if stands(db, lease, word)? { Ok(()) } else { Err(LedgerError::Fenced(lease.job.clone())) })
}

/// Whether the lease's job is in this state, and the lease still the latest.
fn stands(db: &Connection, lease: &Lease, word: &str) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT 1 FROM jobs WHERE job = ?1 AND stage = ?2 AND pipeline = ?3 AND token = ?4 AND state = ?5",
    )?
    .exists(params![lease.job, lease.stage, lease.pipeline, lease.token, word])
}
