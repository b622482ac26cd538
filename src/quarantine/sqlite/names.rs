//! Names, messages and their numbers.

use rusqlite::{OptionalExtension, params};

use super::SqliteShelf;
use crate::quarantine::projection::folded;
use crate::quarantine::projection::row::Name;
use crate::quarantine::projection::shelf::Names;

impl Names for SqliteShelf<'_> {
    async fn number(&mut self, names: &[Name]) -> rusqlite::Result<Vec<i64>> {
        let mut number =
            self.0.prepare_cached("SELECT number FROM letter_names WHERE what = ?1 AND name = ?2")?;
        let mut make = self.0.prepare_cached(
            "INSERT INTO letter_names (what, number, name)
             SELECT ?1, 1 + coalesce(max(number), 0), ?2 FROM letter_names WHERE what = ?1 RETURNING number",
        )?;
        let mut numbers = Vec::with_capacity(names.len());
        for Name { what, name } in names {
            let known: Option<i64> = number.query_row(params![what, name], |row| row.get(0)).optional()?;
            numbers.push(match known {
                Some(number) => number,
                None => make.query_row(params![what, name], |row| row.get(0))?,
            });
        }
        Ok(numbers)
    }

    async fn numbers_of(&mut self, Name { what, name }: &Name, areas: bool) -> rusqlite::Result<Vec<i64>> {
        // '/' is what comes after '.'.
        self.0
            .prepare_cached(
                "SELECT number FROM letter_names WHERE what = ?1 AND name = ?2
                 UNION SELECT number FROM letter_names
                 WHERE what = ?1 AND name >= ?2 || '.' AND name < ?2 || '/' AND ?3",
            )?
            .query_map(params![what, name, areas], |row| row.get(0))?
            .collect()
    }

    async fn names(
        &mut self,
        wanted: &[(&'static str, i64)],
    ) -> rusqlite::Result<Vec<(&'static str, i64, String)>> {
        let mut statement =
            self.0.prepare_cached("SELECT name FROM letter_names WHERE what = ?1 AND number = ?2")?;
        let mut names = Vec::with_capacity(wanted.len());
        for (what, number) in wanted {
            let name: Option<String> =
                statement.query_row(params![what, number], |row| row.get(0)).optional()?;
            names.extend(name.map(|name| (*what, *number, name)));
        }
        Ok(names)
    }

    async fn number_messages(&mut self, messages: &[String]) -> rusqlite::Result<Vec<i64>> {
        let mut number = self.0.prepare_cached("SELECT number FROM letter_messages WHERE hash = ?1")?;
        let mut make = self.0.prepare_cached(
            "INSERT INTO letter_messages (number, hash, text, folded)
             SELECT 1 + coalesce(max(number), 0), ?1, ?2, ?3 FROM letter_messages RETURNING number",
        )?;
        let mut numbers = Vec::with_capacity(messages.len());
        for text in messages {
            let hash = blake3::hash(text.as_bytes());
            let known: Option<i64> = number.query_row([hash.as_bytes()], |row| row.get(0)).optional()?;
            numbers.push(match known {
                Some(number) => number,
                None => {
                    let folded = Some(folded(text)).filter(|folded| folded != text);
                    make.query_row(params![hash.as_bytes(), text, folded], |row| row.get(0))?
                }
            });
        }
        Ok(numbers)
    }

    async fn messages_with(&mut self, text: &str) -> rusqlite::Result<Vec<i64>> {
        self.0
            .prepare_cached("SELECT number FROM letter_messages WHERE instr(coalesce(folded, text), ?1) > 0")?
            .query_map([text], |row| row.get(0))?
            .collect()
    }

    async fn messages(&mut self, wanted: &[i64]) -> rusqlite::Result<Vec<(i64, String)>> {
        let mut statement = self.0.prepare_cached("SELECT text FROM letter_messages WHERE number = ?1")?;
        let mut messages = Vec::with_capacity(wanted.len());
        for number in wanted {
            let text: Option<String> = statement.query_row([number], |row| row.get(0)).optional()?;
            messages.extend(text.map(|text| (*number, text)));
        }
        Ok(messages)
    }
}
