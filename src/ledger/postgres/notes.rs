//! The life of each job, line by line. A line is never changed.

use tokio_postgres::types::ToSql;

pub const NOTES: &str = "INSERT INTO events (row, at, kind, attempt, redrives, record, fault, went_to, due, remark)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
      $8::text[], $9::bigint[], $10::text[])";

/// Values of one column.
pub type Column<'a> = &'a (dyn ToSql + Sync);

/// One line in the life of a job.
#[derive(Default)]
pub struct Note {
    pub row: i64,
    pub at: i64,
    pub kind: &'static str,
    pub attempt: u32,
    pub redrives: u32,
    pub record: Option<String>,
    pub fault: Option<String>,
    pub went_to: Option<String>,
    pub due: Option<i64>,
    pub remark: Option<String>,
}

/// Events as columns.
#[derive(Default)]
pub struct Notes<'a> {
    row: Vec<i64>,
    at: Vec<i64>,
    kind: Vec<&'static str>,
    attempt: Vec<i64>,
    redrives: Vec<i64>,
    record: Vec<Option<&'a str>>,
    fault: Vec<Option<&'a str>>,
    went_to: Vec<Option<&'a str>>,
    due: Vec<Option<i64>>,
    remark: Vec<Option<&'a str>>,
}

impl<'a> Notes<'a> {
    pub fn of(notes: &'a [Note]) -> Self {
        let mut columns = Self::default();
        for note in notes {
            columns.row.push(note.row);
            columns.at.push(note.at);
            columns.kind.push(note.kind);
            columns.attempt.push(note.attempt.into());
            columns.redrives.push(note.redrives.into());
            columns.record.push(note.record.as_deref());
            columns.fault.push(note.fault.as_deref());
            columns.went_to.push(note.went_to.as_deref());
            columns.due.push(note.due);
            columns.remark.push(note.remark.as_deref());
        }
        columns
    }

    pub fn columns(&self) -> [Column<'_>; 10] {
        [
            &self.row,
            &self.at,
            &self.kind,
            &self.attempt,
            &self.redrives,
            &self.record,
            &self.fault,
            &self.went_to,
            &self.due,
            &self.remark,
        ]
    }
}
