//! What the tests against a real Kafka share: where it is, names that no other test uses, and reading back.

use std::ops::ControlFlow;
use std::time::Duration;

use lazaret::config::{Config, Size};
use lazaret::kafka::read::{Reading, Start, read};
use lazaret::message::Record;

use crate::real::real;

/// Where the real Kafka is. `None` only when the real tests are to be passed over on purpose.
pub fn bootstrap() -> Option<String> {
    real("Kafka", "LAZARET_TEST_KAFKA", "host:port")
}

/// A name that nobody else has on the cluster.
pub fn unique(base: &str) -> String {
    format!("{base}-{}", uuid::Uuid::now_v7().simple())
}

/// Reads a configuration; `{kafka}` in the text stands for the bootstrap address. Its topic of operations is named after
/// its first pipeline, so that no other test has it.
pub fn config(bootstrap: &str, yaml: &str) -> Config {
    let text = yaml.replace("{kafka}", bootstrap);
    let mut config: Config = serde_saphyr::from_str(&text).expect("a valid configuration");
    if let Some(pipeline) = config.pipelines.keys().next() {
        config.quarantine.operations = format!("{pipeline}.operations");
    }
    config
}

/// Everything that stands in these topics now.
pub async fn records(config: &Config, topics: &[&str]) -> Vec<Record> {
    let topics = topics.iter().map(|t| (*t).to_owned()).collect();
    let reading =
        Reading { topics, start: Start::Beginning, deadline: Duration::from_secs(30), uncommitted: false };
    let all = read(&config.kafka, Size::mib(16), reading, Vec::new(), |all, record| {
        all.push(record);
        ControlFlow::Continue(())
    });
    all.await.expect("the topics can be read").0
}
