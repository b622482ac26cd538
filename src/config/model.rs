//! What `lazaret.yaml` may say, with its defaults. Unknown keys are errors everywhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::units::{Size, Span};
use crate::flow::{Class, Code};

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
    /// Model providers by name; stages refer to them.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
    #[serde(default)]
    pub sources: Sources,
    #[serde(default)]
    pub http: Http,
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
    /// Further librdkafka properties, passed on as they are. No secrets here: see `security`.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// How to authenticate. Secrets are named by environment variable or file, never written down.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Security {
    #[serde(default)]
    pub protocol: Protocol,
    /// `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`.
    #[serde(default)]
    pub mechanism: Option<String>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
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

/// The job ledger.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// SQLite file; its folder is made when it is missing.
    pub path: PathBuf,
    /// Finished jobs older than this are forgotten; a redelivery after that would run again.
    pub retention: Span,
}

impl Default for Store {
    fn default() -> Self {
        Self { path: "data/ledger.db".into(), retention: Span::secs(14 * 86_400) }
    }
}

/// The search index.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexStore {
    /// SQLite file; its folder is made when it is missing.
    pub path: PathBuf,
}

impl Default for IndexStore {
    fn default() -> Self {
        Self { path: "data/index.db".into() }
    }
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

/// A list of stages between an input and an output topic.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    pub input: Topic,
    pub output: Topic,
    /// Format of the topics between the stages.
    #[serde(default)]
    pub between: Format,
    /// Partitions of every topic of this pipeline that is not given its own number.
    #[serde(default = "defaults::partitions")]
    pub partitions: u32,
    /// Replicas of every topic; the broker's default when absent.
    #[serde(default)]
    pub replication: Option<u32>,
    /// How long the input, output and stage topics keep records.
    #[serde(default = "defaults::retention")]
    pub retention: Span,
    /// How long dead letter topics keep records, counted from the original record's timestamp; for ever when
    /// absent.
    #[serde(default)]
    pub dlq_retention: Option<Span>,
    /// Largest record of a stage topic. Dead letter topics get room for the error headers on top.
    #[serde(default = "defaults::record_max")]
    pub record_max: Size,
    /// Who answers for the stages that name nobody.
    #[serde(default)]
    pub owner: Option<String>,
    /// Where to read what to do.
    #[serde(default)]
    pub runbook: Option<String>,
    /// Time to a first look at a dead letter.
    #[serde(default)]
    pub sla: Option<Span>,
    /// Retry policy of the stages that have none of their own.
    #[serde(default)]
    pub retry: Retry,
    pub stages: Vec<Stage>,
}

/// A topic that others share with us.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    pub topic: String,
    #[serde(default)]
    pub format: Format,
    #[serde(default)]
    pub partitions: Option<u32>,
}

/// How the value of a record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    /// Confluent wire format through the schema registry, subject `<topic>-value`.
    Avro,
    /// The value is the document itself; its id is the key or `resource-id`, the rest stands in the headers
    /// `tenant-id`, `content-type`, `file-name`. Input topics of documents only.
    Bytes,
}

/// One stage.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub name: String,
    /// What it does: a kind alone (`parse`), or a kind with settings (`parse: { size_max: 20MiB }`).
    pub kind: Kind,
    /// Records worked on at the same time by one process.
    #[serde(default = "defaults::concurrency")]
    pub concurrency: usize,
    /// Records of one partition held at the same time, waiting ones included.
    #[serde(default = "defaults::window")]
    pub window: usize,
    /// How long one attempt may take, all calls included.
    #[serde(default = "defaults::stage_timeout")]
    pub timeout: Span,
    #[serde(default)]
    pub retry: Option<Retry>,
    #[serde(default)]
    pub partitions: Option<u32>,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default)]
    pub runbook: Option<String>,
    #[serde(default)]
    pub sla: Option<Span>,
    /// Rules that give a failure another class; the first that matches wins.
    #[serde(default)]
    pub classify: Vec<ClassRule>,
}

/// Gives failures another class.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    #[serde(default)]
    pub code: Option<Code>,
    #[serde(default)]
    pub status: Option<u16>,
    /// Text that the message contains.
    #[serde(default)]
    pub message: Option<String>,
    pub class: Class,
}

