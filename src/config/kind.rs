//! Reads a stage's kind: `parse` alone, or `parse: { … }` with settings. Says the same to the JSON Schema.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::model::Kind;

impl Kind {
    /// The word that stands in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Validate(_) => "validate",
            Kind::Parse(_) => "parse",
            Kind::Chunk(_) => "chunk",
            Kind::Embed(_) => "embed",
            Kind::Index(_) => "index",
            Kind::Retrieve(_) => "retrieve",
            Kind::Generate(_) => "generate",
            Kind::Ground(_) => "ground",
            Kind::Own(_) => "own",
        }
    }
}

/// Adds to the schema of kinds with settings the kinds that can stand alone: those that need none.
pub fn allow_kind_alone(schema: &mut schemars::Schema) {
    let Some(with_settings) = schema.get_mut("oneOf").and_then(|v| v.as_array_mut()) else { return };
    let alone: Vec<String> = with_settings
        .iter()
        .filter_map(|one| one.get("properties")?.as_object()?.keys().next().cloned())
        .filter(|name| serde_json::from_value::<Kind>(serde_json::json!(name)).is_ok())
        .collect();
    with_settings.insert(
        0,
        serde_json::json!({ "type": "string", "enum": alone, "description": "A kind with its default settings" }),
    );
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Kind::serialize(self, serializer)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a stage kind such as `parse`, or a kind with settings such as `parse: { size_max: 20MiB }`",
        )
    }

    /// A kind alone is the kind with no settings given.
    fn visit_str<E: Error>(self, name: &str) -> Result<Kind, E> {
        let nothing = std::collections::BTreeMap::<String, String>::new();
        let entry = std::iter::once((name.to_owned(), nothing));
        Kind::deserialize(MapAccessDeserializer::new(MapDeserializer::new(entry)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kind, A::Error> {
        Kind::deserialize(MapAccessDeserializer::new(map))
    }
}
