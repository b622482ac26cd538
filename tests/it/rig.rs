//! What the tests of running stages share: a configuration of their own on the real Kafka, a model provider on
//! loopback, and `lazaret run` as a process that can be stopped and killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lazaret::config::Config;
use lazaret::flow::Topology;
use lazaret::kafka::Producer;
use lazaret::ledger::LedgerReader;
use lazaret::message::{Headers, OutRecord, Record};
use lazaret::provider::{self, Options};
use openssl::error::ErrorStack;
use serde_json::Value;
use tempfile::TempDir;

use crate::support;

/// Longest wait for anything. Generous, because the machine may be busy; nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(120);

/// A configuration in a folder of its own, and a provider for it.
pub struct Rig {
    pub config: Config,
    pub topology: Topology,
    pub folder: TempDir,
    pub provider: provider::Running,
    /// Begins the names of this test's pipelines and topics.
    pub name: String,
    /// What workers find in their environment, besides.
    pub environment: BTreeMap<String, String>,
    /// This build, unless a test runs another one.
    pub program: PathBuf,
}

impl Rig {
    /// `pipelines` is the YAML below `pipelines:`, with `{p}` for the unique name and `{folder}` for the folder.
    /// `None` when tests against the real Kafka are left out.
    pub async fn new(test: &str, pipelines: &str, extra: &str) -> Option<Rig> {
        Some(Rig::on(&Rig::shared()?, test, pipelines, extra).await)
    }

    /// The same, with ledger, index and quarantine in this database.
    pub async fn with_database(test: &str, pipelines: &str, extra: &str, url: &str) -> Option<Rig> {
        Some(Rig::over(&Rig::shared()?, test, pipelines, extra, Some(url)).await)
    }

    /// The real Kafka that all tests share.
    fn shared() -> Option<String> {
        Some(format!(
            "bootstrap: '{}', properties: {{ session.timeout.ms: '6000', heartbeat.interval.ms: '1000', compression.type: none }}",
            support::bootstrap()?
        ))
    }

    /// On a cluster of its own: `kafka` is what stands in the braces of the YAML's `kafka`.
    pub async fn on(kafka: &str, test: &str, pipelines: &str, extra: &str) -> Rig {
        Rig::over(kafka, test, pipelines, extra, None).await
    }

    /// The same, with ledger, index and quarantine in this database if there is one.
    pub async fn over(kafka: &str, test: &str, pipelines: &str, extra: &str, url: Option<&str>) -> Rig {
        Rig::named(kafka, &support::unique(test), pipelines, extra, url).await
    }

    /// The same under a name that is given, which nobody else may have on that cluster and in that database.
    pub async fn named(kafka: &str, name: &str, pipelines: &str, extra: &str, url: Option<&str>) -> Rig {
        let provider = provider::start(Options::default()).await.expect("a provider");
        let (name, folder) = (name.to_owned(), tempfile::tempdir().expect("a folder"));
        let file = |name: &str| format!("path: '{{folder}}/{name}.db'");
        let (ledger, index, quarantine) = match url {
            None => (file("ledger"), file("index"), file("quarantine")),
            Some(url) => {
                std::fs::write(folder.path().join("url"), url).expect("written");
                let schema = schema(&name);
                let database = format!(
                    "postgres: {{ url: {{ file: '{{folder}}/url' }}, schema: '{schema}', timeout: 3s }}"
                );
                (database.clone(), database.clone(), database)
            }
        };
        let text = format!(
            "version: 1\n\
             kafka: {{ {kafka} }}\n\
             http: {{ listen: '127.0.0.1:0' }}\n\
             ledger: {{ {ledger} }}\n\
             index: {{ {index} }}\n\
             quarantine: {{ operations: '{{p}}.operations', {quarantine} }}\n\
             providers:\n  local: {{ base_url: '{base_url}', timeout: 2s }}\n\
             {extra}\n\
             pipelines:\n{pipelines}",
            base_url = provider.base_url,
        );
        let text = text.replace("{p}", &name).replace("{folder}", &folder.path().display().to_string());
        let config = Config::parse(&text, "lazaret.yaml").unwrap_or_else(|e| panic!("{e:?}\n{text}"));
        let topology = Topology::derive(&config);
        let (environment, program) = (BTreeMap::new(), PathBuf::from(env!("CARGO_BIN_EXE_lazaret")));
        let rig = Rig { topology, config, folder, provider, name, environment, program };
        rig.write(&text);
        for applied in lazaret::ops::topics::apply(&rig.config, false).await.expect("topics can be made") {
            assert_eq!(applied.outcome, lazaret::ops::topics::Outcome::Done, "{}", applied.topic);
        }
        rig
    }

