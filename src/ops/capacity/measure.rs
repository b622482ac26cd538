//! What comes in now, and what is left undone: asked from the broker.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::Kafka;
use crate::flow::Topology;
use crate::flow::topology::StageTopics;
use crate::kafka::KafkaProblem;
use crate::kafka::look::Bounds;
use crate::kafka::tail::bounds;
use crate::ops::lag::look;

/// What was seen of a stage's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// New records a second. Where producers use transactions, their marks are counted as well.
    pub rate: f64,
    /// Records that wait.
    pub backlog: u64,
}

/// Looks at the end of the stage's input twice, so long apart, and at how far the stage is behind.
pub async fn measure(kafka: &Kafka, stage: &StageTopics, over: Duration) -> Result<Measured, KafkaProblem> {
    let ends = || bounds(kafka, "capacity", vec![stage.input.clone()]);
    let (first, begun) = (ends().await?, Instant::now());
    if first.is_empty() {
        return Err(KafkaProblem::UnknownTopic(stage.input.clone()));
    }
    tokio::time::sleep(over).await;
    let (last, took) = (ends().await?, begun.elapsed());
    let alone = Topology { stages: vec![stage.clone()], topics: Vec::new(), operations: None };
    let backlog = look(kafka, &alone).await?.iter().map(|stage| stage.lag()).sum();
    Ok(Measured { rate: came(&first, &last) as f64 / took.as_secs_f64(), backlog })
}

/// Records between two looks. A partition that answered once only says nothing. Pure.
fn came(first: &Bounds, last: &Bounds) -> u64 {
    let of = |(name, (_, end)): (_, &(i64, i64))| Some(last.get(name)?.1.saturating_sub(*end));
    first.iter().filter_map(of).map(|came| u64::try_from(came).unwrap_or_default()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::TopicPartition;

    #[test]
    fn partitions_that_answered_twice_are_counted() {
        let ends = |ends: &[(i32, i64)]| {
            ends.iter().map(|(partition, end)| (TopicPartition::new("in", *partition), (0, *end))).collect()
        };
        let (first, last) = (ends(&[(0, 10), (1, 5), (2, 7)]), ends(&[(0, 25), (1, 5), (3, 9)]));
        assert_eq!(came(&first, &last), 15);
    }
}
