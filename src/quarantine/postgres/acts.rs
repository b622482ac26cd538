//! What people and rules did.

use std::collections::HashMap;

use tokio_postgres::types::ToSql;

use super::PostgresShelf;
use crate::postgres::Error;
use crate::quarantine::projection::shelf::{Acts, Base as _, Noted};
use crate::quarantine::projection::stripes::Column;
use crate::quarantine::{Act, ActCursor, ActFilter};

const KNOWN: &str = "SELECT id, at_offset FROM acts WHERE id = ANY($1::text[])";
const EARLIER: &str = "UPDATE acts a SET at_offset = n.at_offset
    FROM unnest($1::text[], $2::bigint[]) AS n (id, at_offset) WHERE a.id = n.id";
const ADD: &str = "INSERT INTO acts (id, at_offset, act, letters, operation, who, happened)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])
    RETURNING id, key";
const ADD_LETTERS: &str =
    "INSERT INTO acts_on_letters (letter, act) SELECT * FROM unnest($1::text[], $2::bigint[])";
const ADD_GROUPS: &str =
    "INSERT INTO acts_on_groups (fingerprint, act) SELECT * FROM unnest($1::text[], $2::bigint[])";
const ADD_RUNS: &str = "INSERT INTO runs SELECT DISTINCT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING";
const ADD_ON_RUNS: &str =
    "INSERT INTO acts_on_runs (run, act) SELECT * FROM unnest($1::text[], $2::bigint[])";
const ADD_OBJECTS: &str =
    "INSERT INTO acts_on_objects (object, act) SELECT * FROM unnest($1::text[], $2::bigint[])";
const ON_LETTERS: &str = "SELECT l.letter, a.key, a.act
    FROM acts_on_letters l JOIN acts a ON a.key = l.act WHERE l.letter = ANY($1::text[])
    ORDER BY a.at_offset, a.id";
const ON_GROUPS: &str = "SELECT g.fingerprint, a.key, a.act
    FROM acts_on_groups g JOIN acts a ON a.key = g.act WHERE g.fingerprint = ANY($1::text[])
    ORDER BY a.at_offset, a.id";
const ON_ALL_GROUPS: &str =
    "SELECT n.number::bigint, a.act FROM acts_on_groups g JOIN acts a ON a.key = g.act
      JOIN letter_names n ON n.what = $1 AND n.name = g.fingerprint
    ORDER BY a.at_offset, a.id";
const WHOLE: &str = "SELECT a.act, a.letters
    FROM acts_on_letters l JOIN acts a ON a.key = l.act WHERE l.letter = $1 ORDER BY a.at_offset, a.id";

/// Acts that pass and stand before a place, looked for where there are the fewest of them.
macro_rules! before {
    ($from:literal) => {
        concat!(
            "SELECT a.at_offset, a.id, a.act, a.letters FROM ",
            $from,
            " AND ($1::text IS NULL
                   OR EXISTS (SELECT 1 FROM acts_on_letters o WHERE o.letter = $1 AND o.act = a.key))
              AND ($2::text IS NULL
                   OR EXISTS (SELECT 1 FROM acts_on_groups o WHERE o.fingerprint = $2 AND o.act = a.key))
              AND ($3::text IS NULL OR a.operation = $3) AND ($4::text IS NULL OR a.who = $4)
              AND a.happened >= $5::bigint AND a.happened < $6::bigint
              AND (a.at_offset, a.id) < ($7::bigint, $8::text)
              ORDER BY a.at_offset DESC, a.id DESC LIMIT $9::bigint"
        )
    };
}

impl PostgresShelf {
    pub(super) async fn acts_by(
        &self,
        sql: &'static str,
        wanted: &[String],
    ) -> Result<Vec<(String, Act)>, Error> {
        // An act on a thousand letters is read once.
        let mut read: HashMap<i64, Act> = HashMap::new();
        let mut found = Vec::new();
        for row in self.rows(sql, &[&wanted]).await? {
            let key: i64 = row.get(1);
            let act = match read.get(&key) {
                Some(act) => act.clone(),
                None => {
                    let act: Act = serde_json::from_str(row.get(2))
                        .map_err(|_| self.damaged("an act cannot be read"))?;
                    read.insert(key, act.clone());
                    act
                }
            };
            found.push((row.get(0), act));
        }
        Ok(found)
    }

