//! Writes letters where they were asked for.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::{Prepared, Recall, Recalled, TOGETHER, To};
use crate::archive::{Letter, pack};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::client::{ClusterInfo, reach};
use crate::kafka::{Piece, ProduceError, Producer, TransactError, Writer as Transaction};
use crate::message::{OutRecord, Record};
use crate::ops::advice::Advice;
use crate::ops::archive::{ArchiveError, Vault, VaultError};
use crate::ops::quarantine::change::{ensure_there, operations_topic};
use crate::ops::quarantine::content::portions;
use crate::ops::quarantine::{Acts, act_record};
use crate::quarantine::{Act, Deed, Known};

impl Prepared {
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
                let opened = open(file).await?;
                let written = async {
                    acts.note(&ids, &deed).await?;
                    let letters = records(vault, chosen).await?;
                    write(file, opened, &letters).await
                };
                let written = written.await;
                if written.is_err() {
                    // Half of it would stand in the way of the next.
                    let _ = tokio::fs::remove_file(file).await;
                }
                written?;
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
        let damaged = || VaultError::Damaged { object: parcel.object.clone(), why: why() };
        found.push(Letter { record: record.ok_or_else(damaged)?, id: known.entry.id.clone() });
    }
    Ok(found)
}

/// A file that nobody else can read, and that was not there before.
async fn open(file: &Path) -> Result<File, ArchiveError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).await;
    opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let message = format!("'{}' is there already, and is not written over", file.display());
            ArchiveError::Refused(Advice::new(message, "name another file, or remove it"))
        }
        _ => failed(file, &error),
    })
}

/// As the archive keeps them: an Avro object container file.
async fn write(file: &Path, mut opened: File, letters: &[Letter]) -> Result<(), ArchiveError> {
    let bytes = pack(letters).map_err(VaultError::from)?;
    let written = async {
        opened.write_all(&bytes).await?;
        opened.sync_all().await
    };
    written.await.map_err(|error| failed(file, &error))
}

fn failed(file: &Path, error: &std::io::Error) -> ArchiveError {
    ArchiveError::File { file: file.display().to_string(), cause: error.to_string() }
}
