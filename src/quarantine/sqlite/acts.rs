//! What people and rules did.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::SqliteShelf;
use crate::quarantine::projection::shelf::{Acts, Base as _, Noted};
use crate::quarantine::projection::stripes::Column;
use crate::quarantine::{Act, ActCursor, ActFilter};

/// Acts that pass and stand before a place, looked for where there are the fewest of them.
macro_rules! before {
    ($from:literal) => {
        concat!(
            "SELECT a.at_offset, a.id, a.act, a.letters FROM ",
            $from,
            " AND (?1 IS NULL OR EXISTS (SELECT 1 FROM acts_on_letters o WHERE o.letter = ?1 AND o.act = a.key))
              AND (?2 IS NULL OR EXISTS (SELECT 1 FROM acts_on_groups o WHERE o.fingerprint = ?2 AND o.act = a.key))
              AND (?3 IS NULL OR a.operation = ?3) AND (?4 IS NULL OR a.who = ?4)
              AND a.happened >= ?5 AND a.happened < ?6 AND (a.at_offset, a.id) < (?7, ?8)
              ORDER BY a.at_offset DESC, a.id DESC LIMIT ?9"
        )
    };
}

impl SqliteShelf<'_> {
    /// The acts that this finds for each of these, which gives their keys and texts.
    pub(super) fn acts_by(&self, sql: &str, wanted: &[String]) -> rusqlite::Result<Vec<(String, Act)>> {
        let mut statement = self.0.prepare_cached(sql)?;
        // An act on a thousand letters is read once.
        let mut read: HashMap<i64, Act> = HashMap::new();
        let mut found = Vec::new();
        for one in wanted {
            let mut rows = statement.query([one])?;
            while let Some(row) = rows.next()? {
                let key: i64 = row.get(0)?;
                let act = match read.get(&key) {
                    Some(act) => act.clone(),
                    None => {
                        let text = row.get_ref(1)?.as_str()?;
                        let act: Act =
                            serde_json::from_str(text).map_err(|_| self.damaged("an act cannot be read"))?;
                        read.insert(key, act.clone());
                        act
                    }
                };
                found.push((one.clone(), act));
            }
        }
        Ok(found)
    }
}

