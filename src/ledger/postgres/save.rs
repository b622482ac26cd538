//! Writes what a page has changed, column by column, and commits: one round trip, whatever there is to write.

use futures::future::{try_join, try_join5};

use super::notes::{Column, NOTES, Notes};
use super::rows::{Book, Change, Kept, Key, Row};
use crate::ledger::Claim;
use crate::ledger::state::State;
use crate::postgres::{Error, Line};

/// A row that is there already breaks the page, which is begun anew then and finds it.
const INSERT: &str = "INSERT INTO jobs (id, state, attempt, redrives, finishes, lease_until, fault, updated_at, result,
      in_hand, over_at, token, holder, epoch, family, at_topic, at_partition, at_offset, origin_topic, origin_partition,
      origin_offset, order_key, job, stage, pipeline, tenant, resource, traceparent, created_at)
    SELECT n.*, n.updated_at
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
        $8::bigint[], $9::boolean[], $10::boolean[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[],
        $15::int[], $16::text[], $17::int[], $18::bigint[], $19::text[], $20::int[], $21::bigint[], $22::bigint[],
        $23::text[], $24::text[], $25::text[], $26::text[], $27::text[], $28::text[])
      AS n (id, state, attempt, redrives, finishes, lease_until, fault, updated_at, result, in_hand, over_at, token,
        holder, epoch, family, at_topic, at_partition, at_offset, origin_topic, origin_partition, origin_offset,
        order_key, job, stage, pipeline, tenant, resource, traceparent)";
const CLAIMED: &str = "UPDATE jobs j SET state = n.state, attempt = n.attempt, redrives = n.redrives,
      finishes = n.finishes, lease_until = n.lease_until, fault = n.fault, updated_at = n.updated_at, result = n.result,
      in_hand = n.in_hand, over_at = n.over_at, token = n.token, holder = n.holder, epoch = n.epoch, family = n.family,
      at_topic = n.at_topic, at_partition = n.at_partition, at_offset = n.at_offset, origin_topic = n.origin_topic,
      origin_partition = n.origin_partition, origin_offset = n.origin_offset, order_key = n.order_key
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
        $8::bigint[], $9::boolean[], $10::boolean[], $11::bigint[], $12::bigint[], $13::text[], $14::bigint[],
        $15::int[], $16::text[], $17::int[], $18::bigint[], $19::text[], $20::int[], $21::bigint[], $22::bigint[])
      AS n (id, state, attempt, redrives, finishes, lease_until, fault, updated_at, result, in_hand, over_at, token,
        holder, epoch, family, at_topic, at_partition, at_offset, origin_topic, origin_partition, origin_offset,
        order_key)
    WHERE j.id = n.id";
const MOVED: &str = "UPDATE jobs j SET state = n.state, attempt = n.attempt, redrives = n.redrives,
      finishes = n.finishes, lease_until = n.lease_until, fault = n.fault, updated_at = n.updated_at, result = n.result,
      in_hand = n.in_hand, over_at = n.over_at
    FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
        $8::bigint[], $9::boolean[], $10::boolean[], $11::bigint[])
      AS n (id, state, attempt, redrives, finishes, lease_until, fault, updated_at, result, in_hand, over_at)
    WHERE j.id = n.id";
const KEEP: &str = "INSERT INTO results (row, result) SELECT * FROM unnest($1::bigint[], $2::bytea[])
    ON CONFLICT (row) DO UPDATE SET result = excluded.result";
