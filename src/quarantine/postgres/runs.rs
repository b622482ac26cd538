//! Runs of redrive.

use super::PostgresShelf;
use crate::postgres::Error;
use crate::quarantine::Act;
use crate::quarantine::projection::shelf::Runs;

const ENLIST: &str = "INSERT INTO run_letters (run, place, letter)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING";
const ENLISTED: &str =
    "SELECT place, letter FROM run_letters WHERE run = $1 AND place >= $2 ORDER BY place LIMIT $3";
const COUNT: &str = "SELECT run, count(*) FROM run_letters WHERE run = ANY($1::text[]) GROUP BY run";
const LATEST: &str = "SELECT run FROM runs ORDER BY run DESC LIMIT $1";
const REST: &str = "UPDATE runs SET rests = new.rests
    FROM (SELECT * FROM unnest($1::text[], $2::boolean[])) AS new (run, rests) WHERE runs.run = new.run";
const ACTIVE: &str = "SELECT run FROM runs WHERE NOT rests ORDER BY run";
const FORGET_OF_RUNS: &str = "DELETE FROM acts_on_runs r USING acts a
    WHERE a.id = ANY($1::text[]) AND r.run = a.operation AND r.act = a.key";
const FORGET: &str = "DELETE FROM acts WHERE id = ANY($1::text[])";
// What follows is greater than every character.
const BEGINNING: &str =
    "SELECT run FROM runs WHERE run >= $1 AND run < $1 || chr(1114111) ORDER BY run LIMIT 2";
const ON_RUNS: &str = "SELECT r.run, a.key, a.act FROM acts_on_runs r JOIN acts a ON a.key = r.act
    WHERE r.run = ANY($1::text[]) ORDER BY a.at_offset, a.id";

impl Runs for PostgresShelf {
    async fn enlist(&mut self, letters: &[(&str, i64, &[String])]) -> Result<(), Error> {
        let (mut runs, mut places, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for (run, from, ids) in letters {
            all.extend(ids.iter().map(String::as_str));
            runs.resize(all.len(), *run);
            places.extend((*from..).take(ids.len()));
        }
        if !all.is_empty() {
            self.run(ENLIST, &[&runs, &places, &all]).await?;
        }
        Ok(())
    }

    async fn enlisted(&mut self, run: &str, from: i64, limit: usize) -> Result<Vec<(i64, String)>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.rows(ENLISTED, &[&run, &from, &limit]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn enlisted_of(&mut self, runs: &[String]) -> Result<Vec<(String, i64)>, Error> {
        let rows = self.rows(COUNT, &[&runs]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn latest_runs(&mut self, limit: usize) -> Result<Vec<String>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.rows(LATEST, &[&limit]).await?.iter().map(|row| row.get(0)).collect())
    }

    async fn rest(&mut self, runs: &[(String, bool)]) -> Result<(), Error> {
        let (runs, rests): (Vec<&str>, Vec<bool>) =
            runs.iter().map(|(run, rests)| (run.as_str(), *rests)).unzip();
        if !runs.is_empty() {
            self.run(REST, &[&runs, &rests]).await?;
        }
        Ok(())
    }

    async fn active_runs(&mut self) -> Result<Vec<String>, Error> {
        Ok(self.rows(ACTIVE, &[]).await?.iter().map(|row| row.get(0)).collect())
    }

    async fn forget_acts(&mut self, ids: &[String]) -> Result<(), Error> {
        if !ids.is_empty() {
            self.run(FORGET_OF_RUNS, &[&ids]).await?;
            self.run(FORGET, &[&ids]).await?;
        }
        Ok(())
    }

    async fn runs_beginning(&mut self, prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.rows(BEGINNING, &[&prefix]).await?.iter().map(|row| row.get(0)).collect())
    }

    async fn acts_on_runs(&mut self, runs: &[String]) -> Result<Vec<(String, Act)>, Error> {
        self.acts_by(ON_RUNS, runs).await
    }
}
