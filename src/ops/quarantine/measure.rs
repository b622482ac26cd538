//! What dashboards and alerts are to know of dead letters. Only who has the index can say it: a topic keeps what is settled.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::config::Config;
use crate::flow::Topology;
use crate::ops::dlq::care::{Due, sla_of};
use crate::quarantine::{By, Filter, Kept, Quarantine, QuarantineError, Share, State};
use crate::telemetry::metrics;

/// More than there are: ours, and what people and others may have written in their place.
const CLASSES_MAX: usize = 100;

/// Our classes, and what has none of them.
const CLASSES: [&str; 4] = ["transient", "permanent", "systemic", "unknown"];

/// How many have each class, those of which there are none included. Pure.
fn by_class(shares: &[Share]) -> [(&'static str, u64); CLASSES.len()] {
    let class_of = |share: &Share| {
        let known = CLASSES.into_iter().find(|class| share.value.as_deref() == Some(class));
        known.unwrap_or("unknown")
    };
    CLASSES.map(|class| {
        let of_it = shares.iter().filter(|share| class_of(share) == class);
        (class, of_it.map(|share| share.count).sum())
    })
}

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
        let shares = index.shares(&open, By::Class, CLASSES_MAX).await?;
        for (class, records) in by_class(&shares) {
            metrics::dlq_open(&pipeline, &stage, class, records);
        }
        let oldest = shares.iter().map(|share| now.duration_since(share.first)).max();
        let oldest = oldest.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        metrics::dlq_oldest(&pipeline, &stage, oldest);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn share(value: Option<&str>, count: u64) -> Share {
        let at = Timestamp::UNIX_EPOCH;
        Share {
            value: value.map(str::to_owned),
            count,
            first: at,
            last: at,
            tokens: None,
            by_stage: Vec::new(),
        }
    }

    #[test]
    fn every_class_is_told_also_when_it_has_none_and_what_has_no_class_of_ours_is_unknown() {
        let shares = [share(Some("permanent"), 3), share(None, 2), share(Some("odd"), 1)];
        let told = [("transient", 0), ("permanent", 3), ("systemic", 0), ("unknown", 3)];
        assert_eq!(by_class(&shares), told);
    }
}
