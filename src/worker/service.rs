//! The stages of one process, from the first look at the cluster to the last commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::edges::{EdgeError, Edges, Stages};
use super::kit::Kit;
use super::report::Report;
use super::runner::Runner;
use super::selection::{Selection, SelectionError};
use super::shell::Shell;
use super::spec::{delivery_of, holding, revision, rules, spec};
use super::tally::Tally;
use super::transactions::{Open, Transactions};
use crate::config::{Config, Delivery, Ordering, Size};
use crate::flow::Engine;
use crate::flow::topology::StageTopics;
use crate::kafka::client::ClusterInfo;
use crate::kafka::consumer::{Consumer, Membership};
use crate::kafka::transaction::Transactor;
use crate::kafka::{KafkaProblem, Producer, client};
use crate::message::Topic;
use crate::schema::codec::CodecError;
use crate::schema::{Codec, Plan};
use crate::stage::{self, BuildError};
use crate::telemetry::http::Readiness;
use crate::telemetry::log::repeats::Repeats;

/// Time a lease lasts beyond the stage's own time and the time Kafka may take: queues, pauses of the machine.
const LEASE_ROOM: Duration = Duration::from_secs(30);
/// A revoked partition may be held this much longer than the drain, for the last commit.
const RELEASE_ROOM: Duration = Duration::from_secs(15);

/// Running stages. Dropping it without [`stop`](Self::stop) abandons what is in flight.
pub struct Service {
    tallies: Vec<Arc<Tally>>,
    shells: JoinSet<()>,
    stop: CancellationToken,
    producer: Option<Arc<Producer>>,
    // Closed after the shells; the instance's name is given up last.
    edges: Edges,
}

/// The stages cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Selection(#[from] SelectionError),
    #[error(transparent)]
    Edge(#[from] EdgeError),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error("these topics are missing: {}", .0.join(", "))]
    MissingTopics(Vec<String>),
    #[error(
        "topic '{topic}' has {partitions} partitions and '{input}' has {inputs}, so that stage '{stage}' cannot keep \
         an order; `lazaret topics apply` adds what is missing"
    )]
    Partitions { topic: String, partitions: i32, input: String, inputs: i32, stage: String },
    #[error("pipelines.{pipeline}.stages.{stage}: {cause}")]
    Stage { pipeline: String, stage: String, cause: BuildError },
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Service {
    /// Starts the selected stages. The cluster must answer within `kafka.timeout` and have their topics.
    pub async fn start(
        config: &Config,
        which: &Selection,
        edges: Edges,
        readiness: &Readiness,
    ) -> Result<Self, StartError> {
        which.check(config)?;
        let cluster = client::reach(&config.kafka, "run").await?;
        let chosen: Vec<_> = which
            .stages(config)
            .filter_map(|(name, stage)| {
                let topics = edges.topology.stage(name, &stage.name)?;
                Some((config.pipelines.get(name)?, stage, topics))
            })
            .collect();
        let needed: BTreeSet<String> = chosen.iter().flat_map(|(.., topics)| needed(topics)).collect();
        let missing: Vec<String> =
            needed.into_iter().filter(|topic| !cluster.topics.contains_key(topic)).collect();
        if !missing.is_empty() {
            return Err(StartError::MissingTopics(missing));
        }
        let mut deliveries = chosen.iter().map(|(pipeline, stage, _)| delivery_of(pipeline, stage));
        let producer = match deliveries.any(|delivery| delivery == Delivery::AtLeastOnce) {
            true => Some(Arc::new(Producer::new(&config.kafka, &edges.topology, "run")?)),
            false => None,
        };
        let (mut tallies, mut ready) = (Vec::new(), Vec::new());
        for (pipeline, stage, topics) in chosen {
            let partitions = partitions(stage, topics, &cluster)?;
            let kit = kit(config, (pipeline, stage), topics.clone(), &edges, partitions)?;
            let kit = Arc::new(Kit { producer: producer.clone(), ..kit });
            tallies.push(kit.tally.clone());
            ready.push((
                kit,
                delivery_of(pipeline, stage),
                Engine::new(spec(pipeline, stage, edges.ledger.remembers())),
            ));
        }
        // Before anything is read: what an earlier process of this name has left open is ended by this.
        let opened = ready.iter().map(|(kit, delivery, _)| transactions(config, kit, *delivery, &edges));
        let opened = futures::future::try_join_all(opened).await?;
        let (mut shells, stop) = (JoinSet::new(), CancellationToken::new());
        for ((kit, _, engine), transactions) in ready.into_iter().zip(opened) {
            shells.spawn(shell(config, kit, engine, transactions, &edges, readiness)?.run(stop.clone()));
        }
        Ok(Self { tallies, shells, stop, producer, edges })
    }

    /// What each stage has done so far, in the order of the configuration.
    pub fn tallies(&self) -> &[Arc<Tally>] {
        &self.tallies
    }

    /// Ends when a worker has ended by itself, which none does in health. Safe to cancel.
    pub async fn broken(&mut self) {
        self.shells.join_next().await;
    }

    /// Finishes or hands back what is in flight, commits, leaves the groups. Bounded by `shutdown.drain` and, when
    /// Kafka is silent, some twenty seconds.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.shells.join_next().await.is_some() {}
        if let Some(producer) = &self.producer {
            producer.flush(Duration::from_secs(5)).await;
        }
        if let Some(traces) = &self.edges.traces {
            traces.stop().await;
        }
        self.edges.instance.leave().await;
    }
}

/// Every topic a stage reads or writes.
fn needed(topics: &StageTopics) -> Vec<String> {
    let written = topics.next.as_deref().into_iter().chain([topics.dlq.as_str()]);
    topics.read().into_iter().chain(written).map(str::to_owned).collect()
}

