//! Bytes to text. Parsers run in a child process with limits on time, memory and expansion, because they
//! panic and run for ever on hostile input and a thread cannot be killed.

mod child;
mod docx;
mod encoding;
mod html;
pub(crate) mod parse;
mod pdf;
mod sandbox;
mod sniff;
mod tidy;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

pub use child::child_main;

/// What to read.
#[derive(Clone, Debug)]
pub struct Extraction {
    pub bytes: Vec<u8>,
    /// MIME type as declared, parameters allowed (`text/html; charset=shift_jis`).
    pub media_type: Option<String>,
    pub file_name: Option<String>,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Text {
    /// Markdown: headings as `#`, otherwise paragraphs. UTF-8, NFC, no control characters but `\n` and `\t`.
    pub markdown: String,
    /// Byte offset in `markdown` at which each page starts; empty for formats without pages.
    pub pages: Vec<usize>,
    pub title: Option<String>,
    /// MIME type as sniffed and believed.
    pub media_type: String,
}

/// Bounds on one extraction.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall clock before the child is killed (`parse.timeout`).
    pub time_max: Duration,
    /// Address space of the child, bytes (`parse.crashed`).
    pub memory_max: u64,
    /// Bytes a container (DOCX, PDF streams) may unpack to (`parse.expansion`).
    pub expansion_max: u64,
    /// Bytes of text (`document.too_large`).
    pub text_max: usize,
}

/// Runs parsers in child processes of `program __extract`.
#[derive(Clone, Debug)]
pub struct Extractor {
    /// The `lazaret` executable.
    pub program: PathBuf,
}

/// Text extraction as the stages see it.
#[async_trait::async_trait]
pub trait Extract: Send + Sync {
    /// Reads one document within the limits of the stage that asks.
    async fn extract(&self, what: Extraction, limits: Limits) -> Result<Text, crate::flow::Fault>;
}
