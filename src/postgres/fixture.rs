//! A schema of its own on the real PostgreSQL, for each test.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::{Address, Line};
use crate::config::{Postgres, Secret, Span};

#[path = "../../tests/it/real.rs"]
mod real;

pub use real::postgres as url;

/// Gone when it is dropped, but for the schema, which goes with the server.
pub struct Database {
    pub settings: Postgres,
    url: String,
    _folder: TempDir,
}

impl Database {
    pub fn new() -> Option<Database> {
        let url = url()?;
        let folder = tempfile::tempdir().expect("a folder");
        let path: PathBuf = folder.path().join("url");
        std::fs::write(&path, &url).expect("written");
        let settings = Postgres {
            url: Secret::File(path),
            schema: format!("t_{}", uuid::Uuid::now_v7().simple()),
            connections: 3,
            connect_timeout: Span::secs(5),
            timeout: Span::secs(10),
        };
        Some(Database { settings, url, _folder: folder })
    }

    pub fn address(&self) -> Arc<Address> {
        Arc::new(Address::of(&self.settings, "test", "test").expect("an address").0)
    }

    /// A connection beside those of the code under test.
    pub async fn line(&self) -> Line {
        Line::open(&self.address(), "").await.expect("connected")
    }

    /// The one number that this asks for.
    pub async fn number(&self, sql: &str) -> i64 {
        self.line().await.client().query_one(sql, &[]).await.expect("documented layout").get(0)
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        &self.url
    }
}
