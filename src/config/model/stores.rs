//! Where ledger, index and quarantine are kept: a file of this machine, or a PostgreSQL database that machines share.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sweep::Sweep;
use super::{Archive, Links, Masking, Secret};
use crate::config::units::Span;

/// The job ledger.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// SQLite file; its folder is made when it is missing. Not with `postgres`.
    pub path: PathBuf,
    /// A database instead of the file, for instances on several machines.
    pub postgres: Option<Postgres>,
    /// Finished jobs older than this are forgotten; a redelivery after that would run again.
    pub retention: Span,
}

impl Store {
    const PATH: &str = "data/ledger.db";

    /// Somebody has named a file, and not the one that is used when none is named.
    pub fn names_file(&self) -> bool {
        self.path != Path::new(Self::PATH)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { path: Self::PATH.into(), postgres: None, retention: Span::secs(14 * 86_400) }
    }
}

/// The search index.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexStore {
    /// SQLite file; its folder is made when it is missing. Not with `postgres`.
    pub path: PathBuf,
    /// A database with the extension `vector` (pgvector) instead of the file, for instances on several machines.
    pub postgres: Option<Postgres>,
}

impl IndexStore {
    const PATH: &str = "data/index.db";

    /// As for the ledger.
    pub fn names_file(&self) -> bool {
        self.path != Path::new(Self::PATH)
    }
}

impl Default for IndexStore {
    fn default() -> Self {
        Self { path: Self::PATH.into(), postgres: None }
    }
}

/// The index of dead letters, which Kafka can fill again at any time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuarantineStore {
    /// SQLite file; its folder is made when it is missing. Not with `postgres`.
    pub path: PathBuf,
    /// A database instead of the file, for instances on several machines.
    pub postgres: Option<Postgres>,
    /// Dead letter topics of others that are indexed as well: Spring, Kafka Connect, Kafka Streams and the like.
    pub topics: Vec<String>,
    /// The topic where it stands what people and rules do with dead letters.
    pub operations: String,
    pub links: Links,
    /// What nobody is to see. When rules about error texts change, the index is filled anew.
    pub masking: Masking,
    /// What is done with dead letters by rule, from time to time.
    pub sweep: Sweep,
    /// Where dead letters are kept that Kafka is about to delete; nowhere when absent.
    pub archive: Option<Archive>,
    /// Redrives that another person has to approve before they are started; none when absent.
    pub four_eyes: Option<FourEyes>,
}

/// Which redrives another person than the one who plans them and the one who starts them has to approve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FourEyes {
    /// Those of more letters.
    pub letters: Option<u64>,
    /// Those with letters that were edited.
    pub edited: bool,
}

impl QuarantineStore {
    const PATH: &str = "data/quarantine.db";

    /// As for the ledger.
    pub fn names_file(&self) -> bool {
        self.path != Path::new(Self::PATH)
    }
}

impl Default for QuarantineStore {
    fn default() -> Self {
        let operations = "lazaret.operations".into();
        Self {
            path: Self::PATH.into(),
            postgres: None,
            topics: Vec::new(),
            operations,
            links: Links::default(),
            masking: Masking::default(),
            sweep: Sweep::default(),
            archive: None,
            four_eyes: None,
        }
    }
}

/// A PostgreSQL database, version 13 or newer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user:password@host:5432/database?sslmode=verify-full`. It holds a password, so it is named by
    /// environment variable or file. `sslmode` is what it is to `psql`; `sslrootcert` names a file.
    pub url: Secret,
    /// Schema of our tables; made when it is missing.
    #[serde(default = "defaults::schema")]
    pub schema: String,
    /// Connections that work at the same time, for each process; a few more are used for what is rare. More of them
    /// make smaller transactions of the ledger, which is slower where little is in flight.
    #[serde(default = "defaults::connections")]
    pub connections: u32,
    /// How long a connection may take to be made.
    #[serde(default = "defaults::connect_timeout")]
    pub connect_timeout: Span,
    /// How long a request may take before the database counts as not usable, and the stage pauses.
    #[serde(default = "defaults::timeout")]
    pub timeout: Span,
}

mod defaults {
    use super::Span;

    pub fn schema() -> String {
        "lazaret".into()
    }
    pub fn connections() -> u32 {
        2
    }
    pub fn connect_timeout() -> Span {
        Span::secs(5)
    }
    pub fn timeout() -> Span {
        Span::secs(10)
    }
}
