//! Columns of stripes, and positions.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::SqliteShelf;
use crate::message::TopicPartition;
use crate::quarantine::projection::shelf::{Base as _, Stripe, Stripes};
use crate::quarantine::projection::stripes::{Column, Packed, ROOM};

impl Stripes for SqliteShelf<'_> {
    async fn extremes(&mut self, columns: &[Column]) -> rusqlite::Result<Vec<(i64, Column, i64, i64)>> {
        let most: Option<i64> = self
            .0
            .prepare_cached("SELECT max(place) FROM letter_stripes")?
            .query_row([], |row| row.get(0))?;
        let stripes = most.map_or(0, |place| place / ROOM + 1);
        let mut statement = self.0.prepare_cached("SELECT low, high FROM letter_stripes WHERE place = ?1")?;
        let mut extremes = Vec::new();
        for stripe in 0..stripes {
            for column in columns {
                let found = statement
                    .query_row([stripe * ROOM + column.number()], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                let (low, high) = found.ok_or_else(|| self.damaged("a stripe is missing"))?;
                extremes.push((stripe, *column, low, high));
            }
        }
        Ok(extremes)
    }

    async fn stripes(&mut self, stripes: &[i64], columns: &[Column]) -> rusqlite::Result<Vec<Stripe>> {
        let mut statement =
            self.0.prepare_cached("SELECT low, high, bytes FROM letter_stripes WHERE place = ?1")?;
        let mut found = Vec::with_capacity(stripes.len() * columns.len());
        for stripe in stripes {
            for column in columns {
                let packed = statement
                    .query_row([stripe * ROOM + column.number()], |row| {
                        Ok(Packed { low: row.get(0)?, high: row.get(1)?, bytes: row.get(2)? })
                    })
                    .optional()?;
                let packed = packed.ok_or_else(|| self.damaged("a stripe is missing"))?;
                found.push(Stripe { stripe: *stripe, column: *column, packed });
            }
        }
        Ok(found)
    }

    async fn put_stripes(&mut self, stripes: &[Stripe]) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached(
            "INSERT OR REPLACE INTO letter_stripes (place, low, high, bytes) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for Stripe { stripe, column, packed } in stripes {
            let place = stripe * ROOM + column.number();
            statement.execute(params![place, packed.low, packed.high, packed.bytes])?;
        }
        Ok(())
    }

    async fn positions(&mut self) -> rusqlite::Result<BTreeMap<TopicPartition, i64>> {
        self.0
            .prepare_cached("SELECT topic, part, next FROM letter_positions")?
            .query_map([], |row| {
                Ok((TopicPartition::new(row.get::<_, String>(0)?, row.get(1)?), row.get(2)?))
            })?
            .collect()
    }

    async fn advance(&mut self, positions: &BTreeMap<TopicPartition, i64>) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached(
            "INSERT INTO letter_positions (topic, part, next) VALUES (?1, ?2, ?3)
             ON CONFLICT (topic, part) DO UPDATE SET next = max(next, excluded.next)",
        )?;
        for (at, next) in positions {
            statement.execute(params![&*at.topic, at.partition, next])?;
        }
        Ok(())
    }

    async fn rules(&mut self) -> rusqlite::Result<String> {
        let rules = self.0.prepare_cached("SELECT rules FROM letter_rules")?.query_row([], |row| row.get(0));
        Ok(rules.optional()?.unwrap_or_default())
    }

    async fn put_rules(&mut self, rules: &str) -> rusqlite::Result<()> {
        self.0.execute("DELETE FROM letter_rules", [])?;
        self.0.execute("INSERT INTO letter_rules (rules) VALUES (?1)", [rules]).map(|_| ())
    }

    async fn clear(&mut self) -> rusqlite::Result<()> {
        self.0.execute_batch(
            "DELETE FROM acts_on_objects; DELETE FROM run_letters; DELETE FROM acts_on_runs; DELETE FROM runs;
             DELETE FROM acts_on_letters; DELETE FROM acts_on_groups; DELETE FROM acts; DELETE FROM letters;
             DELETE FROM letter_stripes; DELETE FROM letter_messages; DELETE FROM letter_names; DELETE FROM letter_positions;",
        )
    }
}
