//! What people and rules did.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::SqliteShelf;
use crate::quarantine::Act;
use crate::quarantine::projection::shelf::{Acts, Base as _, Noted};
use crate::quarantine::projection::stripes::Column;

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
            "INSERT INTO acts (id, at_offset, act, letters) VALUES (?1, ?2, ?3, ?4) RETURNING key",
        )?;
        let mut letters =
            self.0.prepare_cached("INSERT INTO acts_on_letters (letter, act) VALUES (?1, ?2)")?;
        let mut groups =
            self.0.prepare_cached("INSERT INTO acts_on_groups (fingerprint, act) VALUES (?1, ?2)")?;
        let mut runs = self.0.prepare_cached("INSERT OR IGNORE INTO runs (run) VALUES (?1)")?;
        let mut on_runs = self.0.prepare_cached("INSERT INTO acts_on_runs (run, act) VALUES (?1, ?2)")?;
        let mut news = Vec::with_capacity(acts.len());
        for act in acts {
            let offset: Option<i64> = known.query_row([&act.id], |row| row.get(0)).optional()?;
            news.push(offset.is_none_or(|offset| act.offset < offset));
            match offset {
                None => {
                    let key: i64 =
                        add.query_row(params![act.id, act.offset, act.act, act.all], |row| row.get(0))?;
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
}
