//! A record as people change it: its payload by its schema, and back into bytes.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

use crate::flow::fault::one_line;
use crate::message::Headers;
use crate::ops::advice::Advice;
use crate::quarantine::Mask;
use crate::schema::{Registry, shown};

/// Longest cause in a message.
const CAUSE_MAX: usize = 300;
/// What a patch that copies may make of a payload, in bytes, about.
const COPIED_MAX: usize = 16 << 20;

/// What a payload is to become.
#[derive(Clone, Debug, Default)]
pub enum Payload {
    #[default]
    AsItIs,
    /// RFC 6902.
    Patch(Patch),
    /// RFC 7396.
    Merge(Value),
    /// This, in the form that it had.
    Json(Value),
    /// These bytes, whatever form it had.
    Bytes(Bytes),
}

impl Payload {
    /// Whether what it makes, or whether it can be made, may tell what a part of the payload is.
    pub fn may_tell(&self) -> bool {
        use PatchOperation::{Copy, Move, Test};
        matches!(self, Self::Patch(patch) if patch.0.iter().any(|step| matches!(step, Copy(_) | Move(_) | Test(_))))
    }
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    /// With the schema of this id.
    Avro(u32),
    Text,
    Bytes,
    /// There is none.
    Null,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Sheet {
    pub form: Form,
    /// Of JSON and Avro the value, otherwise a text, or base64.
    pub view: Value,
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl Sheet {
    /// Avro is what begins as the wire format does and can be read by the schema that it names.
    pub async fn of(registry: Option<&Arc<Registry>>, value: Option<Bytes>, headers: Headers) -> Self {
        let (form, view) = match (&value, registry) {
            (None, _) => (Form::Null, Value::Null),
            (Some(bytes), Some(registry)) if bytes.first() == Some(&0) => {
                match shown(registry, bytes).await {
                    Ok((schema, view)) => (Form::Avro(schema), view),
                    Err(_) => plain(bytes),
                }
            }
            (Some(bytes), _) => plain(bytes),
        };
        Self { form, view, value, headers }
    }

    /// With another payload.
    pub async fn with(&self, registry: Option<&Arc<Registry>>, payload: &Payload) -> Result<Self, Advice> {
        let view = match payload {
            Payload::AsItIs => return Ok(self.clone()),
            Payload::Bytes(bytes) => {
                return Ok(Self::of(registry, Some(bytes.clone()), self.headers.clone()).await);
            }
            Payload::Json(view) => view.clone(),
            Payload::Patch(patch) => patched(self.structured()?.clone(), patch)?,
            Payload::Merge(patch) => {
                let mut view = self.structured()?.clone();
                json_patch::merge(&mut view, patch);
                view
            }
        };
        if view == self.view {
            return Ok(self.clone());
        }
        let value = self.written(registry, &view).await?;
        Ok(Self { view, value: Some(value), ..self.clone() })
    }

    /// What a patch can be applied to.
    pub fn structured(&self) -> Result<&Value, Advice> {
        match self.form {
            Form::Json | Form::Avro(_) => Ok(&self.view),
            Form::Text | Form::Bytes | Form::Null => Err(Advice::new(
                "its payload is neither JSON nor Avro that can be read, so that no patch can be applied",
                "give the whole payload",
            )),
        }
    }

    async fn written(&self, registry: Option<&Arc<Registry>>, view: &Value) -> Result<Bytes, Advice> {
        match (self.form, registry, view) {
            (Form::Avro(schema), Some(registry), _) => match registry.write(schema, view).await {
                Ok(bytes) => Ok(bytes.into()),
                Err(fault) => Err(Advice::new(
                    fault.message,
                    "change it so that it fits, or give the whole payload as bytes",
                )),
            },
            (Form::Text, _, Value::String(text)) => Ok(text.clone().into_bytes().into()),
            (Form::Json | Form::Null, _, _) => {
                let bytes = serde_json::to_vec(view);
                bytes.map(Bytes::from).map_err(|e| Advice::new(e.to_string(), "give the payload as bytes"))
            }
            _ => Err(Advice::new("its payload is not JSON", "give the whole payload as a text or as bytes")),
        }
    }

    /// The payload as it may be shown.
    pub fn masked(&self, mask: &Mask) -> Value {
        match self.form {
            Form::Null => Value::Null,
            Form::Json | Form::Avro(_) => {
                let bytes = serde_json::to_vec(&self.view).unwrap_or_default();
                let masked = mask.payload(bytes.into());
                // What is hidden as a whole is no JSON.
                let text = || Value::String(String::from_utf8_lossy(&masked).into_owned());
                serde_json::from_slice(&masked).unwrap_or_else(|_| text())
            }
            Form::Text | Form::Bytes => self.value.as_ref().map_or(Value::Null, |value| {
                let masked = mask.payload(value.clone());
                String::from_utf8(masked.to_vec())
                    .map_or_else(|_| Value::String(STANDARD.encode(&masked)), Value::String)
            }),
        }
    }

    /// The headers as they may be shown; of several of one name all, in order.
    pub fn masked_headers(&self, mask: &Mask) -> Value {
        let mut all = serde_json::Map::new();
        for (name, value) in self.headers.shared() {
            let text = value.map_or(Value::Null, |value| {
                let shown = mask.header(name, value.clone());
                String::from_utf8(shown.to_vec())
                    .map_or_else(|_| Value::String(STANDARD.encode(&shown)), Value::String)
            });
            match all.get_mut(name) {
                None => _ = all.insert(name.to_owned(), text),
                Some(Value::Array(values)) => values.push(text),
                Some(one) => *one = Value::Array(vec![one.take(), text]),
            }
        }
        Value::Object(all)
    }

    /// Whether something of the payload is hidden.
    pub fn is_masked(&self, mask: &Mask) -> bool {
        let plain = Mask::default();
        self.masked(mask) != self.masked(&plain)
    }
}

/// JSON objects and lists as such, other text as text.
fn plain(bytes: &Bytes) -> (Form, Value) {
    match (serde_json::from_slice(bytes), std::str::from_utf8(bytes)) {
        (Ok(view @ (Value::Object(_) | Value::Array(_))), _) => (Form::Json, view),
        (_, Ok(text)) => (Form::Text, text.into()),
        (_, Err(_)) => (Form::Bytes, STANDARD.encode(bytes).into()),
    }
}

/// Step by step, so that copies of copies do not fill the memory.
fn patched(mut view: Value, patch: &Patch) -> Result<Value, Advice> {
    let cannot = |cause: &str| {
        let message = format!("the patch cannot be applied: {}", one_line(cause, CAUSE_MAX));
        Err(Advice::new(
            message,
            "see its payload with `lazaret dlq show --payload`, or leave the letter out",
        ))
    };
    for step in &patch.0 {
        if let Err(error) = json_patch::patch(&mut view, std::slice::from_ref(step)) {
            return cannot(&error.to_string());
        }
        if matches!(step, PatchOperation::Copy(_)) && weight(&view) > COPIED_MAX {
            return cannot("what it copies becomes too large");
        }
    }
    Ok(view)
}

/// How long it is as JSON, about.
pub fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(all) => all.iter().map(weight).sum::<usize>() + 2,
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + weight(value) + 4).sum(),
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Masking, mask};

    async fn sheet(value: &[u8]) -> Sheet {
        Sheet::of(None, Some(Bytes::copy_from_slice(value)), Headers::new()).await
    }

    fn patch(text: Value) -> Payload {
        Payload::Patch(serde_json::from_value(text).expect("a patch"))
    }

    #[tokio::test]
    async fn json_is_patched_and_merged_and_keeps_the_order_of_its_fields() {
        let sheet = sheet(br#"{"z": 1, "a": {"b": [1, 2]}, "big": 18446744073709551615}"#).await;
        let step = json!([{ "op": "test", "path": "/z", "value": 1 }, { "op": "replace", "path": "/a/b/1", "value": 7 }]);
        let patched = sheet.with(None, &patch(step)).await.expect("patched");
        let written = patched.value.expect("a payload");
        assert_eq!(&*written, br#"{"z":1,"a":{"b":[1,7]},"big":18446744073709551615}"#);
        let merged =
            sheet.with(None, &Payload::Merge(json!({ "a": null, "new": "x" }))).await.expect("merged");
        assert_eq!(merged.view, json!({ "z": 1, "big": 18_446_744_073_709_551_615_u64, "new": "x" }));
        let same = sheet.with(None, &Payload::Merge(json!({ "z": 1 }))).await.expect("the same");
        assert_eq!(same.value, sheet.value, "what is the same is not written anew");
    }

    #[tokio::test]
    async fn a_patch_that_does_not_fit_changes_nothing_and_says_why() {
        let json = sheet(br#"{"a": 1}"#).await;
        let test = json!([{ "op": "test", "path": "/a", "value": 2 }]);
        let refused = json.with(None, &patch(test)).await.expect_err("refused");
        assert!(refused.message.contains("cannot be applied"), "{refused}");
        for value in [&b"a text"[..], b"\xff\x00", b"\"a text in quotes\""] {
            let refused =
                sheet(value).await.with(None, &Payload::Merge(json!({}))).await.expect_err("refused");
            assert!(refused.message.contains("neither JSON nor Avro"), "{refused}");
        }
        let copies: Vec<Value> =
            (0..40).map(|n| json!({ "op": "copy", "from": "", "path": format!("/c{n}") })).collect();
        let refused = json.with(None, &patch(copies.into())).await.expect_err("refused");
        assert!(refused.message.contains("too large"), "{refused}");
    }

    #[test]
    fn a_patch_that_could_tell_what_it_does_not_show_is_known() {
        for (step, tells) in [
            (json!({ "op": "copy", "from": "/card", "path": "/open" }), true),
            (json!({ "op": "move", "from": "/card", "path": "/open" }), true),
            (json!({ "op": "test", "path": "/card", "value": "4111" }), true),
            (json!({ "op": "replace", "path": "/card", "value": "4111" }), false),
            (json!({ "op": "remove", "path": "/card" }), false),
            (json!({ "op": "add", "path": "/card", "value": "4111" }), false),
        ] {
            assert_eq!(patch(json!([{ "op": "remove", "path": "/a" }, step])).may_tell(), tells, "{step}");
        }
        assert!(!Payload::Merge(json!({ "card": null })).may_tell());
    }

    #[tokio::test]
    async fn texts_and_bytes_are_replaced_as_a_whole() {
        let text = sheet(b"a text").await;
        let other = text.with(None, &Payload::Json(json!("another"))).await.expect("a text");
        assert_eq!((other.form, other.value.as_deref()), (Form::Text, Some(&b"another"[..])));
        assert!(text.with(None, &Payload::Json(json!({ "a": 1 }))).await.is_err(), "a text stays one");
        let bytes = text.with(None, &Payload::Bytes(Bytes::from_static(b"\xff"))).await.expect("bytes");
        assert_eq!((bytes.form, bytes.view), (Form::Bytes, json!("/w==")));
        let null = Sheet::of(None, None, Headers::new()).await;
        let json = null.with(None, &Payload::Json(json!({ "a": 1 }))).await.expect("JSON");
        assert_eq!(json.value.as_deref(), Some(&br#"{"a":1}"#[..]));
    }

    #[tokio::test]
    async fn what_is_masked_is_neither_shown_nor_taken_for_open() {
        let fields = vec![mask::FieldPath::parse("card").expect("a path")];
        let mask = Mask::of(&Masking { fields, headers: vec!["x-secret".into()], ..Masking::default() });
        let mut sheet = sheet(br#"{"card": "4111", "open": 1}"#).await;
        sheet.headers.push_text("x-secret", "s3cr3t");
        sheet.headers.push_text("a", "1");
        sheet.headers.push("a", None);
        assert_eq!(sheet.masked(&mask), json!({ "card": "***", "open": 1 }));
        assert_eq!(sheet.masked_headers(&mask), json!({ "x-secret": "***", "a": ["1", null] }));
        assert!(sheet.is_masked(&mask) && !sheet.is_masked(&Mask::default()));
    }
}
