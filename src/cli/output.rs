//! Writing to stdout and stderr without ever panicking: a reader may leave, a disk may be full.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use super::exit::ExitCode;
use super::failure::Failure;

/// Writes data to stdout. A reader that left ends the verb quietly.
pub fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::new(ExitCode::Failed, format!("cannot write to standard output: {e}")),
    })
}

/// Writes a value to stdout as indented JSON with a newline.
pub fn json<T: Serialize>(value: &T) -> Result<(), Failure> {
    to_stdout(&format!("{}\n", as_json(value, serde_json::to_string_pretty)?))
}

/// Writes a value to stdout as one line of JSON.
pub fn ndjson<T: Serialize>(value: &T) -> Result<(), Failure> {
    to_stdout(&format!("{}\n", as_json(value, serde_json::to_string)?))
}

fn as_json<T>(value: &T, write: fn(&T) -> serde_json::Result<String>) -> Result<String, Failure> {
    write(value).map_err(|e| Failure::new(ExitCode::Failed, format!("cannot write the result as JSON: {e}")))
}

/// Writes to stderr. There is nobody to tell when that fails.
pub fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// An aligned table without borders, with a heading in capitals, for people and for `awk`.
pub fn table(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(heading.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}
