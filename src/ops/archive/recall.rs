//! Letters out of the archive, byte for byte: back to their dead letter topic, to another topic, or into a file.
//!
//! In Kafka they have a new timestamp: by the one that they had, Kafka would delete them again at once. The index goes on with
//! one row for each, which says where the copy stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

use super::{ArchiveError, Vault};
use crate::archive::{Letter, pack};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::client::{ClusterInfo, reach};
use crate::kafka::{Piece, ProduceError, Producer, TransactError, Writer as Transaction};
use crate::message::trail::is_id;
use crate::message::{OutRecord, Record};
use crate::ops::advice::Advice;
use crate::ops::quarantine::change::{ensure_there, operations_topic};
use crate::ops::quarantine::content::portions;
use crate::ops::quarantine::selection::{Target, letters};
use crate::ops::quarantine::{Acts, Sources, act_record};
use crate::quarantine::{Act, Deed, Kept, Known, Parcel, Quarantine, Writer};

/// Most letters of one transaction.
const TOGETHER: usize = 500;
/// Letters that are asked for together.
const PAGE: usize = 1000;
/// Largest file, bytes of records.
const FILE_MAX: u64 = 256 << 20;

/// Where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Their own dead letter topic.
    Own,
    Topic(String),
    File(PathBuf),
}

/// What is to be done, in whose name and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    pub to: To,
    pub by: String,
    pub reason: Option<String>,
}

/// What would be done.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Prepared {
    /// Their ids.
    pub letters: Vec<String>,
    /// Letters that were meant and still stand on their topic; nothing is done with them.
    pub still_there: u64,
    /// The same of those that are not in the archive.
    pub not_archived: u64,
    /// Bytes of their records.
    pub bytes: u64,
    #[serde(skip)]
    chosen: Vec<Known>,
    #[serde(skip)]
    recall: Recall,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Recalled {
    /// What the audit finds it by.
    pub operation: String,
    pub letters: u64,
    pub to: String,
}

impl Recall {
    /// Finds out what would be done. No more than `max` letters are touched.
    pub async fn prepare(
        self,
        config: &Config,
        index: &dyn Quarantine,
        target: &Target,
        max: usize,
    ) -> Result<Prepared, ArchiveError> {
        self.check(config)?;
        let ids = letters(index, target, max, |_| {}).await?.ids;
        let mut prepared = Prepared {
            letters: Vec::new(),
            still_there: 0,
            not_archived: 0,
            bytes: 0,
            chosen: Vec::new(),
            recall: self,
        };
        for ids in ids.chunks(PAGE) {
            let known = index.get(ids).await?.into_iter();
            let mut known: BTreeMap<String, Known> =
                known.map(|known| (known.entry.id.clone(), known)).collect();
            for known in ids.iter().filter_map(|id| known.remove(id)) {
                prepared.take(known)?;
            }
        }
        if prepared.letters.is_empty() {
            let Prepared { still_there, not_archived, .. } = prepared;
            let message = format!(
                "there is nothing to restore: {still_there} dead letters still stand on their topic, and \
                 {not_archived} are not in the archive"
            );
            let hint = "`lazaret archive ls` shows what is there; --to FILE also writes what Kafka still has";
            return Err(ArchiveError::NotFound(Advice::new(message, hint)));
        }
        if matches!(prepared.recall.to, To::File(_)) && prepared.bytes > FILE_MAX {
            let message = format!("they have {} bytes, and a file may have {FILE_MAX}", prepared.bytes);
            return Err(ArchiveError::Refused(Advice::new(message, "narrow it down")));
        }
        Ok(prepared)
    }

    fn check(&self, config: &Config) -> Result<(), ArchiveError> {
        let wrong = |message: String, hint: &str| Err(ArchiveError::Wrong(Advice::new(message, hint)));
        if !is_id(&self.by) {
            return wrong("nobody is named who does it".into(), "name somebody with --by");
        }
        match &self.reason {
            None => return wrong("no reason is given".into(), "say why with --reason"),
            Some(reason) if !is_id(reason) => {
                let hint = "write at most 512 bytes, without line breaks or control characters";
                return wrong("the reason cannot be kept".into(), hint);
            }
            Some(_) => {}
        }
        if let To::Topic(topic) = &self.to
            && (Sources::of(config).names().any(|name| name == topic) || is_of_flow(config, topic))
        {
            let message = format!(
                "'{topic}' is read by Lazaret: what is written there would be taken for something else"
            );
            return wrong(message, "name a topic of your own, or leave --to-topic out for where they stood");
        }
        Ok(())
    }
}

/// A stage or a producer uses the topic.
fn is_of_flow(config: &Config, topic: &str) -> bool {
    Topology::derive(config).topics.iter().any(|plan| plan.name == topic)
}

impl Prepared {
    fn take(&mut self, known: Known) -> Result<(), ArchiveError> {
        if known.archived.is_none() {
            self.not_archived += 1;
            return Ok(());
        }
        if self.recall.to == To::Own {
            if known.kept != Kept::Archive {
                self.still_there += 1;
                return Ok(());
            }
            if known.entry.writer != Writer::Lazaret {
                let message = format!(
                    "dead letter {} was written by somebody else, and is known by where it stood: written again, it \
                     would be another one",
                    known.entry.id
                );
                let hint = "write it into a file with --to, or to another topic with --to-topic";
                return Err(ArchiveError::Refused(Advice::new(message, hint)));
            }
        }
        self.bytes += known.entry.size;
        self.letters.push(known.entry.id.clone());
        self.chosen.push(known);
        Ok(())
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.letters.len()
    }

