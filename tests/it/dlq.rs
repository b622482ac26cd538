//! Dead letters in a real Kafka: listed once each, found by id, explained.

use jiff::Timestamp;
use lazaret::flow::{Code, Fault, Topology};
use lazaret::kafka::Producer;
use lazaret::kafka::admin::Admin;
use lazaret::message::deadletter::{DeadLetter, Detail, Scene};
use lazaret::message::{Coordinates, Correlation, Headers, JobId, OutRecord};
use lazaret::ops::dlq::{DlqError, Filter, list, show};
use lazaret::ops::topics::apply;

use crate::support::{bootstrap, config, records, unique};

/// A time long before any retention: such a dead letter must keep it and still be kept.
const LONG_AGO: i64 = 1_000_000_000_000;

fn dead(pipeline: &str, job: &str, code: Code) -> (DeadLetter, OutRecord) {
    let origin =
        Coordinates { topic: "documents".into(), partition: 0, offset: 1, timestamp: Some(LONG_AGO) };
    let correlation = Correlation {
        job: JobId(job.into()),
        tenant: Some("acme".into()),
        resource: None,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    // Headers keep milliseconds.
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("a time");
    let scene = Scene {
        pipeline,
        stage: "parse",
        revision: "r1",
        origin: &origin,
        correlation: &correlation,
        attempts: 1,
        first_failure: now,
        last_failure: now,
        redrives: 0,
    };
    let letter = DeadLetter::new(scene, &Fault::new(code, "it broke"));
    let record = OutRecord {
        topic: format!("{pipeline}.parse.dlq"),
        partition: None,
        key: Some(job.into()),
        value: Some(b"\x00\x01payload".to_vec()),
        headers: letter.seal(&Headers::new(), Detail::Full),
        timestamp: Some(LONG_AGO),
    };
    (letter, record)
}

#[tokio::test]
async fn dead_letters_are_listed_once_each_and_found_by_the_beginning_of_their_id() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("dlq");
    let yaml = format!(
        "version: 1
kafka: {{ bootstrap: '{{kafka}}' }}
pipelines:
  {name}:
    input: {{ topic: {name}-in }}
    output: {{ topic: {name}-out }}
    partitions: 2
    retry: {{ rungs: [1s] }}
    stages: [ {{ name: validate, kind: validate }}, {{ name: parse, kind: parse }} ]
"
    );
    let config = config(&kafka, &yaml);
    apply(&config, false).await.expect("topics");
    let producer = Producer::new(&config.kafka, &Topology::derive(&config), "test").expect("a producer");
    let (corrupt, record) = dead(&name, "job-1", Code::ParseCorrupt);
    producer.send(record.clone()).await.expect("written");
    producer.send(record).await.expect("written again, as after a crash");
    let (_, other) = dead(&name, "job-2", Code::LlmTimeout);
    producer.send(other.clone()).await.expect("written");
    let foreign = OutRecord { headers: Headers::new(), ..other };
    producer.send(foreign).await.expect("written");

    let all = list(&config, Filter::default(), 10).await.expect("listed");
    assert_eq!((all.letters.len(), all.matched, all.foreign, all.complete), (2, 2, 1, true));
    let parse = Filter { code: Some("parse".into()), ..Filter::default() };
    let listed = list(&config, parse, 10).await.expect("listed");
    assert_eq!(listed.letters[0].letter.id, corrupt.id);
    assert_eq!(listed.letters.len(), 1);

    let opened = show(&config, &corrupt.id[..8]).await.expect("found");
    assert_eq!(opened.value.as_deref(), Some(b"\x00\x01payload".as_slice()));
    assert_eq!(opened.found.letter, corrupt);
    assert!(matches!(show(&config, "ffffffffffffffffffff").await, Err(DlqError::NotFound(_))));

    let dlq = format!("{name}.parse.dlq");
    let times: Vec<_> = records(&config, &[&dlq]).await.iter().map(|r| r.at.timestamp).collect();
    assert_eq!(times, [Some(LONG_AGO); 4], "a dead letter has the time of the original record");
    let admin = Admin::new(&config.kafka, "test").expect("an admin client");
    let state = admin.describe(&[&dlq]).await.expect("described").remove(&dlq).expect("the topic");
    let settings = state.configs.expect("readable settings");
    assert_eq!(settings["retention.ms"].value, "-1", "Kafka would count from that time");
}
