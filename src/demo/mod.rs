//! `lazaret demo`: the pipelines as they are, with everything around them inside this process. It feeds them,
//! waits until every input has ended, and accounts for each.
//!
//! It takes no part in a pipeline and prints nothing; see `cli::demo`.

pub mod account;
pub mod corpus;
pub mod feed;
mod follow;
pub mod report;
pub mod setup;
mod watch;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rdkafka::error::KafkaError;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::account::{Account, Input};
use self::feed::Library;
use self::follow::Follower;
use self::report::Report;
use self::setup::{Cluster, Folder};
pub use self::watch::{Halt, Limits, Progress};
use crate::config::{Config, ConfigErrors, Subject};
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::ops::submit::questions::Asked;
use crate::ops::submit::{SubmitError, pipeline, submit};
use crate::provider;
use crate::telemetry::http::{self, HttpError, Readiness};
use crate::telemetry::metrics;
use crate::worker::{EdgeError, Edges, Selection, Service, StartError, Tally, this_program};

/// The tenant of everything that the demonstration submits.
const TENANT: &str = "demo";

/// What to demonstrate.
#[derive(Clone, Debug)]
pub struct Order {
    pub library: Library,
    pub questions: Vec<Asked>,
    /// Decides which calls of the provider fail.
    pub seed: u64,
    pub faults: bool,
    pub limits: Limits,
}

/// The demonstration cannot be put up, or its broker failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("cannot write {path}: {cause}")]
    Folder { path: PathBuf, cause: io::Error },
    #[error("the embedded broker failed: {0}")]
    Broker(KafkaError),
    #[error("the simulated provider cannot be started: {0}")]
    Provider(#[from] provider::StartError),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Edge(#[from] EdgeError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Metrics(#[from] metrics::InstallError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
}

/// A running demonstration. The fields stand in the order in which they have to end.
pub struct Demo {
    service: Service,
    /// Documents before questions, as they run.
    tallies: Vec<Arc<Tally>>,
    follower: Follower,
    account: Account,
    provider: provider::Running,
    /// Of `/metrics` and the probes: `http://host:port`.
    pub address: String,
    _http: DropGuard,
    pub folder: Folder,
    config: Config,
    topology: Topology,
    begun: Instant,
    limits: Limits,
    _cluster: Cluster,
}

impl Demo {
    /// Puts everything up and starts all stages.
    pub async fn start(order: &Order, folder: Folder) -> Result<Self, DemoError> {
        let begun = Instant::now();
        let cluster = setup::broker()?;
        let provider = provider::start(setup::provider_options(order.seed, order.faults)).await?;
        let kafka = cluster.bootstrap_servers();
        let config = setup::configure(&folder, &kafka, &provider.base_url, &order.library)?;
        let topology = Topology::derive(&config);
        setup::topics(&cluster, &topology)?;

        let (readiness, stop) = (Readiness::new(), CancellationToken::new());
        let address = http::serve(&config.http.listen, metrics::install()?, readiness.clone(), stop.clone())
            .await?
            .address;
        let which = Selection::all();
        let edges = Edges::open(&config, &which, this_program()).await?;
        let service = Service::start(&config, &which, edges, &readiness).await?;
        let (documents, _) = pipeline(&config, None, Subject::Document)?;
        let mut tallies = service.tallies().to_vec();
        tallies.sort_by_key(|tally| tally.pipeline != documents);
        Ok(Self {
            service,
            tallies,
            follower: Follower::of(&config, &topology),
            account: Account::default(),
            provider,
            address: format!("http://{address}"),
            _http: stop.drop_guard(),
            folder,
            config,
            topology,
            begun,
            limits: order.limits,
            _cluster: cluster,
        })
    }

    /// Submits the documents, waits until each has ended, then the same with the questions. `show` is told how
    /// things stand several times a second.
    pub async fn run(
        &mut self,
        order: Order,
        interrupted: &CancellationToken,
        show: &mut dyn FnMut(&Progress<'_>),
    ) -> Result<Halt, DemoError> {
        self.submit_documents(order.library).await?;
        let halt = self.settle(interrupted, show).await?;
        if halt != Halt::Complete || order.questions.is_empty() {
            return Ok(halt);
        }
        self.ask(order.questions).await?;
        self.settle(interrupted, show).await
    }

    async fn submit_documents(&mut self, library: Library) -> Result<(), DemoError> {
        let (_, pipeline) = pipeline(&self.config, None, Subject::Document)?;
        let sent = submit(&self.config, pipeline, TENANT, library.files, |_| ()).await?;
        for sent in sent {
            self.account.submitted(Input {
                job: sent.job.0,
                resource: sent.resource,
                subject: Subject::Document,
                text: String::new(),
                expected: None,
            });
        }
        Ok(())
    }

    async fn ask(&mut self, questions: Vec<Asked>) -> Result<(), DemoError> {
        let (_, pipeline) = pipeline(&self.config, None, Subject::Question)?;
        let sent = submit(&self.config, pipeline, TENANT, questions.clone(), |_| ()).await?;
        for (sent, asked) in sent.into_iter().zip(questions) {
            self.account.submitted(Input {
                job: sent.job.0,
                resource: sent.resource,
                subject: Subject::Question,
                text: asked.text,
                expected: asked.document,
            });
        }
        Ok(())
    }

    /// What has come of everything so far, with the offsets of every group as the broker has them.
    pub async fn report(&mut self, halt: &Halt) -> Result<Report, DemoError> {
        // What came in while nobody looked.
        self.follower.catch_up(&mut self.account).await?;
        let took = self.begun.elapsed();
        let topics = self.offsets(halt).await?;
        let calls = self.provider.stats();
        Ok(report::make(&self.account, self.tallies(), topics, halt, took, calls))
    }

    fn tallies(&self) -> &[Arc<Tally>] {
        &self.tallies
    }

    /// Ends the stages first and the broker last.
    pub async fn stop(self) {
        self.service.stop().await;
        self.provider.stop().await;
    }
}
