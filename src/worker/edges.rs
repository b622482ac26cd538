//! Everything outside the process that stages work with, opened from the configuration. What is wrong shows here,
//! at start, in one message each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::Selection;
use super::instance::{Instance, InstanceError};
use crate::config::{Config, Kind};
use crate::extract::Extractor;
use crate::flow::Topology;
use crate::index::{self, Index, IndexError};
use crate::ledger::{self, Ledger, LedgerError};
use crate::llm::Model;
use crate::llm::openai::{Client, ClientError};
use crate::schema::Registry;
use crate::schema::registry::SettingsError;
use crate::stage::Resources;
use crate::stage::fetch::{Fetcher, FetcherError};
use crate::stage::own::OwnStage;
use crate::telemetry::traces::{self, Traces};

/// See the module.
pub struct Edges {
    pub topology: Topology,
    pub ledger: Arc<dyn Ledger>,
    pub registry: Option<Arc<Registry>>,
    pub stages: Stages,
    /// `None` where nobody wants to see them.
    pub traces: Option<Arc<Traces>>,
    /// Held as long as the process uses the ledger under this name.
    pub instance: Instance,
}

/// Where the stages come from.
pub enum Stages {
    /// They are made as the configuration says, and work with these.
    Shipped(Resources),
    /// The one of a program that uses the library.
    Own(OwnStage),
}

/// Something outside cannot be used as configured. Each message names the place.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Instance(#[from] InstanceError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Provider(#[from] ClientError),
    #[error(transparent)]
    Sources(#[from] FetcherError),
    #[error(transparent)]
    Registry(#[from] SettingsError),
    #[error(transparent)]
    Traces(#[from] traces::SettingsError),
}

impl Edges {
    /// Opens what the selected stages need. `program` is the executable that parses documents.
    pub async fn open(config: &Config, which: &Selection, program: PathBuf) -> Result<Self, EdgeError> {
        let topology = Topology::derive(config);
        let instance = Instance::claim(config, which).await?;
        let (name, predecessor) = (instance.name(), instance.predecessor());
        let ledger = ledger::open(&config.ledger, name, predecessor, Timestamp::now()).await?;
        Ok(Self {
            ledger,
            registry: Registry::of(config)?,
            stages: Stages::Shipped(resources(config, which, program).await?),
            traces: Traces::open(instance.name())?.map(Arc::new),
            topology,
            instance,
        })
    }
}

async fn resources(config: &Config, which: &Selection, program: PathBuf) -> Result<Resources, EdgeError> {
    let mut models: BTreeMap<String, Arc<dyn Model>> = BTreeMap::new();
    for (name, provider) in &config.providers {
        models.insert(name.clone(), Arc::new(Client::new(name, provider, &config.currency)?));
    }
    let searches = |kind: &Kind| matches!(kind, Kind::Index(_) | Kind::Retrieve(_));
    let index: Option<Arc<dyn Index>> = match which.stages(config).any(|(_, stage)| searches(&stage.kind)) {
        true => Some(index::open(&config.index).await?),
        false => None,
    };
    let extractor = Arc::new(Extractor { program });
    Ok(Resources { models, index, extractor, fetcher: Fetcher::new(&config.sources)? })
}

/// This executable, also after its file was replaced by an upgrade.
pub fn this_program() -> PathBuf {
    let link = Path::new("/proc/self/exe");
    match link.exists() {
        true => link.to_owned(),
        false => std::env::current_exe().unwrap_or_else(|_| "lazaret".into()),
    }
}
