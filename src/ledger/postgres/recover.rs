//! Brings the ledger up to what Kafka has committed, and lists what is not over. One transaction.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Shared;
use super::notes::{NOTES, Note, Notes};
use crate::ledger::LedgerError;
use crate::ledger::ending::{RECOVERED, found_out, too_many};
use crate::ledger::recovery::{Holding, OUTSTANDING_MAX, Outstanding, Recovery};
use crate::ledger::state::State;
use crate::message::{JobId, TopicPartition};
use crate::postgres::{Error, Line, Place};

/// As in a page, before any job.
const TERMS: &str = "SELECT t.topic, t.partition, t.term
    FROM unnest($3::text[], $4::int[]) AS n (topic, partition)
      JOIN terms t ON t.pipeline = $1 AND t.stage = $2 AND t.topic = n.topic AND t.partition = n.partition
    ORDER BY t.pipeline, t.stage, t.topic, t.partition FOR SHARE OF t";
/// As many as records were in flight: what ended long ago is not looked at.
const CANDIDATES: &str =
    "SELECT id, at_topic, at_partition, at_offset FROM jobs WHERE pipeline = $1 AND stage = $2 AND in_hand";
/// As they are once nobody else works on them.
const LEFT: &str =
    "SELECT id, job, attempt, redrives, state, result, at_topic, at_partition, at_offset FROM jobs
    WHERE id = ANY($1) ORDER BY job, stage, pipeline FOR UPDATE";
const ENDED: &str = "UPDATE jobs j SET state = n.state, finishes = finishes + (n.state = 'done')::int,
      attempt = attempt + (n.state = 'waiting')::int, result = result AND n.state <> 'done', updated_at = $3,
      in_hand = false, over_at = CASE WHEN n.state = 'done' THEN $3::bigint END
    FROM unnest($1::bigint[], $2::text[]) AS n (id, state) WHERE j.id = n.id";
const DROP: &str = "DELETE FROM results WHERE row = ANY($1)";
/// What processes that are gone held of these families is free: what they did there is known now.
const VOID: &str = "WITH void AS (
        SELECT j.id FROM jobs j JOIN instances i ON i.name = j.holder
        WHERE j.pipeline = $1 AND j.stage = $2 AND j.in_hand AND j.state <> 'released' AND j.family = ANY($3)
          AND j.epoch < i.epoch AND j.epoch <= i.voided
        ORDER BY j.job, j.stage, j.pipeline FOR UPDATE OF j)
    UPDATE jobs j SET lease_until = 0 FROM void WHERE j.id = void.id";
const OUTSTANDING: &str = "SELECT order_key, origin_offset, state FROM jobs
    WHERE order_key IS NOT NULL AND over_at IS NULL
      AND pipeline = $1 AND stage = $2 AND origin_topic = $3 AND origin_partition = $4
      AND ($5 OR state <> 'dead')
    ORDER BY origin_offset LIMIT $6";

