//! Puts together what stands in Kafka and in the ledger, by stage and job. Reads nothing itself.
//!
//! Memory: a job takes about 130 bytes and its id, in each stage that has seen it; a child of a fan-out 20 more.

use std::collections::{HashMap, HashSet};

use super::job::{Input, Job, Sight};
use crate::config::{Config, Kind};
use crate::flow::engine::Lane;
use crate::flow::offsets::Committed;
use crate::flow::topology::StageTopics;
use crate::kafka::look::{Bounds, Positions};
use crate::ledger::JobRow;
use crate::message::headers::JOB_ID;
use crate::message::{DeadLetter, Record, TopicPartition, trail};

/// Committed positions, read.
pub type Marks = HashMap<TopicPartition, Committed>;

/// A copy on one of the stage's own topics that was open when the look began.
#[derive(Debug)]
struct Copy {
    partition: TopicPartition,
    offset: i64,
    job: Box<str>,
    redrives: u32,
}

/// What was seen of one stage.
#[derive(Debug)]
pub struct Stage {
    pub topics: StageTopics,
    /// Two copies of a record may legitimately stand somewhere after a crash.
    pub at_least_once: bool,
    pub jobs: HashMap<Box<str>, Job>,
    /// Records of the input.
    pub records: u64,
    /// Records of the input whose job has another record before it.
    pub repeated: u64,
    /// Offsets of the input that Kafka has deleted.
    pub deleted: u64,
    /// Committed metadata that is no offset map.
    pub damaged: u64,
    pub sight: Sight,
    fans_out: bool,
    /// Children of a fan-out that were seen.
    children: HashSet<u128>,
    first: Marks,
    /// Copies that had not ended then.
    copies: Vec<Copy>,
    /// Partitions of the next and the dead letter topic of which Kafka has deleted records.
    cut: HashSet<TopicPartition>,
}

impl Stage {
    pub fn new(config: &Config, topics: &StageTopics) -> Self {
        let stage = config.pipelines.get(&topics.pipeline).and_then(|pipeline| {
            let stage = pipeline.stage(&topics.stage)?;
            Some((stage.delivery.unwrap_or(pipeline.delivery), &stage.kind))
        });
        let kind = stage.map(|(_, kind)| kind);
        Self {
            topics: topics.clone(),
            at_least_once: stage
                .is_some_and(|(delivery, _)| delivery == crate::config::Delivery::AtLeastOnce),
            jobs: HashMap::new(),
            records: 0,
            repeated: 0,
            deleted: 0,
            damaged: 0,
            sight: Sight { may_send_nothing: kind.is_none_or(may_send_nothing), ..Sight::default() },
            fans_out: matches!(kind, Some(Kind::Chunk(_))),
            children: HashSet::new(),
            first: Marks::new(),
            copies: Vec::new(),
            cut: HashSet::new(),
        }
    }

    /// The group's positions before anything is read: what has ended then has left its traces.
    pub fn begin(&mut self, positions: Positions) {
        let (marks, damaged) = marks(positions);
        (self.first, self.damaged) = (marks, damaged);
    }

    /// What Kafka still has.
    pub fn bounds(&mut self, bounds: &Bounds) {
        for (name, (low, _)) in bounds.iter().filter(|(_, (low, _))| *low > 0) {
            if *name.topic == self.topics.input {
                self.deleted += low.unsigned_abs();
            } else if self.topics.next.as_deref() == Some(&*name.topic) || *name.topic == self.topics.dlq {
                self.cut.insert(name.clone());
            }
        }
    }

    /// A record of one of its topics, in the order of its partition.
    pub fn see(&mut self, record: &Record) {
        let topic = &*record.at.topic;
        if topic == self.topics.input {
            self.input(record);
        } else if self.topics.next.as_deref() == Some(topic) {
            self.output(record);
        } else if topic == self.topics.dlq {
            self.letter(record);
        } else {
            self.copy(record);
        }
    }

    fn input(&mut self, record: &Record) {
        self.records += 1;
        let ended = has_ended(&self.first, record);
        let at = &record.at;
        let input = Input { partition: at.partition, offset: at.offset, timestamp: at.timestamp, ended };
        let job = self.job(&trail::open(record, false).correlation.job.0);
        if job.input.is_some() {
            self.repeated += 1;
        } else {
            job.input = Some(input);
        }
    }

