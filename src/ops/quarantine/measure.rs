//! What dashboards and alerts are to know of dead letters. Only who has the index can say it: a topic keeps what is settled.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::flow::Topology;
use crate::quarantine::{By, Filter, Quarantine, QuarantineError, State};
use crate::telemetry::metrics;

/// Sets the gauges of open dead letters, of every stage and, as a stage without a name, of the topics of others. A stage
/// without any stands at 0.
pub async fn measure(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    now: Timestamp,
) -> Result<(), QuarantineError> {
    let stages = Topology::derive(config).stages.into_iter().map(|stage| (stage.pipeline, stage.stage));
    let others = (!config.quarantine.topics.is_empty()).then(Default::default);
    for (pipeline, stage) in stages.chain(others) {
        let filter = Filter {
            pipeline: Some(pipeline.clone()),
            stage: Some(stage.clone()),
            states: vec![State::Open],
            ..Filter::default()
        };
        // All of one stage are one share.
        let share = index.shares(&filter, By::Stage, 1).await?.pop();
        let oldest = share.as_ref().map(|share| now.duration_since(share.first));
        let oldest = oldest.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        metrics::dlq_open(&pipeline, &stage, share.map_or(0, |share| share.count), oldest);
    }
    Ok(())
}
