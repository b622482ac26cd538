//! Words that can stand alone, or with settings: `parse`, or `parse: { … }`. Says the same to the JSON Schema.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};

/// What is one of several words, each with settings.
pub trait Worded: Sized {
    /// What should have been there.
    const EXPECTED: &'static str;

    /// Reads the word with its settings.
    fn with_settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Reads a word alone as the word with no settings given.
pub fn read<'de, T: Worded, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(WordVisitor(PhantomData))
}

/// Adds to the schema of words with settings those that can stand alone: those that need none.
pub fn allow_alone<T: DeserializeOwned>(schema: &mut schemars::Schema) {
    let Some(with_settings) = schema.get_mut("oneOf").and_then(|v| v.as_array_mut()) else { return };
    let alone: Vec<String> = with_settings
        .iter()
        .filter_map(|one| one.get("properties")?.as_object()?.keys().next().cloned())
        .filter(|name| serde_json::from_value::<T>(serde_json::json!(name)).is_ok())
        .collect();
    let alone =
        serde_json::json!({ "type": "string", "enum": alone, "description": "With its default settings" });
    with_settings.insert(0, alone);
}

struct WordVisitor<T>(PhantomData<T>);

impl<'de, T: Worded> Visitor<'de> for WordVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
        let nothing = BTreeMap::<String, String>::new();
        let entry = std::iter::once((word.to_owned(), nothing));
        T::with_settings(MapAccessDeserializer::new(MapDeserializer::new(entry)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::with_settings(MapAccessDeserializer::new(map))
    }
}
