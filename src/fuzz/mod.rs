//! Everything that takes bytes from outside, as functions of bytes: what a record, a broker, a registry, a provider,
//! a file or a document can say. A target panics when a promise is broken; that it returns is the first promise.
//!
//! Compiled for tests, which feed the targets with seeds and small changes of them, and for the fuzzer
//! (`--cfg fuzzing`, `scripts/fuzz.sh`), which looks for inputs that nobody thought of.

#![allow(clippy::panic, reason = "a promise that is broken must stop the fuzzer")]

mod bytes;
mod config;
mod documents;
mod flow;
mod llm;
mod message;
#[cfg(test)]
mod mutate;
mod schema;
#[cfg(test)]
mod tests;

/// What a fuzzer calls, over and over.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("offset_map", flow::offset_map),
    ("retry_after", flow::retry_after),
    ("control_block", message::control_block),
    ("dead_letter", message::dead_letter),
    ("foreign_letter", message::foreign_letter),
    ("json", schema::json),
    ("avro", schema::avro),
    ("provider", llm::provider),
    ("configuration", config::configuration),
    ("document", documents::any),
    ("text", documents::text),
    ("html", documents::html),
    ("docx", documents::docx),
    ("pdf", documents::pdf),
];
