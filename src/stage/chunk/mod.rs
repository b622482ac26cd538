//! The `chunk` stage: the text of a document becomes passages, in parts of a bounded number of passages.
//! Each part is a child of the document's job. It never changes the text.

mod outline;
mod split;
mod tokens;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

pub use outline::Outline;
pub use split::{Splitter, TooMany};
pub use tokens::Tokens;

use super::{BuildError, Job, Output, Stage};
use crate::config;
use crate::flow::{Code, Fault};
use crate::message::payload::{Parsed, Passage, Passages};

/// Text to passages.
pub struct Chunk {
    splitter: Arc<Splitter>,
    /// Passages per output record.
    part: usize,
    /// Splitting keeps a core busy: as many at a time as there are cores, so that the runtime's own
    /// threads keep breathing.
    cores: Arc<Semaphore>,
}

impl Chunk {
    /// Fails on settings that contradict each other.
    pub fn new(settings: &config::Chunk) -> Result<Self, BuildError> {
        if settings.part == 0 || settings.passages_max == 0 || settings.tokens_max < TOKENS_MIN {
            return Err(BuildError::Settings(format!(
                "chunk: part and passages_max must be at least 1 and tokens_max at least {TOKENS_MIN}"
            )));
        }
        let splitter =
            Splitter::new(settings.tokens_max, settings.overlap, settings.passages_max).map_err(|_| {
                BuildError::Settings(format!(
                    "chunk: overlap ({}) must be smaller than tokens_max ({})",
                    settings.overlap, settings.tokens_max
                ))
            })?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { splitter: Arc::new(splitter), part: settings.part, cores: Arc::new(Semaphore::new(cores)) })
    }

    async fn split(&self, text: String, pages: Vec<usize>) -> Result<Vec<Passage>, Fault> {
        let stopped = |e: &(dyn std::error::Error + 'static)| {
            Fault::new(Code::StagePanicked, "splitting the text panicked").caused_by(e)
        };
        let permit = self.cores.clone().acquire_owned().await.map_err(|e| stopped(&e))?;
        let splitter = self.splitter.clone();
        let split = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            splitter.split(&text, &pages)
        });
        split.await.map_err(|e| stopped(&e))?.map_err(|TooMany(max)| {
            let message = format!("the document splits into more than {max} passages (passages_max)");
            Fault::new(Code::ChunkTooMany, message)
        })
    }
}

/// A single character can take this many tokens and must fit.
const TOKENS_MIN: usize = 16;

#[async_trait]
impl Stage for Chunk {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let Parsed { document, text, pages } = job.payload_as()?;
        let passages = self.split(text, pages).await?;
        if passages.is_empty() {
            return Err(Fault::new(Code::DocumentEmpty, "the document has no text to split"));
        }
        let parts = u32::try_from(passages.len().div_ceil(self.part)).unwrap_or(u32::MAX);
        (0..parts)
            .zip(passages.chunks(self.part))
            .map(|(part, passages)| {
                let passages = passages.to_vec();
                let payload = Passages { document: document.clone(), part, parts, passages, model: None };
                Ok(Output::new(&payload)?.child(part))
            })
            .collect()
    }
}
