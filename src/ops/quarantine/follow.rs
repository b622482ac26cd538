//! Follows the topics until it is told to stop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gather::{Gathering, Sources};
use super::{BATCHES, FollowError};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::tail::{Heard, Tailing, tail};
use crate::message::TopicPartition;
use crate::ops::archive::refill::{objects, refill};
use crate::quarantine::{Batch, Quarantine};
use crate::telemetry::metrics;

/// A record waits as long for others at most before it is applied.
const GATHER: Duration = Duration::from_millis(200);

/// Keeps the index up to date. Returns when it is told to, or cannot go on.
pub async fn follow(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    stop: CancellationToken,
) -> Result<(), FollowError> {
    let sources = Sources::of(config);
    let tailing =
        Tailing { topics: sources.names().map(str::to_owned).collect(), offsets: index.positions().await? };
    let (batches, received) = mpsc::channel(BATCHES);
    let (firsts, gone) = mpsc::channel(1);
    let message_max = Topology::derive(config).message_max();
    // Whatever ends the other side ends the reading too.
    let stopped = stop.child_token();
    let _reading = stopped.clone().drop_guard();
    let (mut gathering, mut since) = (Gathering::new(sources), Instant::now());
    let reading = tail(&config.kafka, "ops", message_max, tailing, move |heard| {
        match heard {
            Heard::Record(record) => {
                if gathering.is_empty() {
                    since = Instant::now();
                }
                gathering.put(&record);
            }
            // One that is not taken is followed by the next.
            Heard::Firsts(of) => _ = firsts.try_send(of),
            Heard::Silence => {}
        }
        let goes = gathering.is_full() || (!gathering.is_empty() && since.elapsed() >= GATHER);
        if stopped.is_cancelled() || (goes && batches.blocking_send(gathering.take()).is_err()) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    // When the reading fails no more batches come: its error is what counts, and not that the last one was applied.
    let reading = async { Ok(reading.await?) };
    tokio::select! {
        ended = futures::future::try_join(reading, refilling(config, index, received)) => ended.map(|_| ()),
        expired = expire(index, gone) => expired,
    }
}

/// Applies batches as they come. What only the archive has is taken from there before it counts as read.
async fn refilling(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<(), FollowError> {
    while let Some(batch) = batches.recv().await {
        // What people and rules do is counted here: whoever does it may be a shell, which nobody asks for metrics.
        batch.acts.iter().for_each(|(_, act)| metrics::act(act.deed.name()));
        let named: Vec<String> = objects(&batch.acts).collect();
        let positions = (!named.is_empty()).then(|| batch.positions.clone());
        let held = match &positions {
            Some(_) => Batch { positions: BTreeMap::new(), ..batch },
            None => batch,
        };
        let rules = held.rules.clone();
        index.apply(held).await?;
        if let Some(positions) = positions {
            refill(config, index, named).await?;
            index.apply(Batch { positions, rules, ..Batch::default() }).await?;
        }
        metrics::dlq_index_applied(Timestamp::now());
    }
    Ok(())
}

/// What Kafka has deleted meanwhile.
async fn expire(
    index: &Arc<dyn Quarantine>,
    mut firsts: mpsc::Receiver<BTreeMap<TopicPartition, i64>>,
) -> Result<(), FollowError> {
    while let Some(first) = firsts.recv().await {
        let expired = index.expire(first).await?;
        if expired > 0 {
            tracing::warn!(expired, "open dead letters were deleted by Kafka before anybody did anything");
        }
    }
    std::future::pending().await
}
