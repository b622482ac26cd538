//! What the demonstration puts up around the pipelines: a folder, a broker, a model provider, and the
//! configuration that names them. The pipelines do not know these from real ones.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use uuid::Uuid;

use super::DemoError;
use super::feed::Library;
use crate::config::{Config, Parse, Span};
use crate::flow::Topology;
use crate::provider::faults::Rates;
use crate::provider::{self, Options};

const TEMPLATE: &str = include_str!("lazaret.yaml");

/// The folder of one demonstration. It stays, for it has the log and the ledger.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a new one among the system's temporary files, for this user only.
    pub fn create() -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(format!("lazaret-demo-{}", Uuid::now_v7().simple()));
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|cause| DemoError::Folder { path: path.clone(), cause })?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn config(&self) -> PathBuf {
        self.0.join("lazaret.yaml")
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("lazaret.log")
    }

    /// Where the shipped corpus is written.
    pub fn corpus(&self) -> PathBuf {
        self.0.join("documents")
    }

    /// Makes the log file.
    pub fn open_log(&self) -> Result<fs::File, DemoError> {
        let failed = |cause: io::Error| DemoError::Folder { path: self.log(), cause };
        fs::File::create(self.log()).map_err(failed)
    }
}

/// A Kafka cluster inside this process. It must outlive every client.
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Starts a broker without topics.
pub fn broker() -> Result<Cluster, DemoError> {
    MockCluster::new(1).map_err(DemoError::Broker)
}

/// Makes every topic of the configuration.
pub fn topics(cluster: &Cluster, topology: &Topology) -> Result<(), DemoError> {
    for plan in &topology.topics {
        let partitions = i32::try_from(plan.partitions).unwrap_or(i32::MAX);
        cluster.create_topic(&plan.name, partitions, 1).map_err(DemoError::Broker)?;
    }
    Ok(())
}

/// How the simulated provider behaves: the faults of a bad day, or none.
pub fn provider_options(seed: u64, faults: bool) -> Options {
    let answering = Rates { latency: Span::millis(10), jitter: Span::millis(40), ..Rates::default() };
    let rates = match faults {
        true => Rates {
            rate_limit: 0.08,
            server_error: 0.06,
            overloaded: 0.03,
            hang: 0.03,
            truncate: 0.05,
            ..answering
        },
        false => answering,
    };
    let models = provider::DEFAULT_MODELS.map(str::to_owned).to_vec();
    Options { seed, rates, models, ..Options::default() }
}

/// Writes the configuration into the folder, and reads it as any other is read.
pub fn configure(
    folder: &Folder,
    kafka: &str,
    provider: &str,
    library: &Library,
) -> Result<Config, DemoError> {
    // One of the shipped documents keeps its parser busy for ever, and the demonstration is to be short.
    let parse_time = if library.is_shipped { Span::secs(5) } else { Parse::default().time_max };
    let text = fill(folder.path(), kafka, provider, &library.root, parse_time);
    let path = folder.config();
    fs::write(&path, &text).map_err(|cause| DemoError::Folder { path: path.clone(), cause })?;
    Ok(Config::parse(&text, &path.display().to_string())?)
}

fn fill(folder: &Path, kafka: &str, provider: &str, documents: &Path, parse_time: Span) -> String {
    TEMPLATE
        .replace("<parse-time>", &parse_time.to_string())
        .replace("<folder>/ledger.db", &quoted(&folder.join("ledger.db").to_string_lossy()))
        .replace("<folder>/index.db", &quoted(&folder.join("index.db").to_string_lossy()))
        .replace("<folder>/quarantine.db", &quoted(&folder.join("quarantine.db").to_string_lossy()))
        .replace("<documents>", &quoted(&documents.to_string_lossy()))
        .replace("<kafka>", &quoted(kafka))
        .replace("<provider>", &quoted(provider))
}

/// As a YAML string: JSON's are, and a dollar sign would begin a variable.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('$', "$$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_what_was_put_up_whatever_the_folders_are_called() {
        let odd = Path::new("/a \"b\" #c: ${HOME} $1 '");
        let text = fill(odd, "127.0.0.1:4711", "http://127.0.0.1:4712/v1", odd, Span::secs(5));
        let config = Config::parse(&text, "demo").unwrap();
        assert_eq!(config.kafka.bootstrap, "127.0.0.1:4711");
        assert_eq!(config.sources.file_roots, [odd]);
        assert_eq!(config.ledger.path, odd.join("ledger.db"));
        assert_eq!(config.index.path, odd.join("index.db"));
        assert_eq!(config.quarantine.path, odd.join("quarantine.db"));
        assert_eq!(config.providers["simulator"].base_url, "http://127.0.0.1:4712/v1");
    }

    #[test]
    fn the_pipelines_are_the_shipped_ones() {
        let text = fill(Path::new("/f"), "k:1", "http://p:1/v1", Path::new("/d"), Span::secs(5));
        let demo = Config::parse(&text, "demo").unwrap();
        let shipped = Config::parse(include_str!("../../lazaret.yaml"), "lazaret.yaml").unwrap();
        let names = |config: &Config| -> Vec<String> {
            Topology::derive(config)
                .stages
                .into_iter()
                .map(|s| format!("{}.{}", s.pipeline, s.stage))
                .collect()
        };
        assert_eq!(names(&demo), names(&shipped));
    }
}
