//! Hides what nobody is to see of dead letters. In error texts it does so before the index takes them in, so that nobody
//! finds what is hidden by looking for it; in records, whenever they are shown. Pure.
//!
//! In doubt it hides too much: what it cannot look into is hidden as a whole.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde_json::Value;

use super::Entry;
use crate::config::Masking;
use crate::config::mask::Step;
use crate::flow::fault::{MESSAGE_MAX, one_line};
use crate::message::deadletter::DeadLetter;

/// Stands for what is hidden.
pub const MASKED: &str = "***";
/// Shorter texts are words, even where they could be base64 of what is no text.
const CODED_MIN: usize = 24;
const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
const QUOTES: [char; 9] = ['\'', '"', '`', '“', '”', '‘', '’', '«', '»'];

/// The rules, applied.
#[derive(Clone, Debug, Default)]
pub struct Mask(Masking);

impl Mask {
    pub fn of(rules: &Masking) -> Self {
        Self(rules.clone())
    }

    /// Names the rules that change what the index takes in; empty when there are none.
    pub fn name(&self) -> String {
        let Masking { patterns, quotes, .. } = &self.0;
        if patterns.is_empty() && !quotes {
            return String::new();
        }
        let rules = serde_json::to_vec(&(patterns, quotes)).unwrap_or_default();
        blake3::hash(&rules).to_hex()[..16].to_owned()
    }

    /// Hides it in the texts of an error.
    pub fn entry(&self, entry: &mut Entry) {
        self.errors(&mut entry.message, &mut entry.chain);
    }

    /// The same of a letter as it stands in Kafka.
    pub fn letter(&self, letter: &mut DeadLetter) {
        self.errors(&mut letter.message, &mut letter.chain);
    }

    fn errors(&self, message: &mut String, chain: &mut [String]) {
        for text in std::iter::once(message).chain(chain) {
            if let Cow::Owned(masked) = self.error(text) {
                *text = one_line(&masked, MESSAGE_MAX);
            }
        }
    }