/// When and how often to try again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Wait after the first failure.
    pub base: Span,
    /// Factor from one wait to the next.
    pub factor: f64,
    /// Longest wait of the backoff; a provider's Retry-After may be longer.
    pub cap: Span,
    /// Share of the wait that is spread at random, 0 to 1.
    pub jitter: f64,
    /// From the first failure; a wait that would end later is not begun.
    pub max_elapsed: Span,
    /// Delays of the rung topics, ascending. A wait goes to the first rung that is at least as long.
    pub rungs: Vec<Span>,
    /// Other limits for single codes.
    pub overrides: BTreeMap<Code, RetryOverride>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 8,
            base: Span::secs(1),
            factor: 3.0,
            cap: Span::secs(600),
            jitter: 0.2,
            max_elapsed: Span::secs(6 * 3600),
            rungs: vec![Span::secs(1), Span::secs(5), Span::secs(30), Span::secs(120), Span::secs(600)],
            overrides: BTreeMap::new(),
        }
    }
}

/// What differs for one code; what is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryOverride {
    pub max_attempts: Option<u32>,
    pub base: Option<Span>,
    pub cap: Option<Span>,
    pub max_elapsed: Option<Span>,
}

/// What a stage does, with its settings.
///
/// Written as a kind alone (`parse`) or as a kind with settings (`parse: { size_max: 20MiB }`); see `kind.rs`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(transform = super::kind::allow_kind_alone)]
pub enum Kind {
    Validate(Validate),
    Parse(Parse),
    Chunk(Chunk),
    Embed(Embed),
    Index(IndexKind),
    Retrieve(Retrieve),
    Generate(Generate),
    Ground(Ground),
}

/// Checks a document or a question before anything is spent on it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Validate {
    /// What the record must be.
    pub of: Subject,
    /// Largest document or question.
    pub size_max: Size,
}

impl Default for Validate {
    fn default() -> Self {
        Self { of: Subject::Document, size_max: Size::mib(20) }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    #[default]
    Document,
    Question,
}

/// Bytes to text.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parse {
    /// Largest document fetched or read.
    pub size_max: Size,
    /// How long a parser may take.
    pub time_max: Span,
    /// Memory of a parser process.
    pub memory_max: Size,
    /// What an archive or compressed stream may unpack to.
    pub expansion_max: Size,
    /// Largest text.
    pub text_max: Size,
}

impl Default for Parse {
    fn default() -> Self {
        Self {
            size_max: Size::mib(20),
            time_max: Span::secs(20),
            memory_max: Size::mib(1024),
            expansion_max: Size::mib(200),
            text_max: Size::mib(6),
        }
    }
}

/// Text to passages.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chunk {
    /// Most tokens of a passage (o200k_base).
    pub tokens_max: usize,
    /// Tokens repeated from the passage before.
    pub overlap: usize,
    /// Passages per output record.
    pub part: usize,
    /// Most passages of a document.
    pub passages_max: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { tokens_max: 320, overlap: 32, part: 32, passages_max: 20_000 }
    }
}

/// Passages to vectors.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    pub provider: String,
    pub model: String,
}

/// Vectors and text into the search index.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IndexKind {}

/// Question to evidence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retrieve {
    pub provider: String,
    /// The embedding model the index was filled with.
    pub model: String,
    /// Passages handed to the model.
    #[serde(default = "defaults::top_k")]
    pub top_k: usize,
}

/// Evidence to a draft answer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    pub provider: String,
    pub model: String,
    #[serde(default = "defaults::answer_tokens")]
    pub max_tokens: u32,
    #[serde(default)]
    pub temperature: f64,
    /// A Jinja template of the user message instead of the shipped one; sees `question` and `evidence`.
    #[serde(default)]
    pub prompt_file: Option<PathBuf>,
}

/// Draft to answer: every citation must point to retrieved evidence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ground {
    /// Most citations kept.
    pub citations_max: usize,
}

impl Default for Ground {
    fn default() -> Self {
        Self { citations_max: 5 }
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
    pub fn registry_timeout() -> Span {
        Span::secs(5)
    }
    pub fn provider_timeout() -> Span {
        Span::secs(60)
    }
    pub fn response_max() -> Size {
        Size::mib(16)
    }
    pub fn partitions() -> u32 {
        6
    }
    pub fn retention() -> Span {
        Span::secs(7 * 86_400)
    }
    pub fn record_max() -> Size {
        Size::mib(8)
    }
    pub fn concurrency() -> usize {
        32
    }
    pub fn window() -> usize {
        256
    }
    pub fn stage_timeout() -> Span {
        Span::secs(120)
    }
    pub fn top_k() -> usize {
        8
    }
    pub fn answer_tokens() -> u32 {
        512
    }
}
