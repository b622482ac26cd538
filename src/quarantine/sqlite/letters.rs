//! Rows of letters.

use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension, Row as Sql, ToSql, params, params_from_iter};

use super::SqliteShelf;
use crate::message::TopicPartition;
use crate::quarantine::projection::restate::RESTATED;
use crate::quarantine::projection::row::{Row, Subject, TOPIC};
use crate::quarantine::projection::shelf::Letters;
use crate::quarantine::projection::stripes::{COLUMNS, Column, Facts};

/// The columns of a row, as [`row`] reads and [`Letters::insert`] writes them.
macro_rules! columns {
    () => {
        concat!("key, id, job, trace, topic, part, at_offset, redrives, again, gone, rest, ", facts!())
    };
}
/// In the order of [`Column::ALL`].
macro_rules! facts {
    () => {
        "state, pipeline, stage, code, class, fingerprint, tenant, resource, feature, model, producer, version, \
         message, died, size, trace_hash, looked, logged, kept, tokens_in, tokens_out"
    };
}

/// What comes before the facts in a row.
const BEFORE: usize = 11;

fn row(sql: &Sql<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        key: sql.get(0)?,
        id: sql.get(1)?,
        job: sql.get(2)?,
        trace: sql.get(3)?,
        topic: sql.get(4)?,
        partition: sql.get(5)?,
        offset: sql.get(6)?,
        redrives: sql.get(7)?,
        again: sql.get(8)?,
        gone: sql.get(9)?,
        rest: sql.get(10)?,
        facts: facts(sql, BEFORE)?,
    })
}

fn facts(sql: &Sql<'_>, first: usize) -> rusqlite::Result<Facts> {
    let mut facts = Facts::default();
    for (n, column) in Column::ALL.into_iter().enumerate() {
        facts.set(column, sql.get(first + n)?);
    }
    Ok(facts)
}

fn keyed(sql: &Sql<'_>) -> rusqlite::Result<(i64, Facts)> {
    Ok((sql.get(0)?, facts(sql, 1)?))
}

