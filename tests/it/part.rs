//! A real server of one test's own, as scripts/parts.sh starts it in a folder that nobody else has.

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// See the module. It is gone when it is dropped.
pub struct Part {
    kind: &'static str,
    run: TempDir,
}

impl Part {
    /// `how` is what `start` is told besides.
    pub async fn start(kind: &'static str, how: &str) -> Part {
        let part = Part { kind, run: tempfile::tempdir().expect("a folder") };
        part.does(&["start", how]).await;
        part
    }

    pub async fn does(&self, verb: &[&str]) {
        let mut command = self.command(verb);
        let ended = tokio::task::spawn_blocking(move || command.status()).await.expect("joined");
        assert!(ended.expect("the script runs").success(), "{} {verb:?}", self.kind);
    }

    /// What it tells tests under this name.
    pub fn says(&self, name: &str) -> String {
        let env = std::fs::read_to_string(self.run.path().join("env")).expect("it says where it is");
        let said = env.lines().find_map(|line| line.strip_prefix(&format!("export {name}='")));
        said.unwrap_or_else(|| panic!("it says {name}")).trim_end_matches('\'').to_owned()
    }

    pub fn folder(&self) -> &Path {
        self.run.path()
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = script();
        command.arg(self.kind).args(verb).env("LAZARET_RUN", self.folder()).stdout(Stdio::null());
        command
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.command(&["stop"]).status().ok();
    }
}

/// What installs, starts and breaks real servers.
pub fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/parts.sh"))
}