    fn output(&mut self, record: &Record) {
        if let Some(kept) = self.horizon(record) {
            self.sight.outputs_from = self.sight.outputs_from.max(Some(kept));
        }
        let Some(id) = record.headers.text(JOB_ID) else { return };
        let parent = id.rsplit_once('/').filter(|_| self.fans_out);
        let twice = match parent {
            Some(_) => !self.children.insert(hash(id)),
            None => false,
        };
        let fans_out = self.fans_out;
        let job = self.job(parent.map_or(id, |(parent, _)| parent));
        job.outputs = job.outputs.saturating_add(1);
        job.output_twice |= twice || (!fans_out && job.outputs > 1);
    }

    fn letter(&mut self, record: &Record) {
        if let Some(kept) = self.horizon(record) {
            self.sight.letters_from = self.sight.letters_from.max(Some(kept));
        }
        let Ok((letter, _)) = DeadLetter::read(record) else { return };
        let ours = letter.pipeline == self.topics.pipeline && letter.stage == self.topics.stage;
        if !ours {
            return;
        }
        let twice = !self.children.insert(hash(&letter.id));
        let job = self.job(&letter.correlation.job.0);
        job.letter_twice |= twice;
        job.died = job.died.max(Some(letter.redrives));
    }

    fn copy(&mut self, record: &Record) {
        let lane = self.topics.lane(&record.at.topic);
        let envelope = trail::open(record, true);
        let (open, redrives) = (!has_ended(&self.first, record), envelope.trail.redrives);
        let id = envelope.correlation.job.0;
        let job = self.job(&id);
        job.redrives = job.redrives.max(redrives);
        if !open {
            return;
        }
        job.open = Some(lane);
        // People may send a record back twice; the ledger sees to it that it runs once.
        if lane != Lane::Redrive {
            let (partition, offset) = (record.topic_partition(), record.at.offset);
            self.copies.push(Copy { partition, offset, job: id.into(), redrives });
        }
    }

    /// The group's positions after everything in Kafka was read: what is open then has left no traces.
    pub fn end(&mut self, positions: Positions) {
        let (last, _) = marks(positions);
        for copy in std::mem::take(&mut self.copies) {
            let ended = last.get(&copy.partition).is_some_and(|committed| committed.has_ended(copy.offset));
            if let Some(job) = self.jobs.get_mut(&copy.job).filter(|_| !ended) {
                job.copies += 1;
                job.copy_redrives =
                    Some(job.copy_redrives.map_or(copy.redrives, |least| least.min(copy.redrives)));
            }
        }
        self.close();
    }

    /// What the ledger has. Of a job that Kafka shows nothing of, only that it is not over.
    pub fn note(&mut self, row: &JobRow) {
        if row.state.is_over() && !self.jobs.contains_key(row.job.as_str()) {
            return;
        }
        let job = self.job(&row.job);
        job.redrives = job.redrives.max(row.redrives);
        job.ledger = Some(row.state);
    }

    fn job(&mut self, id: &str) -> &mut Job {
        self.jobs.entry(id.into()).or_default()
    }

    /// The time of the first record that is kept of a partition from which Kafka has deleted others.
    fn horizon(&mut self, record: &Record) -> Option<i64> {
        let first = !self.cut.is_empty() && self.cut.remove(&record.topic_partition());
        first.then(|| record.at.timestamp.unwrap_or(i64::MAX))
    }

    /// Of a partition from which all was deleted nobody knows how late that was.
    fn close(&mut self) {
        for name in std::mem::take(&mut self.cut) {
            if self.topics.next.as_deref() == Some(&*name.topic) {
                self.sight.outputs_from = Some(i64::MAX);
            } else {
                self.sight.letters_from = Some(i64::MAX);
            }
        }
    }
}

/// Whether a stage of this kind may end a job without sending anything on. Written out, so that a new kind has to say.
fn may_send_nothing(kind: &Kind) -> bool {
    match kind {
        Kind::Validate(_)
        | Kind::Parse(_)
        | Kind::Chunk(_)
        | Kind::Embed(_)
        | Kind::Index(_)
        | Kind::Retrieve(_)
        | Kind::Generate(_)
        | Kind::Ground(_) => false,
        Kind::Own(_) => true,
    }
}

fn marks(positions: Positions) -> (Marks, u64) {
    let mut damaged = 0;
    let read = |(name, (offset, metadata)): (TopicPartition, (i64, String))| {
        let committed = Committed::parse(offset, &metadata).unwrap_or_else(|_| {
            damaged += 1;
            Committed::bare(offset)
        });
        (name, committed)
    };
    let marks = positions.into_iter().map(read).collect();
    (marks, damaged)
}

fn has_ended(marks: &Marks, record: &Record) -> bool {
    marks.get(&record.topic_partition()).is_some_and(|committed| committed.has_ended(record.at.offset))
}

fn hash(id: &str) -> u128 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes().iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
}

#[cfg(test)]
mod tests;
