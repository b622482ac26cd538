//! What keeps `lazaret run` from starting: one message with the cause and the remedy, an exit code, no hang.

use std::path::Path;
use std::process::{Command, Output};

use crate::support;

const PIPELINE: &str = "
  p:
    input: { topic: in }
    output: { topic: out }
    stages: [{ name: validate, kind: validate }]
";

/// Runs `lazaret run` on this configuration to its end.
fn run(folder: &Path, kafka: &str, extra: &str) -> Output {
    let file = folder.join("lazaret.yaml");
    let text = format!(
        "version: 1\nkafka: {{ bootstrap: '{kafka}', timeout: 2s }}\nledger: {{ path: '{0}/data/ledger.db' }}\n\
         {extra}\npipelines:{PIPELINE}",
        folder.display(),
    );
    let text = if extra.contains("http:") { text } else { text + "http: { listen: '127.0.0.1:0' }\n" };
    std::fs::write(&file, text).expect("a configuration");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
    command.env("LAZARET_LOG", "error").args(["run", "--log-format", "text", "--config"]).arg(&file);
    command.output().expect("lazaret runs")
}

fn refused(output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "'{part}' is missing in: {said}");
    }
    assert_eq!(said.matches("error:").count(), 1, "one message: {said}");
    assert!(!said.contains("panicked") && !said.contains("stack backtrace"), "{said}");
}

#[test]
fn a_broker_that_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), "127.0.0.1:1", "");
    refused(&output, 8, &["cannot reach Kafka", "127.0.0.1:1", "kafka.bootstrap"]);
}

#[test]
fn missing_topics() {
    let Some(kafka) = support::bootstrap() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &kafka, "");
    refused(&output, 4, &["topics are missing", "lazaret topics apply", "--create-topics"]);
}

#[test]
fn a_port_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    let output = run(folder.path(), "127.0.0.1:1", &format!("http: {{ listen: '{listen}' }}"));
    refused(&output, 1, &[&listen, "in use", "at: http.listen", "hint: stop what listens there"]);
}

#[test]
fn a_data_folder_that_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    // A file where the folder should be stops even root, who may write anywhere.
    std::fs::write(folder.path().join("data"), "").expect("a file");
    let output = run(folder.path(), "127.0.0.1:1", "");
    refused(&output, 1, &["ledger", "data"]);
}

#[test]
fn a_corrupt_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::write(folder.path().join("data/ledger.db"), "this is no ledger".repeat(1000)).expect("a file");
    let output = run(folder.path(), "127.0.0.1:1", "");
    refused(&output, 1, &["ledger.db", "job ledger"]);
}

#[test]
fn a_secret_that_is_not_set() {
    let folder = tempfile::tempdir().expect("a folder");
    let extra =
        "providers: { x: { base_url: 'http://127.0.0.1:1/v1', api_key: { env: LAZARET_TEST_NO_SUCH_KEY } } }";
    let output = run(folder.path(), "127.0.0.1:1", extra);
    refused(&output, 2, &["providers.x", "LAZARET_TEST_NO_SUCH_KEY"]);
}
