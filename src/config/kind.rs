//! A stage's kind: `parse` alone, or `parse: { … }` with settings.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::alone::{self, Worded};
use super::model::{Config, Kind, Pipeline, Stage};

/// Whom a stage asks, and for what. Its fields tell one question from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asks<'a> {
    /// Its name in the configuration.
    pub provider: &'a str,
    pub model: &'a str,
    /// Most tokens of an answer. `None`: an embedding, which has none.
    pub answer_max: Option<u32>,
}

impl Config {
    /// The settings of a stage.
    pub fn stage(&self, pipeline: &str, stage: &str) -> Option<&Stage> {
        self.pipelines.get(pipeline)?.stage(stage)
    }

    /// Whom a stage asks.
    pub fn asks(&self, pipeline: &str, stage: &str) -> Option<Asks<'_>> {
        self.stage(pipeline, stage)?.kind.asks()
    }
}

impl Pipeline {
    /// The settings of its stage of this name.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// Who was asked for the draft that this stage works on: by the last stage before it that generates.
    pub fn drafted_before(&self, stage: &str) -> Option<Asks<'_>> {
        let here = self.stages.iter().position(|one| one.name == stage)?;
        let mut before = self.stages.iter().take(here).rev();
        before.find(|one| matches!(one.kind, Kind::Generate(_)))?.kind.asks()
    }
}

impl Kind {
    /// Whom a stage of this kind asks.
    pub fn asks(&self) -> Option<Asks<'_>> {
        let (provider, model, answer_max) = match self {
            Kind::Embed(embed) => (&embed.provider, &embed.model, None),
            Kind::Retrieve(retrieve) => (&retrieve.provider, &retrieve.model, None),
            Kind::Generate(generate) => (&generate.provider, &generate.model, Some(generate.max_tokens)),
            _ => return None,
        };
        Some(Asks { provider, model, answer_max })
    }

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
