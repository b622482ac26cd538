//! Letters out of the archive, byte for byte: back to their dead letter topic, to another topic, or into a file.
//!
//! In Kafka they have a new timestamp: by the one that they had, Kafka would delete them again at once. The index goes on with
//! one row for each, which says where the copy stands.

mod write;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::ArchiveError;
use crate::config::Config;
use crate::flow::Topology;
use crate::message::trail::is_id;
use crate::ops::advice::Advice;
use crate::ops::quarantine::Sources;
use crate::ops::quarantine::selection::{Target, letters};
use crate::quarantine::{Kept, Known, Parcel, Quarantine, Writer};

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
}

/// The object of this name, or of the only one that begins so, and the ids of its letters.
pub async fn object(index: &dyn Quarantine, name: &str) -> Result<(Parcel, Vec<String>), ArchiveError> {
    if let Some(found) = index.parcel(name).await? {
        return Ok(found);
    }
    let message = format!("there is no object '{}' in the archive", crate::flow::fault::one_line(name, 200));
    Err(ArchiveError::NotFound(Advice::new(message, "`lazaret archive ls` lists them")))
}
