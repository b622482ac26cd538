//! A PostgreSQL of one test's own, which it may break.

use std::path::PathBuf;

use crate::part::Part;
use crate::real::postgres;

/// See the module. It waits for the disk, and is gone when it is dropped.
pub struct Server {
    pub url: String,
    part: Part,
}

impl Server {
    /// `None` where real tests are passed over.
    pub async fn start() -> Option<Server> {
        postgres()?;
        let part = Part::start("postgres", "durable").await;
        Some(Server { url: part.says("LAZARET_TEST_POSTGRES"), part })
    }

    /// All of it at once, as in a power cut.
    pub async fn kill(&self) {
        self.part.does(&["kill"]).await;
    }

    /// With the data and the port that it had; in good order when it was running.
    pub async fn restart(&self) {
        self.part.does(&["restart"]).await;
    }

    /// It stays connected and answers nobody.
    pub async fn pause(&self) {
        self.part.does(&["pause"]).await;
    }

    pub async fn resume(&self) {
        self.part.does(&["resume"]).await;
    }

    /// Where its data lies.
    pub fn data(&self) -> PathBuf {
        self.part.folder().join("postgres/data")
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> tokio_postgres::Client {
        connect(&self.url).await
    }
}

/// A connection of the test's own.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("connected");
    tokio::spawn(connection);
    client
}
