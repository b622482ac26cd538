//! Conservation, looked at from outside: for every record of every stage's input, where its job is, and what is
//! missing or stands twice. Reads committed records, the groups' positions and the ledger; changes nothing.
//!
//! It may run beside working stages, because of the order in which it looks:
//!
//! 1. the groups' positions: what has ended then has left its traces, in the same transaction or before;
//! 2. the topics, up to where they end after that, once every transaction that was open is over;
//! 3. the positions again: a copy that is still open now has led to nothing that was read in 2;
//! 4. the ledger.

mod gather;
mod job;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

pub use self::job::{Input, Job, Place};
pub use self::report::{Finding, Kind, Report, StageReport};

use self::gather::Stage;
use super::advice::Advice;
use crate::config::Config;
use crate::flow::Topology;
use crate::flow::topology::StageTopics;
use crate::kafka::KafkaProblem;
use crate::kafka::client::reach;
use crate::kafka::look::{positions, settled};
use crate::kafka::read::{End, Reading, Start, read};
use crate::ledger::{LedgerError, LedgerReader};

/// Rows of the ledger that are read at a time.
const PAGE: usize = 5_000;

/// Which stages are looked at; all when nothing is named.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub pipeline: Option<String>,
    pub stage: Option<String>,
}

/// It could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{0}")]
    NoSuchStage(Advice),
    #[error("the topics could not be read within the time")]
    TimedOut,
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Looks at everything and says where it is. `limit` bounds the findings that are kept, not those that are counted; `show`
/// sees every job.
pub async fn verify(
    config: &Config,
    scope: &Scope,
    time: Duration,
    limit: usize,
    show: impl FnMut(&StageTopics, &str, &Job, Place),
) -> Result<Report, VerifyError> {
    let (topology, deadline) = (Topology::derive(config), Instant::now() + time);
    let chosen = chosen(&topology, scope)?;
    reach(&config.kafka, "verify").await?;
    let mut stages: Vec<Stage> = chosen.iter().map(|topics| Stage::new(config, topics)).collect();
    for stage in &mut stages {
        let topics = stage.topics.clone();
        stage.begin(positions(&config.kafka, &topics.group, &topics.read(), deadline).await?);
    }
    let mut stages = look(config, &topology, stages, deadline).await?;
    for stage in &mut stages {
        let topics = stage.topics.clone();
        stage.end(positions(&config.kafka, &topics.group, &topics.read(), deadline).await?);
    }
    let has_ledger = ask_ledger(config, &mut stages).await?;
    Ok(report::make(&stages, has_ledger, limit, show))
}

fn chosen(topology: &Topology, scope: &Scope) -> Result<Vec<StageTopics>, VerifyError> {
    let wanted = |name: &Option<String>, value: &str| name.as_deref().is_none_or(|name| name == value);
    let is_chosen = |s: &&StageTopics| wanted(&scope.pipeline, &s.pipeline) && wanted(&scope.stage, &s.stage);
    let chosen: Vec<StageTopics> = topology.stages.iter().filter(is_chosen).cloned().collect();
    if chosen.is_empty() {
        let all: Vec<_> = topology.stages.iter().map(|s| format!("{}.{}", s.pipeline, s.stage)).collect();
        let hint = format!("the configuration has {}", all.join(", "));
        return Err(VerifyError::NoSuchStage(Advice::new("no such stage", hint)));
    }
    Ok(chosen)
}

/// Reads every topic once, for all stages to which it means something.
async fn look(
    config: &Config,
    topology: &Topology,
    mut stages: Vec<Stage>,
    deadline: Instant,
) -> Result<Vec<Stage>, VerifyError> {
    let mut readers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, stage) in stages.iter().enumerate() {
        let topics = &stage.topics;
        let all: BTreeSet<&str> =
            topics.read().into_iter().chain(topics.next.as_deref()).chain([topics.dlq.as_str()]).collect();
        for topic in all {
            readers.entry(topic.to_owned()).or_default().push(at);
        }
    }
    let names: Vec<&str> = readers.keys().map(String::as_str).collect();
    let bounds = settled(&config.kafka, &names, deadline).await?;
    stages.iter_mut().for_each(|stage| stage.bounds(&bounds));
    let left = deadline.saturating_duration_since(Instant::now());
    let reading = Reading {
        topics: readers.keys().cloned().collect(),
        start: Start::Beginning,
        deadline: left,
        uncommitted: false,
    };
    let visit = move |stages: &mut Vec<Stage>, record: crate::message::Record| {
        for at in readers.get(&*record.at.topic).into_iter().flatten() {
            if let Some(stage) = stages.get_mut(*at) {
                stage.see(&record);
            }
        }
        ControlFlow::Continue(())
    };
    let (stages, report) = read(&config.kafka, topology.message_max(), reading, stages, visit).await?;
    match report.end {
        End::Deadline => Err(VerifyError::TimedOut),
        End::Complete | End::Stopped => Ok(stages),
    }
}

/// False when there is no ledger: then Kafka alone has to tell.
async fn ask_ledger(config: &Config, stages: &mut [Stage]) -> Result<bool, VerifyError> {
    let Some(reader) = LedgerReader::find(&config.ledger)? else { return Ok(false) };
    let pipelines: BTreeSet<String> = stages.iter().map(|stage| stage.topics.pipeline.clone()).collect();
    for pipeline in pipelines {
        let mut after = None;
        loop {
            let rows = reader.jobs(&pipeline, after, PAGE).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id);
            for row in &rows {
                let of =
                    |stage: &&mut Stage| stage.topics.pipeline == pipeline && stage.topics.stage == row.stage;
                if let Some(stage) = stages.iter_mut().find(of) {
                    stage.note(row);
                }
            }
        }
    }
    Ok(true)
}
