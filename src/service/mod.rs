//! Lazaret as a library: a stage of your own with retry ladder, dead letters and exactly-once hops, without our binary
//! and without a file.
//!
//! - [`Stage`](crate::Stage) is what you write: one async method from a [`Record`](crate::Record) to
//!   [`Outputs`](crate::Outputs), or a [`Fault`](crate::Fault). [`BatchStage`](crate::BatchStage) has several at once.
//! - [`Service::builder`] is where you say how it is run; [`Ladder`] when it is tried again.
//! - [`testkit`](crate::testkit) runs it without a broker, on a clock that your test sets.
//!
//! The engine, the worker, the topics and the headers are those of `lazaret run`.

mod builder;
mod error;
mod ladder;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub use self::builder::Builder;
pub use self::error::{Error, Setting};
pub use self::ladder::Ladder;
use crate::config::Config;
use crate::flow::Topology;
use crate::flow::topology::StageTopics;
use crate::kafka::client::reach;
use crate::ledger::sqlite::SqliteLedger;
use crate::ledger::{Ledger, LedgerError, NoLedger};
use crate::ops::topics::{self, Change, Outcome};
use crate::stage::own::OwnStage;
use crate::telemetry::http::{Readiness, Waiting};
use crate::telemetry::traces::Traces;
use crate::worker::{self, Counts, EdgeError, Edges, Instance, Selection, Stages, StartError};

/// How often [`Handle::ready`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A stage of one's own and how it is run, checked and not started yet.
pub struct Service {
    pub(crate) config: Config,
    pub(crate) topology: Topology,
    pub(crate) stage: OwnStage,
    ledger: LedgerChoice,
    create_topics: bool,
}

/// The names of the service's topics, with its group's if it has another than they say.
fn topology(config: &Config, group: Option<String>) -> Topology {
    let mut topology = Topology::derive(config);
    if let (Some(group), Some(topics)) = (group, topology.stages.first_mut()) {
        topics.group = group;
    }
    topology
}

#[derive(Clone)]
pub(crate) enum LedgerChoice {
    None,
    Sqlite(PathBuf),
    Given(Arc<dyn Ledger>),
}

impl Service {
    /// Begins to describe a service. Pipeline and stage name its topics (`orders.enrich.dlq`), its group, its metrics
    /// and its dead letters. What must be given besides: [`stage`](Builder::stage),
    /// [`bootstrap`](Builder::bootstrap) and [`input`](Builder::input).
    pub fn builder(pipeline: impl Into<String>, stage: impl Into<String>) -> Builder {
        Builder::new(pipeline.into(), stage.into())
    }

    /// The names of its group and topics: input, output (`next`), rungs, redrive, parking, dead letters (`dlq`).
    pub fn topics(&self) -> Option<&StageTopics> {
        self.topology.stages.first()
    }

    /// Runs until `shutdown` is over, then finishes or hands back what is in flight, commits and leaves the group.
    /// `Err` when it cannot be started, or ended by itself.
    ///
    /// ```no_run
    /// # async fn f(service: lazaret::Service) -> Result<(), lazaret::service::Error> {
    /// service.run(tokio::signal::ctrl_c()).await
    /// # }
    /// ```
    pub async fn run(self, shutdown: impl Future) -> Result<(), Error> {
        tokio::pin!(shutdown);
        let mut handle = tokio::select! {
            started = self.start() => started?,
            _ = &mut shutdown => return Ok(()),
        };
        let broken = tokio::select! {
            _ = &mut shutdown => false,
            () = handle.broken() => true,
        };
        handle.stop().await;
        if broken { Err(Error::Broken) } else { Ok(()) }
    }

    /// Makes missing topics, joins the group and begins to work, in the background. The cluster must answer within 15
    /// seconds.
    pub async fn start(mut self) -> Result<Handle, Error> {
        if self.create_topics {
            self.make_topics().await?;
        }
        let (ledger, instance) = self.open_ledger().await?;
        let readiness = Readiness::new();
        let edges = Edges {
            topology: self.topology,
            ledger,
            registry: None,
            stages: Stages::Own(self.stage),
            traces: traces(instance.name())?,
            instance,
        };
        let service = worker::Service::start(&self.config, &Selection::all(), edges, &readiness).await?;
        Ok(Handle { service, readiness })
    }

