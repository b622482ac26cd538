//! Records of dead letters: from where they stand in Kafka, or, where Kafka has them no longer, from the archive.

use std::collections::HashMap;

use super::vault::{Vault, VaultError};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::kafka::pick::Picker;
use crate::message::Record;
use crate::quarantine::{Entry, Owner, Parcel};

/// It is not known what a record had.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    /// The archive has this one, and it cannot be read or must not be used.
    #[error("dead letter {id} cannot be read: {error}")]
    Vault { id: String, error: VaultError },
}

/// Holds one connection for as many questions as there are.
pub struct Finder {
    picker: Picker,
    config: Config,
    /// Opened when something is not in Kafka any more.
    vault: Option<Vault>,
}

impl Finder {
    /// Connects to nothing yet.
    pub fn new(config: &Config, verb: &str) -> Self {
        let picker = Picker::new(&config.kafka, verb, Topology::derive(config).message_max());
        Self { picker, config: config.clone(), vault: None }
    }

    /// The records of these letters by their ids, each with its copy in the archive, if it has one. What neither has is not
    /// among them. All are held in memory: whoever asks knows how large they are.
    pub async fn find<'a>(
        &mut self,
        letters: impl IntoIterator<Item = (&'a Entry, Option<&'a Parcel>)>,
    ) -> Result<HashMap<String, Record>, FindError> {
        let mut letters: Vec<_> = letters.into_iter().collect();
        // The vault remembers the object that it read last.
        letters.sort_by_key(|(_, parcel)| parcel.map(|parcel| parcel.object.as_str()));
        let mut picked = self.picker.pick(letters.iter().map(|(entry, _)| entry.place())).await?;
        let mut found = HashMap::with_capacity(letters.len());
        for (entry, parcel) in letters {
            let record = match picked.remove(&entry.place()).filter(|record| is_that_of(entry, record)) {
                Some(record) => Some(record),
                None => self.archived(entry, parcel).await?,
            };
            found.extend(record.map(|record| (entry.id.clone(), record)));
        }
        Ok(found)
    }

    async fn archived(
        &mut self,
        entry: &Entry,
        parcel: Option<&Parcel>,
    ) -> Result<Option<Record>, FindError> {
        let Some(parcel) = parcel else { return Ok(None) };
        let failed = |error: VaultError| FindError::Vault { id: entry.id.clone(), error };
        if self.vault.is_none() {
            self.vault = Vault::open(&self.config).map_err(failed)?;
        }
        let Some(vault) = &mut self.vault else { return Ok(None) };
        let letters = vault.read(parcel).await.map_err(failed)?;
        Ok(letters.get(&entry.id).cloned())
    }
}

/// In a topic that was deleted and made anew something else may stand there.
pub(super) fn is_that_of(entry: &Entry, record: &Record) -> bool {
    let owner = Owner { pipeline: entry.pipeline.clone(), stage: entry.stage.clone() };
    Entry::read(record, &owner).id == entry.id
}
