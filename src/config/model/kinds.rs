//! What a stage does: one kind each, with the settings that only this kind has.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::units::{Size, Span};

/// What a stage does, with its settings.
///
/// Written as a kind alone (`parse`) or as a kind with settings (`parse: { size_max: 20MiB }`); see `alone.rs`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(transform = crate::config::alone::allow_alone::<Kind>)]
pub enum Kind {
    Validate(Validate),
    Parse(Parse),
    Chunk(Chunk),
    Embed(Embed),
    Index(IndexKind),
    Retrieve(Retrieve),
    Generate(Generate),
    Ground(Ground),
    /// A stage of one's own. It is part of a program that uses the library, and cannot stand in a file.
    #[serde(skip)]
    Own(Own),
}

/// What is known of a stage of one's own.
#[derive(Clone, Debug)]
pub struct Own {
    /// Names what the stage does; stands in every dead letter.
    pub revision: String,
}

/// Checks a document or a question before anything is spent on it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Validate {
    /// What the record must be.
    pub of: Subject,
    /// Largest document or question.
    pub size_max: Size,
}

impl Default for Validate {
    fn default() -> Self {
        Self { of: Subject::Document, size_max: Size::mib(20) }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    #[default]
    Document,
    Question,
}

/// Bytes to text.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parse {
    /// Largest document fetched or read.
    pub size_max: Size,
    /// How long a parser may take.
    pub time_max: Span,
    /// Memory of a parser process.
    pub memory_max: Size,
    /// What an archive or compressed stream may unpack to.
    pub expansion_max: Size,
    /// Largest text.
    pub text_max: Size,
}

impl Default for Parse {
    fn default() -> Self {
        Self {
            size_max: Size::mib(20),
            time_max: Span::secs(20),
            memory_max: Size::mib(1024),
            expansion_max: Size::mib(200),
            text_max: Size::mib(6),
        }
    }
}

/// Text to passages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chunk {
    /// Most tokens of a passage (o200k_base).
    pub tokens_max: usize,
    /// Tokens repeated from the passage before.
    pub overlap: usize,
    /// Passages per output record.
    pub part: usize,
    /// Most passages of a document.
    pub passages_max: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { tokens_max: 320, overlap: 32, part: 32, passages_max: 20_000 }
    }
}

/// Passages to vectors.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    pub provider: String,
    pub model: String,
}

/// Vectors and text into the search index.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexKind {}

/// Question to evidence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retrieve {
    pub provider: String,
    /// The embedding model the index was filled with.
    pub model: String,
    /// Passages handed to the model.
    #[serde(default = "defaults::top_k")]
    pub top_k: usize,
}

/// Evidence to a draft answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    pub provider: String,
    pub model: String,
    #[serde(default = "defaults::answer_tokens")]
    pub max_tokens: u32,
    #[serde(default)]
    pub temperature: f64,
    /// A Jinja template of the user message instead of the shipped one; sees `question` and `evidence`.
    #[serde(default)]
    pub prompt_file: Option<PathBuf>,
}

/// Draft to answer: every citation must point to retrieved evidence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ground {
    /// Most citations kept.
    pub citations_max: usize,
}

impl Default for Ground {
    fn default() -> Self {
        Self { citations_max: 5 }
    }
}

mod defaults {
    pub fn top_k() -> usize {
        8
    }
    pub fn answer_tokens() -> u32 {
        512
    }
}