    /// Where the input topic is there already, the stage's own topics get as many partitions as it has.
    async fn make_topics(&mut self) -> Result<(), Error> {
        let cluster = reach(&self.config.kafka, "run").await?;
        let group = self.topology.stages.first().map(|topics| topics.group.clone());
        for pipeline in self.config.pipelines.values_mut() {
            let inputs = cluster.topics.get(&pipeline.input.topic).and_then(|n| u32::try_from(*n).ok());
            pipeline.input.partitions = inputs.or(pipeline.input.partitions);
        }
        self.topology = topology(&self.config, group);
        let missing = |name: &str| !cluster.topics.contains_key(name);
        if !self.topology.topics.iter().any(|plan| missing(&plan.name)) {
            return Ok(());
        }
        for applied in topics::apply(&self.config, false).await? {
            if !matches!(applied.change, Change::Create { .. }) {
                continue;
            }
            match applied.outcome {
                Outcome::Done | Outcome::Skipped(_) => {}
                Outcome::NotAllowed(cause) | Outcome::Failed(cause) => {
                    return Err(Error::Topic { topic: applied.topic, cause });
                }
            }
        }
        Ok(())
    }

    /// The ledger, and the name of this process in it.
    async fn open_ledger(&self) -> Result<(Arc<dyn Ledger>, Instance), Error> {
        let instance = match &self.ledger {
            LedgerChoice::Sqlite(_) => Instance::claim(&self.config, &Selection::all()).await?,
            LedgerChoice::None | LedgerChoice::Given(_) => {
                let name = self.config.instance.clone();
                Instance::unlocked(name.unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string()))
            }
        };
        Ok((self.ledger(instance.name(), Timestamp::now())?, instance))
    }

    /// The ledger, for a process of this name.
    pub(crate) fn ledger(&self, instance: &str, now: Timestamp) -> Result<Arc<dyn Ledger>, LedgerError> {
        Ok(match &self.ledger {
            LedgerChoice::None => Arc::new(NoLedger::default()),
            LedgerChoice::Given(ledger) => ledger.clone(),
            LedgerChoice::Sqlite(path) => {
                Arc::new(SqliteLedger::open(path, instance, self.config.ledger.retention.0, now)?)
            }
        })
    }
}

fn traces(instance: &str) -> Result<Option<Arc<Traces>>, StartError> {
    Ok(Traces::open(instance).map_err(EdgeError::from)?.map(Arc::new))
}

/// A running service. Dropping it abandons what is in flight, which is then run again by whoever is next; use
/// [`stop`](Self::stop).
pub struct Handle {
    service: worker::Service,
    readiness: Readiness,
}

impl Handle {
    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.service.tallies().first().map(|tally| tally.counts()).unwrap_or_default()
    }

    /// What it waits for before it works, such as its group; empty when it is ready. A stage that pauses is not ready.
    pub fn waiting(&self) -> Vec<Waiting> {
        self.readiness.waiting()
    }

    /// Returns when it has joined its group and has partitions, or is one of more members than there are partitions.
    pub async fn ready(&self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while !self.waiting().is_empty() {
            looks.tick().await;
        }
    }

    /// Returns when the service has ended by itself, which it does not in health. Safe to cancel.
    pub async fn broken(&mut self) {
        self.service.broken().await;
    }

    /// Finishes or hands back what is in flight, commits, leaves the group. Takes at most the drain time and, when
    /// Kafka is silent, some twenty seconds.
    pub async fn stop(self) {
        self.service.stop().await;
    }
}

/// Numbers of a service. They are also exported through the `metrics` facade, with the labels `pipeline` and `stage`.
pub type Stats = Counts;

#[cfg(test)]
mod tests;
