//! Rows of letters.

use tokio_postgres::Row as Sql;
use tokio_postgres::types::ToSql;

use super::PostgresShelf;
use crate::message::TopicPartition;
use crate::postgres::Error;
use crate::quarantine::projection::restate::RESTATED;
use crate::quarantine::projection::row::{Row, Subject, TOPIC};
use crate::quarantine::projection::shelf::Letters;
use crate::quarantine::projection::stripes::{COLUMNS, Column, Facts};

/// The columns of a row, as [`row`] reads them.
macro_rules! columns {
    () => {
        concat!(
            "key, id, job, trace, topic, part, at_offset, redrives, again, gone, rest, ",
            facts!("::bigint")
        )
    };
}
/// In the order of [`Column::ALL`], all as the same type.
macro_rules! facts {
    ($type:literal) => {
        facts!(
            $type, "state", "pipeline", "stage", "code", "class", "fingerprint", "tenant", "resource", "feature",
            "model", "producer", "version", "message", "died", "size", "trace_hash", "looked", "logged",
            "kept", "tokens_in", "tokens_out"
        )
    };
    ($type:literal, $first:literal $(, $more:literal)*) => {
        concat!($first, $type $(, ", ", $more, $type)*)
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM letters WHERE id = ANY($1::text[])");
const BY_KEY: &str = concat!("SELECT ", columns!(), " FROM letters WHERE key = ANY($1::bigint[])");
/// What follows is greater than every character.
const BEGINNING: &str =
    "SELECT key FROM letters WHERE id >= $1 AND id < $1 || chr(1114111) ORDER BY id LIMIT 2";
const OF_SUBJECT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM letters WHERE job = $1 AND stage = $2::bigint AND pipeline = $3::bigint
        AND redrives = coalesce($4::bigint, redrives)"
);
const MOST_REDRIVEN: &str = "SELECT (SELECT l.redrives FROM letters l
        WHERE l.job = s.job AND l.stage = s.stage AND l.pipeline = s.pipeline ORDER BY l.redrives DESC LIMIT 1)
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS s (job, stage, pipeline, place)
    ORDER BY s.place";
const STANDING_BELOW: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM letters WHERE topic = (SELECT number FROM letter_names WHERE what = $1 AND name = $2)
        AND part = $3::integer AND at_offset < $4::bigint AND NOT gone ORDER BY at_offset LIMIT $5::bigint"
);
const INSERT: &str = concat!(
    "INSERT INTO letters (key, id, job, trace, topic, part, at_offset, redrives, again, gone, rest, ",
    facts!(""),
    ") SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::integer[],
        $7::bigint[], $8::bigint[], $9::boolean[], $10::boolean[], $11::text[], $12::bigint[], $13::bigint[],
        $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[],
        $21::bigint[], $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[],
        $28::bigint[], $29::bigint[], $30::bigint[], $31::bigint[], $32::bigint[])"
);
const RESTATE: &str = "UPDATE letters l
    SET state = n.state, code = n.code, class = n.class, looked = n.looked, kept = n.kept, again = n.again, gone = n.gone
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[],
        $8::boolean[]) AS n (key, state, code, class, looked, kept, again, gone)
    WHERE l.key = n.key";
const FACTS: &str =
    concat!("SELECT key, ", facts!("::bigint"), " FROM letters WHERE key = ANY($1::bigint[]) ORDER BY key");
const FACTS_FROM: &str = concat!(
    "SELECT key, ",
    facts!("::bigint"),
    " FROM letters WHERE key >= $1::bigint ORDER BY key LIMIT $2::bigint"
);
/// '0' is what comes after '/'.
const OF_JOB: &str = "SELECT key FROM letters WHERE job = $1
    UNION ALL SELECT key FROM letters WHERE job >= $1 || '/' AND job < $1 || '0'";

/// What comes before the facts in a row.
const BEFORE: usize = 11;

fn row(sql: &Sql) -> Row {
    Row {
        key: sql.get(0),
        id: sql.get(1),
        job: sql.get(2),
        trace: sql.get(3),
        topic: sql.get::<_, i32>(4).into(),
        partition: sql.get(5),
        offset: sql.get(6),
        redrives: sql.get(7),
        again: sql.get(8),
        gone: sql.get(9),
        rest: sql.get(10),
        facts: facts(sql, BEFORE),
    }
}

fn facts(sql: &Sql, first: usize) -> Facts {
    let mut facts = Facts::default();
    for (n, column) in Column::ALL.into_iter().enumerate() {
        facts.set(column, sql.get(first + n));
    }
    facts
}

fn keyed(sql: &Sql) -> (i64, Facts) {
    (sql.get(0), facts(sql, 1))
}

