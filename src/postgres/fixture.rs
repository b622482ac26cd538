//! A schema of its own on the real PostgreSQL, for each test.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::{Address, Line};
use crate::config::{Postgres, Secret, Span};

/// Gone when it is dropped, but for the schema, which goes with the server.
pub struct Database {
    pub settings: Postgres,
    url: String,
    _folder: TempDir,
}

/// Where the real PostgreSQL is. `None` only when the real tests are to be passed over on purpose.
pub fn url() -> Option<String> {
    match std::env::var("LAZARET_TEST_POSTGRES") {
        Ok(url) => Some(url),
        Err(_) if std::env::var("LAZARET_TEST_SKIP_REAL").is_ok_and(|v| v == "1") => None,
        Err(_) => panic!(
            "this test needs a real PostgreSQL: run `make test`, which starts one, or set \
             LAZARET_TEST_POSTGRES=postgres://user@host:port/database, or set LAZARET_TEST_SKIP_REAL=1 to pass such \
             tests over"
        ),
    }
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
