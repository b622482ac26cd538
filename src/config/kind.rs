//! Reads a stage's kind: `parse` alone, or `parse: { … }` with settings.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::model::Kind;

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
