//! Makes stages from the configuration. Whatever is wrong with it shows here, at start, and not at a record.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Stage;
use super::chunk::Chunk;
use super::embed::Embed;
use super::fetch::Fetcher;
use super::generate::Generate;
use super::ground::Ground;
use super::index::IndexStage;
use super::parse::Parse;
use super::retrieve::Retrieve;
use super::validate::Validate;
use crate::config::Kind;
use crate::extract::Extract;
use crate::index::Index;
use crate::llm::Model;

/// What stages work with, shared by all of them.
#[derive(Clone)]
pub struct Resources {
    /// Clients of the providers, by their names in the configuration.
    pub models: BTreeMap<String, Arc<dyn Model>>,
    /// The search index; `None` where no stage of this process needs one.
    pub index: Option<Arc<dyn Index>>,
    pub extractor: Arc<dyn Extract>,
    pub fetcher: Fetcher,
}

/// The stage cannot be made as configured.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Two settings contradict each other, or one is out of range.
    #[error("{0}")]
    Settings(String),
    #[error("the provider '{0}' is not configured; add it to `providers`")]
    Provider(String),
    #[error("the stage needs the search index and none is open")]
    NoIndex,
    #[error("a stage of one's own is part of a program and cannot be made from settings")]
    Own,
    #[error("the prompt template {place} cannot be used: {cause}")]
    Prompt { place: String, cause: String },
}

impl Resources {
    fn model(&self, name: &str) -> Result<Arc<dyn Model>, BuildError> {
        self.models.get(name).cloned().ok_or_else(|| BuildError::Provider(name.to_owned()))
    }

    fn index(&self) -> Result<Arc<dyn Index>, BuildError> {
        self.index.clone().ok_or(BuildError::NoIndex)
    }
}

/// The stage of this kind.
pub fn build(kind: &Kind, with: &Resources) -> Result<Arc<dyn Stage>, BuildError> {
    let fetcher = || with.fetcher.clone();
    Ok(match kind {
        Kind::Validate(settings) => Arc::new(Validate::new(settings, fetcher())),
        Kind::Parse(settings) => Arc::new(Parse::new(settings, fetcher(), with.extractor.clone())),
        Kind::Chunk(settings) => Arc::new(Chunk::new(settings)?),
        Kind::Embed(settings) => Arc::new(Embed::new(with.model(&settings.provider)?, &settings.model)),
        Kind::Index(_) => Arc::new(IndexStage::new(with.index()?)),
        Kind::Retrieve(settings) => {
            Arc::new(Retrieve::new(settings, with.model(&settings.provider)?, with.index()?))
        }
        Kind::Generate(settings) => Arc::new(Generate::new(settings, with.model(&settings.provider)?)?),
        Kind::Ground(settings) => Arc::new(Ground::new(settings)),
        Kind::Own(_) => return Err(BuildError::Own),
    })
}

#[cfg(test)]
mod tests;
