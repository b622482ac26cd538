//! Properties of a transactional producer, and what is told when its name cannot be had. Proofs that a transaction is
//! one need a real broker: see `tests/it/kafka`.

use std::time::Instant;

use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::config::{Config, Size};
use crate::kafka::consumer::{Change, Membership, Partition};
use crate::message::Headers;

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
        let made: Result<Client, _> = config.create_with_context(Deliveries(Context::quiet()));
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
    let opened = Transactor::open(&config.kafka, &Topology::derive(&config), &["id", "id/2"]).await;
    let problem = opened.err().expect("refused").to_string();
    assert!(problem.starts_with("kafka.transaction_timeout: "), "{problem}");
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_told_within_the_time() {
    let mut config = of("localhost:1", "security: {}");
    config.kafka.timeout = crate::config::Span::secs(1);
    let opened = Transactor::open(&config.kafka, &Topology::derive(&config), &["id", "id/2"]).await;
    let problem = opened.err().expect("unreachable");
    assert!(matches!(problem, KafkaProblem::TimedOut { .. }), "{problem}");
}

/// A mock cluster whose second broker coordinates transactions and does nothing else, and somebody who uses it.
struct Scene {
    cluster: MockCluster<'static, rdkafka::producer::DefaultProducerContext>,
    consumer: Consumer,
    transactor: Transactor,
    _partitions: Vec<Partition>,
}

impl Scene {
    async fn new() -> Self {
        let cluster = MockCluster::new(2).expect("a cluster");
        for topic in ["in", "out"] {
            cluster.create_topic(topic, 1, 1).expect("a topic");
            cluster.partition_leader(topic, 0, Some(1)).expect("a leader");
        }
        cluster.coordinator(MockCoordinator::Group("g".into()), 1).expect("a coordinator");
        for id in ["id", "id/2"] {
            cluster.coordinator(MockCoordinator::Transaction(id.into()), 2).expect("a coordinator");
        }
        let config = of(&cluster.bootstrap_servers(), "transaction_timeout: 20s");
        let membership = Membership {
            group: "g",
            input: "in",
            satellites: &[],
            message_max: Size::mib(1),
            patience: Duration::from_secs(5),
            instance: None,
        };
        let mut consumer = Consumer::join(&config.kafka, membership).expect("a consumer");
        let _partitions = loop {
            match consumer.change().await.expect("the consumer goes on") {
                Change::Assigned(partitions) if !partitions.is_empty() => break partitions,
                _ => {}
            }
        };
        let transactor = Transactor::open(&config.kafka, &Topology::derive(&config), &["id", "id/2"]).await;
        Self { cluster, consumer, transactor: transactor.expect("a transactor"), _partitions }
    }

    fn commit(&self) -> impl Future<Output = Result<(), TransactError>> + Send + use<> {
        let record = OutRecord {
            topic: "out".into(),
            partition: None,
            key: None,
            value: Some(b"v".to_vec().into()),
            headers: Headers::new(),
            timestamp: None,
        };
        let name = crate::message::TopicPartition::new("in", 0);
        let offsets = vec![Commit { name, offset: 1, metadata: "kept".into() }];
        let offsets = Offsets::now(offsets, &self.consumer);
        self.transactor.commit(vec![Piece { tag: 1, records: Arc::from([record]) }], offsets)
    }

    /// After an error librdkafka may undo one more transaction, to number its records anew.
    async fn commit_at_last(&self) {
        for _ in 0..2 {
            match self.commit().await {
                Err(TransactError::Again { .. }) => {}
                other => return assert_eq!(other, Ok(())),
            }
        }
        assert_eq!(self.commit().await, Ok(()));
    }

    fn refuse(&self, request: RDKafkaApiKey, errors: &[RDKafkaRespErr]) {
        self.cluster.request_errors(request, errors);
    }
}

