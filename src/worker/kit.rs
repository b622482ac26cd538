//! Everything one stage's worker works with. Made once, shared by all its tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::clock::Clock;
use super::runner::Runner;
use super::tally::Tally;
use crate::config::{FairBy, Ordering};
use crate::flow::rule::Rule;
use crate::flow::topology::StageTopics;
use crate::kafka::Producer;
use crate::ledger::{Holding, Ledger};
use crate::message::Topic;
use crate::telemetry::log::repeats::Repeats;
use crate::telemetry::traces::Traces;

/// See the module.
pub struct Kit {
    pub topics: StageTopics,
    /// The topic of the stage's outputs, if it has one. They share its name.
    pub output: Option<Topic>,
    /// Changes with the stage's settings and with Lazaret's version; stands in every dead letter.
    pub revision: String,
    pub runner: Runner,
    pub ordering: Ordering,
    /// What says whose a record is, where the stage is fair.
    pub fair_by: Option<FairBy>,
    /// Which jobs hold up later records of their key.
    pub holding: Holding,
    /// Numbers of partitions of the stage's own topics, and of its dead letters'.
    pub partitions: BTreeMap<String, i32>,
    /// Payloads may tell what a model has taken in a stage before. What a producer writes there is not believed.
    pub carries_usage: bool,
    /// The stage's rules for classes, as the engine has them.
    pub rules: Vec<Rule>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long the ledger keeps a job for us.
    pub lease: Duration,
    /// Largest record of the next topic, bytes.
    pub output_max: usize,
    pub ledger: Arc<dyn Ledger>,
    /// Produces outside of transactions; `None` where there are none but in a test kit.
    pub producer: Option<Arc<Producer>>,
    /// `None` where nobody wants to see them.
    pub traces: Option<Arc<Traces>>,
    pub clock: Clock,
    /// Keeps a flood of failures from being one of lines.
    pub repeats: Repeats,
    pub tally: Arc<Tally>,
}

impl Kit {
    /// Whether a step after the stage's own work may have to wait: for a ledger, or for a registry of schemas.
    pub fn waits(&self) -> bool {
        self.ledger.remembers() || !matches!(self.runner, Runner::Bytes(_))
    }
}
