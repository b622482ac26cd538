//! Keeps and removes, from time to time, until it is told to stop.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{ArchiveError, Kept, Removed, Vault, keep, open, remove};
use crate::config::Config;
use crate::kafka::Producer;
use crate::ops::advice::Advice;
use crate::ops::quarantine::change::operations_topic;
use crate::ops::quarantine::refresh;
use crate::quarantine::Quarantine;
use crate::telemetry::metrics;

/// What one pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pass {
    pub kept: Kept,
    pub removed: Removed,
}

/// One pass over everything. Several processes may do it at once: what is archived twice is there twice.
pub async fn pass(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    producer: &Producer,
    now: Timestamp,
) -> Result<Pass, ArchiveError> {
    let done = once(config, index, producer, now).await;
    metrics::archive_pass(done.is_ok().then_some(now));
    done
}

async fn once(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    producer: &Producer,
    now: Timestamp,
) -> Result<Pass, ArchiveError> {
    let vault: Vault = open(config)?;
    let topic = operations_topic(config).await?;
    // What was done with letters meanwhile decides what is kept, and what may leave.
    up_to_date(config, index).await?;
    let kept = keep(config, index, &vault, producer, &topic, now).await?;
    let removed = remove(config, index, &vault, producer, &topic, now).await?;
    if removed.objects > 0 {
        up_to_date(config, index).await?;
    }
    if kept.lost > 0 {
        tracing::warn!(
            letters = kept.lost,
            "Kafka had deleted open dead letters before they were archived: archive them earlier, with \
             quarantine.archive.before"
        );
    }
    Ok(Pass { kept, removed })
}

/// The index knows what was done.
pub(super) async fn up_to_date(config: &Config, index: &Arc<dyn Quarantine>) -> Result<(), ArchiveError> {
    match refresh(config, index).await? {
        None => Ok(()),
        Some(late) => Err(ArchiveError::Refused(Advice::new(late, "what was read is kept: try again"))),
    }
}

/// Does so as often as the configuration says. The index is kept up to date by somebody else.
pub async fn serve(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    producer: &Producer,
    stop: CancellationToken,
) {
    let Some(archive) = &config.quarantine.archive else { return };
    while !stop.is_cancelled() {
        match pass(config, index, producer, Timestamp::now()).await {
            Ok(Pass { kept, removed }) => {
                let (letters, objects, bytes) = (kept.letters, kept.objects, kept.bytes);
                if letters > 0 {
                    tracing::info!(letters, objects, bytes, "dead letters were archived");
                }
                let Removed { objects, letters, discarded, .. } = removed;
                if objects > 0 {
                    tracing::info!(objects, letters, discarded, "objects of the archive were deleted");
                }
            }
            Err(error) => {
                let every = archive.every;
                tracing::error!("dead letters are not archived, which is tried again in {every}: {error}");
            }
        }
        let _ = tokio::time::timeout(archive.every.0, stop.cancelled()).await;
    }
}