const DROP: &str = "DELETE FROM results WHERE row = ANY($1)";
/// Writes and commits. When any of it fails, the commit has undone all.
pub async fn save(line: &Line, book: &Book<'_>) -> Result<(), Error> {
    let mut rows: Vec<(&Key<'_>, &Row<'_>)> = book.rows.iter().collect();
    rows.sort_by_key(|(key, _)| **key);
    let (mut new, mut claimed, mut moved) = (Table::default(), Table::default(), Table::default());
    let (mut kept, mut bytes, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    for (_, row) in rows {
        match row.change {
            Change::None => {}
            Change::Moved => moved.add(row, None),
            Change::Claimed(claim) => claimed.add(row, Some(claim)),
            Change::New(claim) => new.add(row, Some(claim)),
        }
        match row.kept {
            Kept::AsItWas => {}
            Kept::Put(result) => {
                kept.push(row.id);
                bytes.push(result);
            }
            Kept::Dropped => dropped.push(row.id),
        }
    }
    let notes = Notes::of(&book.notes);
    let [insert, claim, step] =
        [line.prepared(INSERT).await?, line.prepared(CLAIMED).await?, line.prepared(MOVED).await?];
    let [keep, drop, note] =
        [line.prepared(KEEP).await?, line.prepared(DROP).await?, line.prepared(NOTES).await?];

    let client = line.client();
    // What there is nothing of is not sent. The rest is sent in this order, and the commit last.
    let run = async |some: bool, statement, columns: &[Column<'_>]| match some {
        true => client.execute(statement, columns).await.map(|_| ()),
        false => Ok(()),
    };
    let (all, owner, own) = (new.all(), claimed.owner(), moved.own());
    let (put, gone): ([Column<'_>; 2], [Column<'_>; 1]) = ([&kept, &bytes], [&dropped]);
    let jobs = try_join5(
        run(!new.id.is_empty(), &insert, &all),
        run(!claimed.id.is_empty(), &claim, &owner),
        run(!moved.id.is_empty(), &step, &own),
        run(!kept.is_empty(), &keep, &put),
        run(!dropped.is_empty(), &drop, &gone),
    );
    let columns = notes.columns();
    let events = run(!book.notes.is_empty(), &note, &columns);
    // When one of them is refused, this says that it is done and undoes all; but then that one's error is the answer.
    let commit = client.batch_execute("COMMIT");
    line.within(try_join(try_join(jobs, events), commit)).await?;
    Ok(())
}

/// Rows as columns.
#[derive(Default)]
struct Table<'a> {
    id: Vec<i64>,
    state: Vec<&'static str>,
    attempt: Vec<i64>,
    redrives: Vec<i64>,
    finishes: Vec<i64>,
    lease_until: Vec<i64>,
    fault: Vec<Option<&'a str>>,
    updated_at: Vec<i64>,
    result: Vec<bool>,
    in_hand: Vec<bool>,
    over_at: Vec<Option<i64>>,
    token: Vec<i64>,
    holder: Vec<&'a str>,
    epoch: Vec<i64>,
    family: Vec<i32>,
    at_topic: Vec<&'a str>,
    at_partition: Vec<i32>,
    at_offset: Vec<i64>,
    origin_topic: Vec<&'a str>,
    origin_partition: Vec<i32>,
    origin_offset: Vec<i64>,
    order_key: Vec<Option<i64>>,
    job: Vec<&'a str>,
    stage: Vec<&'a str>,
    pipeline: Vec<&'a str>,
    tenant: Vec<Option<&'a str>>,
    resource: Vec<Option<&'a str>>,
    traceparent: Vec<&'a str>,
}

impl<'a> Table<'a> {
    fn add(&mut self, row: &'a Row<'_>, claim: Option<&'a Claim>) {
        self.id.push(row.id);
        self.state.push(row.state.as_str());
        self.attempt.push(row.attempt.into());
        self.redrives.push(row.redrives.into());
        self.finishes.push(row.finishes);
        self.lease_until.push(row.lease_until);
        self.fault.push(row.fault.as_deref());
        self.updated_at.push(row.updated_at);
        self.result.push(row.result);
        self.in_hand.push(is_in_hand(row.state));
        self.over_at.push(row.state.is_over().then_some(row.updated_at));
        let Some(claim) = claim else { return };
        self.token.push(row.token);
        self.holder.push(&row.holder);
        self.epoch.push(row.epoch);
        self.family.push(row.family);
        self.at_topic.push(&claim.at.topic);
        self.at_partition.push(claim.at.partition);
        self.at_offset.push(claim.at.offset);
        self.origin_topic.push(&claim.origin.topic);
        self.origin_partition.push(claim.origin.partition);
        self.origin_offset.push(claim.origin.offset);
        self.order_key.push(claim.order.map(u64::cast_signed));
        self.job.push(&claim.correlation.job.0);
        self.stage.push(&claim.stage);
        self.pipeline.push(&claim.pipeline);
        self.tenant.push(claim.correlation.tenant.as_deref());
        self.resource.push(claim.correlation.resource.as_deref());
        self.traceparent.push(&claim.correlation.traceparent);
    }

    fn own(&self) -> Vec<Column<'_>> {
        vec![
            &self.id,
            &self.state,
            &self.attempt,
            &self.redrives,
            &self.finishes,
            &self.lease_until,
            &self.fault,
            &self.updated_at,
            &self.result,
            &self.in_hand,
            &self.over_at,
        ]
    }

    fn owner(&self) -> Vec<Column<'_>> {
        let mut columns = self.own();
        let more: [Column<'_>; 11] = [
            &self.token,
            &self.holder,
            &self.epoch,
            &self.family,
            &self.at_topic,
            &self.at_partition,
            &self.at_offset,
            &self.origin_topic,
            &self.origin_partition,
            &self.origin_offset,
            &self.order_key,
        ];
        columns.extend(more);
        columns
    }

    fn all(&self) -> Vec<Column<'_>> {
        let mut columns = self.owner();
        let more: [Column<'_>; 6] =
            [&self.job, &self.stage, &self.pipeline, &self.tenant, &self.resource, &self.traceparent];
        columns.extend(more);
        columns
    }
}

pub fn is_in_hand(state: State) -> bool {
    matches!(state, State::Running | State::Stored | State::Condemned | State::Released)
}