pub async fn recover(shared: &Shared, recovery: &Recovery) -> Result<Vec<Outstanding>, LedgerError> {
    let place = shared.rare.place();
    shared
        .rare
        .ask(|line| async move {
            line.run("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
            let found = within(&line, place, recovery).await?;
            line.run("COMMIT").await?;
            Ok(found)
        })
        .await?
}

async fn within(
    line: &Line,
    place: &Place,
    recovery: &Recovery,
) -> Result<Result<Vec<Outstanding>, LedgerError>, Error> {
    if let Err(ousted) = still_owned(line, recovery).await? {
        return Ok(Err(ousted));
    }
    settle(line, place, recovery).await?;
    let families: Vec<i32> = recovery.families.iter().map(|family| family.input.partition).collect();
    let void = line.prepared(VOID).await?;
    line.within(line.client().execute(&void, &[&recovery.pipeline, &recovery.stage, &families])).await?;
    let mut all = Vec::new();
    if recovery.holding == Holding::Nothing {
        return Ok(Ok(all));
    }
    for family in &recovery.families {
        outstanding(line, place, recovery, &family.input, &mut all).await?;
        if all.len() > OUTSTANDING_MAX {
            return Ok(Err(LedgerError::Unavailable(too_many(recovery, &family.input))));
        }
    }
    Ok(Ok(all))
}

async fn still_owned(line: &Line, recovery: &Recovery) -> Result<Result<(), LedgerError>, Error> {
    let topics: Vec<&str> = recovery.families.iter().map(|family| &*family.input.topic).collect();
    let partitions: Vec<i32> = recovery.families.iter().map(|family| family.input.partition).collect();
    let terms = line.prepared(TERMS).await?;
    let values: [&(dyn ToSql + Sync); 4] = [&recovery.pipeline, &recovery.stage, &topics, &partitions];
    for row in line.within(line.client().query(&terms, &values)).await? {
        let input = TopicPartition::new(row.get::<_, String>(0), row.get(1));
        let term: i64 = row.get(2);
        if recovery.families.iter().any(|family| family.input == input && family.term != term) {
            return Ok(Err(LedgerError::Ousted(input)));
        }
    }
    Ok(Ok(()))
}

/// Settles jobs whose last claimed record has ended in Kafka, while the ledger takes them for being worked on. Their
/// tokens stay, so that the last holder, if it lives, may say the same end again.
async fn settle(line: &Line, place: &Place, recovery: &Recovery) -> Result<(), Error> {
    let seen = recovery.ended();
    let has = |row: &Row, first: usize| {
        let topic: &str = row.get(first);
        seen.get(&(topic, row.get::<_, i32>(first + 1))).is_some_and(|ended| ended.has(row.get(first + 2)))
    };
    let client = line.client();
    let candidates = line.prepared(CANDIDATES).await?;
    let candidates = line.within(client.query(&candidates, &[&recovery.pipeline, &recovery.stage])).await?;
    let left: Vec<i64> = candidates.iter().filter(|row| has(row, 1)).map(|row| row.get(0)).collect();
    if left.is_empty() {
        return Ok(());
    }
    let statement = line.prepared(LEFT).await?;
    let now = recovery.now.as_millisecond();
    let (mut rows, mut states, mut done, mut notes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in line.within(client.query(&statement, &[&left])).await? {
        let (id, state) = (row.get::<_, i64>(0), state(place, row.get(4))?);
        if !super::save::is_in_hand(state) || !has(&row, 6) {
            continue;
        }
        let number = |column: usize| u32::try_from(row.get::<_, i64>(column)).unwrap_or(u32::MAX);
        let (attempt, redrives) = (number(2), number(3));
        let (state, letter) = found_out(recovery, &JobId(row.get(1)), redrives, state, row.get(5));
        rows.push(id);
        states.push(state.as_str());
        if state == State::Done {
            done.push(id);
        }
        notes.push(Note {
            row: id,
            at: now,
            kind: state.as_str(),
            attempt: attempt.saturating_add(u32::from(state == State::Waiting)),
            redrives,
            went_to: letter,
            remark: Some(RECOVERED.to_owned()),
            ..Note::default()
        });
    }
    line.within(client.execute(ENDED, &[&rows, &states, &now])).await?;
    line.within(client.execute(DROP, &[&done])).await?;
    line.within(client.execute(NOTES, &Notes::of(&notes).columns())).await?;
    Ok(())
}

async fn outstanding(
    line: &Line,
    place: &Place,
    recovery: &Recovery,
    input: &TopicPartition,
    all: &mut Vec<Outstanding>,
) -> Result<(), Error> {
    // One more than may be, so that too many are noticed.
    let most = (OUTSTANDING_MAX + 1).saturating_sub(all.len()) as i64;
    let dead = recovery.holding == Holding::LiveAndDead;
    let statement = line.prepared(OUTSTANDING).await?;
    let (pipeline, stage) = (&recovery.pipeline, &recovery.stage);
    let values: [&(dyn ToSql + Sync); 6] = [pipeline, stage, &&*input.topic, &input.partition, &dead, &most];
    for row in line.within(line.client().query(&statement, &values)).await? {
        all.push(Outstanding {
            partition: input.clone(),
            order: row.get::<_, i64>(0).cast_unsigned(),
            origin: row.get(1),
            state: state(place, row.get(2))?,
        });
    }
    Ok(())
}

/// A state as it is written.
pub fn state(place: &Place, word: &str) -> Result<State, Error> {
    State::parse(word).ok_or_else(|| {
        let cause = format!("'{word}' is no state of a job");
        place.unusable(cause, "run the version that wrote it, or a later one").into()
    })
}
