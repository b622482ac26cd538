//! A database as errors name it: what it is to people and where it is. Never holds a password.

use tokio_postgres::error::SqlState;

use super::Error;
use crate::failure::Failure;

/// See the module.
#[derive(Clone, Debug)]
pub struct Place {
    /// `job ledger`, `search index`.
    pub what: &'static str,
    /// Host, port, database, schema.
    pub at: String,
}

impl Place {
    pub fn unusable(&self, cause: impl std::fmt::Display, remedy: &str) -> Failure {
        Failure(format!("the {} in PostgreSQL at {} cannot be used: {cause}; {remedy}", self.what, self.at))
    }

    /// In words.
    pub fn failure(&self, error: &Error) -> Failure {
        let server = match error {
            Error::Failed(failure) => return failure.clone(),
            Error::Silent(_) => {
                let remedy = "check its load and the network; work goes on by itself when it answers";
                return self.unusable(error, remedy);
            }
            Error::Crossed => return self.unusable(error, "it is tried again; if it stays, report it"),
            Error::Server(server) => server,
        };
        let Some(said) = server.as_db_error() else {
            // The driver names the step, and what the system said stands below it.
            let below =
                std::error::Error::source(server).map(|cause| format!(": {cause}")).unwrap_or_default();
            return self
                .unusable(format!("{server}{below}"), "start it, or check its address and the network");
        };
        self.unusable(said.message(), remedy(said.code()))
    }
}

fn remedy(code: &SqlState) -> &'static str {
    match code.code() {
        "53100" => "free some space on its disk; work goes on by itself then",
        "53300" => "raise its max_connections, or lower `connections` in the configuration",
        "25006" => "it is read-only or a standby; name the server that may be written",
        "28000" | "28P01" => "check user and password in the URL, and its pg_hba.conf",
        "3D000" => "make the database, or name another one in the URL",
        "42501" => "give this user the right to create and write in that schema",
        "3F000" | "42P01" | "42703" => {
            "start `lazaret run` once, which makes the tables or brings them up to date"
        }
        "0A000" | "58P01" | "42704" => "install the extension it needs (pgvector) on the server",
        "55P03" | "57014" => "it is busy, or somebody holds a lock; work goes on by itself when it answers",
        code if code.starts_with("57P") => "work goes on by itself when it is up again",
        code if code.starts_with("53") => "give it more of what it lacks; work goes on by itself then",
        _ => "see the server's log; if it stays, report it",
    }
}
