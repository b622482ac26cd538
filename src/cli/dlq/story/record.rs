//! The record of a dead letter in words: as much of it as may be shown.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ops::dlq::account::Account;
use crate::ops::dlq::explain::{bounded, hex};
use crate::ops::dlq::original::{Content, Original, Part, Standing};

/// Longest header value or key shown, in characters.
const LINE_MAX: usize = 120;

/// What Kafka has of it.
pub fn standing(text: &mut String, account: &Account) {
    match &account.standing {
        None => {}
        Some(Standing::There(original)) => record(text, original),
        Some(Standing::Gone) => {
            let _ = writeln!(text, "\nKafka has deleted the record: this is what the index kept of it");
        }
        Some(Standing::Unread { why }) => _ = writeln!(text, "\nthe record cannot be read: {why}"),
    }
}

fn record(text: &mut String, original: &Original) {
    if !original.headers.is_empty() {
        let _ = writeln!(text, "\nheaders of the original record");
    }
    for header in &original.headers {
        let _ = writeln!(text, "  {}: {}", header.name, line(&header.value));
    }
    let payload = &original.payload;
    let _ = writeln!(text, "\nkey {}, value {}", line(&original.key), length(payload));
    if let Some(why) = &payload.problem {
        let _ = writeln!(text, "it is not shown by its schema: {why}");
    }
    match &payload.content {
        Some(Content::Json { value }) => _ = writeln!(text, "{}", bounded(&pretty(value))),
        Some(Content::Avro { schema, value }) => {
            let _ = writeln!(text, "Avro, schema {schema} of the registry\n{}", bounded(&pretty(value)));
        }
        Some(Content::Text { text: value }) => _ = writeln!(text, "{}", bounded(value)),
        Some(Content::Binary { base64 }) => {
            let _ = writeln!(text, "{}", hex(&STANDARD.decode(base64).unwrap_or_default()));
        }
        None => {}
    }
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// In one line: what it is, or how long.
fn line(part: &Part) -> String {
    match &part.content {
        Some(Content::Text { text }) => text.chars().take(LINE_MAX).collect(),
        Some(Content::Json { value }) => value.to_string().chars().take(LINE_MAX).collect(),
        Some(Content::Binary { .. }) => format!("{} that are not text", length(part)),
        Some(Content::Avro { .. }) | None => length(part),
    }
}

fn length(part: &Part) -> String {
    part.bytes.map_or_else(|| "null".to_owned(), |bytes| format!("{bytes} bytes"))
}
