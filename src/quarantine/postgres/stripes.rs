//! Columns of stripes, and positions.

use std::collections::BTreeMap;

use super::PostgresShelf;
use crate::message::TopicPartition;
use crate::postgres::Error;
use crate::quarantine::projection::shelf::{Base as _, Stripe, Stripes};
use crate::quarantine::projection::stripes::{Column, Packed, ROOM};

const EXTREMES: &str =
    "SELECT place, low, high FROM letter_stripes WHERE place % $2::bigint = ANY($1::bigint[]) ORDER BY place";
const STRIPES: &str =
    "SELECT place, low, high, bytes FROM letter_stripes WHERE place = ANY($1::bigint[]) ORDER BY place";
const PUT: &str = "INSERT INTO letter_stripes (place, low, high, bytes)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])
    ON CONFLICT (place) DO UPDATE SET low = excluded.low, high = excluded.high, bytes = excluded.bytes";
const POSITIONS: &str = "SELECT topic, part, next FROM letter_positions";
const ADVANCE: &str = "INSERT INTO letter_positions AS p (topic, part, next)
    SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
    ON CONFLICT (topic, part) DO UPDATE SET next = greatest(p.next, excluded.next)";
const CLEAR: &str =
    "TRUNCATE acts_on_objects, runs, acts_on_runs, run_letters, acts, acts_on_letters, acts_on_groups, letters, letter_stripes, letter_messages,
    letter_names, letter_positions";

impl Stripes for PostgresShelf {
    async fn extremes(&mut self, columns: &[Column]) -> Result<Vec<(i64, Column, i64, i64)>, Error> {
        let numbers: Vec<i64> = columns.iter().map(|column| column.number()).collect();
        let mut extremes = Vec::new();
        for row in self.rows(EXTREMES, &[&numbers, &ROOM]).await? {
            let place: i64 = row.get(0);
            let column = Column::of(place % ROOM).ok_or_else(|| self.damaged("a stripe of no column"))?;
            extremes.push((place / ROOM, column, row.get(1), row.get(2)));
        }
        Ok(extremes)
    }

    async fn stripes(&mut self, stripes: &[i64], columns: &[Column]) -> Result<Vec<Stripe>, Error> {
        let of = |stripe: &i64| {
            let first = stripe * ROOM;
            columns.iter().map(move |column| first + column.number())
        };
        let places: Vec<i64> = stripes.iter().flat_map(of).collect();
        let mut found = Vec::with_capacity(places.len());
        for row in self.rows(STRIPES, &[&places]).await? {
            let place: i64 = row.get(0);
            let column = Column::of(place % ROOM).ok_or_else(|| self.damaged("a stripe of no column"))?;
            let packed = Packed { low: row.get(1), high: row.get(2), bytes: row.get(3) };
            found.push(Stripe { stripe: place / ROOM, column, packed });
        }
        Ok(found)
    }

    async fn put_stripes(&mut self, stripes: &[Stripe]) -> Result<(), Error> {
        if stripes.is_empty() {
            return Ok(());
        }
        let places: Vec<i64> = stripes.iter().map(|one| one.stripe * ROOM + one.column.number()).collect();
        let lows: Vec<i64> = stripes.iter().map(|one| one.packed.low).collect();
        let highs: Vec<i64> = stripes.iter().map(|one| one.packed.high).collect();
        let bytes: Vec<&[u8]> = stripes.iter().map(|one| one.packed.bytes.as_slice()).collect();
        self.run(PUT, &[&places, &lows, &highs, &bytes]).await?;
        Ok(())
    }

    async fn positions(&mut self) -> Result<BTreeMap<TopicPartition, i64>, Error> {
        let rows = self.rows(POSITIONS, &[]).await?;
        let position = |row: &tokio_postgres::Row| {
            (TopicPartition::new(row.get::<_, String>(0), row.get(1)), row.get(2))
        };
        Ok(rows.iter().map(position).collect())
    }

    async fn advance(&mut self, positions: &BTreeMap<TopicPartition, i64>) -> Result<(), Error> {
        if positions.is_empty() {
            return Ok(());
        }
        let topics: Vec<&str> = positions.keys().map(|at| &*at.topic).collect();
        let partitions: Vec<i32> = positions.keys().map(|at| at.partition).collect();
        let next: Vec<i64> = positions.values().copied().collect();
        self.run(ADVANCE, &[&topics, &partitions, &next]).await?;
        Ok(())
    }

    async fn rules(&mut self) -> Result<String, Error> {
        let rows = self.rows("SELECT rules FROM letter_rules", &[]).await?;
        Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
    }

    async fn put_rules(&mut self, rules: &str) -> Result<(), Error> {
        self.run("DELETE FROM letter_rules", &[]).await?;
        self.run("INSERT INTO letter_rules (rules) VALUES ($1)", &[&rules]).await.map(|_| ())
    }

    async fn clear(&mut self) -> Result<(), Error> {
        self.run(CLEAR, &[]).await?;
        Ok(())
    }
}
