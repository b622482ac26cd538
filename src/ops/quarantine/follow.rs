//! Follows the topics until it is told to stop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::gather::{Gathering, Held, Sources, release};
use super::{BATCHES, FollowError, REFRESH, catch_up, firsts, made_anew};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::tail::{Bounds, Heard, Tailing, tail};
use crate::message::TopicPartition;
use crate::ops::archive::refill::objects;
use crate::quarantine::{Batch, Quarantine};
use crate::telemetry::metrics;

/// A record waits as long for others at most before it is applied.
const GATHER: Duration = Duration::from_millis(200);

/// Keeps the index up to date. Returns when it is told to, or cannot go on. What is there already is read first; when it is,
/// `caught_up` is told.
pub async fn follow(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    stop: CancellationToken,
    caught_up: &CancellationToken,
) -> Result<(), FollowError> {
    // To an end, so that of what came into the archive and has left it again nothing is looked for.
    loop {
        let Some(caught) = stop.run_until_cancelled(catch_up(config, index, REFRESH)).await else {
            return Ok(());
        };
        if caught?.complete {
            break;
        }
    }
    caught_up.cancel();
    let sources = Sources::of(config);
    let read_to = index.positions().await?;
    let tailing = Tailing { topics: sources.names().map(str::to_owned).collect(), offsets: read_to.clone() };
    let (batches, received) = mpsc::channel(BATCHES);
    let (bounds, looked) = mpsc::channel(1);
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
            Heard::Bounds(of) => _ = bounds.try_send(of),
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
        expired = expire(index, read_to, looked) => expired,
    }
}

/// Applies batches as they come. What only the archive has is taken from there before it counts as read.
async fn refilling(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<(), FollowError> {
    while let Some(mut batch) = batches.recv().await {
        // What people and rules do is counted here: whoever does it may be a shell, which nobody asks for metrics.
        batch.acts.iter().for_each(|(_, act)| metrics::act(act.deed.name()));
        let mut held = Held { objects: objects(&batch.acts).collect(), ..Held::default() };
        if !held.objects.is_empty() {
            held.positions.append(&mut batch.positions);
        }
        index.apply(batch).await?;
        release(config, index, held).await?;
        metrics::dlq_index_applied(Timestamp::now());
    }
    Ok(())
}

/// What Kafka has deleted meanwhile. `ends`: where the partitions ended when that was known last.
async fn expire(
    index: &Arc<dyn Quarantine>,
    mut ends: BTreeMap<TopicPartition, i64>,
    mut bounds: mpsc::Receiver<Bounds>,
) -> Result<(), FollowError> {
    while let Some(bounds) = bounds.recv().await {
        if let Some(topic) = made_anew(&ends, &bounds) {
            return Err(FollowError::Anew(topic));
        }
        let expired = index.expire(firsts(&bounds)).await?;
        if expired > 0 {
            tracing::warn!(expired, "open dead letters were deleted by Kafka before anybody did anything");
        }
        ends.extend(bounds.into_iter().map(|(of, (_, end))| (of, end)));
    }
    std::future::pending().await
}
