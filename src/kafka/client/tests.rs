//! Properties that follow from the configuration, and what is told about a cluster that cannot be reached.

use super::*;
use crate::config::Secret;
use crate::config::{GroupMembership, Security, Span};

fn kafka(bootstrap: &str) -> Kafka {
    Kafka {
        bootstrap: bootstrap.into(),
        group_prefix: "lazaret.".into(),
        security: Security::default(),
        timeout: Span::secs(5),
        delivery_timeout: Span::secs(7),
        transaction_timeout: Span::secs(30),
        membership: GroupMembership::default(),
        properties: BTreeMap::new(),
    }
}

#[test]
fn a_property_that_lazaret_owns_is_refused_with_the_reason() {
    let mut config = kafka("localhost:9092");
    config.properties.insert("acks".into(), "1".into());
    let problem = base(&config, "run").expect_err("refused");
    assert_eq!(
        problem.to_string(),
        "kafka.properties.acks: it belongs to Lazaret; remove it; a record counts as written when all in-sync replicas have it"
    );
}

#[test]
fn a_property_of_the_user_replaces_a_default() {
    let mut config = kafka("localhost:9092");
    config.properties.insert("socket.timeout.ms".into(), "1234".into());
    config.properties.insert("compression.type".into(), "lz4".into());
    let producer = producer(&config, "run", Size::mib(8), Size::mib(1)).expect("properties");
    assert_eq!(producer.get("socket.timeout.ms"), Some("1234"));
    assert_eq!(producer.get("compression.type"), Some("lz4"));
}

#[test]
fn a_producer_never_gathers_more_than_the_smallest_topic_takes() {
    let producer =
        producer(&kafka("localhost:9092"), "run", Size::mib(8), Size::kib(64)).expect("properties");
    assert_eq!(producer.get("batch.size"), Some("65536"));
    assert_eq!(producer.get("message.max.bytes"), Some("8388608"));
    assert_eq!(producer.get("partitioner"), Some("murmur2_random"));
    assert_eq!(producer.get("enable.idempotence"), Some("true"));
    assert_eq!(producer.get("delivery.timeout.ms"), Some("7000"));
}

#[test]
fn a_consumer_can_receive_the_largest_record_of_the_topology() {
    for size in [Size::kib(1), Size::mib(8), Size::mib(200)] {
        let config = consumer(&kafka("localhost:9092"), "run", "g", size).expect("properties");
        assert!(config.create_native_config().is_ok(), "{size}");
        let number = |name| config.get(name).and_then(|v| v.parse::<u64>().ok()).unwrap_or_default();
        assert!(number("fetch.max.bytes") >= size.0);
        assert!(number("receive.message.max.bytes") >= number("fetch.max.bytes") + 512);
    }
}

#[test]
fn a_missing_password_variable_is_named() {
    let mut config = kafka("localhost:9092");
    config.security.password = Some(Secret::Env("LAZARET_TEST_NO_SUCH_VARIABLE".into()));
    let problem = base(&config, "run").expect_err("no password").to_string();
    assert!(
        problem.starts_with("kafka.security.password: ") && problem.contains("LAZARET_TEST_NO_SUCH_VARIABLE")
    );
}

#[test]
fn a_missing_ca_file_is_named() {
    let mut config = kafka("localhost:9092");
    config.security.ca_file = Some("no/such/ca.pem".into());
    let problem = base(&config, "run").expect_err("no file").to_string();
    assert!(problem.starts_with("kafka.security.ca_file: cannot read no/such/ca.pem"), "{problem}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_told_with_its_cause_within_the_time() {
    // A listener that was closed again: nobody else can have the port by accident for long.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let bootstrap = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let config = base(&kafka(&bootstrap), "check").expect("properties");
    let started = Instant::now();
    let problem = ensure_reachable(&config, Duration::from_secs(2)).await.expect_err("unreachable");
    assert!(matches!(problem, KafkaProblem::Unreachable { .. }), "{problem}");
    assert!(problem.to_string().contains("Connection refused"), "{problem}");
    assert!(problem.to_string().contains(&bootstrap), "{problem}");
    assert!(started.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_cluster_that_answers_shows_its_brokers_and_topics() {
    let cluster = rdkafka::mocking::MockCluster::new(2).expect("a cluster");
    cluster.create_topic("documents", 3, 1).expect("a topic");
    let config = base(&kafka(&cluster.bootstrap_servers()), "check").expect("properties");
    let info = ensure_reachable(&config, Duration::from_secs(10)).await.expect("reachable");
    assert_eq!(info.brokers.len(), 2);
    assert_eq!(info.topics.get("documents"), Some(&3));
}