    /// One text of an error.
    pub fn error<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.0.quotes {
            return self.text(text);
        }
        let Some((first, last)) = text.find(QUOTES).zip(text.rfind(QUOTES)) else { return self.text(text) };
        // With one of them nobody knows where it ends.
        let (before, quoted) = text.split_at(first);
        let after = if last > first { quoted.get(last - first..).unwrap_or_default() } else { "" };
        let mark = text.get(first..).and_then(|rest| rest.chars().next()).unwrap_or('\'');
        Cow::Owned(format!("{}{mark}{MASKED}{}", self.text(before), self.text(after)))
    }

    /// The key of a record.
    pub fn key(&self, key: Bytes) -> Bytes {
        match self.0.keys {
            true => Bytes::from_static(MASKED.as_bytes()),
            false => self.bytes(key),
        }
    }

    /// Whether headers of this name are hidden.
    pub fn hides(&self, name: &str) -> bool {
        self.0.headers.iter().any(|rule| is_named(name, rule))
    }

    /// The value of a header.
    pub fn header(&self, name: &str, value: Bytes) -> Bytes {
        match self.hides(name) {
            true => Bytes::from_static(MASKED.as_bytes()),
            false => self.bytes(value),
        }
    }

    /// The value of a header in which others say why a record died.
    pub fn said(&self, value: Bytes) -> Bytes {
        match std::str::from_utf8(&value).map(|text| self.error(text)) {
            Ok(Cow::Owned(masked)) => masked.into(),
            Ok(Cow::Borrowed(_)) => value,
            Err(_) => self.bytes(value),
        }
    }

    /// A payload: JSON is written anew without what is hidden.
    pub fn payload(&self, payload: Bytes) -> Bytes {
        let Masking { fields, patterns, .. } = &self.0;
        if fields.is_empty() && patterns.is_empty() {
            return payload;
        }
        match serde_json::from_slice::<Value>(&payload) {
            Ok(mut json) => {
                fields.iter().for_each(|path| hide(&mut json, path.steps()));
                self.json(&mut json);
                serde_json::to_vec(&json).map_or(Bytes::from_static(MASKED.as_bytes()), Bytes::from)
            }
            Err(_) if fields.is_empty() => self.bytes(payload),
            Err(_) => Bytes::from_static(MASKED.as_bytes()),
        }
    }

    /// What patterns match in a text, or everything that is none.
    fn bytes(&self, bytes: Bytes) -> Bytes {
        if self.0.patterns.is_empty() {
            return bytes;
        }
        match std::str::from_utf8(&bytes).map(|text| self.text(text)) {
            Ok(Cow::Borrowed(_)) => bytes,
            Ok(Cow::Owned(masked)) => masked.into(),
            Err(_) => Bytes::from_static(MASKED.as_bytes()),
        }
    }

    fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut masked = Cow::Borrowed(text);
        for pattern in &self.0.patterns {
            if let Cow::Owned(changed) = pattern.regex().replace_all(&masked, regex::NoExpand(MASKED)) {
                masked = Cow::Owned(changed);
            }
        }
        masked
    }

    /// Whether a text stands for bytes, as documents do in records, in which a pattern matches or cannot look.
    fn hides_coded(&self, text: &str) -> bool {
        if self.0.patterns.is_empty() {
            return false;
        }
        let Some(bytes) = decoded(text) else { return false };
        match std::str::from_utf8(&bytes) {
            Ok(inner) => matches!(self.text(inner), Cow::Owned(_)),
            // Words and hexadecimal numbers could be base64, too.
            Err(_) => text.len() >= CODED_MIN && !text.bytes().all(|b| b.is_ascii_hexdigit()),
        }
    }

    /// What patterns match in texts, numbers and names of fields.
    fn json(&self, json: &mut Value) {
        match json {
            Value::String(text) => match self.hides_coded(text) {
                true => *text = MASKED.into(),
                false => {
                    if let Cow::Owned(masked) = self.text(text) {
                        *text = masked;
                    }
                }
            },
            Value::Number(number) => {
                if let Cow::Owned(masked) = self.text(&number.to_string()) {
                    *json = Value::String(masked);
                }
            }
            Value::Array(all) => all.iter_mut().for_each(|one| self.json(one)),
            Value::Object(fields) => {
                let all = std::mem::take(fields);
                for (name, mut value) in all {
                    self.json(&mut value);
                    fields.insert(self.text(&name).into_owned(), value);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

/// What a text stands for if it is base64, in either alphabet, with or without padding, in lines or not, and even if it is cut off.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    for byte in text.trim_end_matches('=').bytes() {
        match byte {
            b'\r' | b'\n' | b'\t' => {}
            b'-' => plain.push(b'+'),
            b'_' => plain.push(b'/'),
            byte => plain.push(byte),
        }
    }
    // One character alone is no byte.
    if plain.len() % 4 == 1 {
        plain.pop();
    }
    TOLERANT.decode(plain).ok()
}

/// Whether a header is meant: by its name, or by how it begins.
fn is_named(name: &str, rule: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(start) => name.get(..start.len()).is_some_and(|begins| begins.eq_ignore_ascii_case(start)),
        None => name.eq_ignore_ascii_case(rule),
    }
}

/// Hides the fields to which these steps lead. Lists are gone through.
fn hide(json: &mut Value, steps: &[Step]) {
    let Some((step, rest)) = steps.split_first() else {
        *json = Value::String(MASKED.into());
        return;
    };
    match (json, step) {
        (Value::Array(all), Step::Any) => all.iter_mut().for_each(|one| {
            hide(one, rest);
            // A list within a list.
            if one.is_array() {
                hide(one, steps);
            }
        }),
        (Value::Array(all), _) => all.iter_mut().for_each(|one| hide(one, steps)),
        (Value::Object(fields), Step::Any) => fields.values_mut().for_each(|one| hide(one, rest)),
        (Value::Object(fields), Step::Name(name)) => {
            if let Some(one) = fields.get_mut(name) {
                hide(one, rest);
            }
        }
        (Value::Object(fields), Step::Deep(name)) => {
            for (field, one) in fields {
                if field == name {
                    hide(one, rest);
                }
                hide(one, steps);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