fn all<'a, T>(rows: &'a [Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

impl Letters for PostgresShelf {
    async fn next_key(&mut self) -> Result<i64, Error> {
        let rows = self.rows("SELECT 1 + coalesce(max(key), -1) FROM letters", &[]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    async fn by_id(&mut self, ids: &[String]) -> Result<Vec<Row>, Error> {
        Ok(self.rows(BY_ID, &[&ids]).await?.iter().map(row).collect())
    }

    async fn by_key(&mut self, keys: &[i64]) -> Result<Vec<Row>, Error> {
        Ok(self.rows(BY_KEY, &[&keys]).await?.iter().map(row).collect())
    }

    async fn ids(&mut self, keys: &[i64]) -> Result<Vec<(i64, String)>, Error> {
        let rows = self.rows("SELECT key, id FROM letters WHERE key = ANY($1::bigint[])", &[&keys]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn beginning(&mut self, prefix: &str) -> Result<Vec<i64>, Error> {
        Ok(self.rows(BEGINNING, &[&prefix]).await?.iter().map(|row| row.get(0)).collect())
    }

    async fn of_subject(
        &mut self,
        Subject { pipeline, stage, job }: &Subject,
        redrives: Option<i64>,
    ) -> Result<Vec<Row>, Error> {
        Ok(self.rows(OF_SUBJECT, &[job, stage, pipeline, &redrives]).await?.iter().map(row).collect())
    }

    async fn most_redriven(&mut self, subjects: &[Subject]) -> Result<Vec<Option<i64>>, Error> {
        let jobs: Vec<&str> = subjects.iter().map(|subject| subject.job.as_str()).collect();
        let stages: Vec<i64> = subjects.iter().map(|subject| subject.stage).collect();
        let pipelines: Vec<i64> = subjects.iter().map(|subject| subject.pipeline).collect();
        let rows = self.rows(MOST_REDRIVEN, &[&jobs, &stages, &pipelines]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn standing_below(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        limit: usize,
    ) -> Result<Vec<Row>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: [&(dyn ToSql + Sync); 5] =
            [&TOPIC, &&*partition.topic, &partition.partition, &offset, &limit];
        Ok(self.rows(STANDING_BELOW, &values).await?.iter().map(row).collect())
    }

    async fn insert(&mut self, rows: &[Row]) -> Result<(), Error> {
        let (keys, topics) = (all(rows, |row| row.key), all(rows, |row| row.topic));
        let (ids, jobs) = (all(rows, |row| row.id.as_str()), all(rows, |row| row.job.as_str()));
        let (traces, rests) = (all(rows, |row| row.trace.as_deref()), all(rows, |row| row.rest.as_str()));
        let (partitions, offsets) = (all(rows, |row| row.partition), all(rows, |row| row.offset));
        let (redrives, again) = (all(rows, |row| row.redrives), all(rows, |row| row.again));
        let gone = all(rows, |row| row.gone);
        let facts: Vec<Vec<i64>> =
            Column::ALL.into_iter().map(|column| all(rows, |row| row.facts.get(column))).collect();
        let before: [&(dyn ToSql + Sync); BEFORE] =
            [&keys, &ids, &jobs, &traces, &topics, &partitions, &offsets, &redrives, &again, &gone, &rests];
        let mut values: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(BEFORE + COLUMNS);
        values.extend(before);
        values.extend(facts.iter().map(|fact| fact as &(dyn ToSql + Sync)));
        self.run(INSERT, &values).await?;
        Ok(())
    }

    async fn remove(&mut self, keys: &[i64]) -> Result<(), Error> {
        if !keys.is_empty() {
            self.run("DELETE FROM letters WHERE key = ANY($1::bigint[])", &[&keys]).await?;
        }
        Ok(())
    }

    async fn restate(&mut self, rows: &[Row]) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let fact = |column: Column| all(rows, |row| row.facts.get(column));
        let [state, code, class, looked, kept] = RESTATED.map(fact);
        let (keys, again, gone) =
            (all(rows, |row| row.key), all(rows, |row| row.again), all(rows, |row| row.gone));
        self.run(RESTATE, &[&keys, &state, &code, &class, &looked, &kept, &again, &gone]).await?;
        Ok(())
    }

    async fn facts(&mut self, keys: &[i64]) -> Result<Vec<(i64, Facts)>, Error> {
        Ok(self.rows(FACTS, &[&keys]).await?.iter().map(keyed).collect())
    }

    async fn facts_from(&mut self, key: i64, limit: usize) -> Result<Vec<(i64, Facts)>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.rows(FACTS_FROM, &[&key, &limit]).await?.iter().map(keyed).collect())
    }

    async fn keys_of(&mut self, job: &str) -> Result<Vec<i64>, Error> {
        let mut keys: Vec<i64> = self.rows(OF_JOB, &[&job]).await?.iter().map(|row| row.get(0)).collect();
        keys.sort_unstable();
        Ok(keys)
    }
}
