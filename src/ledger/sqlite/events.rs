//! Writes the life of a job, line by line. A line is never changed.

use rusqlite::{Connection, params};

use crate::ledger::Claim;

/// One line in the life of a job.
#[derive(Default)]
pub struct Note<'a> {
    pub row: i64,
    pub kind: &'a str,
    pub at: i64,
    /// The claim that caused it; without one, the attempt is the row's.
    pub record: Option<&'a Claim>,
    pub fault: Option<&'a str>,
    pub went_to: Option<&'a str>,
    pub due: Option<i64>,
    pub remark: Option<&'a str>,
}

impl Note<'_> {
    pub fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let record = self.record.map(|claim| claim.at.to_string());
        db.prepare_cached(
            "INSERT INTO events (row, at, kind, attempt, redrives, record, fault, went_to, due, remark)
             SELECT id, ?2, ?3, coalesce(?4, attempt), coalesce(?5, redrives), ?6, ?7, ?8, ?9, ?10
             FROM jobs WHERE id = ?1",
        )?
        .execute(params![
            self.row,
            self.at,
            self.kind,
            self.record.map(|claim| claim.attempt),
            self.record.map(|claim| claim.redrives),
            record,
            self.fault,
            self.went_to,
            self.due,
            self.remark,
        ])?;
        Ok(())
    }
}