/// Numbers of partitions of the stage's own topics, and of its dead letters'.
fn partitions(
    stage: &crate::config::Stage,
    topics: &StageTopics,
    cluster: &ClusterInfo,
) -> Result<BTreeMap<String, i32>, StartError> {
    let of = |topic: &str| i32::try_from(cluster.topics.get(topic).copied().unwrap_or(1)).unwrap_or(i32::MAX);
    let (satellites, inputs) = (topics.satellites(), of(&topics.input));
    match satellites.iter().find(|topic| of(topic) < inputs) {
        Some(topic) if stage.ordering != Ordering::None => Err(StartError::Partitions {
            topic: (*topic).to_owned(),
            partitions: of(topic),
            input: topics.input.clone(),
            inputs,
            stage: stage.name.clone(),
        }),
        _ => {
            let all = satellites.into_iter().chain([topics.dlq.as_str()]);
            Ok(all.map(|topic| (topic.to_owned(), of(topic))).collect())
        }
    }
}

/// All but the producer outside of transactions.
pub fn kit(
    config: &Config,
    (pipeline, stage): (&crate::config::Pipeline, &crate::config::Stage),
    topics: StageTopics,
    edges: &Edges,
    partitions: BTreeMap<String, i32>,
) -> Result<Kit, StartError> {
    let next = topics.next.as_deref().and_then(|next| edges.topology.topic(next));
    Ok(Kit {
        revision: revision(stage, config),
        runner: runner((pipeline, stage), &topics, edges)?,
        ordering: stage.ordering,
        fair_by: stage.fairness.as_ref().map(|fairness| fairness.by.clone()),
        holding: holding(stage),
        partitions,
        carries_usage: carries_usage(pipeline, stage),
        rules: rules(stage),
        timeout: stage.timeout.0,
        lease: stage.timeout.0 + config.kafka.delivery_timeout.0 + LEASE_ROOM,
        output_max: next.map_or(usize::MAX, |plan| usize::try_from(plan.message_max.0).unwrap_or(usize::MAX)),
        ledger: edges.ledger.clone(),
        producer: None,
        traces: edges.traces.clone(),
        clock: Clock::System,
        repeats: Repeats::default(),
        tally: Arc::new(Tally::new(&topics)),
        output: topics.next.as_deref().map(Topic::from),
        topics,
    })
}

/// A stage that asks nobody, behind one that generates.
fn carries_usage(pipeline: &crate::config::Pipeline, stage: &crate::config::Stage) -> bool {
    stage.kind.asks().is_none() && pipeline.drafted_before(&stage.name).is_some()
}

fn runner(
    (pipeline, stage): (&crate::config::Pipeline, &crate::config::Stage),
    topics: &StageTopics,
    edges: &Edges,
) -> Result<Runner, StartError> {
    let resources = match &edges.stages {
        Stages::Own(stage) => return Ok(Runner::Bytes(stage.clone())),
        Stages::Shipped(resources) => resources,
    };
    let built = stage::build(&stage.kind, resources).map_err(|cause| StartError::Stage {
        pipeline: topics.pipeline.clone(),
        stage: stage.name.clone(),
        cause,
    })?;
    let (read, write) = Plan::around(pipeline, topics).ok_or_else(|| {
        let name = topics.stage.clone();
        SelectionError::Stage { pipeline: topics.pipeline.clone(), name, known: String::new() }
    })?;
    let read = Codec::new(&read, edges.registry.as_ref())?;
    let write = Codec::new(&write, edges.registry.as_ref())?;
    Ok(Runner::Values { read, write, stage: built })
}

async fn transactions(
    config: &Config,
    kit: &Arc<Kit>,
    delivery: Delivery,
    edges: &Edges,
) -> Result<Option<Transactions>, KafkaProblem> {
    if delivery == Delivery::AtLeastOnce {
        return Ok(None);
    }
    let id = format!("{}.{}", kit.topics.group, edges.instance.name());
    let (kafka, topology) = (config.kafka.clone(), edges.topology.clone());
    let open: Open = Box::new(move || {
        let (kafka, topology, id) = (kafka.clone(), topology.clone(), id.clone());
        Box::pin(async move {
            let (second, aside) = (format!("{id}/2"), format!("{id}/aside"));
            let (on, aside) = ([&*id, &second], [&*aside]);
            let open = |ids| Transactor::open(&kafka, &topology, ids);
            futures::future::try_join(open(&on), open(&aside)).await.map(|(on, aside)| [on, aside])
        })
    });
    Transactions::open(kit.clone(), open).await.map(Some)
}

fn shell(
    config: &Config,
    kit: Arc<Kit>,
    engine: Engine,
    transactions: Option<Transactions>,
    edges: &Edges,
    readiness: &Readiness,
) -> Result<Shell, KafkaProblem> {
    let drain = config.shutdown.drain.0;
    let join = join(config, &kit, edges.instance.name().to_owned(), edges.topology.message_max());
    let report = Report::new(kit.tally.clone(), readiness.clone());
    Shell::new(kit, engine, join, transactions, drain, report)
}

/// How the stage joins its group.
fn join(config: &Config, kit: &Kit, instance: String, message_max: Size) -> super::shell::Join {
    let (kafka, topics) = (config.kafka.clone(), kit.topics.clone());
    let patience = config.shutdown.drain.0 + RELEASE_ROOM;
    Box::new(move || {
        let membership = Membership {
            group: &topics.group,
            input: &topics.input,
            satellites: &topics.satellites(),
            message_max,
            patience,
            instance: Some(&instance),
        };
        Consumer::join(&kafka, membership)
    })
}
