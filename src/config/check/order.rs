//! Rules about the order of stages: each must read what the one before it writes.

use std::fmt;

use super::Findings;
use crate::config::model::{Kind, Pipeline, Subject, Validate};

/// What travels between two stages; the record types of `message::payload`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Payload {
    Document,
    Parsed,
    Passages,
    Embedded,
    Indexed,
    Question,
    Retrieved,
    Draft,
    Answer,
    Bytes,
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Payload::Document => "documents",
            Payload::Parsed => "parsed text",
            Payload::Passages => "passages",
            Payload::Embedded => "passages with embeddings",
            Payload::Indexed => "index receipts",
            Payload::Question => "questions",
            Payload::Retrieved => "questions with evidence",
            Payload::Draft => "draft answers",
            Payload::Answer => "answers",
            Payload::Bytes => "bytes",
        })
    }
}

/// What a kind reads and writes.
fn signature(kind: &Kind) -> (Payload, Payload) {
    match kind {
        Kind::Validate(Validate { of: Subject::Document, .. }) => (Payload::Document, Payload::Document),
        Kind::Validate(Validate { of: Subject::Question, .. }) => (Payload::Question, Payload::Question),
        Kind::Parse(_) => (Payload::Document, Payload::Parsed),
        Kind::Chunk(_) => (Payload::Parsed, Payload::Passages),
        Kind::Embed(_) => (Payload::Passages, Payload::Embedded),
        Kind::Index(_) => (Payload::Embedded, Payload::Indexed),
        Kind::Retrieve(_) => (Payload::Question, Payload::Retrieved),
        Kind::Generate(_) => (Payload::Retrieved, Payload::Draft),
        Kind::Ground(_) => (Payload::Draft, Payload::Answer),
        Kind::Own(_) => (Payload::Bytes, Payload::Bytes),
    }
}

/// The kind that writes this.
fn writer_of(payload: Payload) -> &'static str {
    match payload {
        Payload::Document => "validate: { of: document }",
        Payload::Parsed => "parse",
        Payload::Passages => "chunk",
        Payload::Embedded => "embed",
        Payload::Indexed => "index",
        Payload::Question => "validate: { of: question }",
        Payload::Retrieved => "retrieve",
        Payload::Draft => "generate",
        Payload::Answer => "ground",
        Payload::Bytes => "own",
    }
}

pub fn check(pipeline: &Pipeline, path: &str, found: &mut Findings) {
    for (n, pair) in pipeline.stages.windows(2).enumerate() {
        let [before, stage] = pair else { continue };
        let (reads, writes) = (signature(&stage.kind).0, signature(&before.kind).1);
        if reads != writes {
            found.error(
                format!("{path}.stages[{}].kind", n + 1),
                format!(
                    "'{}' ({}) reads {reads}, but '{}' before it ({}) writes {writes}",
                    stage.name,
                    stage.kind.name(),
                    before.name,
                    before.kind.name()
                ),
                format!("the stage before '{}' must be of kind '{}'", stage.name, writer_of(reads)),
            );
        }
    }
}
