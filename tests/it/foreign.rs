//! Dead letters that real applications of others write: Spring, with and without its retry topics, and Kafka Streams.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lazaret::config::Config;
use lazaret::message::{JobId, Record};
use lazaret::quarantine::{Entry, Owner, Writer};

use crate::rig::{eventually, succeed};
use crate::support;

/// The applications of `foreign/Foreign.java`, which fail at the two records that each of them gets.
struct Applications {
    child: Child,
    config: Config,
    name: String,
}

impl Applications {
    /// `None` when tests against the real Kafka are left out, or nobody fetched what the applications are made of.
    fn start(folder: &Path) -> Option<Self> {
        let broker = support::bootstrap()?;
        let libraries = std::env::var("LAZARET_TEST_FOREIGN").ok()?;
        let java = || {
            let mut java = Command::new(std::env::var("LAZARET_TEST_JAVA").unwrap_or_else(|_| "java".into()));
            java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
            java
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/foreign/Foreign.java");
        let mut compiler = java();
        compiler.args(["-cp", &libraries, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-nowarn"]);
        succeed(compiler.args(["-cp", &jars(&libraries), "-d"]).arg(folder).arg(source));
        let classes = format!("{}:{libraries}", folder.display());
        let name = support::unique("foreign");
        let mut child = java()
            .args(["-cp", &classes, "Foreign", &broker, &name])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("java runs");
        let said = BufReader::new(child.stdout.take().expect("an output")).lines().next();
        assert_eq!(said.expect("a line").expect("text"), "ready");
        let yaml = "version: 1\nkafka: { bootstrap: '{kafka}' }\npipelines: {}\n";
        Some(Self { child, config: support::config(&broker, yaml), name })
    }

    /// What stands in a topic, as soon as both records are there.
    async fn both(&self, topic: &str) -> [Record; 2] {
        let topic = self.topic(topic);
        eventually(&topic, async || support::records(&self.config, &[&topic]).await.try_into().ok()).await
    }

    fn topic(&self, topic: &str) -> String {
        format!("{}.{topic}", self.name)
    }

    /// Reads the dead letters of a topic, and says of both what must be true of all; the first one with its original.
    async fn dead(&self, topic: &str, dead: &str, writer: Writer) -> (Entry, Record) {
        let originals = self.both(topic).await;
        let [first, second] = self.both(dead).await.map(|record| Entry::read(&record, &Owner::default()));
        assert_eq!(first.fingerprint, second.fingerprint);
        assert_ne!((&first.id, &first.job), (&second.id, &second.job));
        for (entry, original) in [&first, &second].into_iter().zip(&originals) {
            assert_eq!((entry.writer, entry.code.as_str()), (writer, "Foreign$Refused"), "{entry:#?}");
            let order = original.value.as_deref().map(String::from_utf8_lossy).expect("an order");
            assert_eq!(entry.message, format!("order {order} is refused"));
            assert!(entry.chain.iter().any(|c| c.contains("IllegalArgumentException: no such customer")));
            assert_eq!(entry.tenant.as_deref(), Some("acme"));
            let origin = entry.origin.clone().expect("an origin");
            assert_eq!(origin.topic, self.topic(topic));
            assert_eq!((origin.partition, origin.offset), (Some(0), Some(original.at.offset)));
        }
        (first, originals.into_iter().next().expect("an original"))
    }
}

impl Drop for Applications {
    fn drop(&mut self) {
        // They end when their input does; nobody waits for them to leave their groups.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// The compiler does not know of folders full of them.
fn jars(libraries: &str) -> String {
    let folder = Path::new(libraries.trim_end_matches('*'));
    let jars = std::fs::read_dir(folder).expect("a folder of jars");
    let jars = jars.map(|jar| jar.expect("a jar").path().display().to_string());
    jars.collect::<Vec<_>>().join(":")
}

#[tokio::test]
async fn dead_letters_of_real_applications_say_what_failed_and_where_it_stood() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(applications) = Applications::start(folder.path()) else { return };
    let group = |name: &str| format!("consumer group {}", applications.topic(name));

    let (entry, original) = applications.dead("plain", "plain-dlt", Writer::Spring).await;
    assert_eq!((entry.attempts, entry.chain.last()), (3, Some(&group("plain"))));
    assert_eq!(entry.job, JobId::derived(&original.at).0, "as a stage would call it");

    let (entry, original) = applications.dead("ladder", "ladder-dlt", Writer::Spring).await;
    assert_eq!((entry.attempts, entry.chain.last()), (3, Some(&group("ladder"))));
    assert_eq!(entry.job, JobId::derived(&original.at).0);
    let (sent, buried) = (original.at.timestamp.expect("a time"), entry.at.timestamp.expect("a time"));
    let died = entry.last_failure.as_millisecond();
    assert!(sent < died && died <= buried, "{sent} {died} {buried}");

    let (entry, original) = applications.dead("streams", "streams-dlq", Writer::KafkaStreams).await;
    assert_eq!((entry.attempts, entry.at.timestamp), (0, original.at.timestamp));
}
