//! Sends dead letters back to the stage where they died, to be run again or to be given up for good. It writes to the
//! stage's redrive topic; what becomes of the record there is the stage's doing.
//!
//! That they are sent, and the act that says so, are one Kafka transaction: neither is there without the other, whatever
//! dies in between.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::config::Config;
use crate::flow::Topology;
use crate::flow::topology::StageTopics;
use crate::kafka::client::ClusterInfo;
use crate::kafka::{KafkaProblem, Piece, TransactError, Writer};
use crate::message::deadletter::DeadLetter;
use crate::message::{OutRecord, Record, TopicPartition, Trail, trail};
use crate::ops::archive::VaultError;
use crate::ops::archive::find::{FindError, Finder};
use crate::ops::quarantine::act_record;
use crate::quarantine::{Act, Deed, Entry, Parcel};

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
    topology: Topology,
    partitions: BTreeMap<String, usize>,
    operation: String,
    finder: Finder,
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
        Ok(Self { topology, partitions: cluster.topics, operation: operation.to_owned(), finder, writer })
    }

    /// Sends these together, at most [`LETTERS_MAX`]; all that are still there, or none.
    pub async fn send(&mut self, letters: Vec<Outgoing>, order: &Order) -> Result<Sent, SendError> {
        let wanted = letters.iter().map(|one| (&one.letter, one.archived.as_deref()));
        let mut found = self.finder.find(wanted).await?;
        let (mut done, mut pieces, mut ids) = (Sent::default(), Vec::new(), Vec::new());
        for one in letters {
            let record =
                found.remove(&one.letter.id).and_then(|record| record_of(&one, &record, order, self));
            match record {
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
        match self.writer.write(pieces).await {
            Ok(()) => Ok(done),
            Err(TransactError::Record { tag: ACT, error }) => Err(SendError::Unnoted(error.to_string())),
            Err(TransactError::Record { tag, error }) => {
                let id = usize::try_from(tag).ok().and_then(|n| ids.get(n)).cloned().unwrap_or_default();
                Err(SendError::Letter { id, cause: error.to_string() })
            }
            Err(TransactError::Again { cause } | TransactError::Stale { cause }) => {
                Err(SendError::Again(cause))
            }
            Err(TransactError::Fenced { cause }) => Err(SendError::TakenOver(cause)),
        }
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
            TransactError::Again { cause } | TransactError::Stale { cause } => SendError::Again(cause),
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

/// `None` when it is another record: the topic was deleted and made anew.
fn record_of(one: &Outgoing, record: &Record, order: &Order, sender: &Sender) -> Option<OutRecord> {
    let (dead, original) = DeadLetter::read(record).ok().filter(|(dead, _)| dead.id == one.letter.id)?;
    let stage = sender.topology.stage(&dead.pipeline, &dead.stage)?;
    let partitions = sender.partitions.get(&stage.redrive).copied().unwrap_or(1);
    let record = Record { headers: original, ..record.clone() };
    Some(back(&dead, record, stage, partitions, one.redrives, order))
}

/// The original record with a control block, on the partition that belongs to its input partition. Pure.
pub fn back(
    dead: &DeadLetter,
    original: Record,
    stage: &StageTopics,
    partitions: usize,
    redrives: u32,
    order: &Order,
) -> OutRecord {
    let discard = match order.what {
        What::Redrive => None,
        What::Discard => Some((order.by.clone(), order.reason.clone().unwrap_or_default())),
    };
    let trail = Trail { redrives, discard, ..Trail::fresh(&dead.origin) };
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