    /// Replaces the configuration that processes read.
    fn write(&self, text: &str) {
        std::fs::write(self.path("lazaret.yaml"), text).expect("a configuration file");
    }

    /// Changes the configuration that processes read from now on.
    pub fn reconfigure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("lazaret.yaml")).expect("a configuration file");
        assert!(text.contains(from), "{from} stands in the configuration");
        self.write(&text.replace(from, to));
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The schema of this test's tables, where there is a database.
    pub fn schema(&self) -> String {
        schema(&self.name)
    }

    /// The name of a topic of this test.
    pub fn topic(&self, rest: &str) -> String {
        format!("{}.{rest}", self.name)
    }

    /// Runs `lazaret` with this configuration to its good end, and returns what it printed.
    pub fn lazaret(&self, args: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        succeed(command.arg("--config").arg(self.path("lazaret.yaml")).args(args))
    }

    /// Runs `lazaret` while this runtime serves others, and says whether it went well.
    pub async fn tell(&self, args: &[&str]) -> bool {
        self.output(args).await.status.success()
    }

    /// Runs `lazaret` to its good end while this runtime serves others, and reads the JSON that it printed.
    pub async fn ask(&self, args: &[&str]) -> Value {
        let output = self.output(args).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}\n{out}\n{err}");
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}"))
    }

    /// Runs `lazaret` to its end while this runtime serves others.
    pub async fn output(&self, args: &[&str]) -> std::process::Output {
        let mut command = tokio::process::Command::new(&self.program);
        command.arg("--config").arg(self.path("lazaret.yaml")).args(args);
        command.output().await.expect("lazaret runs")
    }

    /// Starts `lazaret run` and waits until all its stages have joined their groups.
    pub async fn worker(&self, args: &[&str]) -> Worker {
        let worker = self.start(args).await;
        worker.ready().await;
        worker
    }

    /// Starts `lazaret run` and waits only until its port is open.
    pub async fn start(&self, args: &[&str]) -> Worker {
        self.serve("run", args).await
    }

    /// Starts a verb that runs until it is told to stop, and waits until its port is open.
    pub async fn serve(&self, verb: &str, args: &[&str]) -> Worker {
        let log = self.path(&format!("{}.log", support::unique("worker")));
        let stderr = File::create(&log).expect("a log file");
        let mut command = Command::new(&self.program);
        command.arg(verb).args(args).arg("--config").arg(self.path("lazaret.yaml"));
        command.envs(&self.environment).env("LAZARET_LOG", "info").stdout(Stdio::null()).stderr(stderr);
        let mut worker = Worker { child: command.spawn().expect("lazaret runs"), log, url: String::new() };
        worker.url = eventually("the port is open", async || {
            let log = worker.log();
            let line = log.lines().find_map(|line| line.split_once("probes are at "))?;
            Some(line.1.split_once("/metrics")?.0.to_owned())
        })
        .await;
        worker
    }

    /// Writes records and waits until Kafka has them.
    pub async fn send(&self, records: Vec<OutRecord>) {
        let producer = Producer::new(&self.config.kafka, &self.topology, "test").expect("a producer");
        for sent in futures::future::join_all(records.into_iter().map(|r| producer.send(r))).await {
            sent.expect("kafka takes the record");
        }
    }

    /// All records of a topic of this test.
    pub async fn records(&self, rest: &str) -> Vec<Record> {
        support::records(&self.config, &[&self.topic(rest)]).await
    }

    pub fn ledger(&self) -> LedgerReader {
        LedgerReader::open(&self.config.ledger).expect("a ledger")
    }

    /// Jobs of a stage in a state, as the ledger has it.
    pub async fn jobs(&self, stage: &str, state: &str) -> u64 {
        // There is no file before the first worker has opened it.
        let counts = self.ledger().counts().await.unwrap_or_default();
        counts.iter().filter(|c| c.stage == stage && c.state == state).map(|c| c.jobs).sum()
    }

    /// Changes the provider's fault rates; what is not named stays.
    pub async fn faults(&self, rates: Value) {
        let url = format!("http://{}/admin/faults", self.provider.address);
        let reply = client().post(url).json(&rates).send().await.expect("the provider answers");
        assert!(reply.status().is_success(), "{}", reply.text().await.unwrap_or_default());
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let keep = std::env::var("LAZARET_TEST_KEEP").unwrap_or_default();
        if keep == "all" || (!keep.is_empty() && std::thread::panicking()) {
            self.folder.disable_cleanup(true);
            eprintln!("the folder is left behind: {}", self.folder.path().display());
        }
    }
}

