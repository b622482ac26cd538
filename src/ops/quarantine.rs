//! The index of dead letters, kept up to date with Kafka: what stands on the dead letter topics and on the topic of
//! operations is applied, with the offsets up to which it was. Whoever else does so at the same time does no harm.

mod acts;
pub mod change;
pub mod content;
pub mod edits;
pub mod export;
mod follow;
mod gather;
mod measure;
pub mod pages;
pub mod selection;
mod settle;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::acts::{Acts, act_record};
pub use self::follow::follow;
pub use self::gather::Sources;
use self::gather::{Gathering, apply};
pub use self::measure::measure;
pub use self::settle::{SettleError, Settled, rows, settle, settled_of};
pub use self::watch::Watch;
use crate::config::{Config, Span};
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::kafka::client::{ClusterInfo, reach};
use crate::kafka::read::{End, Reading, Start, read};
use crate::kafka::tail::bounds;
use crate::ops::archive::VaultError;
use crate::ops::archive::refill::refill;
use crate::quarantine::{self, Mask, Quarantine, QuarantineError};

/// Most records, and about as many bytes, that are applied together.
const BATCH_RECORDS: usize = 1000;
const BATCH_BYTES: usize = 8 << 20;
/// Batches that may wait for the index, so that memory stays as it is however much there is to read.
const BATCHES: usize = 2;

/// How long the index may take to become up to date before it is asked.
pub const REFRESH: Duration = Duration::from_secs(600);

/// The index does not follow Kafka.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error(transparent)]
    Index(#[from] QuarantineError),
    /// Letters that only the archive has are not known.
    #[error("{0}; once it can be read, `lazaret ops rebuild` finds what is missing")]
    Archive(String),
}

impl FollowError {
    pub fn archive(error: VaultError) -> Self {
        Self::Archive(error.to_string())
    }
}

/// What a reading to the end has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CaughtUp {
    /// Records that were read, of all topics.
    pub records: u64,
    /// Open letters that Kafka has deleted.
    pub expired: u64,
    /// False: the time was up before all was read.
    pub complete: bool,
}

/// Opens the index that the configuration names. When error texts were hidden in it by other rules than now, it is empty and
/// has to be filled anew.
pub async fn open(config: &Config) -> Result<Arc<dyn Quarantine>, QuarantineError> {
    let index = quarantine::open(&config.quarantine).await?;
    if index.adopt(&Mask::of(&config.quarantine.masking).name()).await? {
        tracing::info!("the masking rules are others than before: the index of dead letters is filled anew");
    }
    Ok(index)
}

/// Reads what the index does not have yet, up to where the topics end now.
pub async fn catch_up(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    deadline: Duration,
) -> Result<CaughtUp, FollowError> {
    catch_up_with(config, index, Sources::of(config), deadline).await
}

async fn catch_up_with(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    sources: Sources,
    deadline: Duration,
) -> Result<CaughtUp, FollowError> {
    let cluster = reach(&config.kafka, "ops").await?;
    let next = index.positions().await?.into_iter();
    let start = Start::Offsets(next.map(|(of, next)| ((of.topic.to_string(), of.partition), next)).collect());
    read_on(config, &cluster, index, sources, start, deadline).await
}

/// The same before something is asked or done. What is wrong, when the time was up first: what is behind is not to be relied on.
pub async fn refresh(config: &Config, index: &Arc<dyn Quarantine>) -> Result<Option<String>, FollowError> {
    refresh_with(config, index, Sources::of(config)).await
}

/// The same for somebody who asks for letters of one stage, again and again.
pub async fn refresh_stage(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    pipeline: &str,
    stage: &str,
) -> Result<Option<String>, FollowError> {
    refresh_with(config, index, Sources::of(config).only(pipeline, stage)).await
}

async fn refresh_with(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    sources: Sources,
) -> Result<Option<String>, FollowError> {
    let caught = catch_up_with(config, index, sources, REFRESH).await?;
    let late = || format!("the index of dead letters was not up to date within {}", Span(REFRESH));
    Ok((!caught.complete).then(late))
}

/// Forgets the index and reads everything, whatever position another process that follows has noted meanwhile.
pub async fn rebuild(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    deadline: Duration,
) -> Result<CaughtUp, FollowError> {
    // Nothing is forgotten while it cannot be filled again.
    let cluster = reach(&config.kafka, "ops").await?;
    index.clear().await?;
    read_on(config, &cluster, index, Sources::of(config), Start::Beginning, deadline).await
}

async fn read_on(
    config: &Config,
    cluster: &ClusterInfo,
    index: &Arc<dyn Quarantine>,
    sources: Sources,
    start: Start,
    deadline: Duration,
) -> Result<CaughtUp, FollowError> {
    let (topics, missing): (Vec<String>, Vec<String>) =
        sources.names().map(str::to_owned).partition(|topic| cluster.topics.contains_key(topic));
    if !missing.is_empty() {
        let topics = missing.join(", ");
        tracing::warn!(
            topics,
            "these topics are not there, or this user may not see them: what they hold is not known"
        );
    }
    let reading = Reading { topics: topics.clone(), start, deadline, uncommitted: false };
    let (batches, received) = mpsc::channel(BATCHES);
    let state = (Gathering::new(sources), batches);
    let message_max = Topology::derive(config).message_max();
    let reading = read(&config.kafka, message_max, reading, state, |(gathering, batches), record| {
        gathering.pass_on(&record, batches)
    });
    // The last batch is not full, and when it is sent no more will come.
    let reading = async {
        let ((mut gathering, batches), report) = reading.await?;
        let _ = batches.send(gathering.take()).await;
        Ok::<_, KafkaProblem>(report)
    };
    let (report, applied) = futures::future::join(reading, apply(index, received)).await;
    let objects = applied?;
    let report = report?;
    // What Kafka has is known now.
    refill(config, index, objects).await?;
    let bounds = bounds(&config.kafka, "ops", topics).await?;
    let first = bounds.into_iter().map(|(name, (first, _))| (name, first)).collect();
    let expired = index.expire(first).await?;
    Ok(CaughtUp { records: report.records, expired, complete: report.end == End::Complete })
}
