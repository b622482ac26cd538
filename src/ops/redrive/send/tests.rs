use super::*;
use crate::flow::{Code, Fault};
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Coordinates, Correlation, Headers, JobId, SpanId};

fn dead() -> (DeadLetter, Record) {
    let origin = Coordinates { topic: "in".into(), partition: 4, offset: 17, timestamp: Some(1_000) };
    let correlation = Correlation {
        job: JobId("job-1".into()),
        tenant: Some("acme".into()),
        resource: None,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    let time = Timestamp::UNIX_EPOCH;
    let scene = Scene {
        pipeline: "p",
        stage: "embed",
        revision: "r1",
        origin: &origin,
        correlation: &correlation,
        attempts: 3,
        first_failure: time,
        last_failure: time,
        redrives: 0,
    };
    let letter = DeadLetter::new(scene, &Fault::new(Code::LlmTimeout, "no answer"));
    let letter = DeadLetter { span: SpanId::read("00f067aa0ba902b7"), ..letter };
    let mut original = Headers::new();
    original.push("binary", Some(vec![0xff, 0x00]));
    let at = Coordinates { topic: "p.embed.dlq".into(), partition: 0, offset: 3, timestamp: None };
    let headers = letter.seal(&original, Detail::Full);
    let record = Record { at, key: Some(vec![0xfe].into()), value: None, headers };
    let (letter, original) = DeadLetter::read(&record).expect("a dead letter");
    (letter, Record { headers: original, ..record })
}

fn sent(partitions: usize, redrives: u32, order: &Order) -> Record {
    let config =
        Config::parse(include_str!("../../../../lazaret.yaml"), "lazaret.yaml").expect("a configuration");
    let stage = Topology::derive(&config).stages.remove(0);
    let (dead, original) = dead();
    let out = back(&dead, original, &stage, partitions, redrives, Some("act-1".into()), order);
    let partition = out.partition.expect("a partition");
    let at = Coordinates { topic: out.topic.clone(), partition, offset: 0, timestamp: None };
    Record { at, key: out.key, value: out.value, headers: out.headers }
}

#[test]
fn what_is_sent_back_is_the_original_record_with_its_origin_and_one_more_redrive() {
    let read = sent(3, 1, &Order { what: What::Redrive, by: "ann".into(), reason: None });
    assert_eq!(read.at.partition, 1, "the origin's partition, on a topic with fewer");
    let envelope = trail::open(&read, true);
    assert_eq!((read.key, read.value), (Some(vec![0xfe].into()), None));
    assert_eq!(envelope.original.iter().collect::<Vec<_>>(), [("binary", Some([0xff, 0x00].as_slice()))]);
    assert_eq!(envelope.correlation.job.0, "job-1");
    assert_eq!(envelope.correlation.tenant.as_deref(), Some("acme"));
    let origin = Coordinates { topic: "in".into(), partition: 4, offset: 17, timestamp: Some(1_000) };
    let (edit, span) = (Some("act-1".into()), SpanId::read("00f067aa0ba902b7"));
    assert_eq!(envelope.trail, Trail { redrives: 1, edit, span, ..Trail::fresh(&origin) });
}

#[test]
fn what_is_given_up_says_by_whom_and_why() {
    let reason = Some("duplicate of job-7".to_owned());
    let read = sent(6, 2, &Order { what: What::Discard, by: "ann".into(), reason });
    let trail = trail::open(&read, true).trail;
    assert_eq!(trail.discard, Some(("ann".to_owned(), "duplicate of job-7".to_owned())));
    assert_eq!((trail.redrives, read.at.partition), (2, 4));
}
