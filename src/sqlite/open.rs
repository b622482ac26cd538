//! Opens a database file: makes the folder, checks that the file is ours and sound, migrates forward.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::Place;
use crate::failure::Failure;

/// How long a connection waits for a lock of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Files up to this size are checked as a whole when they are opened; larger ones would delay the start.
const CHECKED_MAX: u64 = 64 << 20;
/// Statements kept ready per connection.
const STATEMENTS: usize = 64;

/// SQL that takes a file from one version to the next.
pub type Migration = &'static str;

/// What a file must hold.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Marks the file as ours: `PRAGMA application_id`.
    pub application_id: i32,
    /// Bytes of a page of a new file; a power of two.
    pub page_size: u32,
    /// In order; `PRAGMA user_version` counts those that were applied. Never edited once released.
    pub migrations: &'static [Migration],
}

/// Opens the file for writing; makes it, and its folder, when it is missing.
pub fn open(place: &Place, schema: &Schema) -> Result<Connection, Failure> {
    if let Some(folder) = place.path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| {
            place.unusable(
                format!("its folder cannot be made ({e})"),
                "make the folder, or name another one in the configuration",
            )
        })?;
    }
    let mut db = connect(place, OpenFlags::SQLITE_OPEN_CREATE)?;
    prepare(&mut db, place, schema)?;
    Ok(db)
}

/// One more connection to a file that [`open`] has prepared. It can write, since a reader of a WAL needs
/// its shared memory, but nobody does.
pub fn reopen(place: &Place) -> Result<Connection, Failure> {
    // SQLite calls this and a folder without permission by the same name.
    if place.path.try_exists().is_ok_and(|there| !there) {
        return Err(place.unusable(
            "there is no such file",
            "`lazaret run` makes it; is the path in the configuration the one that it uses?",
        ));
    }
    let db = connect(place, OpenFlags::empty())?;
    db.pragma_update(None, "query_only", true).map_err(|e| place.sqlite(&e))?;
    Ok(db)
}

fn connect(place: &Place, more: OpenFlags) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connect = || {
        let db = Connection::open_with_flags(&place.path, flags)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(db)
    };
    connect().map_err(|e| place.sqlite(&e))
}

fn prepare(db: &mut Connection, place: &Place, schema: &Schema) -> Result<(), Failure> {
    let failed = |e: rusqlite::Error| place.sqlite(&e);
    let number = |db: &Connection, sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));

    let id = number(db, "PRAGMA application_id").map_err(failed)?;
    let tables = number(db, "SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    if tables > 0 && id != i64::from(schema.application_id) {
        return Err(place.unusable(
            "it is an SQLite database of another program",
            "name another file in the configuration",
        ));
    }
    sound(db, place)?;

    // FULL, because an answer that was given must survive a power cut.
    let pragmas = || {
        db.pragma_update(None, "page_size", schema.page_size)?;
        db.pragma_update(None, "journal_mode", "wal")?;
        db.pragma_update(None, "synchronous", "full")?;
        db.pragma_update(None, "foreign_keys", true)
    };
    pragmas().map_err(failed)?;
    migrate(db, place, schema)
}

/// Finds damage at the start rather than in the middle of the night.
fn sound(db: &Connection, place: &Place) -> Result<(), Failure> {
    if std::fs::metadata(&place.path).map_or(0, |m| m.len()) > CHECKED_MAX {
        return Ok(());
    }
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|e| place.sqlite(&e))?;
    if verdict == "ok" { Ok(()) } else { Err(place.damaged(verdict.replace('\n', " "))) }
}

fn migrate(db: &mut Connection, place: &Place, schema: &Schema) -> Result<(), Failure> {
    let latest = i64::try_from(schema.migrations.len()).unwrap_or(i64::MAX);
    let mut steps = || -> rusqlite::Result<i64> {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = step.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version < latest {
            for sql in schema.migrations.iter().skip(usize::try_from(version).unwrap_or_default()) {
                step.execute_batch(sql)?;
            }
            step.pragma_update(None, "user_version", latest)?;
            step.pragma_update(None, "application_id", schema.application_id)?;
        }
        step.commit()?;
        Ok(version)
    };
    let version = steps().map_err(|e| place.sqlite(&e))?;
    if version > latest {
        return Err(place.unusable(
            format!("a newer version of this program wrote it (format {version})"),
            "run that version, or name another file in the configuration",
        ));
    }
    Ok(())
}
