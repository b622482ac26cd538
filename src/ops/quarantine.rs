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

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use self::acts::{Acts, act_record};
pub use self::follow::follow;
pub use self::gather::Sources;
use self::gather::{Gathering, apply, release};
pub use self::measure::measure;
pub use self::settle::{SettleError, Settled, rows, settle, settled_of};
pub use self::watch::Watch;
use crate::config::{Config, Span};
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::kafka::client::{ClusterInfo, reach};
use crate::kafka::read::{End, Reading, Start, read};
use crate::kafka::tail::{Bounds, bounds};
use crate::message::TopicPartition;
use crate::ops::archive::VaultError;
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
    #[error("what only the archive has is not known: {0}")]
    Archive(String),
    /// A topic was deleted and made anew, or this is another cluster: what is known is not true here.
    #[error(
        "topic '{0}' ends before where the index of dead letters has read it to: it was made anew, or this is another cluster; \
         `lazaret ops rebuild` fills the index anew"
    )]
    Anew(String),
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
    // Before it is asked where the topics end: another process may read on meanwhile.
    let next = index.positions().await?;
    let (topics, bounds) = there(config, &cluster, &sources).await?;
    if let Some(topic) = made_anew(&next, &bounds) {
        return Err(FollowError::Anew(topic));
    }
    let next = next.into_iter().map(|(of, next)| ((of.topic.to_string(), of.partition), next));
    let start = Start::Offsets(next.collect());
    let read = read_on(config, index, sources, topics, start, deadline).await?;
    let expired = index.expire(firsts(&bounds)).await?;
    Ok(CaughtUp { expired, ..read })
}

/// A topic of which more was read than there is.
fn made_anew(next: &BTreeMap<TopicPartition, i64>, bounds: &Bounds) -> Option<String> {
    let is_beyond =
        |(of, (_, end)): &(&TopicPartition, &(i64, i64))| next.get(*of).is_some_and(|next| next > end);
    bounds.iter().find(is_beyond).map(|(of, _)| of.topic.to_string())
}

/// The first offset that there is.
fn firsts(bounds: &Bounds) -> BTreeMap<TopicPartition, i64> {
    bounds.iter().map(|(of, (first, _))| (of.clone(), *first)).collect()
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
    let sources = Sources::of(config);
    let (topics, bounds) = there(config, &cluster, &sources).await?;
    index.clear().await?;
    let read = read_on(config, index, sources, topics, Start::Beginning, deadline).await?;
    let expired = index.expire(firsts(&bounds)).await?;
    Ok(CaughtUp { expired, ..read })
}

/// Those of the topics that are there, and where they begin and end.
async fn there(
    config: &Config,
    cluster: &ClusterInfo,
    sources: &Sources,
) -> Result<(Vec<String>, Bounds), FollowError> {
    let (topics, missing): (Vec<String>, Vec<String>) =
        sources.names().map(str::to_owned).partition(|topic| cluster.topics.contains_key(topic));
    if !missing.is_empty() {
        let topics = missing.join(", ");
        tracing::warn!(
            topics,
            "these topics are not there, or this user may not see them: what they hold is not known"
        );
    }
    let bounds = bounds(&config.kafka, "ops", topics.clone()).await?;
    Ok((topics, bounds))
}

async fn read_on(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    sources: Sources,
    topics: Vec<String>,
    start: Start,
    deadline: Duration,
) -> Result<CaughtUp, FollowError> {
    let reading = Reading { topics, start, deadline, uncommitted: false };
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
    let held = applied?;
    let report = report?;
    // What Kafka has is known now.
    release(config, index, held).await?;
    Ok(CaughtUp { records: report.records, expired: 0, complete: report.end == End::Complete })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_ends_before_where_it_was_read_to_was_made_anew() {
        let of = |partition| TopicPartition::new("rag.embed.dlq", partition);
        let next = BTreeMap::from([(of(0), 5), (of(1), 7), (of(3), 9)]);
        let bounds = |one: i64| Bounds::from([(of(0), (2, 5)), (of(1), (0, one)), (of(2), (0, 1))]);
        assert_eq!(made_anew(&next, &bounds(7)), None);
        assert_eq!(made_anew(&next, &bounds(9)), None);
        assert_eq!(made_anew(&next, &bounds(6)), Some("rag.embed.dlq".to_owned()));
        assert_eq!(made_anew(&BTreeMap::new(), &bounds(0)), None);
    }
}
