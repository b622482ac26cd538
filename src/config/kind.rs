//! A stage's kind: `parse` alone, or `parse: { … }` with settings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::alone::{self, Worded};
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

impl Worded for Kind {
    const EXPECTED: &'static str =
        "a stage kind such as `parse`, or a kind with settings such as `parse: { size_max: 20MiB }`";

    fn with_settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Kind::deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        alone::read(deserializer)
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Kind::serialize(self, serializer)
    }
}
