//! What would be, and what was, edited, in words. Pure.

use std::fmt::Write as _;

use serde_json::Value;

use crate::ops::dlq::edit::{Change, Done, Prepared};
use crate::ops::dlq::explain::{bounded, printable};

/// Such as `3 dead letters are edited`.
pub fn what(prepared: &Prepared, undo: bool) -> String {
    let unchanged = match prepared.unchanged {
        0 => String::new(),
        some => format!("; for {some} more it makes no difference"),
    };
    format!("{}{unchanged}", counted(prepared.letters.len(), undo))
}

fn counted(count: usize, undo: bool) -> String {
    let what = if undo { "as they died again" } else { "edited" };
    match (count, undo) {
        (1, true) => "1 dead letter is as it died again".to_owned(),
        (1, false) => "1 dead letter is edited".to_owned(),
        (count, _) => format!("{count} dead letters are {what}"),
    }
}

/// What is different of the first of them.
pub fn samples(prepared: &Prepared) -> String {
    let mut text = String::new();
    for sample in &prepared.samples {
        let _ = writeln!(text, "dead letter {}", printable(&sample.id));
        text += &changes(&sample.changes);
    }
    let more = prepared.letters.len().saturating_sub(prepared.samples.len());
    if more > 0 && !prepared.samples.is_empty() {
        let _ = writeln!(text, "and {more} more");
    }
    text
}

/// Differences, what was with a minus before it and what is with a plus.
pub fn changes(changes: &[Change]) -> String {
    let mut text = String::new();
    for change in changes {
        let _ = writeln!(text, "  {}", printable(&change.at));
        for (sign, value) in [('-', &change.before), ('+', &change.after)] {
            let lines = value.as_ref().map(shown).unwrap_or_default();
            for line in lines.lines() {
                let _ = writeln!(text, "    {sign} {line}");
            }
        }
    }
    text
}

/// A text in quotes, so that what is empty or has spaces can be seen.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\n') => bounded(text),
        other => bounded(&other.to_string()),
    }
}

pub fn done(done: &Done, undo: bool) -> String {
    let mut text = format!("{}\n", counted(done.letters.len(), undo));
    for lost in &done.lost {
        let _ = writeln!(text, "not: {}", printable(&lost.why));
    }
    if !undo {
        text += "send them back with `lazaret dlq redrive` or `lazaret redrive plan`; `lazaret dlq edit --undo` takes it back\n";
    }
    let _ = writeln!(text, "`lazaret dlq audit --operation {}` shows it", done.operation);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_line_by_line_and_steer_no_terminal() {
        let change = |at: &str, before, after| Change { at: at.into(), before, after };
        let told = changes(&[
            change("payload/text", Some(json!("")), Some(json!("What\u{1b}[2J is it?"))),
            change("headers/a", None, Some(json!("x"))),
            change("payload/gone", Some(json!({ "b": 1 })), None),
        ]);
        assert_eq!(
            told,
            "  payload/text\n    - \"\"\n    + \"What\\u001b[2J is it?\"\n  headers/a\n    + \"x\"\n  payload/gone\n    - {\"b\":1}\n"
        );
    }
}
