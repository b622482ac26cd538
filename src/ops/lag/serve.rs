//! How far the stages are behind, as metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::unread::Unread;
use super::{History, Part, StageLag, State, look};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::pick::Picker;
use crate::quarantine::Quarantine;
use crate::telemetry::metrics;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Until `stop` is cancelled.
pub async fn serve(config: &Config, index: &Arc<dyn Quarantine>, stop: CancellationToken) {
    let topology = Topology::derive(config);
    let mut history = History::default();
    let (mut unread, mut picker) =
        (Unread::default(), Picker::new(&config.kafka, "lag", topology.message_max()));
    while !stop.is_cancelled() {
        match look(&config.kafka, &topology).await {
            Ok(stages) => {
                let now = Timestamp::now();
                for stage in &stages {
                    show(stage, history.take(stage, now), now);
                }
            }
            Err(problem) => tracing::warn!("cannot say how far the stages are behind: {problem}"),
        }
        match unread.count(config, index, &mut picker).await {
            Ok(records) => metrics::dlq_index_lag(records),
            Err(problem) => {
                tracing::warn!("cannot say how far the index of dead letters is behind: {problem}")
            }
        }
        let _ = tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await;
    }
}

fn show(stage: &StageLag, state: State, now: Timestamp) {
    let StageLag { pipeline, stage: name, members, parts, .. } = stage;
    for one in State::ALL {
        metrics::lag_state(pipeline, name, one.as_str(), one == state);
    }
    if let Some(members) = members {
        metrics::lag_members(pipeline, name, *members);
    }
    let mut overdue: BTreeMap<&str, Duration> = BTreeMap::new();
    for part in parts {
        let Part { topic, partition, lane, lag, rung, .. } = part;
        let behind = part.behind(now);
        metrics::lag(pipeline, name, topic, *partition, lane, *lag, behind);
        if let Some(rung) = rung {
            let longest = overdue.entry(rung).or_default();
            *longest = behind.max(*longest);
        }
    }
    for (rung, overdue) in overdue {
        metrics::retry_overdue(pipeline, name, rung, overdue);
    }
}
