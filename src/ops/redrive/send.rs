//! Sends dead letters back to the stage where they died, to be run again or to be given up for good. It writes to the
//! stage's redrive topic; what becomes of the record there is the stage's doing.
//!
//! That they are sent, and the act that says so, are one Kafka transaction: neither is there without the other, whatever
//! dies in between.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::config::{Config, Kafka};
use crate::flow::Topology;
use crate::flow::topology::StageTopics;
use crate::kafka::client::ClusterInfo;
use crate::kafka::pick::{Picker, Place};
use crate::kafka::{KafkaProblem, Piece, TransactError, Writer};
use crate::message::deadletter::DeadLetter;
use crate::message::{OutRecord, Record, TopicPartition, Trail, trail};
use crate::ops::archive::VaultError;
use crate::ops::archive::find::{FindError, Finder};
use crate::ops::quarantine::{act_record, edits};
use crate::quarantine::{Act, Deed, Edition, Entry, Parcel, digest};

/// The tag of the act; letters are tagged by their number.
const ACT: u64 = u64::MAX;
/// Most letters of one transaction.
pub const LETTERS_MAX: usize = 500;

/// What the stage is to do with them, in whose name and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub what: What,
    /// A person, or `rule:<name>`.
    pub by: String,
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Run them again, from the first attempt.
    Redrive,
    /// Give them up for good.
    Discard,
}

/// A letter that is to be sent, and how often it will have been sent back then.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub letter: Entry,
    pub redrives: u32,
    /// Where it is read when Kafka has it no longer.
    pub archived: Option<Box<Parcel>>,
    /// As what it is run again, if that is another value or other headers.
    pub edit: Option<Edition>,
}

impl Outgoing {
    /// Bytes that are in memory to send it, about.
    pub fn size(&self) -> u64 {
        self.letter.size + self.edit.as_ref().map_or(0, |edit| 3 * edit.bytes)
    }
}

/// What became of letters that were to be sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Those that were sent, with the partition of the redrive topic.
    pub sent: Vec<(Outgoing, TopicPartition)>,
    /// Neither Kafka nor the archive has them.
    pub gone: Vec<Outgoing>,
}

/// Nothing of what was to be sent together was.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    /// This letter cannot be written.
    #[error("dead letter {id} cannot be sent back: {cause}")]
    Letter { id: String, cause: String },
    #[error("it cannot be written down what is to be done, and so nothing was: {0}")]
    Unnoted(String),
    /// It may be tried again.
    #[error("{0}")]
    Again(String),
    /// Another process does it in our place, or nobody can say what became of it before this is opened anew.
    #[error("another process has taken this over: {0}")]
    TakenOver(String),
}

impl From<FindError> for SendError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Kafka(problem) => Self::Kafka(problem),
            FindError::Vault { error: error @ VaultError::Store(_), .. } => Self::Again(error.to_string()),
            FindError::Vault { id, error } => Self::Letter { id, cause: error.to_string() },
        }
    }
}

/// Sends letters of any stages, in the name of one operation. Whoever opens the same operation later takes it over.
pub struct Sender {
    kafka: Kafka,
    topology: Topology,
    partitions: BTreeMap<String, usize>,
    operation: String,
    finder: Finder,
    /// Reads edits.
    picker: Picker,
    writer: Writer,
}

impl Sender {
    /// Takes the operation over: what another process of the same has under way is undone, and it sends nothing more.
    pub async fn open(config: &Config, cluster: ClusterInfo, operation: &str) -> Result<Self, KafkaProblem> {
        Self::open_as(config, cluster, operation, operation).await
    }

