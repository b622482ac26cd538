//! What `lazaret.yaml` may say, with its defaults: the file and what all pipelines share. `pipeline` has what a pipeline
//! may say, `kinds` what a stage may do. Unknown keys are errors everywhere.

mod archive;
mod kinds;
mod links;
mod masking;
mod membership;
mod oidc;
mod pipeline;
mod rights;
mod security;
mod sla;
mod stores;
pub mod sweep;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::archive::*;
pub use self::kinds::*;
pub use self::links::*;
pub use self::masking::*;
pub use self::membership::*;
pub use self::oidc::*;
pub use self::pipeline::*;
pub use self::rights::*;
pub use self::security::*;
pub use self::sla::*;
pub use self::stores::*;
use super::money::Price;
use super::units::{Size, Span};

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Format of this file; 1.
    pub version: u32,
    /// Name of this instance, unique among those that share a ledger; host name, pipeline and stage when absent.
    #[serde(default)]
    pub instance: Option<String>,
    pub kafka: Kafka,
    #[serde(default)]
    pub registry: Option<Registry>,
    #[serde(default)]
    pub ledger: Store,
    #[serde(default)]
    pub index: IndexStore,
    #[serde(default)]
    pub quarantine: QuarantineStore,
    /// Model providers by name; stages refer to them.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
    /// The currency of all prices and amounts, since only amounts of one add up.
    #[serde(default = "defaults::currency")]
    pub currency: String,
    #[serde(default)]
    pub sources: Sources,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub ops: Ops,
    #[serde(default)]
    pub shutdown: Shutdown,
    pub pipelines: BTreeMap<String, Pipeline>,
}

/// The Kafka cluster.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`, several separated by commas.
    pub bootstrap: String,
    /// Consumer groups are `<group_prefix><pipeline>.<stage>`.
    #[serde(default = "defaults::group_prefix")]
    pub group_prefix: String,
    #[serde(default)]
    pub security: Security,
    /// How long to wait for the cluster at start, and for an admin request.
    #[serde(default = "defaults::kafka_timeout")]
    pub timeout: Span,
    /// How long one record may take to be acknowledged before it counts as not writable.
    #[serde(default = "defaults::delivery_timeout")]
    pub delivery_timeout: Span,
    /// How long a transaction may be open. When a process dies within one, readers of committed records, and whoever
    /// takes over its partitions, wait this long for Kafka to end it, unless the process is back sooner. At most what
    /// the brokers allow (`transaction.max.timeout.ms`).
    #[serde(default = "defaults::transaction_timeout")]
    pub transaction_timeout: Span,
    #[serde(default)]
    pub membership: GroupMembership,
    /// Further librdkafka properties, passed on as they are. No secrets here: see `security`.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

impl Config {
    /// A configuration with nothing in it but defaults.
    pub(crate) fn blank() -> Self {
        Self {
            version: 1,
            instance: None,
            kafka: Kafka::blank(),
            registry: None,
            ledger: Store::default(),
            index: IndexStore::default(),
            // Who uses the library makes no topic that other programs work with.
            quarantine: QuarantineStore { operations: String::new(), ..QuarantineStore::default() },
            providers: BTreeMap::new(),
            currency: defaults::currency(),
            sources: Sources::default(),
            http: Http::default(),
            ops: Ops::default(),
            shutdown: Shutdown::default(),
            pipelines: BTreeMap::new(),
        }
    }
}

impl Kafka {
    fn blank() -> Self {
        Self {
            bootstrap: String::new(),
            group_prefix: defaults::group_prefix(),
            security: Security::default(),
            timeout: defaults::kafka_timeout(),
            delivery_timeout: defaults::delivery_timeout(),
            transaction_timeout: defaults::transaction_timeout(),
            membership: GroupMembership::default(),
            properties: BTreeMap::new(),
        }
    }
}

/// Where a secret stands. Exactly one of the two.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Secret {
    /// Name of an environment variable.
    Env(String),
    /// Path of a file; its trailing newline is dropped.
    File(PathBuf),
}

/// The schema registry (Confluent API).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    pub url: String,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default = "defaults::registry_timeout")]
    pub timeout: Span,
}

/// An OpenAI-compatible provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Up to and with `/v1`.
    pub base_url: String,
    #[serde(default)]
    pub api_key: Option<Secret>,
    /// Whole call, connect to last byte.
    #[serde(default = "defaults::provider_timeout")]
    pub timeout: Span,
    /// Largest answer read.
    #[serde(default = "defaults::response_max")]
    pub response_max: Size,
    /// What a million tokens cost, by the name of the model: what dead letters have cost, and what a redrive will, is told by
    /// it. Nothing is told of a model that is not here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
}

/// From where documents may be fetched.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sources {
    /// `file://` references must lie below one of these folders (after resolving links).
    pub file_roots: Vec<PathBuf>,
    /// Hosts (`host` or `host:port`) that `http(s)://` references may name.
    pub http_hosts: Vec<String>,
    pub timeout: Span,
}

impl Default for Sources {
    fn default() -> Self {
        Self { file_roots: Vec::new(), http_hosts: Vec::new(), timeout: Span::secs(20) }
    }
}

/// Metrics and probes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Address of `/metrics`, `/livez`, `/readyz`. They carry no payloads; loopback unless said otherwise.
    pub listen: String,
}

impl Default for Http {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9464".into() }
    }
}

/// Keeping the index of dead letters, and the HTTP API that `lazaret ops` serves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ops {
    /// `lazaret run` does what `lazaret ops` does as well, where it runs all stages: one process is enough for a small set-up.
    pub inside_run: bool,
    /// The address of the API, such as 127.0.0.1:9465; it is not served when absent. Where it is that of `http.listen`, one port
    /// serves both. It has no TLS of its own.
    pub listen: Option<String>,
    /// Who may use it: lines that `lazaret ops token` makes, with hashes of tokens. Without them and without `oidc` it is for
    /// everybody on this machine, and served on loopback only.
    pub tokens: Option<Secret>,
    /// Who else may use it: those for whom an issuer of OpenID Connect vouches.
    pub oidc: Option<Oidc>,
}

/// What happens on SIGTERM and on a planned rebalance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// In-flight records get this long to finish; the rest is handed back.
    pub drain: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { drain: Span::secs(25) }
    }
}

mod defaults {
    use super::{Size, Span};

    pub fn group_prefix() -> String {
        "lazaret.".into()
    }
    pub fn kafka_timeout() -> Span {
        Span::secs(15)
    }
    pub fn delivery_timeout() -> Span {
        Span::secs(30)
    }
    pub fn transaction_timeout() -> Span {
        Span::secs(30)
    }
    pub fn currency() -> String {
        "USD".into()
    }
    pub fn registry_timeout() -> Span {
        Span::secs(5)
    }
    pub fn provider_timeout() -> Span {
        Span::secs(60)
    }
    pub fn response_max() -> Size {
        Size::mib(16)
    }
}
