//! Objects of the archive.

use super::PostgresShelf;
use crate::postgres::Error;
use crate::quarantine::Act;
use crate::quarantine::projection::shelf::{Base as _, Noted, Objects};

const AFTER: &str = "SELECT DISTINCT object FROM acts_on_objects WHERE object > $1 ORDER BY object LIMIT $2";
const ON_OBJECTS: &str = "SELECT o.object, a.key, a.act FROM acts_on_objects o JOIN acts a ON a.key = o.act
    WHERE o.object = ANY($1::text[]) ORDER BY a.at_offset, a.id";
const WHOLE: &str = "SELECT a.act, a.letters FROM acts_on_objects o JOIN acts a ON a.key = o.act
    WHERE o.object = $1 ORDER BY a.at_offset, a.id";

impl Objects for PostgresShelf {
    async fn objects_after(&mut self, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.rows(AFTER, &[&after, &limit]).await?.iter().map(|row| row.get(0)).collect())
    }

    async fn acts_on_objects(&mut self, objects: &[String]) -> Result<Vec<(String, Act)>, Error> {
        self.acts_by(ON_OBJECTS, objects).await
    }

    async fn acts_on_object(&mut self, object: &str) -> Result<Vec<Act>, Error> {
        let mut acts = Vec::new();
        for row in self.rows(WHOLE, &[&object]).await? {
            let act = Noted::read(row.get(0), row.get(1));
            acts.push(act.ok_or_else(|| self.damaged("an act cannot be read"))?);
        }
        Ok(acts)
    }
}
