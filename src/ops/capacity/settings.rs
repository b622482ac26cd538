//! What of a configuration matters for how much a stage can do. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Config;
use crate::flow::engine::Spec;
use crate::flow::ladder::{Past, Step};
use crate::flow::topology::TopicPlan;
use crate::flow::{Code, Fault, Ladder, Topology};
use crate::worker::spec;

/// Replicas where the configuration leaves them to the broker.
const REPLICATION: u32 = 3;
/// Waits that are looked at. What comes after so many does not show in any mean.
const WAITS_MAX: u32 = 10_000;

/// What the configuration says of the stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Set {
    pub concurrency: usize,
    pub window: usize,
    /// Bytes of records that a process holds at most: of the input, and of what waits.
    pub held: u64,
    pub partitions: u32,
    pub replication: u32,
    /// How long topics keep records, seconds, for ever when absent: the input, the rungs, the dead letters.
    pub retention: Option<f64>,
    pub waiting_retention: Option<f64>,
    pub dlq_retention: Option<f64>,
    /// What records fail with; what has no limits of its own when absent.
    pub code: Option<Code>,
    /// The waits of a record that fails with it again and again, seconds.
    pub waits: Vec<f64>,
    /// How many waits the codes allow that have limits of their own.
    pub others: BTreeMap<Code, usize>,
}

/// Where the topics of a stage, and the stage, are configured. `code`: what its records fail with.
pub fn set(config: &Config, pipeline: &str, stage: &str, code: Option<Code>) -> Option<Set> {
    let configured = config.pipelines.get(pipeline)?;
    let of_stage = configured.stage(stage)?;
    let topology = Topology::derive(config);
    let topics = topology.stage(pipeline, stage)?;
    let (input, dlq) = (topology.topic(&topics.input)?, topology.topic(&topics.dlq)?);
    let keeps = |plan: &TopicPlan| plan.retention.map(|span| span.0.as_secs_f64());
    let waiting = topology.topic(&topics.redrive).and_then(keeps);
    let Spec { concurrency, window, bytes, waiting: held_waiting, ladder, .. } =
        spec(configured, of_stage, true);
    Some(Set {
        concurrency,
        window,
        held: u64::try_from(bytes.saturating_add(held_waiting)).unwrap_or(u64::MAX),
        partitions: input.partitions,
        replication: input.replication.unwrap_or(REPLICATION),
        retention: keeps(input),
        waiting_retention: waiting,
        dlq_retention: keeps(dlq),
        code,
        waits: waits(&ladder, code),
        others: ladder.overrides.keys().map(|code| (*code, waits(&ladder, Some(*code)).len())).collect(),
    })
}

/// The waits that the ladder gives a record that fails at once, again and again, without what is spread at random.
fn waits(ladder: &Ladder, code: Option<Code>) -> Vec<f64> {
    let mut ladder = Ladder { jitter: 0.0, ..ladder.clone() };
    if code.is_none() {
        ladder.overrides.clear();
    }
    let (first, mut now) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let fault = Fault::new(code.unwrap_or(Code::StageFailed), "");
    let mut waits = Vec::new();
    for failures in 0..WAITS_MAX {
        let past = Past { failures, first_failure: Some(first), seed: 0 };
        let Step::Wait { due, .. } = ladder.next(&fault, past, now) else { break };
        waits.push(Duration::try_from(due.duration_since(now)).unwrap_or_default().as_secs_f64());
        now = due;
    }
    waits
}