    /// The same in the name of one of several operations, of which one goes on at a time: whoever opens this name later takes
    /// over from all of them.
    pub async fn open_as(
        config: &Config,
        cluster: ClusterInfo,
        name: &str,
        operation: &str,
    ) -> Result<Self, KafkaProblem> {
        let topology = Topology::derive(config);
        let id = format!("{}redrive.{name}", config.kafka.group_prefix);
        let writer = Writer::open(&config.kafka, &topology, &id).await?;
        let finder = Finder::new(config, "redrive");
        let picker = Picker::new(&config.kafka, "redrive", topology.message_max());
        let (kafka, operation) = (config.kafka.clone(), operation.to_owned());
        Ok(Self { kafka, topology, partitions: cluster.topics, operation, finder, picker, writer })
    }

    /// Sends these together, at most [`LETTERS_MAX`]; all that are still there, or none. Those that are run again go as they
    /// were edited: `known` is how far the topic of operations was read by whoever says how ([`edits::known`]).
    pub async fn send(
        &mut self,
        mut letters: Vec<Outgoing>,
        order: &Order,
        known: i64,
    ) -> Result<Sent, SendError> {
        if order.what == What::Discard {
            letters.iter_mut().for_each(|one| one.edit = None);
        }
        let wanted = letters.iter().map(|one| (&one.letter, one.archived.as_deref()));
        let mut found = self.finder.find(wanted).await?;
        let edited = self.edited(&letters).await?;
        let (mut done, mut pieces, mut ids) = (Sent::default(), Vec::new(), Vec::new());
        for one in letters {
            match self.record_of(&one, found.remove(&one.letter.id), &edited, order)? {
                None => done.gone.push(one),
                Some(record) => {
                    let at = TopicPartition::new(record.topic.clone(), record.partition.unwrap_or_default());
                    pieces.push(Piece { tag: pieces.len() as u64, records: Arc::from([record]) });
                    ids.push(one.letter.id.clone());
                    done.sent.push((one, at));
                }
            }
        }
        if pieces.is_empty() {
            return Ok(done);
        }
        if let Some(topic) = &self.topology.operations {
            let deed = match order.what {
                What::Redrive => Deed::Redriven,
                What::Discard => Deed::Discarded,
            };
            let act = self.act(ids.clone(), deed, &order.by, order.reason.as_deref());
            pieces.insert(0, Piece { tag: ACT, records: Arc::from([act_record(topic, &act)]) });
        }
        match self.write(pieces, order, known, &ids).await {
            Ok(()) => Ok(done),
            Err(TransactError::Record { tag: ACT, error }) => Err(SendError::Unnoted(error.to_string())),
            Err(TransactError::Record { tag, error }) => {
                let id = usize::try_from(tag).ok().and_then(|n| ids.get(n)).cloned().unwrap_or_default();
                Err(SendError::Letter { id, cause: error.to_string() })
            }
            Err(
                TransactError::Again { cause }
                | TransactError::Stale { cause }
                | TransactError::Undone { cause },
            ) => Err(SendError::Again(cause)),
            Err(TransactError::Fenced { cause }) => Err(SendError::TakenOver(cause)),
        }
    }

    /// The acts that say as what letters go, by where they stand.
    async fn edited(&mut self, letters: &[Outgoing]) -> Result<HashMap<Place, Record>, SendError> {
        let Some(topic) = &self.topology.operations else { return Ok(HashMap::new()) };
        let edits = letters.iter().filter_map(|one| one.edit.as_ref());
        let places: Vec<Place> = edits.filter_map(|edit| edits::place(topic, edit)).collect();
        match places.is_empty() {
            true => Ok(HashMap::new()),
            false => Ok(self.picker.pick(places).await?),
        }
    }

    /// Writes letters and the act that stands before them, unless one of them was edited before that.
    async fn write(
        &self,
        pieces: Vec<Piece>,
        order: &Order,
        known: i64,
        ids: &[String],
    ) -> Result<(), TransactError> {
        match (&self.topology.operations, order.what) {
            (Some(topic), What::Redrive) => {
                let (kafka, message_max) = (self.kafka.clone(), self.topology.message_max());
                let ids = ids.iter().cloned().collect();
                let look = edits::none_since(kafka, topic.clone(), message_max, known, ids);
                self.writer.write_if(pieces, look).await
            }
            _ => self.writer.write(pieces).await,
        }
    }

