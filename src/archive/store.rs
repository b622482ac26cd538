//! Objects by name, in a folder or an S3-compatible store. Bounded in size and time; never shows a secret.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, Error, ObjectStore, ObjectStoreExt as _, RetryConfig};
use secrecy::ExposeSecret as _;

use super::crypto::Hashes;
use crate::config::{Archive, S3, SecretError};

/// For one request to a store, and for making a connection.
const REQUEST: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(10);
/// A request that fails is tried again as often, and not for longer.
const RETRIES: usize = 4;
const RETRY: Duration = Duration::from_secs(60);
/// Most objects of one list.
const LIST_MAX: usize = 1_000_000;

/// The archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The configuration does not fit.
    #[error("the archive at {place} cannot be used: {cause}")]
    Settings { place: String, cause: String },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("cannot {what} in the archive at {place}: {cause}")]
    Failed { what: String, place: String, cause: String },
}

/// See the module.
pub struct Store {
    objects: Box<dyn ObjectStore>,
    /// What everything stands below, in the store.
    prefix: Path,
    place: String,
}

impl Store {
    /// Makes the folder where it is missing; a store is not asked yet.
    pub fn open(archive: &Archive) -> Result<Self, StoreError> {
        let place = archive.to.clone();
        let settings = |cause: String| StoreError::Settings { place: place.clone(), cause };
        if let Some(bucket) = archive.to.strip_prefix("s3://") {
            let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
            let prefix = Path::parse(prefix.trim_matches('/')).map_err(|e| settings(e.to_string()))?;
            let objects = s3(bucket, &archive.s3)?.build().map_err(|e| settings(plain(&e)))?;
            return Ok(Self { objects: Box::new(objects), prefix, place });
        }
        let folder = archive.to.strip_prefix("file://").unwrap_or(&archive.to);
        std::fs::create_dir_all(folder).map_err(|e| settings(e.to_string()))?;
        let objects = LocalFileSystem::new_with_prefix(folder).map_err(|e| settings(plain(&e)))?;
        let objects = objects.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self { objects: Box::new(objects), prefix: Path::default(), place })
    }

    /// Where it is, as the configuration says it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Writes an object, over one that is there. All of it is there afterwards, or nothing.
    pub async fn put(&self, object: &str, bytes: Bytes) -> Result<(), StoreError> {
        let at = self.at(object)?;
        let put = self.objects.put(&at, bytes.into()).await;
        put.map(|_| ()).map_err(|error| self.failed(format!("write '{object}'"), &error))
    }

    /// An object of at most so many bytes; `None` when there is none.
    pub async fn get(&self, object: &str, max: u64) -> Result<Option<Bytes>, StoreError> {
        let failed = |error: &Error| self.failed(format!("read '{object}'"), error);
        let got = match self.objects.get(&self.at(object)?).await {
            Ok(got) => got,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if got.meta.size > max {
            let cause = format!("it has {} bytes, and {max} are expected", got.meta.size);
            return Err(self.told(format!("read '{object}'"), cause));
        }
        got.bytes().await.map(Some).map_err(|error| failed(&error))
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, object: &str) -> Result<(), StoreError> {
        match self.objects.delete(&self.at(object)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(format!("delete '{object}'"), &error)),
        }
    }

    /// The names of all objects, in no order.
    pub async fn list(&self) -> Result<Vec<String>, StoreError> {
        let mut listed = self.objects.list(Some(&self.prefix));
        let mut names = Vec::new();
        let failed = |error: Error| self.failed("list the objects".into(), &error);
        while let Some(meta) = listed.try_next().await.map_err(failed)? {
            if names.len() == LIST_MAX {
                return Err(self.told("list the objects".into(), format!("there are more than {LIST_MAX}")));
            }
            let below = meta.location.prefix_match(&self.prefix).into_iter().flatten();
            names.push(below.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
        }
        Ok(names)
    }

    fn at(&self, object: &str) -> Result<Path, StoreError> {
        let below = Path::parse(object).map_err(|e| self.failed(format!("name '{object}'"), &e.into()))?;
        Ok(Path::from_iter(self.prefix.parts().chain(below.parts())))
    }

    fn failed(&self, what: String, error: &Error) -> StoreError {
        self.told(what, plain(error))
    }

    fn told(&self, what: String, cause: String) -> StoreError {
        StoreError::Failed { what, place: self.place.clone(), cause }
    }
}

fn s3(bucket: &str, s3: &S3) -> Result<AmazonS3Builder, StoreError> {
    let options = ClientOptions::new()
        .with_timeout(REQUEST)
        .with_connect_timeout(CONNECT)
        .with_allow_http(s3.allow_http);
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_client_options(options)
        .with_retry(retry)
        .with_crypto_provider(std::sync::Arc::new(Hashes))
        // One by one, which every store can do.
        .with_disable_bulk_delete(true)
        .with_bucket_name(bucket)
        .with_region(s3.region.as_deref().unwrap_or("us-east-1"));
    if let Some(endpoint) = &s3.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    if let Some(key) = &s3.access_key {
        builder = builder.with_access_key_id(key.read()?.expose_secret());
    }
    if let Some(key) = &s3.secret_key {
        builder = builder.with_secret_access_key(key.read()?.expose_secret());
    }
    Ok(builder)
}

/// The innermost cause, on one line: what a store answers is long, and begins with what was asked.
fn plain(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        told = inner.to_string();
        cause = inner.source();
    }
    crate::flow::fault::one_line(&told, 500)
}

#[cfg(test)]
mod tests;
