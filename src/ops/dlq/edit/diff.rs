//! What is different between two values, place by place, for people who are to say whether they want it. Pure.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Longest text that is shown of one side; of a longer one the part around the first difference.
const TEXT_MAX: usize = 2048;
/// Shown of what is the same before a difference within a text, in bytes.
const BEFORE: usize = 120;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// `payload`, or `headers`, and the JSON Pointer within.
    pub at: String,
    /// Absent when there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Absent when there is nothing now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// The differences below this place, in the order of the value before; what is new comes behind.
pub fn diff(at: &str, before: Option<&Value>, after: Option<&Value>, into: &mut Vec<Change>) {
    match (before, after) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for (name, value) in old {
                diff(&below(at, name), Some(value), new.get(name), into);
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                diff(&below(at, name), None, Some(value), into);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for n in 0..old.len().max(new.len()) {
                diff(&below(at, &n.to_string()), old.get(n), new.get(n), into);
            }
        }
        (Some(Value::String(old)), Some(Value::String(new))) if old != new => {
            let (old, new) = around(old, new);
            into.push(Change { at: at.to_owned(), before: Some(old.into()), after: Some(new.into()) });
        }
        (before, after) if before != after => {
            into.push(Change { at: at.to_owned(), before: before.map(bounded), after: after.map(bounded) });
        }
        _ => {}
    }
}

fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A value, unless it is long.
fn bounded(value: &Value) -> Value {
    match value {
        Value::String(text) => cut(text, 0).into(),
        Value::Object(_) | Value::Array(_) => {
            let text = value.to_string();
            if text.len() > TEXT_MAX { cut(&text, 0).into() } else { value.clone() }
        }
        other => other.clone(),
    }
}

/// Both texts around where they differ first.
fn around(old: &str, new: &str) -> (String, String) {
    let same = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let is_short = old.len().max(new.len()) <= TEXT_MAX;
    let from = if is_short { 0 } else { same.saturating_sub(BEFORE) };
    (cut(old, from), cut(new, from))
}

fn cut(text: &str, from: usize) -> String {
    let from = text.floor_char_boundary(from);
    let to = text.floor_char_boundary(from.saturating_add(TEXT_MAX));
    let (head, tail) = (if from > 0 { "…" } else { "" }, if to < text.len() { "…" } else { "" });
    format!("{head}{}{tail}", text.get(from..to).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(before: &Value, after: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
        let mut changes = Vec::new();
        diff("payload", Some(before), Some(after), &mut changes);
        changes.into_iter().map(|Change { at, before, after }| (at, before, after)).collect()
    }

    #[test]
    fn every_difference_is_told_with_its_place_and_nothing_else() {
        let before = json!({ "same": 1, "a/b": "x", "list": [1, 2, 3], "gone": null, "kind": [] });
        let after = json!({ "same": 1, "a/b": "y", "list": [1, 5], "kind": {}, "new": { "deep": true } });
        let some = |value: Value| Some(value);
        assert_eq!(
            changes(&before, &after),
            [
                ("payload/a~1b".into(), some(json!("x")), some(json!("y"))),
                ("payload/list/1".into(), some(json!(2)), some(json!(5))),
                ("payload/list/2".into(), some(json!(3)), None),
                ("payload/gone".into(), some(json!(null)), None),
                ("payload/kind".into(), some(json!([])), some(json!({}))),
                ("payload/new".into(), None, some(json!({ "deep": true }))),
            ]
        );
        assert!(changes(&before, &before).is_empty());
    }

    #[test]
    fn of_long_texts_the_part_is_told_where_they_differ() {
        let long = "é".repeat(10_000);
        let (before, after) = (format!("{long}old{long}"), format!("{long}new{long}"));
        let [(_, Some(old), Some(new))] = &changes(&json!(before), &json!(after))[..] else { panic!("one") };
        for (text, word) in [(old, "old"), (new, "new")] {
            let text = text.as_str().expect("a text");
            assert!(text.contains(word) && text.starts_with('…') && text.ends_with('…'), "{text}");
            assert!(text.len() <= TEXT_MAX + 8);
        }
    }
}
