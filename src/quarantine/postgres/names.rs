//! Names, messages and their numbers.

use std::collections::HashMap;

use super::PostgresShelf;
use crate::postgres::Error;
use crate::quarantine::projection::folded;
use crate::quarantine::projection::row::Name;
use crate::quarantine::projection::shelf::{Base as _, Names};

const NUMBERS: &str = "SELECT k.number::bigint
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (what, name, place)
      LEFT JOIN letter_names k ON k.what = n.what AND k.name = n.name ORDER BY n.place";
const NUMBER: &str = "INSERT INTO letter_names (what, number, name)
    SELECT n.what, coalesce((SELECT max(k.number) FROM letter_names k WHERE k.what = n.what), 0)
        + row_number() OVER (PARTITION BY n.what ORDER BY n.place), n.name
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS n (what, name, place)
    RETURNING what, name, number::bigint";
/// '/' is what comes after '.'.
const NUMBERS_OF: &str = "SELECT number::bigint FROM letter_names WHERE what = $1 AND name = $2
    UNION SELECT number::bigint FROM letter_names
    WHERE what = $1 AND name >= $2 || '.' AND name < $2 || '/' AND $3";
const NAMES: &str = "SELECT n.place, k.name
    FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS n (what, number, place)
      JOIN letter_names k ON k.what = n.what AND k.number = n.number";
const MESSAGES_KNOWN: &str = "SELECT hash, number::bigint FROM letter_messages WHERE hash = ANY($1::bytea[])";
const MESSAGES_NEW: &str = "INSERT INTO letter_messages (number, hash, text, folded)
    SELECT coalesce((SELECT max(number) FROM letter_messages), 0) + n.place, n.hash, n.text, n.folded
    FROM unnest($1::bytea[], $2::text[], $3::text[]) WITH ORDINALITY AS n (hash, text, folded, place)
    RETURNING hash, number::bigint";
const MESSAGES_WITH: &str =
    "SELECT number::bigint FROM letter_messages WHERE strpos(coalesce(folded, text), $1) > 0";
const MESSAGES: &str = "SELECT number::bigint, text FROM letter_messages WHERE number = ANY($1::bigint[])";

impl Names for PostgresShelf {
    async fn number(&mut self, names: &[Name]) -> Result<Vec<i64>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let whats: Vec<&str> = names.iter().map(|name| name.what).collect();
        let texts: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
        let known = self.rows(NUMBERS, &[&whats, &texts]).await?;
        let known: Vec<Option<i64>> = known.iter().map(|row| row.get(0)).collect();
        let missing =
            || names.iter().zip(&known).filter(|(_, number)| number.is_none()).map(|(name, _)| name);
        let whats: Vec<&str> = missing().map(|name| name.what).collect();
        let texts: Vec<&str> = missing().map(|name| name.name.as_str()).collect();
        let made = if whats.is_empty() { Vec::new() } else { self.rows(NUMBER, &[&whats, &texts]).await? };
        let made: HashMap<(&str, &str), i64> =
            made.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
        let number = |(name, known): (&Name, Option<i64>)| {
            known.or_else(|| made.get(&(name.what, name.name.as_str())).copied())
        };
        let numbers: Option<Vec<i64>> = names.iter().zip(known).map(number).collect();
        numbers.ok_or_else(|| self.damaged("a name has no number"))
    }

    async fn numbers_of(&mut self, name: &Name, areas: bool) -> Result<Vec<i64>, Error> {
        let rows = self.rows(NUMBERS_OF, &[&name.what, &name.name, &areas]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn names(
        &mut self,
        wanted: &[(&'static str, i64)],
    ) -> Result<Vec<(&'static str, i64, String)>, Error> {
        let (whats, numbers): (Vec<&str>, Vec<i64>) = wanted.iter().copied().unzip();
        let rows = self.rows(NAMES, &[&whats, &numbers]).await?;
        let name = |row: &tokio_postgres::Row| {
            let place = usize::try_from(row.get::<_, i64>(0)).ok()?;
            let (what, number) = wanted.get(place.checked_sub(1)?)?;
            Some((*what, *number, row.get(1)))
        };
        Ok(rows.iter().filter_map(name).collect())
    }

    async fn number_messages(&mut self, messages: &[String]) -> Result<Vec<i64>, Error> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let hash = |text: &String| blake3::hash(text.as_bytes()).as_bytes().to_vec();
        let hashes: Vec<Vec<u8>> = messages.iter().map(hash).collect();
        let rows = self.rows(MESSAGES_KNOWN, &[&hashes]).await?;
        let mut numbers: HashMap<Vec<u8>, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let missing: Vec<(&Vec<u8>, &String)> =
            hashes.iter().zip(messages).filter(|(hash, _)| !numbers.contains_key(*hash)).collect();
        if !missing.is_empty() {
            let (new, texts): (Vec<&Vec<u8>>, Vec<&String>) = missing.into_iter().unzip();
            let folds: Vec<Option<String>> =
                texts.iter().map(|text| Some(folded(text)).filter(|folded| folded != *text)).collect();
            let rows = self.rows(MESSAGES_NEW, &[&new, &texts, &folds]).await?;
            numbers.extend(rows.iter().map(|row| (row.get::<_, Vec<u8>>(0), row.get::<_, i64>(1))));
        }
        let numbers: Option<Vec<i64>> = hashes.iter().map(|hash| numbers.get(hash).copied()).collect();
        numbers.ok_or_else(|| self.damaged("a message has no number"))
    }

    async fn messages_with(&mut self, text: &str) -> Result<Vec<i64>, Error> {
        let rows = self.rows(MESSAGES_WITH, &[&text]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn messages(&mut self, wanted: &[i64]) -> Result<Vec<(i64, String)>, Error> {
        let rows = self.rows(MESSAGES, &[&wanted]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }
}
