//! One look at all that the stages read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::{GroupProtocol, Kafka, Span};
use crate::flow::Topology;
use crate::flow::engine::Lane;
use crate::flow::offsets::Committed;
use crate::flow::topology::StageTopics;
use crate::kafka::KafkaProblem;
use crate::kafka::look::{Positions, members, positions};
use crate::kafka::pick::Picker;
use crate::kafka::tail::bounds;
use crate::message::trail::open as open_trail;
use crate::message::{Record, TopicPartition};

/// What one question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// A stage, and the partitions that it reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StageLag {
    pub pipeline: String,
    pub stage: String,
    /// Its consumer group.
    pub group: String,
    /// How many run it; `None` when nobody can tell.
    pub members: Option<usize>,
    /// Input first, then rungs by delay, redrive, parking; partitions in order.
    pub parts: Vec<Part>,
}

/// One partition that a stage reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Part {
    pub topic: String,
    pub partition: i32,
    /// `input`, `rung`, `redrive` or `park`.
    pub lane: &'static str,
    /// The delay, if the topic is a rung.
    pub rung: Option<String>,
    /// Where the partition ends.
    pub end: i64,
    /// Up to where everything has ended; `None` when nothing was committed yet.
    pub committed: Option<i64>,
    /// Offsets from there to the end, less those that ended out of order. What Kafka's own tools tell has those in it.
    pub lag: u64,
    /// When the oldest record that has not ended was written; `None` when there is none.
    pub oldest: Option<Timestamp>,
    /// When that record is due, if it waits on a rung.
    pub due: Option<Timestamp>,
}

impl Part {
    /// How long the oldest record has waited; of one on a rung, how long it is overdue.
    pub fn behind(&self, now: Timestamp) -> Duration {
        let since = self.due.or(self.oldest);
        since.and_then(|since| Duration::try_from(now.duration_since(since)).ok()).unwrap_or_default()
    }

    /// Whether records wait there until they are due, so that they are no work that was left undone.
    pub fn waits(&self) -> bool {
        self.lane == "rung"
    }
}

impl StageLag {
    /// Of its input, all partitions together.
    pub fn lag(&self) -> u64 {
        self.parts.iter().filter(|part| part.lane == "input").map(|part| part.lag).sum()
    }
}

/// Looks at all stages of the topology.
pub async fn look(kafka: &Kafka, topology: &Topology) -> Result<Vec<StageLag>, KafkaProblem> {
    let topics = topology.stages.iter().flat_map(StageTopics::read).map(str::to_owned).collect();
    let ends = bounds(kafka, "lag", topics).await?;
    let mut picker = Picker::new(kafka, "lag", topology.message_max());
    let mut stages = Vec::with_capacity(topology.stages.len());
    for stage in &topology.stages {
        let deadline = Instant::now() + PATIENCE;
        let committed = positions(kafka, &stage.group, &stage.read(), deadline).await?;
        let members = match kafka.membership.protocol {
            // Of such groups the client cannot ask.
            GroupProtocol::Consumer => None,
            _ => Some(members(kafka, &stage.group, deadline).await?),
        };
        let parts = parts(stage, &ends, &committed, &mut picker).await?;
        let (pipeline, name) = (stage.pipeline.clone(), stage.stage.clone());
        stages.push(StageLag { pipeline, stage: name, group: stage.group.clone(), members, parts });
    }
    Ok(stages)
}

async fn parts(
    stage: &StageTopics,
    ends: &BTreeMap<TopicPartition, (i64, i64)>,
    committed: &Positions,
    picker: &mut Picker,
) -> Result<Vec<Part>, KafkaProblem> {
    let mut parts = Vec::new();
    for topic in stage.read() {
        for (place, (begin, end)) in ends.iter().filter(|(place, _)| &*place.topic == topic) {
            let known = committed.get(place).map(|(offset, map)| {
                Committed::parse(*offset, map).unwrap_or_else(|_| Committed::bare(*offset))
            });
            let open = Open::of(known.as_ref(), *begin, *end);
            let oldest = match open.lag {
                0 => None,
                _ => picker.first(place, open.first).await?,
            };
            let is_rung = stage.rung(topic).is_some();
            let due =
                oldest.as_ref().filter(|_| is_rung).and_then(|record| open_trail(record, true).trail.due);
            parts.push(Part {
                topic: topic.to_owned(),
                partition: place.partition,
                lane: lane(stage.lane(topic)),
                rung: stage.rung(topic).map(|rung| Span(rung.delay).to_string()),
                end: *end,
                committed: known.map(|known| known.below()),
                // Behind the last record there may be marks of transactions, which are no records.
                lag: if oldest.is_some() { open.lag } else { 0 },
                due,
                oldest: oldest.and_then(|record: Record| written(&record)),
            });
        }
    }
    Ok(parts)
}

fn written(record: &Record) -> Option<Timestamp> {
    record.at.timestamp.and_then(|at| Timestamp::from_millisecond(at).ok())
}

fn lane(lane: Lane) -> &'static str {
    match lane {
        Lane::Input => "input",
        Lane::Rung => "rung",
        Lane::Redrive => "redrive",
        Lane::Park => "park",
    }
}

/// What of a partition has not ended.
#[derive(Debug, PartialEq, Eq)]
struct Open {
    first: i64,
    lag: u64,
}

impl Open {
    /// What Kafka has deleted has not been left undone by the stage any more. Pure.
    fn of(committed: Option<&Committed>, begin: i64, end: i64) -> Self {
        let below = committed.map_or(begin, Committed::below).max(begin);
        let ranges = committed.map(Committed::ranges).unwrap_or_default();
        let within = |range: &std::ops::Range<i64>| range.end.min(end) - range.start.max(below);
        let ended: i64 = ranges.iter().map(within).map(|some| some.max(0)).sum();
        let first = ranges.iter().find(|range| range.contains(&below)).map_or(below, |range| range.end);
        Self { first, lag: (end - below - ended).max(0).unsigned_abs() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(committed: Option<i64>, begin: i64, end: i64) -> (i64, u64) {
        let Open { first, lag } = Open::of(committed.map(Committed::bare).as_ref(), begin, end);
        (first, lag)
    }

    #[test]
    fn what_is_left_begins_at_what_was_committed_or_at_what_kafka_still_has() {
        assert_eq!(open(Some(7), 0, 10), (7, 3));
        assert_eq!(open(Some(10), 0, 10), (10, 0));
        assert_eq!(open(None, 4, 10), (4, 6));
        assert_eq!(open(Some(2), 5, 10), (5, 5), "some were deleted before they were read");
        assert_eq!(open(Some(12), 0, 10), (12, 0), "the topic was made anew");
    }
}
