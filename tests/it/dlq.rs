//! Dead letters in a real Kafka: sent back, and kept for ever.

use jiff::Timestamp;
use lazaret::flow::{Code, Fault, Topology};
use lazaret::kafka::Producer;
use lazaret::kafka::admin::Admin;
use lazaret::message::deadletter::{DeadLetter, Detail, Scene};
use lazaret::message::{Coordinates, Correlation, Headers, JobId, OutRecord, trail};
use lazaret::ops::dlq::DlqError;
use lazaret::ops::dlq::redrive::{Aside, Order, RedriveError, What, send_back};
use lazaret::ops::topics::apply;

use crate::support::{bootstrap, config, records, unique};

/// A time long before any retention: such a dead letter must keep it and still be kept.
const LONG_AGO: i64 = 1_000_000_000_000;

pub fn dead(pipeline: &str, job: &str, code: Code) -> (DeadLetter, OutRecord) {
    dead_of(pipeline, job, code, "it broke", "acme")
}

pub fn dead_of(pipeline: &str, job: &str, code: Code, text: &str, tenant: &str) -> (DeadLetter, OutRecord) {
    let origin =
        Coordinates { topic: "documents".into(), partition: 0, offset: 1, timestamp: Some(LONG_AGO) };
    let correlation = Correlation {
        job: JobId(job.into()),
        tenant: Some(tenant.into()),
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
    let letter = DeadLetter::new(scene, &Fault::new(code, text));
    let record = OutRecord {
        topic: format!("{pipeline}.parse.dlq").into(),
        partition: None,
        key: Some(job.to_owned().into()),
        value: Some(b"\x00\x01payload".to_vec().into()),
        headers: letter.seal(&Headers::new(), Detail::Full),
        timestamp: Some(LONG_AGO),
    };
    (letter, record)
}

fn yaml(name: &str) -> String {
    format!(
        "version: 1
kafka: {{ bootstrap: '{{kafka}}' }}
ledger: {{ path: /no/such/folder/ledger.db }}
pipelines:
  {name}:
    input: {{ topic: {name}-in }}
    output: {{ topic: {name}-out }}
    partitions: 2
    retry: {{ rungs: [1s] }}
    stages: [ {{ name: validate, kind: validate }}, {{ name: parse, kind: parse }} ]
"
    )
}

#[tokio::test]
async fn what_is_sent_back_stands_on_the_stages_redrive_topic_and_nothing_is_sent_back_twice_by_accident() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("redrive");
    let (mut config, folder) = (config(&kafka, &yaml(&name)), tempfile::tempdir().expect("a folder"));
    config.quarantine.path = folder.path().join("quarantine.db");
    apply(&config, false).await.expect("topics");
    let producer = Producer::new(&config.kafka, &Topology::derive(&config), "test").expect("a producer");
    let (one, record) = dead(&name, "job-1", Code::ParseCorrupt);
    let (two, other) = dead(&name, "job-2", Code::ParseCorrupt);
    for record in [record, other] {
        producer.send(record).await.expect("written");
    }
    let redrive = format!("{name}.parse.redrive");
    let back = async |ids: &[&str], what: What, force| {
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let order = Order { what, by: "ann".into(), reason: Some("no longer wanted".into()) };
        send_back(&config, &ids, &order, if force { Aside::All } else { Aside::Nothing }).await
    };
    // Without a ledger nobody knows whether they are dead.
    assert!(matches!(back(&[&one.id], What::Redrive, false).await, Err(RedriveError::Refused(_))));
    let unknown = back(&[&one.id, "ffffffffff"], What::Redrive, true).await;
    assert!(matches!(unknown, Err(RedriveError::Dlq(DlqError::NotFound(_)))));
    assert!(records(&config, &[&redrive]).await.is_empty(), "all or none");

    let sent = back(&[&one.id[..10], &one.id], What::Redrive, true).await.expect("sent back");
    assert_eq!((sent.len(), sent[0].redrives, sent[0].job.as_str()), (1, 1, "job-1"));
    back(&[&two.id], What::Discard, true).await.expect("given up");
    let again = back(&[&one.id], What::Redrive, false).await;
    let Err(RedriveError::Refused(why)) = again else { panic!("{again:?}") };
    assert!(why[0].message.contains("sent back before"), "{}", why[0]);
    assert_eq!(back(&[&one.id], What::Redrive, true).await.expect("forced")[0].redrives, 2);

    let mut seen: Vec<_> = records(&config, &[&redrive]).await;
    seen.sort_by_key(|record| record.at.timestamp);
    let open: Vec<_> = seen.iter().map(|record| trail::open(record, true)).collect();
    let of =
        |job: &str| open.iter().filter(|e| e.correlation.job.0 == job).map(|e| &e.trail).collect::<Vec<_>>();
    assert_eq!(of("job-1").iter().map(|trail| trail.redrives).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(of("job-2")[0].discard, Some(("ann".into(), "no longer wanted".into())));
    assert!(seen.iter().all(|record| record.at.partition == 0), "where the origin's partition is");
    assert!(seen.iter().all(|record| record.value.as_deref() == Some(b"\x00\x01payload".as_slice())));
}

#[tokio::test]
async fn a_dead_letter_has_the_time_of_the_original_record_and_is_kept_for_ever() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("dlq");
    let (mut config, folder) = (config(&kafka, &yaml(&name)), tempfile::tempdir().expect("a folder"));
    config.quarantine.path = folder.path().join("quarantine.db");
    apply(&config, false).await.expect("topics");
    let producer = Producer::new(&config.kafka, &Topology::derive(&config), "test").expect("a producer");
    let (_, record) = dead(&name, "job-1", Code::ParseCorrupt);
    producer.send(record).await.expect("written");
    let dlq = format!("{name}.parse.dlq");
    let times: Vec<_> = records(&config, &[&dlq]).await.iter().map(|r| r.at.timestamp).collect();
    assert_eq!(times, [Some(LONG_AGO)]);
    let admin = Admin::new(&config.kafka, "test").expect("an admin client");
    let state = admin.describe(&[&dlq]).await.expect("described").remove(&dlq).expect("the topic");
    let settings = state.configs.expect("readable settings");
    assert_eq!(settings["retention.ms"].value, "-1", "Kafka would count from that time");
}
