//! Properties of a transactional producer, and what is told when its name cannot be had. Proofs that a transaction is
//! one need a real broker: see `tests/it/kafka`.

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::config::Config;

fn of(bootstrap: &str, kafka: &str) -> Config {
    let yaml = format!(
        "version: 1
kafka: {{ bootstrap: '{bootstrap}', timeout: 10s, {kafka} }}
pipelines:
  p:
    input: {{ topic: in }}
    output: {{ topic: out }}
    stages: [ {{ name: s, kind: validate }} ]
"
    );
    serde_saphyr::from_str(&yaml).expect("a valid configuration")
}

fn properties(kafka: &str) -> ClientConfig {
    let config = of("localhost:1", kafka);
    super::config(&config.kafka, &Topology::derive(&config), "id").expect("properties")
}

#[test]
fn nothing_outlasts_the_transaction_whatever_else_is_configured() {
    for kafka in [
        "",
        "delivery_timeout: 2m",
        "transaction_timeout: 5s",
        "transaction_timeout: 5s, properties: { socket.timeout.ms: '60000' }",
        "transaction_timeout: 10m, delivery_timeout: 10m",
    ] {
        let config = properties(&format!("security: {{}}, {kafka}"));
        config.create_native_config().unwrap_or_else(|e| panic!("{kafka}: {e}"));
        let made: Result<FutureProducer<Context>, _> = config.create_with_context(Context::quiet());
        assert!(made.is_ok(), "{kafka}: {:?}", made.err());
        let number = |name| config.get(name).and_then(|v| v.parse::<u64>().ok()).expect("a number");
        for name in ["delivery.timeout.ms", "socket.timeout.ms", "topic.metadata.propagation.max.ms"] {
            assert!(number(name) <= number("transaction.timeout.ms"), "{kafka}: {name}");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_the_brokers_find_too_long_is_told_with_its_place() {
    let cluster = MockCluster::new(1).expect("a cluster");
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT;
    cluster.request_errors(RDKafkaApiKey::InitProducerId, &[refused]);
    let config = of(&cluster.bootstrap_servers(), "transaction_timeout: 1h");
    let opened = Transactor::open(&config.kafka, &Topology::derive(&config), "id").await;
    let problem = opened.err().expect("refused").to_string();
    assert!(problem.starts_with("kafka.transaction_timeout: "), "{problem}");
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_told_within_the_time() {
    let mut config = of("localhost:1", "security: {}");
    config.kafka.timeout = crate::config::Span::secs(1);
    let opened = Transactor::open(&config.kafka, &Topology::derive(&config), "id").await;
    let problem = opened.err().expect("unreachable");
    assert!(matches!(problem, KafkaProblem::TimedOut { .. }), "{problem}");
}
