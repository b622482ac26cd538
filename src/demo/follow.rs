//! Reads what arrives at the ends of the pipelines, as anybody could who may read these topics.
//!
//! It reads along instead of once at the end, because the embedded broker keeps only some megabytes of a
//! partition.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use super::account::{self, Account, End};
use crate::config::{Config, Kafka, Kind, Size, Subject};
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::kafka::read::{Reading, Start, read};
use crate::message::Record;

/// How long one look may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// See the module.
pub struct Follower {
    kafka: Kafka,
    message_max: Size,
    /// Topic, and what a record there means.
    topics: BTreeMap<String, Meaning>,
    /// The next offset of each partition.
    next: BTreeMap<(String, i32), i64>,
}

#[derive(Clone, Copy)]
struct Meaning {
    is_dead: bool,
    subject: Subject,
}

type Arrivals = Vec<(Option<String>, Option<End>)>;

impl Follower {
    /// Follows the output topic and all dead letter topics of every pipeline.
    pub fn of(config: &Config, topology: &Topology) -> Self {
        let mut topics = BTreeMap::new();
        for (name, pipeline) in &config.pipelines {
            let answers = |kind: &Kind| matches!(kind, Kind::Generate(_));
            let subject = match pipeline.stages.iter().any(|stage| answers(&stage.kind)) {
                true => Subject::Question,
                false => Subject::Document,
            };
            topics.extend(
                pipeline
                    .output
                    .iter()
                    .map(|output| (output.topic.clone(), Meaning { is_dead: false, subject })),
            );
            for stage in topology.stages.iter().filter(|stage| stage.pipeline == *name) {
                topics.insert(stage.dlq.clone(), Meaning { is_dead: true, subject });
            }
        }
        let message_max = topology.message_max();
        Self { kafka: config.kafka.clone(), message_max, topics, next: BTreeMap::new() }
    }

    /// Tells the account what has arrived since the last look; returns how many records that were.
    pub async fn catch_up(&mut self, account: &mut Account) -> Result<usize, KafkaProblem> {
        let reading = Reading {
            topics: self.topics.keys().cloned().collect(),
            start: Start::Offsets(self.next.clone()),
            deadline: DEADLINE,
            uncommitted: false,
        };
        let state = (std::mem::take(&mut self.next), Arrivals::new());
        let topics = self.topics.clone();
        let visit = move |(next, arrivals): &mut (BTreeMap<_, _>, Arrivals), record: Record| {
            if let Some(Meaning { is_dead, subject }) = topics.get(&*record.at.topic) {
                arrivals.push(account::read(&record, *is_dead, *subject));
            }
            next.insert((record.at.topic.to_string(), record.at.partition), record.at.offset + 1);
            ControlFlow::Continue(())
        };
        let ((next, arrivals), _) = read(&self.kafka, self.message_max, reading, state, visit).await?;
        self.next = next;
        let count = arrivals.len();
        for (job, end) in arrivals {
            account.ended(job.as_deref(), end);
        }
        Ok(count)
    }
}