    /// `None` when it is not there, or is another record: the topic was deleted and made anew.
    fn record_of(
        &self,
        one: &Outgoing,
        record: Option<Record>,
        edited: &HashMap<Place, Record>,
        order: &Order,
    ) -> Result<Option<OutRecord>, SendError> {
        let read = record.and_then(|record| Some((DeadLetter::read(&record).ok()?, record)));
        let read = read.filter(|((dead, _), _)| dead.id == one.letter.id);
        let Some(((dead, headers), record)) = read else { return Ok(None) };
        let Some(stage) = self.topology.stage(&dead.pipeline, &dead.stage) else { return Ok(None) };
        let mut record = Record { headers, ..record };
        if let Some(edit) = &one.edit {
            let place = self.topology.operations.as_deref().and_then(|topic| edits::place(topic, edit));
            let content = place.and_then(|place| edits::content(edited.get(&place)?, edit));
            let content = content.filter(|_| digest(record.value.as_ref(), &record.headers) == edit.was);
            let lost = || SendError::Letter {
                id: one.letter.id.clone(),
                cause: format!(
                    "what {} made of it is not on the topic of operations any more, or was made of another record",
                    edit.by
                ),
            };
            (record.value, record.headers) = content.ok_or_else(lost)?;
        }
        let partitions = self.partitions.get(&stage.redrive).copied().unwrap_or(1);
        let edit = one.edit.as_ref().map(|edit| edit.act.clone());
        Ok(Some(back(&dead, record, stage, partitions, one.redrives, edit, order)))
    }

    /// Writes an act of the operation down, if it is still ours.
    pub async fn note(
        &self,
        letters: Vec<String>,
        deed: Deed,
        by: &str,
        reason: Option<&str>,
    ) -> Result<(), SendError> {
        let Some(topic) = &self.topology.operations else { return Ok(()) };
        let act = self.act(letters, deed, by, reason);
        let piece = Piece { tag: ACT, records: Arc::from([act_record(topic, &act)]) };
        self.writer.write(vec![piece]).await.map_err(|error| match error {
            TransactError::Record { error, .. } => SendError::Unnoted(error.to_string()),
            TransactError::Again { cause }
            | TransactError::Stale { cause }
            | TransactError::Undone { cause } => SendError::Again(cause),
            TransactError::Fenced { cause } => SendError::TakenOver(cause),
        })
    }

    fn act(&self, letters: Vec<String>, deed: Deed, by: &str, reason: Option<&str>) -> Act {
        Act {
            id: Uuid::now_v7().to_string(),
            operation: self.operation.clone(),
            at: Timestamp::now(),
            by: by.to_owned(),
            reason: reason.map(str::to_owned),
            letters,
            group: None,
            deed,
        }
    }
}

/// The record with a control block, on the partition that belongs to its input partition. `edit` is the act that made it what it
/// is, if it is not the original one. Pure.
pub fn back(
    dead: &DeadLetter,
    original: Record,
    stage: &StageTopics,
    partitions: usize,
    redrives: u32,
    edit: Option<String>,
    order: &Order,
) -> OutRecord {
    let discard = match order.what {
        What::Redrive => None,
        What::Discard => Some((order.by.clone(), order.reason.clone().unwrap_or_default())),
    };
    let trail = Trail { redrives, edit, discard, span: dead.span, ..Trail::fresh(&dead.origin) };
    let partitions = i32::try_from(partitions.max(1)).unwrap_or(i32::MAX);
    OutRecord {
        topic: stage.redrive.clone().into(),
        partition: Some(dead.origin.partition.rem_euclid(partitions)),
        key: original.key,
        value: original.value,
        headers: trail::seal(&original.headers, &trail, &dead.correlation),
        timestamp: None,
    }
}

#[cfg(test)]
mod tests;