    /// The first of them, to be shown.
    pub fn first(&self) -> impl Iterator<Item = &Known> {
        self.chosen.iter().take(20)
    }

    /// Writes them there. That it is done is written down before, or, where it is written to Kafka, in the same transaction.
    pub async fn carry_out(self, config: &Config, vault: &mut Vault) -> Result<Recalled, ArchiveError> {
        let Self { chosen, recall: Recall { to, by, reason }, .. } = self;
        let (operation, topic) = (Uuid::now_v7().to_string(), operations_topic(config).await?);
        let name = match &to {
            To::Own => "their dead letter topic".to_owned(),
            To::Topic(topic) => topic.clone(),
            To::File(file) => file.display().to_string(),
        };
        let deed = Deed::Recalled { to: crate::flow::fault::one_line(&name, 512) };
        let letters = chosen.len() as u64;
        match &to {
            To::File(file) => {
                let producer = Producer::new(&config.kafka, &Topology::derive(config), "archive")?;
                let ids: Vec<String> = chosen.iter().map(|known| known.entry.id.clone()).collect();
                let acts = Acts::of(operation.clone(), &producer, &topic, &by, reason.as_deref());
                acts.note(&ids, &deed).await?;
                let letters = records(vault, chosen).await?;
                write(file, &letters).await?;
            }
            To::Own | To::Topic(_) => {
                let cluster = reach(&config.kafka, "archive").await?;
                let other = if let To::Topic(topic) = &to { Some(topic.as_str()) } else { None };
                if let Some(other) = other {
                    ensure_topic(other, &cluster)?;
                }
                ensure_there(&topic, &cluster).map_err(ArchiveError::Refused)?;
                let topology = Topology::derive(config);
                let id = format!("{}recall.{operation}", config.kafka.group_prefix);
                let transaction = Transaction::open(&config.kafka, &topology, &id).await?;
                for portion in portions(chosen, TOGETHER, |known| known.entry.size) {
                    let act = Act {
                        id: Uuid::now_v7().to_string(),
                        operation: operation.clone(),
                        at: Timestamp::now(),
                        by: by.clone(),
                        reason: reason.clone(),
                        letters: portion.iter().map(|known| known.entry.id.clone()).collect(),
                        group: None,
                        deed: deed.clone(),
                    };
                    let letters = records(vault, portion).await?;
                    let records = letters.into_iter().map(|letter| back(letter.record, other, &cluster));
                    let records: Vec<OutRecord> =
                        std::iter::once(act_record(&topic, &act)).chain(records).collect();
                    let piece = Piece { tag: 0, records: Arc::from(records) };
                    transaction.write(vec![piece]).await.map_err(|error| unwritten(error, &topic))?;
                }
            }
        }
        Ok(Recalled { operation, letters, to: name })
    }
}

fn ensure_topic(topic: &str, cluster: &ClusterInfo) -> Result<(), ArchiveError> {
    if cluster.topics.contains_key(topic) {
        return Ok(());
    }
    let message = format!("there is no topic '{topic}'");
    Err(ArchiveError::Refused(Advice::new(message, "make it, with retention for what is written there")))
}

fn unwritten(error: TransactError, topic: &str) -> ArchiveError {
    match error {
        TransactError::Record { error, .. } => ArchiveError::Unnoted(error),
        other => {
            ArchiveError::Unnoted(ProduceError::Other { topic: topic.to_owned(), cause: other.to_string() })
        }
    }
}

/// The record as it was, on the partition where it stood if there are still as many.
fn back(record: Record, other: Option<&str>, cluster: &ClusterInfo) -> OutRecord {
    let topic = other.map_or(record.at.topic, Into::into);
    let partitions = cluster.topics.get(&*topic).copied().unwrap_or(1).max(1);
    let partition = record.at.partition.rem_euclid(i32::try_from(partitions).unwrap_or(i32::MAX));
    OutRecord {
        topic,
        partition: Some(partition),
        key: record.key,
        value: record.value,
        headers: record.headers,
        timestamp: None,
    }
}

/// Letters in this order, out of the archive.
async fn records(vault: &mut Vault, letters: Vec<Known>) -> Result<Vec<Letter>, ArchiveError> {
    let mut found = Vec::with_capacity(letters.len());
    for known in letters {
        let Some(parcel) = known.archived else { continue };
        let record = vault.read(&parcel).await?.get(&known.entry.id).cloned();
        let why = || format!("dead letter {} does not stand in it", known.entry.id);
        let damaged = || super::VaultError::Damaged { object: parcel.object.clone(), why: why() };
        found.push(Letter { record: record.ok_or_else(damaged)?, id: known.entry.id.clone() });
    }
    Ok(found)
}

/// As the archive keeps them: an Avro object container file.
async fn write(file: &Path, letters: &[Letter]) -> Result<(), ArchiveError> {
    let bytes = pack(letters).map_err(super::VaultError::from)?;
    let failed = |error: std::io::Error| ArchiveError::File {
        file: file.display().to_string(),
        cause: error.to_string(),
    };
    tokio::fs::write(file, bytes).await.map_err(failed)
}

/// The object of this name, or of the only one that begins so, and the ids of its letters.
pub async fn object(index: &dyn Quarantine, name: &str) -> Result<(Parcel, Vec<String>), ArchiveError> {
    if let Some(found) = index.parcel(name).await? {
        return Ok(found);
    }
    let message = format!("there is no object '{}' in the archive", crate::flow::fault::one_line(name, 200));
    Err(ArchiveError::NotFound(Advice::new(message, "`lazaret archive ls` lists them")))
}
