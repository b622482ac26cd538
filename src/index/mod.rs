//! What is known: passages that can be searched by words and by meaning, per tenant.

mod fuse;
mod open;
mod page;
pub mod postgres;
mod signs;
pub mod sqlite;
mod tokens;

#[cfg(test)]
mod contract;

pub use open::open;

use async_trait::async_trait;

use crate::failure::Failure;
use crate::message::payload::{Evidence, Passages};

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// Kept; other parts of this version are still missing.
    Partial,
    /// Kept, and with it the version is complete: it is served now, and every older version is gone.
    Complete,
    /// A newer version is already served: not kept.
    Superseded,
}

/// A search within one tenant.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    pub tenant: &'a str,
    pub text: &'a str,
    /// Unit-length vector of the same model as the passages.
    pub embedding: &'a [f32],
    /// Most passages to return.
    pub limit: usize,
}

/// How much is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    pub documents: u64,
    pub passages: u64,
}

/// The index cannot be read or written: always systemic (`index.unavailable`).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct IndexError(pub String);

impl From<Failure> for IndexError {
    fn from(failure: Failure) -> Self {
        IndexError(failure.0)
    }
}

/// The search index. Every method is safe to repeat.
#[async_trait]
pub trait Index: Send + Sync {
    /// Adds one part of a document version. Idempotent by (tenant, document, version, part).
    async fn put(&self, part: &Passages) -> Result<Put, IndexError>;

    /// Hybrid search, best first. Sees complete versions only and never another tenant's.
    async fn search(&self, query: Query<'_>) -> Result<Vec<Evidence>, IndexError>;

    async fn stats(&self) -> Result<Stats, IndexError>;
}
