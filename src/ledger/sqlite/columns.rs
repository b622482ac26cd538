//! Values of the ledger as columns: the word of a state, the three columns of a place.

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::ledger::state::State;
use crate::message::Coordinates;

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        State::parse(word).ok_or_else(|| FromSqlError::Other(format!("'{word}' is no state of a job").into()))
    }
}

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

/// Topic, partition and offset from `first` on. Rows of the first version have none.
pub fn place(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Coordinates>> {
    let topic: Option<String> = row.get(first)?;
    topic
        .map(|topic| {
            let (partition, offset) = (row.get(first + 1)?, row.get(first + 2)?);
            Ok(Coordinates { topic: String::into(topic), partition, offset, timestamp: None })
        })
        .transpose()
}
