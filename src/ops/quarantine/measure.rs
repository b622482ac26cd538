//! What dashboards and alerts are to know of dead letters. Only who has the index can say it: a topic keeps what is settled.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::flow::Topology;
use crate::ops::dlq::care::{Due, sla_of};
use crate::quarantine::{By, Filter, Kept, Quarantine, QuarantineError, State};
use crate::telemetry::metrics;

/// Sets the gauges of open and of late dead letters, of every stage and, as a stage without a name, of the topics of others. A
/// stage without any stands at 0.
pub async fn measure(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    now: Timestamp,
) -> Result<(), QuarantineError> {
    let stages = Topology::derive(config).stages.into_iter().map(|stage| (stage.pipeline, stage.stage));
    let others = (!config.quarantine.topics.is_empty()).then(Default::default);
    for (pipeline, stage) in stages.chain(others) {
        let filter =
            Filter { pipeline: Some(pipeline.clone()), stage: Some(stage.clone()), ..Filter::default() };
        let open = Filter { states: vec![State::Open], ..filter.clone() };
        // All of one stage are one share.
        let share = index.shares(&open, By::Stage, 1).await?.pop();
        let oldest = share.as_ref().map(|share| now.duration_since(share.first));
        let oldest = oldest.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        metrics::dlq_open(&pipeline, &stage, share.map_or(0, |share| share.count), oldest);
        late(config, index, &filter, now).await?;
        headroom(config, index, &open, now).await?;
        room(config, index, &filter).await?;
    }
    Ok(())
}

/// How many of a stage are late, where the configuration says what is.
async fn late(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    stage: &Filter,
    now: Timestamp,
) -> Result<(), QuarantineError> {
    let (Some(pipeline), Some(name)) = (&stage.pipeline, &stage.stage) else { return Ok(()) };
    let Some(sla) = sla_of(config, pipeline, name) else { return Ok(()) };
    for due in Due::ALL {
        let Some(span) = due.within(&sla) else { continue };
        let late = Filter {
            states: vec![State::Open, State::Redriving],
            looked_at: (due == Due::Look).then_some(false),
            // Dead for longer than that.
            until: Some(now.checked_sub(span.0).unwrap_or(Timestamp::MIN)),
            ..stage.clone()
        };
        metrics::dlq_late(pipeline, name, due.as_str(), index.count(&late).await?);
    }
    Ok(())
}

/// How long Kafka keeps the oldest open one that is not archived, where it does not keep them for ever.
async fn headroom(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    open: &Filter,
    now: Timestamp,
) -> Result<(), QuarantineError> {
    let (Some(pipeline), Some(stage)) = (&open.pipeline, &open.stage) else { return Ok(()) };
    let Some(retention) = config.retention(pipeline, stage).keep else { return Ok(()) };
    let only_there = Filter { kept: vec![Kept::Kafka], ..open.clone() };
    let age = index.oldest_record(&only_there).await?.map(|oldest| now.duration_since(oldest).as_secs_f64());
    metrics::dlq_headroom(pipeline, stage, retention.0.as_secs_f64() - age.unwrap_or_default());
    Ok(())
}

/// How much room those that Kafka has take there, of how much they may; and how many only the archive has.
async fn room(config: &Config, index: &Arc<dyn Quarantine>, stage: &Filter) -> Result<(), QuarantineError> {
    let (Some(pipeline), Some(name)) = (&stage.pipeline, &stage.stage) else { return Ok(()) };
    let there = Filter { kept: Kept::IN_KAFKA.to_vec(), ..stage.clone() };
    let budget = config.retention(pipeline, name).budget;
    metrics::dlq_room(pipeline, name, index.bytes(&there).await?, budget.map(|budget| budget.0));
    let archived = Filter { kept: vec![Kept::Archive], ..stage.clone() };
    metrics::dlq_archived(pipeline, name, index.count(&archived).await?);
    Ok(())
}