impl Acts for SqliteShelf<'_> {
    async fn note(&mut self, acts: &[Noted]) -> rusqlite::Result<Vec<bool>> {
        let mut known = self.0.prepare_cached("SELECT at_offset FROM acts WHERE id = ?1")?;
        let mut earlier = self.0.prepare_cached("UPDATE acts SET at_offset = ?2 WHERE id = ?1")?;
        let mut add = self.0.prepare_cached(
            "INSERT INTO acts (id, at_offset, act, letters, operation, who, happened)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING key",
        )?;
        let mut letters =
            self.0.prepare_cached("INSERT INTO acts_on_letters (letter, act) VALUES (?1, ?2)")?;
        let mut groups =
            self.0.prepare_cached("INSERT INTO acts_on_groups (fingerprint, act) VALUES (?1, ?2)")?;
        let mut runs = self.0.prepare_cached("INSERT OR IGNORE INTO runs (run) VALUES (?1)")?;
        let mut on_runs = self.0.prepare_cached("INSERT INTO acts_on_runs (run, act) VALUES (?1, ?2)")?;
        let mut objects =
            self.0.prepare_cached("INSERT INTO acts_on_objects (object, act) VALUES (?1, ?2)")?;
        let mut news = Vec::with_capacity(acts.len());
        for act in acts {
            let offset: Option<i64> = known.query_row([&act.id], |row| row.get(0)).optional()?;
            news.push(offset.is_none_or(|offset| act.offset < offset));
            match offset {
                None => {
                    let Noted { id, offset, act: text, all, operation, by, at, .. } = act;
                    let values = params![id, offset, text, all, operation, by, at];
                    let key: i64 = add.query_row(values, |row| row.get(0))?;
                    for letter in &act.letters {
                        letters.execute(params![letter, key])?;
                    }
                    if let Some(group) = &act.group {
                        groups.execute(params![group, key])?;
                    }
                    if let (Some(run), None) = (&act.run, &act.enlisted) {
                        runs.execute([run])?;
                        on_runs.execute(params![run, key])?;
                    }
                    if let Some(object) = &act.object {
                        objects.execute(params![object, key])?;
                    }
                }
                Some(offset) if act.offset < offset => {
                    earlier.execute(params![act.id, act.offset])?;
                }
                Some(_) => {}
            }
        }
        Ok(news)
    }

    async fn acts_on(&mut self, letters: &[String]) -> rusqlite::Result<Vec<(String, Act)>> {
        self.acts_by(
            "SELECT a.key, a.act FROM acts_on_letters l JOIN acts a ON a.key = l.act WHERE l.letter = ?1
             ORDER BY a.at_offset, a.id",
            letters,
        )
    }

    async fn acts_whole(&mut self, letter: &str) -> rusqlite::Result<Vec<Act>> {
        let mut statement = self.0.prepare_cached(
            "SELECT a.act, a.letters FROM acts_on_letters l JOIN acts a ON a.key = l.act WHERE l.letter = ?1
             ORDER BY a.at_offset, a.id",
        )?;
        let mut rows = statement.query([letter])?;
        let mut acts = Vec::new();
        while let Some(row) = rows.next()? {
            let act = Noted::read(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            acts.push(act.ok_or_else(|| self.damaged("an act cannot be read"))?);
        }
        Ok(acts)
    }

    async fn acts_on_groups(&mut self, groups: &[String]) -> rusqlite::Result<Vec<(String, Act)>> {
        self.acts_by(
            "SELECT a.key, a.act FROM acts_on_groups g JOIN acts a ON a.key = g.act WHERE g.fingerprint = ?1
             ORDER BY a.at_offset, a.id",
            groups,
        )
    }

    async fn acts_on_all_groups(&mut self) -> rusqlite::Result<Vec<(i64, Act)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT n.number, a.act FROM acts_on_groups g JOIN acts a ON a.key = g.act
               JOIN letter_names n ON n.what = ?1 AND n.name = g.fingerprint
             ORDER BY a.at_offset, a.id",
        )?;
        let mut rows = statement.query([Column::Fingerprint.name()])?;
        let mut acts = Vec::new();
        while let Some(row) = rows.next()? {
            let act = serde_json::from_str(row.get_ref(1)?.as_str()?);
            acts.push((row.get(0)?, act.map_err(|_| self.damaged("an act cannot be read"))?));
        }
        Ok(acts)
    }

    async fn acts_before(
        &mut self,
        filter: &ActFilter,
        before: &ActCursor,
        limit: usize,
    ) -> rusqlite::Result<Vec<(ActCursor, Act)>> {
        let sql = match filter {
            ActFilter { letter: Some(_), .. } => {
                before!("acts_on_letters l JOIN acts a ON a.key = l.act WHERE l.letter = ?1")
            }
            ActFilter { group: Some(_), .. } => {
                before!("acts_on_groups g JOIN acts a ON a.key = g.act WHERE g.fingerprint = ?2")
            }
            ActFilter { operation: Some(_), .. } => before!("acts a WHERE a.operation = ?3"),
            ActFilter { by: Some(_), .. } => before!("acts a WHERE a.who = ?4"),
            _ => before!("acts a WHERE true"),
        };
        let ActFilter { letter, group, operation, by, .. } = filter;
        let ((since, until), limit) = (filter.span(), i64::try_from(limit).unwrap_or(i64::MAX));
        let values = params![letter, group, operation, by, since, until, before.offset, before.id, limit];
        let mut statement = self.0.prepare_cached(sql)?;
        let mut rows = statement.query(values)?;
        let mut acts = Vec::new();
        while let Some(row) = rows.next()? {
            let act = Noted::read(row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str()?);
            let act = act.ok_or_else(|| self.damaged("an act cannot be read"))?;
            acts.push((ActCursor { offset: row.get(0)?, id: row.get(1)? }, act));
        }
        Ok(acts)
    }
}
