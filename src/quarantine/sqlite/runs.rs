//! Runs of redrive.

use rusqlite::params;

use super::SqliteShelf;
use crate::quarantine::Act;
use crate::quarantine::projection::shelf::Runs;

impl Runs for SqliteShelf<'_> {
    async fn enlist(&mut self, letters: &[(&str, i64, &[String])]) -> rusqlite::Result<()> {
        let mut statement = self
            .0
            .prepare_cached("INSERT OR IGNORE INTO run_letters (run, place, letter) VALUES (?1, ?2, ?3)")?;
        for (run, from, ids) in letters {
            for (place, id) in (*from..).zip(*ids) {
                statement.execute(params![run, place, id])?;
            }
        }
        Ok(())
    }

    async fn enlisted(&mut self, run: &str, from: i64, limit: usize) -> rusqlite::Result<Vec<(i64, String)>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.0
            .prepare_cached(
                "SELECT place, letter FROM run_letters WHERE run = ?1 AND place >= ?2 ORDER BY place LIMIT ?3",
            )?
            .query_map(params![run, from, limit], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect()
    }

    async fn enlisted_of(&mut self, runs: &[String]) -> rusqlite::Result<Vec<(String, i64)>> {
        let mut statement = self.0.prepare_cached("SELECT count(*) FROM run_letters WHERE run = ?1")?;
        let mut count = |run: &String| Ok((run.clone(), statement.query_row([run], |row| row.get(0))?));
        runs.iter().map(&mut count).collect()
    }

    async fn latest_runs(&mut self, limit: usize) -> rusqlite::Result<Vec<String>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.0
            .prepare_cached("SELECT run FROM runs ORDER BY run DESC LIMIT ?1")?
            .query_map([limit], |row| row.get(0))?
            .collect()
    }

    async fn rest(&mut self, runs: &[(String, bool)]) -> rusqlite::Result<()> {
        let mut statement = self.0.prepare_cached("UPDATE runs SET rests = ?2 WHERE run = ?1")?;
        runs.iter().try_for_each(|(run, rests)| statement.execute(params![run, rests]).map(|_| ()))
    }

    async fn active_runs(&mut self) -> rusqlite::Result<Vec<String>> {
        self.0
            .prepare_cached("SELECT run FROM runs WHERE rests = 0 ORDER BY run")?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    async fn forget_acts(&mut self, ids: &[String]) -> rusqlite::Result<()> {
        let mut of_run = self.0.prepare_cached(
            "DELETE FROM acts_on_runs WHERE act = (SELECT key FROM acts WHERE id = ?1)
               AND run = (SELECT operation FROM acts WHERE id = ?1)",
        )?;
        let mut act = self.0.prepare_cached("DELETE FROM acts WHERE id = ?1")?;
        for id in ids {
            of_run.execute([id])?;
            act.execute([id])?;
        }
        Ok(())
    }

    async fn runs_beginning(&mut self, prefix: &str) -> rusqlite::Result<Vec<String>> {
        // What follows is greater than every character.
        self.0
            .prepare_cached(
                "SELECT run FROM runs WHERE run >= ?1 AND run < ?1 || char(0x10ffff) ORDER BY run LIMIT 2",
            )?
            .query_map([prefix], |row| row.get(0))?
            .collect()
    }

    async fn acts_on_runs(&mut self, runs: &[String]) -> rusqlite::Result<Vec<(String, Act)>> {
        self.acts_by(
            "SELECT a.key, a.act FROM acts_on_runs r JOIN acts a ON a.key = r.act WHERE r.run = ?1
             ORDER BY a.at_offset, a.id",
            runs,
        )
    }
}
