//! What every statement of the ledger stands on: its kind of answer, its numbers, and whether the process may ask at all.

use rusqlite::Connection;

use super::Who;
use crate::ledger::LedgerError;
use crate::ledger::ending::replaced;

/// An answer of the ledger inside an answer of SQLite.
pub type Answer<T> = rusqlite::Result<Result<T, LedgerError>>;

/// A process whose instance was opened again elsewhere must not take jobs: the two would void each other's
/// leases for ever.
pub fn still_current(db: &Connection, who: &Who) -> Answer<()> {
    let epoch: i64 = db
        .prepare_cached("SELECT epoch FROM instances WHERE name = ?1")?
        .query_row([&who.instance], |row| row.get(0))?;
    Ok(if epoch == who.epoch { Ok(()) } else { Err(LedgerError::Unavailable(replaced(&who.instance))) })
}

/// A number that was never given out before.
pub fn token(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("UPDATE tokens SET last = last + 1 RETURNING last")?.query_row([], |row| row.get(0))
}
