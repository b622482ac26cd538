//! What the shipped pipelines say to each other: one struct per record type. JSON names are the field names.
//!
//! `rag-ingest`: [`Document`] → [`Document`] (validated) → [`Parsed`] → [`Passages`] → [`Passages`] (with
//! embeddings) → [`Indexed`]. `rag-answer`: [`Question`] → [`Question`] → [`Retrieved`] → [`Draft`] → [`Answer`].

use serde::{Deserialize, Serialize};

/// A document as a producer sends it. Exactly one of `text`, `content` and `uri` carries it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Unique within the tenant. A later `version` with the same id replaces the earlier one's passages.
    pub id: String,
    pub tenant: String,
    /// Grows with each new version; the origin record's timestamp (ms) when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// MIME type as declared by the producer; sniffed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The document itself as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The document itself as bytes, base64 (RFC 4648 §4) in JSON, `bytes` in Avro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// A reference: `file://` below an allowed root, or `http(s)://` to an allowed host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
}

/// Which document, and which version of it, a later record is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentRef {
    pub id: String,
    pub tenant: String,
    pub version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// File name or URI, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// The text of a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parsed {
    pub document: DocumentRef,
    /// Markdown: headings as `#`, otherwise plain paragraphs. UTF-8, NFC.
    pub text: String,
    /// Byte offset in `text` at which each page starts; empty when the format has no pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<usize>,
}

/// One retrievable piece of a document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passage {
    /// 0-based position in the document.
    pub ordinal: u32,
    pub text: String,
    /// The headings above it, outermost first, joined by ` > `.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// 1-based page on which it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Unit-length vector; absent until the embed stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<Vec<f32>>,
}

/// Part `part` (0-based) of `parts` of a document's passages. The index serves a version once all parts are in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passages {
    pub document: DocumentRef,
    pub part: u32,
    pub parts: u32,
    pub passages: Vec<Passage>,
    /// The embedding model; absent until the embed stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What the index stage says when a part is in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Indexed {
    pub document: DocumentRef,
    pub part: u32,
    pub parts: u32,
    /// Number of passages in this part.
    pub passages: u32,
    /// True when this part was the last missing one and the version is now served.
    pub complete: bool,
    /// True when a newer version was already there and this one was not kept.
    pub superseded: bool,
}

/// A question as a producer sends it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    pub id: String,
    pub tenant: String,
    pub text: String,
}

/// A passage found for a question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub document: DocumentRef,
    pub ordinal: u32,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Fused rank score, higher is better; comparable within one question only.
    pub score: f64,
}

/// A question with its evidence, best first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Retrieved {
    pub question: Question,
    pub evidence: Vec<Evidence>,
}

/// What the model said, with the evidence it was shown. `text` cites evidence as `[1]`, `[2]`, … (1-based).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub question: Question,
    pub evidence: Vec<Evidence>,
    pub text: String,
    pub model: String,
    pub usage: Usage,
}

/// Tokens as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    #[serde(default)]
    pub prompt_tokens: u64,
    #[serde(default)]
    pub completion_tokens: u64,
}

/// Whether the evidence was enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerStatus {
    #[default]
    Answered,
    /// Nothing in the index speaks about the question; no model was asked or it said so.
    Unanswerable,
}

/// One source of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The number used in the answer's text.
    pub mark: u32,
    pub document: DocumentRef,
    pub ordinal: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// The passage's first characters.
    pub quote: String,
}

/// The end of `rag-answer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub question: Question,
    pub status: AnswerStatus,
    pub text: String,
    /// In the order in which the text cites them.
    pub citations: Vec<Citation>,
    pub model: String,
    pub usage: Usage,
}