#[tokio::test]
async fn what_the_group_or_the_brokers_refuse_for_now_is_undone_and_may_be_tried_again() {
    use RDKafkaRespErr as E;
    let scene = Scene::new().await;
    for (request, error) in [
        (RDKafkaApiKey::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
        (RDKafkaApiKey::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
        (RDKafkaApiKey::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH),
        (RDKafkaApiKey::AddOffsetsToTxn, E::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED),
    ] {
        scene.refuse(request, &[error]);
        let refused = scene.commit().await;
        let has_changed = request == RDKafkaApiKey::TxnOffsetCommit;
        assert!(
            match &refused {
                Err(TransactError::Stale { .. }) => has_changed,
                Err(TransactError::Again { .. }) => !has_changed,
                _ => false,
            },
            "{error:?}: {refused:?}"
        );
        scene.commit_at_last().await;
    }
}

#[tokio::test]
async fn a_record_that_the_broker_refuses_is_named() {
    let scene = Scene::new().await;
    scene.refuse(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP]);
    let refused = scene.commit().await;
    let expected = |error: &ProduceError| matches!(error, ProduceError::Timestamp { .. });
    assert!(
        matches!(&refused, Err(TransactError::Record { tag: 1, error }) if expected(error)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_coordinator_that_moves_or_is_busy_is_waited_for() {
    use RDKafkaRespErr as E;
    let scene = Scene::new().await;
    let busy = [
        E::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        E::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        E::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS,
    ];
    for request in [RDKafkaApiKey::EndTxn, RDKafkaApiKey::AddOffsetsToTxn, RDKafkaApiKey::AddPartitionsToTxn]
    {
        scene.refuse(request, &busy);
        assert_eq!(scene.commit().await, Ok(()), "{request:?}");
    }
}

#[tokio::test]
async fn a_commit_that_is_answered_late_is_asked_for_again_and_nothing_is_tried_again() {
    let scene = Scene::new().await;
    let late = steps::SLICE + Duration::from_millis(700);
    scene.cluster.broker_round_trip_time(2, late).expect("a slow coordinator");
    let begun = Instant::now();
    assert_eq!(scene.commit().await, Ok(()));
    assert!(begun.elapsed() > late * 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_is_fenced_off_is_told_so_whichever_request_it_shows_in() {
    use RDKafkaApiKey as Request;
    use RDKafkaRespErr as E;
    for (request, error) in [
        (Request::EndTxn, E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
        (Request::EndTxn, E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING),
        (Request::AddOffsetsToTxn, E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (Request::AddPartitionsToTxn, E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        (Request::TxnOffsetCommit, E::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID),
    ] {
        let scene = Scene::new().await;
        scene.refuse(request, &[error]);
        let refused = scene.commit().await;
        assert!(matches!(refused, Err(TransactError::Fenced { .. })), "{request:?}, {error:?}: {refused:?}");
    }
}

/// librdkafka may never answer, and a consumer that is neither polled nor closed holds up its group.
#[tokio::test]
async fn a_consumer_that_leaves_is_gone_although_its_offsets_are_still_on_their_way() {
    let scene = Scene::new().await;
    scene.cluster.broker_round_trip_time(1, Duration::from_secs(4)).expect("a slow coordinator");
    let (starts, pending) = (scene.consumer.starts(), tokio::spawn(scene.commit()));
    let Scene { cluster, consumer, transactor: _transactor, _partitions } = scene;
    drop(_partitions);
    consumer.leave().await;
    while starts.fetch(Vec::new()).await.is_ok() {
        assert!(!pending.is_finished(), "the consumer is still there when its offsets have been answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!pending.is_finished());
    cluster.broker_round_trip_time(1, Duration::ZERO).expect("a quick coordinator");
    let _ = pending.await;
}

/// The record itself is never sent then, so that nothing would say why.
#[tokio::test]
async fn a_right_to_write_that_is_missing_is_named_in_the_cause() {
    let scene = Scene::new().await;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    scene.refuse(RDKafkaApiKey::AddPartitionsToTxn, &[refused]);
    match scene.commit().await {
        Err(TransactError::Again { cause }) => {
            assert!(cause.contains("Topic authorization failed"), "{cause}");
        }
        other => panic!("{other:?}"),
    }
}