    async fn add(&self, acts: &[&Noted]) -> Result<(), Error> {
        let ids: Vec<&str> = acts.iter().map(|act| act.id.as_str()).collect();
        let offsets: Vec<i64> = acts.iter().map(|act| act.offset).collect();
        let texts: Vec<&str> = acts.iter().map(|act| act.act.as_str()).collect();
        let alls: Vec<&str> = acts.iter().map(|act| act.all.as_str()).collect();
        let operations: Vec<&str> = acts.iter().map(|act| act.operation.as_str()).collect();
        let people: Vec<&str> = acts.iter().map(|act| act.by.as_str()).collect();
        let times: Vec<i64> = acts.iter().map(|act| act.at).collect();
        let rows = self.rows(ADD, &[&ids, &offsets, &texts, &alls, &operations, &people, &times]).await?;
        let keys: HashMap<&str, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let (mut letters, mut letter_acts) = (Vec::new(), Vec::new());
        let (mut groups, mut group_acts) = (Vec::new(), Vec::new());
        let (mut runs, mut run_acts) = (Vec::new(), Vec::new());
        let (mut objects, mut object_acts) = (Vec::new(), Vec::new());
        for act in acts {
            let Some(key) = keys.get(act.id.as_str()).copied() else { continue };
            letters.extend(act.letters.iter().map(String::as_str));
            letter_acts.resize(letters.len(), key);
            groups.extend(act.group.as_deref());
            group_acts.resize(groups.len(), key);
            runs.extend(act.run.as_deref().filter(|_| act.enlisted.is_none()));
            run_acts.resize(runs.len(), key);
            objects.extend(act.object.as_deref());
            object_acts.resize(objects.len(), key);
        }
        if !letters.is_empty() {
            self.run(ADD_LETTERS, &[&letters, &letter_acts]).await?;
        }
        if !groups.is_empty() {
            self.run(ADD_GROUPS, &[&groups, &group_acts]).await?;
        }
        if !runs.is_empty() {
            self.run(ADD_RUNS, &[&runs]).await?;
            self.run(ADD_ON_RUNS, &[&runs, &run_acts]).await?;
        }
        if !objects.is_empty() {
            self.run(ADD_OBJECTS, &[&objects, &object_acts]).await?;
        }
        Ok(())
    }
}

impl Acts for PostgresShelf {
    async fn note(&mut self, acts: &[Noted]) -> Result<Vec<bool>, Error> {
        if acts.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = acts.iter().map(|act| act.id.as_str()).collect();
        let rows = self.rows(KNOWN, &[&ids]).await?;
        let known: HashMap<&str, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let stands = |act: &Noted| known.get(act.id.as_str()).copied();
        let new: Vec<&Noted> = acts.iter().filter(|act| stands(act).is_none()).collect();
        let earlier: Vec<&Noted> =
            acts.iter().filter(|act| stands(act).is_some_and(|offset| act.offset < offset)).collect();
        if !new.is_empty() {
            self.add(&new).await?;
        }
        if !earlier.is_empty() {
            let ids: Vec<&str> = earlier.iter().map(|act| act.id.as_str()).collect();
            let offsets: Vec<i64> = earlier.iter().map(|act| act.offset).collect();
            self.run(EARLIER, &[&ids, &offsets]).await?;
        }
        Ok(acts.iter().map(|act| stands(act).is_none_or(|offset| act.offset < offset)).collect())
    }

    async fn acts_on(&mut self, letters: &[String]) -> Result<Vec<(String, Act)>, Error> {
        self.acts_by(ON_LETTERS, letters).await
    }

    async fn acts_whole(&mut self, letter: &str) -> Result<Vec<Act>, Error> {
        let mut acts = Vec::new();
        for row in self.rows(WHOLE, &[&letter]).await? {
            let act = Noted::read(row.get(0), row.get(1));
            acts.push(act.ok_or_else(|| self.damaged("an act cannot be read"))?);
        }
        Ok(acts)
    }

    async fn acts_on_groups(&mut self, groups: &[String]) -> Result<Vec<(String, Act)>, Error> {
        self.acts_by(ON_GROUPS, groups).await
    }

    async fn acts_on_all_groups(&mut self) -> Result<Vec<(i64, Act)>, Error> {
        let mut acts = Vec::new();
        for row in self.rows(ON_ALL_GROUPS, &[&Column::Fingerprint.name()]).await? {
            let act = serde_json::from_str(row.get(1));
            acts.push((row.get(0), act.map_err(|_| self.damaged("an act cannot be read"))?));
        }
        Ok(acts)
    }

    async fn acts_before(
        &mut self,
        filter: &ActFilter,
        before: &ActCursor,
        limit: usize,
    ) -> Result<Vec<(ActCursor, Act)>, Error> {
        let sql = match filter {
            ActFilter { letter: Some(_), .. } => {
                before!("acts_on_letters l JOIN acts a ON a.key = l.act WHERE l.letter = $1")
            }
            ActFilter { group: Some(_), .. } => {
                before!("acts_on_groups g JOIN acts a ON a.key = g.act WHERE g.fingerprint = $2")
            }
            ActFilter { operation: Some(_), .. } => before!("acts a WHERE a.operation = $3"),
            ActFilter { by: Some(_), .. } => before!("acts a WHERE a.who = $4"),
            _ => before!("acts a WHERE true"),
        };
        let ActFilter { letter, group, operation, by, .. } = filter;
        let ((since, until), limit) = (filter.span(), i64::try_from(limit).unwrap_or(i64::MAX));
        let values: [&(dyn ToSql + Sync); 9] =
            [letter, group, operation, by, &since, &until, &before.offset, &before.id, &limit];
        let mut acts = Vec::new();
        for row in self.rows(sql, &values).await? {
            let act = Noted::read(row.get(2), row.get(3));
            let act = act.ok_or_else(|| self.damaged("an act cannot be read"))?;
            acts.push((ActCursor { offset: row.get(0), id: row.get(1) }, act));
        }
        Ok(acts)
    }
}
