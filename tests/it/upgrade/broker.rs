//! A Kafka of one test's own, in which topics may have the names that they had elsewhere.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support;

/// See the module. It is gone when it is dropped.
pub struct Broker {
    /// What stands in the braces of the YAML's `kafka`.
    pub kafka: String,
    pub bootstrap: String,
    run: TempDir,
}

impl Broker {
    /// `None` where real tests are passed over.
    pub async fn start() -> Option<Broker> {
        support::bootstrap()?;
        let run = tempfile::tempdir().expect("a folder");
        script(run.path(), &["start", "1"]).await;
        let env = std::fs::read_to_string(run.path().join("env")).expect("it says where it is");
        let bootstrap = env.lines().find_map(|line| line.strip_prefix("export LAZARET_TEST_KAFKA='"));
        let bootstrap = bootstrap.expect("its address").trim_end_matches('\'').to_owned();
        let kafka = format!(
            "bootstrap: '{bootstrap}', properties: {{ session.timeout.ms: '6000', heartbeat.interval.ms: '1000' }}"
        );
        Some(Broker { kafka, bootstrap, run })
    }

    /// It stays connected and answers nobody.
    pub async fn pause(&self) {
        script(self.run.path(), &["pause", "1"]).await;
    }

    pub async fn resume(&self) {
        script(self.run.path(), &["resume", "1"]).await;
    }
}

impl Drop for Broker {
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
    command.arg("kafka").args(verb).env("LAZARET_RUN", run).stdout(Stdio::null()).stderr(Stdio::null());
    command
}