fn schema(name: &str) -> String {
    format!("t_{}", name.replace('-', "_"))
}

/// A process that runs stages.
pub struct Worker {
    child: Child,
    log: PathBuf,
    pub url: String,
}

impl Worker {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What `/readyz` says.
    pub async fn readiness(&self) -> Value {
        let Ok(reply) = client().get(format!("{}/readyz", self.url)).send().await else { return Value::Null };
        reply.json().await.unwrap_or_default()
    }

    pub async fn metrics(&self) -> String {
        let reply = client().get(format!("{}/metrics", self.url)).send().await.expect("metrics");
        reply.text().await.expect("metrics")
    }

    pub async fn ready(&self) {
        eventually("the worker is ready", async || (self.readiness().await["ready"] == true).then_some(()))
            .await;
    }

    /// Where it serves the API.
    pub async fn api(&self) -> String {
        eventually("the API is served", async || {
            let log = self.log();
            let line = log.lines().find_map(|line| line.split_once("the API is at "))?;
            Some(line.1.split_once("/v1")?.0.to_owned())
        })
        .await
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("the worker can be killed");
        self.child.wait().expect("the worker ends");
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(kill.expect("kill runs").success());
    }

    /// SIGTERM, and the wait for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        eventually("the worker ends", async || self.child.try_wait().expect("the worker can be asked")).await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(15).collect();
            eprintln!("the worker's last lines, latest first:\n{}", last.join("\n"));
        }
    }
}

/// Runs a command that must succeed, and returns what it printed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().expect("the command runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.into_owned()
}

/// Waits until `look` finds something, and returns it.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A record with a JSON value and text headers.
pub fn record(topic: &str, headers: &[(&str, &str)], value: &Value) -> OutRecord {
    let headers: Headers =
        headers.iter().map(|(name, text)| ((*name).to_owned(), Some(text.as_bytes().to_vec()))).collect();
    OutRecord {
        topic: topic.to_owned().into(),
        partition: None,
        key: headers.text("job-id").map(|job| job.to_owned().into()),
        value: Some(value.to_string().into_bytes().into()),
        headers,
        timestamp: None,
    }
}

/// A token of these claims, signed as its head says (RFC 7515, section 3.1).
pub fn jwt(head: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, ErrorStack>) -> String {
    let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = sign(text.as_bytes()).expect("signed");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The job id of a record.
pub fn job(record: &Record) -> String {
    record.headers.text("job-id").expect("every record of ours has a job id").to_owned()
}

fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build();
    client.expect("a client")
}
