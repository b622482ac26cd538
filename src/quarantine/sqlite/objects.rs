//! Objects of the archive.

use rusqlite::params;

use super::SqliteShelf;
use crate::quarantine::Act;
use crate::quarantine::projection::shelf::{Base as _, Noted, Objects};

impl Objects for SqliteShelf<'_> {
    async fn objects_after(&mut self, after: &str, limit: usize) -> rusqlite::Result<Vec<String>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.0
            .prepare_cached(
                "SELECT DISTINCT object FROM acts_on_objects WHERE object > ?1 ORDER BY object LIMIT ?2",
            )?
            .query_map(params![after, limit], |row| row.get(0))?
            .collect()
    }

    async fn acts_on_objects(&mut self, objects: &[String]) -> rusqlite::Result<Vec<(String, Act)>> {
        self.acts_by(
            "SELECT a.key, a.act FROM acts_on_objects o JOIN acts a ON a.key = o.act WHERE o.object = ?1
             ORDER BY a.at_offset, a.id",
            objects,
        )
    }

    async fn acts_on_object(&mut self, object: &str) -> rusqlite::Result<Vec<Act>> {
        let mut statement = self.0.prepare_cached(
            "SELECT a.act, a.letters FROM acts_on_objects o JOIN acts a ON a.key = o.act WHERE o.object = ?1
             ORDER BY a.at_offset, a.id",
        )?;
        let mut rows = statement.query([object])?;
        let mut acts = Vec::new();
        while let Some(row) = rows.next()? {
            let act = Noted::read(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
            acts.push(act.ok_or_else(|| self.damaged("an act cannot be read"))?);
        }
        Ok(acts)
    }
}
