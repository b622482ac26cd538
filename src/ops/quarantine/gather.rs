//! Records of the topics that are followed, as batches for the index.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{BATCH_BYTES, BATCH_RECORDS, FollowError};
use crate::config::Config;
use crate::flow::Topology;
use crate::message::{Record, Topic, TopicPartition};
use crate::ops::archive::refill::{objects, refill};
use crate::quarantine::{Act, Batch, Entry, Mask, Owner, Quarantine};
use crate::telemetry::metrics;

/// Longest text of an act that is read: the ids of a thousand letters have room.
const ACT_MAX: usize = 512 << 10;

/// The topics that are followed, and what is hidden of what they hold.
#[derive(Clone, Debug)]
pub struct Sources {
    letters: BTreeMap<Topic, Owner>,
    operations: Option<Topic>,
    mask: Mask,
}

impl Sources {
    /// The dead letter topics of all stages, those of others that the configuration names, and that of operations.
    pub fn of(config: &Config) -> Self {
        let others = config.quarantine.topics.iter().map(|topic| (topic.as_str().into(), Owner::default()));
        let Topology { stages, operations, .. } = Topology::derive(config);
        let ours = stages
            .into_iter()
            .map(|stage| (stage.dlq.as_str().into(), Owner { pipeline: stage.pipeline, stage: stage.stage }));
        let operations = operations.as_deref().map(Topic::from);
        Self { letters: others.chain(ours).collect(), operations, mask: Mask::of(&config.quarantine.masking) }
    }

    /// The dead letters of this stage, and the topic of operations.
    pub fn only(mut self, pipeline: &str, stage: &str) -> Self {
        self.letters.retain(|_, owner| owner.pipeline == pipeline && owner.stage == stage);
        self
    }

    /// By these masking rules something of it is hidden.
    pub fn rules(&self) -> String {
        self.mask.name()
    }

    /// What is known of a record of a dead letter topic, which need not be one of those that are followed.
    pub fn entry(&self, record: &Record) -> Entry {
        let nobody = Owner::default();
        let mut entry = Entry::read(record, self.letters.get(&record.at.topic).unwrap_or(&nobody));
        self.mask.entry(&mut entry);
        entry
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.letters.keys().chain(&self.operations).map(|topic| &**topic)
    }
}

/// A batch that is being filled.
#[derive(Debug)]
pub struct Gathering {
    sources: Sources,
    batch: Batch,
    records: usize,
    bytes: usize,
}

impl Gathering {
    pub fn new(sources: Sources) -> Self {
        Self { sources, batch: Batch::default(), records: 0, bytes: 0 }
    }

    pub fn put(&mut self, record: &Record) {
        if self.sources.operations.as_ref() == Some(&record.at.topic) {
            if let Some(act) = act(record) {
                self.batch.acts.push((record.at.offset, act));
            }
        } else if self.sources.letters.contains_key(&record.at.topic) {
            self.batch.entries.push(self.sources.entry(record));
        }
        self.batch.positions.insert(record.topic_partition(), record.at.offset + 1);
        self.records += 1;
        self.bytes += record.size();
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub fn is_full(&self) -> bool {
        self.records >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    pub fn take(&mut self) -> Batch {
        (self.records, self.bytes) = (0, 0);
        Batch { rules: self.sources.rules(), ..std::mem::take(&mut self.batch) }
    }

    /// Puts the record in, and sends the batch on when it is full. Breaks off when nobody takes it.
    pub fn pass_on(&mut self, record: &Record, to: &mpsc::Sender<Batch>) -> ControlFlow<()> {
        self.put(record);
        if self.is_full() && to.blocking_send(self.take()).is_err() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// What cannot be read was written by somebody else, or by a later version: it changes nothing here.
pub fn act(record: &Record) -> Option<Act> {
    let text = record.value.as_deref().filter(|value| value.len() <= ACT_MAX)?;
    match serde_json::from_slice(text) {
        Ok(act) => Some(act),
        Err(error) => {
            tracing::warn!(record = %record.at, "this act on dead letters cannot be read and is passed over: {error}");
            None
        }
    }
}

/// What was applied but does not count as read yet.
#[derive(Debug, Default)]
pub struct Held {
    /// The objects of the archive that the acts name.
    pub objects: Vec<String>,
    /// How far the reading has come since the first of them was named.
    pub positions: BTreeMap<TopicPartition, i64>,
}

/// Applies batches as they come, until no more will. Once an object of the archive is named, nothing counts as read before what is
/// in it is known: whoever comes next would not look for it.
pub async fn apply(
    index: &Arc<dyn Quarantine>,
    mut batches: mpsc::Receiver<Batch>,
) -> Result<Held, FollowError> {
    let mut held = Held::default();
    while let Some(mut batch) = batches.recv().await {
        held.objects.extend(objects(&batch.acts));
        if !held.objects.is_empty() {
            held.positions.append(&mut batch.positions);
        }
        index.apply(batch).await?;
        metrics::dlq_index_applied(Timestamp::now());
    }
    Ok(held)
}

/// Takes in what only the archive has, and says that all that was held is read.
pub async fn release(config: &Config, index: &Arc<dyn Quarantine>, held: Held) -> Result<(), FollowError> {
    let Held { objects, positions } = held;
    refill(config, index, objects).await?;
    if !positions.is_empty() {
        let rules = Mask::of(&config.quarantine.masking).name();
        index.apply(Batch { positions, rules, ..Batch::default() }).await?;
    }
    Ok(())
}
