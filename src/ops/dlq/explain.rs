//! One dead letter in words: cause and remedy first, then who, where, when, and what to do next. Pure.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;

use super::care::Care;
use super::{Found, Opened};
use crate::config::DEFAULT_FILE;
use crate::flow::Code;
use crate::message::Headers;

/// Most bytes of a payload that are shown.
pub const PAYLOAD_MAX: usize = 16 * 1024;
/// Most bytes of a payload that is not text.
const HEX_MAX: usize = 256;
/// Longest header value or key shown, in characters.
const HEADER_MAX: usize = 120;

/// For whom a dead letter is told.
#[derive(Clone, Debug)]
pub struct Telling<'a> {
    /// Show the payload, the key and the values of the producer's own headers. They may hold what the reader has no
    /// right to see.
    pub payload: bool,
    pub now: Timestamp,
    pub care: &'a Care,
    /// How commands to paste begin, see `command`.
    pub command: &'a str,
}

/// The whole account of a dead letter.
pub fn explain(opened: &Opened, telling: &Telling<'_>) -> String {
    let mut text = String::new();
    cause(&mut text, &opened.found);
    facts(&mut text, &opened.found, telling);
    chain(&mut text, &opened.found);
    headers(&mut text, &opened.original, telling.payload);
    value(&mut text, opened, telling.payload);
    next(&mut text, &opened.found, telling);
    printable(&text)
}

/// How a command begins that works on the same configuration as this one.
pub fn command(config: &Path) -> String {
    match config.to_string_lossy() {
        path if path == DEFAULT_FILE => "lazaret".to_owned(),
        path => format!("lazaret --config {}", quoted(&path)),
    }
}

// Writing to a string cannot fail, so the results of `writeln!` are not looked at.

fn cause(text: &mut String, found: &Found) {
    let letter = &found.letter;
    let _ = writeln!(text, "{} ({}): {}\n", letter.code, letter.class, letter.message);
    match letter.code.parse::<Code>() {
        Ok(code) => {
            let _ = writeln!(text, "{}\n", code.page().trim());
        }
        Err(unknown) => {
            let _ = writeln!(text, "{unknown}; it was written by another version of Lazaret\n");
        }
    }
}

fn facts(text: &mut String, found: &Found, telling: &Telling<'_>) {
    let Telling { now, care, .. } = *telling;
    let letter = &found.letter;
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
    let rows = [
        ("dead letter", letter.id.clone()),
        ("stands at", found.at.clone()),
        ("stage", format!("{}.{} (revision {})", letter.pipeline, letter.stage, letter.revision)),
        ("job", letter.correlation.job.to_string()),
        ("tenant", or_none(&letter.correlation.tenant)),
        ("resource", or_none(&letter.correlation.resource)),
        ("trace", letter.correlation.trace_id().to_owned()),
        ("came from", found.from.clone()),
        ("attempts", letter.attempts.to_string()),
        ("first failure", format!("{:.3}", letter.first_failure)),
        ("last failure", format!("{:.3}, {} ago", letter.last_failure, age(letter.last_failure, now))),
        ("redriven", format!("{} times", letter.redrives)),
        ("fingerprint", letter.fingerprint.clone()),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<14}{value}");
    }
    let look_by = care.look_by.map(|time| format!("{time:.3}"));
    for (name, value) in [("owner", &care.owner), ("runbook", &care.runbook), ("look by", &look_by)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<14}{value}");
        }
    }
}

fn chain(text: &mut String, found: &Found) {
    if !found.letter.chain.is_empty() {
        let _ = writeln!(text, "\ncauses");
    }
    for cause in &found.letter.chain {
        let _ = writeln!(text, "  {cause}");
    }
}

fn headers(text: &mut String, headers: &Headers, shown: bool) {
    if headers.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nheaders of the original record");
    for (name, value) in headers.iter() {
        let value = match value {
            None => "null".to_owned(),
            Some(bytes) if !shown => format!("{} bytes", bytes.len()),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(line) => line.chars().take(HEADER_MAX).collect(),
                Err(_) => format!("{} bytes that are not text", bytes.len()),
            },
        };
        let _ = writeln!(text, "  {name}: {value}");
    }
}

fn value(text: &mut String, opened: &Opened, shown: bool) {
    let key = match opened.key.as_deref() {
        None => "null".to_owned(),
        Some(key) => match std::str::from_utf8(key) {
            Ok(line) if shown => line.chars().take(HEADER_MAX).collect(),
            _ => format!("{} bytes", key.len()),
        },
    };
    let Some(value) = opened.value.as_deref() else {
        let _ = writeln!(text, "\nkey {key}, value null");
        return;
    };
    let _ = writeln!(text, "\nkey {key}, value {} bytes", value.len());
    if shown {
        let _ = writeln!(text, "{}", payload_text(value));
    }
}

/// JSON in lines, other text as it is, anything else as the first bytes in hexadecimal. Bounded and printable.
pub fn payload_text(value: &[u8]) -> String {
    let whole = serde_json::from_slice::<serde_json::Value>(value).ok();
    let text = match (whole, std::str::from_utf8(value)) {
        (Some(json), _) => serde_json::to_string_pretty(&json).unwrap_or_default(),
        (None, Ok(text)) => text.to_owned(),
        (None, Err(_)) => return hex(value),
    };
    let mut cut = text.len().min(PAYLOAD_MAX);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    let more = text.len() - cut;
    let (head, _) = text.split_at(cut);
    let mut shown = printable(head);
    if more > 0 {
        let _ = write!(shown, "\n… {more} more bytes");
    }
    shown
}

fn hex(value: &[u8]) -> String {
    let mut lines = String::new();
    for (row, bytes) in value.chunks(16).take(HEX_MAX / 16).enumerate() {
        let codes: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let signs: String =
            bytes.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect();
        let _ = writeln!(lines, "{:08x}  {:<47}  {signs}", row * 16, codes.join(" "));
    }
    if value.len() > HEX_MAX {
        let _ = write!(lines, "… {} more bytes", value.len() - HEX_MAX);
    }
    lines.trim_end().to_owned()
}

/// Without control characters other than line breaks and tabs, so that no text from a record steers the terminal.
pub fn printable(text: &str) -> String {
    let sign = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.chars().map(sign).collect()
}

fn next(text: &mut String, found: &Found, telling: &Telling<'_>) {
    let (letter, command) = (&found.letter, telling.command);
    let _ = writeln!(text, "\nnext");
    let _ = writeln!(text, "  {command} job {}", quoted(&letter.correlation.job.0));
    if !telling.payload {
        let _ = writeln!(text, "  {command} dlq show {} --payload", letter.id);
    }
    let _ = writeln!(
        text,
        "  {command} dlq ls --pipeline {} --stage {} --code {}",
        quoted(&letter.pipeline),
        quoted(&letter.stage),
        quoted(&letter.code)
    );
}

/// Ready to be pasted into a POSIX shell: these words come from record headers.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How long ago, in the largest unit that fits: `3d`, `5h`, `12m`, `40s`.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let secs = now.as_second().saturating_sub(then.as_second()).max(0);
    match secs {
        86_400.. => format!("{}d", secs / 86_400),
        3_600.. => format!("{}h", secs / 3_600),
        60.. => format!("{}m", secs / 60),
        _ => format!("{secs}s"),
    }
}
