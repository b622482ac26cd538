//! Objects of the archive, each with its manifest beside it, read with their hashes checked.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::archive::{ContainerError, Letter, Store, StoreError, pack, sha256, unpack};
use crate::config::Config;
use crate::message::Record;
use crate::quarantine::{Entry, Parcel};

/// What a manifest is called after its object.
const MANIFEST: &str = ".json";
/// Largest manifest, bytes.
const MANIFEST_MAX: u64 = 64 << 10;

/// The archive cannot be used, or is not what it was.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What stands there must not be used.
    #[error("the object '{object}' of the archive is not what was archived: {why}")]
    Damaged { object: String, why: String },
    #[error("dead letters cannot be packed: {0}")]
    Unpacked(#[from] ContainerError),
}

/// See the module.
pub struct Vault {
    store: Store,
    /// The object that was read last: letters that are asked for together mostly stand together.
    last: Option<(Parcel, Arc<HashMap<String, Record>>)>,
}

impl Vault {
    /// `None` when the configuration has no archive.
    pub fn open(config: &Config) -> Result<Option<Self>, VaultError> {
        let Some(archive) = &config.quarantine.archive else { return Ok(None) };
        Ok(Some(Self { store: Store::open(archive)?, last: None }))
    }

    /// Where it is.
    pub fn place(&self) -> &str {
        self.store.place()
    }

    /// Writes letters of one partition, at least one, in the order of their offsets, and what the object is, beside it.
    pub async fn put(&self, letters: Vec<(Entry, Record)>) -> Result<Option<Parcel>, VaultError> {
        let (Some((first, _)), Some((last, _))) = (letters.first(), letters.last()) else { return Ok(None) };
        let (first, last_offset) = (first.clone(), last.at.offset);
        let deaths = || letters.iter().map(|(entry, _)| entry.last_failure);
        let (from, to) = (deaths().min().unwrap_or_default(), deaths().max().unwrap_or_default());
        let packed: Vec<Letter> =
            letters.into_iter().map(|(entry, record)| Letter { id: entry.id, record }).collect();
        let bytes = Bytes::from(pack(&packed)?);
        let sha256 = sha256(&bytes);
        let Entry { at, pipeline, stage, .. } = first;
        let short = sha256.get(..16).unwrap_or_default();
        let parcel = Parcel {
            object: format!("{}/{}/{:020}-{short}.avro", at.topic, at.partition, at.offset),
            bytes: bytes.len() as u64,
            letters: packed.len() as u64,
            pipeline,
            stage,
            topic: at.topic.to_string(),
            partition: at.partition,
            first_offset: at.offset,
            last_offset,
            from,
            to,
            sha256,
        };
        self.store.put(&parcel.object, bytes).await?;
        // Plain data: it is always JSON.
        let manifest = serde_json::to_vec_pretty(&parcel).unwrap_or_default();
        self.store.put(&manifest_of(&parcel.object), manifest.into()).await?;
        Ok(Some(parcel))
    }

    /// The letters of an object by their ids, if it is what was archived.
    pub async fn read(&mut self, parcel: &Parcel) -> Result<Arc<HashMap<String, Record>>, VaultError> {
        if let Some((last, letters)) = &self.last
            && last == parcel
        {
            return Ok(letters.clone());
        }
        let letters = self.letters(parcel).await?.into_iter();
        let letters: HashMap<String, Record> = letters.map(|letter| (letter.id, letter.record)).collect();
        let letters = Arc::new(letters);
        self.last = Some((parcel.clone(), letters.clone()));
        Ok(letters)
    }

    /// The same in their order.
    pub async fn letters(&self, parcel: &Parcel) -> Result<Vec<Letter>, VaultError> {
        let damaged = |why: String| VaultError::Damaged { object: parcel.object.clone(), why };
        let Some(bytes) = self.store.get(&parcel.object, parcel.bytes.saturating_add(1)).await? else {
            return Err(damaged("it is not there".into()));
        };
        let found = sha256(&bytes);
        if found != parcel.sha256 {
            return Err(damaged(format!("its SHA-256 is {found}, not {}", parcel.sha256)));
        }
        // Inflating and reading keeps a processor busy.
        let read = tokio::task::spawn_blocking(move || unpack(&bytes)).await;
        match read {
            Ok(Ok(letters)) => Ok(letters),
            Ok(Err(error)) => Err(damaged(error.to_string())),
            Err(error) => Err(damaged(error.to_string())),
        }
    }

    /// What its manifest says that an object is; `None` when there is none that can be read.
    pub async fn manifest(&self, object: &str) -> Result<Option<Parcel>, VaultError> {
        let text = self.store.get(&manifest_of(object), MANIFEST_MAX).await?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Deletes an object and its manifest.
    pub async fn delete(&self, object: &str) -> Result<(), VaultError> {
        self.store.delete(object).await?;
        Ok(self.store.delete(&manifest_of(object)).await?)
    }

    /// The names of all objects, without their manifests.
    pub async fn objects(&self) -> Result<Vec<String>, VaultError> {
        let names = self.store.list().await?;
        Ok(names.into_iter().filter(|name| name.ends_with(".avro")).collect())
    }
}

fn manifest_of(object: &str) -> String {
    format!("{object}{MANIFEST}")
}
