//! A PostgreSQL of one test's own, which it may break.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::real::postgres;

/// See the module. It waits for the disk, and is gone when it is dropped.
pub struct Server {
    pub url: String,
    run: TempDir,
}

impl Server {
    /// `None` where real tests are passed over.
    pub async fn start() -> Option<Server> {
        postgres()?;
        let run = tempfile::tempdir().expect("a folder");
        script(run.path(), &["start", "durable"]).await;
        let env = std::fs::read_to_string(run.path().join("env")).expect("it says where it is");
        let url = env.lines().find_map(|line| line.strip_prefix("export LAZARET_TEST_POSTGRES='"));
        let url = url.expect("its address").trim_end_matches('\'').to_owned();
        Some(Server { url, run })
    }

    /// All of it at once, as in a power cut.
    pub async fn kill(&self) {
        script(self.run.path(), &["kill"]).await;
    }

    /// With the data and the port that it had; in good order when it was running.
    pub async fn restart(&self) {
        script(self.run.path(), &["restart"]).await;
    }

    /// It stays connected and answers nobody.
    pub async fn pause(&self) {
        script(self.run.path(), &["pause"]).await;
    }

    pub async fn resume(&self) {
        script(self.run.path(), &["resume"]).await;
    }

    /// Where its data lies.
    pub fn data(&self) -> PathBuf {
        self.run.path().join("postgres/data")
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

impl Drop for Server {
    fn drop(&mut self) {
        command(self.run.path(), &["stop"]).status().ok();
    }
}

async fn script(run: &Path, verb: &[&str]) {
    let mut command = command(run, verb);
    let ended = tokio::task::spawn_blocking(move || command.status()).await.expect("joined");
    assert!(ended.expect("the script runs").success(), "{verb:?}");
}

fn command(run: &Path, verb: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/parts.sh"));
    command.arg("postgres").args(verb).env("LAZARET_RUN", run).stdout(Stdio::null());
    command
}