impl Letters for SqliteShelf<'_> {
    async fn next_key(&mut self) -> rusqlite::Result<i64> {
        self.0
            .prepare_cached("SELECT 1 + coalesce(max(key), -1) FROM letters")?
            .query_row([], |row| row.get(0))
    }

    async fn by_id(&mut self, ids: &[String]) -> rusqlite::Result<Vec<Row>> {
        let sql = concat!("SELECT ", columns!(), " FROM letters WHERE id = ?1");
        let mut statement = self.0.prepare_cached(sql)?;
        let found = ids.iter().map(|id| statement.query_row([id], row).optional());
        found.filter_map(Result::transpose).collect()
    }

    async fn by_key(&mut self, keys: &[i64]) -> rusqlite::Result<Vec<Row>> {
        let sql = concat!("SELECT ", columns!(), " FROM letters WHERE key = ?1");
        let mut statement = self.0.prepare_cached(sql)?;
        let found = keys.iter().map(|key| statement.query_row([key], row).optional());
        found.filter_map(Result::transpose).collect()
    }

    async fn ids(&mut self, keys: &[i64]) -> rusqlite::Result<Vec<(i64, String)>> {
        let mut statement = self.0.prepare_cached("SELECT key, id FROM letters WHERE key = ?1")?;
        let pair = |row: &Sql<'_>| Ok((row.get(0)?, row.get(1)?));
        let found = keys.iter().map(|key| statement.query_row([key], pair).optional());
        found.filter_map(Result::transpose).collect()
    }

    async fn beginning(&mut self, prefix: &str) -> rusqlite::Result<Vec<i64>> {
        // What follows is greater than every character.
        self.0
            .prepare_cached(
                "SELECT key FROM letters WHERE id >= ?1 AND id < ?1 || char(0x10ffff) ORDER BY id LIMIT 2",
            )?
            .query_map([prefix], |row| row.get(0))?
            .collect()
    }

    async fn of_subject(
        &mut self,
        Subject { pipeline, stage, job }: &Subject,
        redrives: Option<i64>,
    ) -> rusqlite::Result<Vec<Row>> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM letters WHERE job = ?1 AND stage = ?2 AND pipeline = ?3 AND redrives = coalesce(?4, redrives)"
        );
        self.0.prepare_cached(sql)?.query_map(params![job, stage, pipeline, redrives], row)?.collect()
    }

    async fn most_redriven(&mut self, subjects: &[Subject]) -> rusqlite::Result<Vec<Option<i64>>> {
        let mut statement = self.0.prepare_cached(
            "SELECT max(redrives) FROM letters WHERE job = ?1 AND stage = ?2 AND pipeline = ?3",
        )?;
        let mut most = |Subject { pipeline, stage, job }: &Subject| {
            statement.query_row(params![job, stage, pipeline], |row| row.get(0))
        };
        subjects.iter().map(&mut most).collect()
    }

    async fn standing_below(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Row>> {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM letters WHERE topic = (SELECT number FROM letter_names WHERE what = ?1 AND name = ?2)
                AND part = ?3 AND at_offset < ?4 AND NOT gone ORDER BY at_offset LIMIT ?5"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = params![TOPIC, &*partition.topic, partition.partition, offset, limit];
        self.0.prepare_cached(sql)?.query_map(values, row)?.collect()
    }

    async fn insert(&mut self, rows: &[Row]) -> rusqlite::Result<()> {
        let sql = concat!(
            "INSERT INTO letters (",
            columns!(),
            ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
              ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)"
        );
        let mut statement = self.0.prepare_cached(sql)?;
        for row in rows {
            let before: [&dyn ToSql; BEFORE] = [
                &row.key,
                &row.id,
                &row.job,
                &row.trace,
                &row.topic,
                &row.partition,
                &row.offset,
                &row.redrives,
                &row.again,
                &row.gone,
                &row.rest,
            ];
            let mut values: Vec<ToSqlOutput<'_>> = Vec::with_capacity(BEFORE + COLUMNS);
            for value in before {
                values.push(value.to_sql()?);
            }
            values.extend(row.facts.0.iter().map(|fact| ToSqlOutput::from(*fact)));
            statement.execute(params_from_iter(values))?;
        }
        Ok(())
    }

    async fn remove(&mut self, keys: &[i64]) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached("DELETE FROM letters WHERE key = ?1")?;
        keys.iter().try_for_each(|key| statement.execute([key]).map(|_| ()))
    }

    async fn restate(&mut self, rows: &[Row]) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached(
            "UPDATE letters SET state = ?2, code = ?3, class = ?4, looked = ?5, kept = ?6, again = ?7, gone = ?8
             WHERE key = ?1",
        )?;
        for row in rows {
            let fact = |column| row.facts.get(column);
            let [state, code, class, looked, kept] = RESTATED.map(fact);
            statement.execute(params![row.key, state, code, class, looked, kept, row.again, row.gone])?;
        }
        Ok(())
    }

    async fn facts(&mut self, keys: &[i64]) -> rusqlite::Result<Vec<(i64, Facts)>> {
        let mut statement =
            self.0.prepare_cached(concat!("SELECT key, ", facts!(), " FROM letters WHERE key = ?1"))?;
        let found = keys.iter().map(|key| statement.query_row([key], keyed).optional());
        found.filter_map(Result::transpose).collect()
    }

    async fn facts_from(&mut self, key: i64, limit: usize) -> rusqlite::Result<Vec<(i64, Facts)>> {
        let sql = concat!("SELECT key, ", facts!(), " FROM letters WHERE key >= ?1 ORDER BY key LIMIT ?2");
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.0.prepare_cached(sql)?.query_map([key, limit], keyed)?.collect()
    }

    async fn keys_of(&mut self, job: &str) -> rusqlite::Result<Vec<i64>> {
        // '0' is what comes after '/'.
        const OF_JOB: &str = "SELECT key FROM letters WHERE job = ?1
            UNION ALL SELECT key FROM letters WHERE job >= ?1 || '/' AND job < ?1 || '0'";
        let mut keys: Vec<i64> = self
            .0
            .prepare_cached(OF_JOB)?
            .query_map([job], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        keys.sort_unstable();
        Ok(keys)
    }
}
