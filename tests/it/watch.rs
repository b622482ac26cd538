//! What watches Lazaret: alert rules, dashboards and runbooks. Each agrees with the others and with the metrics; all of them work
//! against a real Prometheus that scrapes a real run, and a real Alertmanager that calls.

mod agree;
mod dashboards;
mod rules;
mod runbooks;
mod scenario;
mod servers;

use std::path::{Path, PathBuf};

/// A folder or file of the repository.
fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files of a folder whose names end so, in order.
fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(at(folder)).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(end)))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} has files that end in {end}");
    files
}
