//! A database file as errors name it: what it is, where it is, and what is lost without it.

use std::path::PathBuf;

use rusqlite::{Error, ErrorCode};

use crate::failure::Failure;

/// What the file is to the people who read the message.
#[derive(Clone, Debug)]
pub struct Place {
    /// `job ledger`, `search index`.
    pub what: &'static str,
    pub path: PathBuf,
    /// What starting with an empty file means, as a clause: `… may run again`.
    pub without_it: &'static str,
}

impl Place {
    /// A failure that SQLite reported.
    pub fn sqlite(&self, error: &Error) -> Failure {
        let path = self.path.display();
        let (cause, remedy) = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                "another process holds its lock".to_owned(),
                "end that process, or give this instance a file of its own".to_owned(),
            ),
            Some(ErrorCode::DiskFull) => {
                ("the disk is full".to_owned(), "free some space; work goes on by itself then".to_owned())
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => (
                "it may not be written".to_owned(),
                "give this user write permission to the file and its folder".to_owned(),
            ),
            Some(ErrorCode::CannotOpen) => (
                "it cannot be opened".to_owned(),
                "check that the folder exists and that this user may write in it".to_owned(),
            ),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => return self.damaged(error),
            Some(ErrorCode::SystemIoFailure) => {
                (format!("the disk failed ({error})"), "check the disk and the system's log".to_owned())
            }
            _ if error.to_string().starts_with("no such table") => (
                "it is an SQLite database of another program".to_owned(),
                "name another file in the configuration".to_owned(),
            ),
            _ if error.to_string().starts_with("no such column") => (
                "an older version of this program wrote it".to_owned(),
                "start `lazaret run` once, which brings it up to date".to_owned(),
            ),
            _ => (error.to_string(), "see the message; if it stays, restart and report it".to_owned()),
        };
        Failure(format!("the {} '{path}' cannot be used: {cause}; {remedy}", self.what))
    }

    /// The file is there, but its content is no database or a broken one.
    pub fn damaged(&self, cause: impl std::fmt::Display) -> Failure {
        Failure(format!(
            "the {} '{}' is damaged: {cause}; restore it from a backup, or move it away together with its -wal \
             and -shm files and start again: {}",
            self.what,
            self.path.display(),
            self.without_it
        ))
    }

    /// Anything else that keeps the file from being used.
    pub fn unusable(&self, cause: impl std::fmt::Display, remedy: &str) -> Failure {
        Failure(format!("the {} '{}' cannot be used: {cause}; {remedy}", self.what, self.path.display()))
    }
}
