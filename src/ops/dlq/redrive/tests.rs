use super::*;
use crate::flow::{Code, Fault};
use crate::ledger::RowId;
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Coordinates, Correlation, Headers, JobId, Record};

fn opened() -> Opened {
    let origin = Coordinates { topic: "in".into(), partition: 4, offset: 17, timestamp: Some(1_000) };
    let correlation = Correlation {
        job: JobId("job-1".into()),
        tenant: Some("acme".into()),
        resource: None,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    };
    let time = jiff::Timestamp::UNIX_EPOCH;
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
    let mut original = Headers::new();
    original.push("binary", Some(vec![0xff, 0x00]));
    let at = Coordinates { topic: "p.embed.dlq".into(), partition: 0, offset: 3, timestamp: None };
    let headers = letter.seal(&original, Detail::Full);
    let record = Record { at, key: Some(vec![0xfe].into()), value: None, headers };
    let (letter, original) = DeadLetter::read(&record).expect("a dead letter");
    Opened { found: found(letter, &record), original, key: record.key, value: record.value }
}

fn stage() -> StageTopics {
    let text = include_str!("../../../../lazaret.yaml");
    let config = Config::parse(text, "lazaret.yaml").expect("a configuration");
    Topology::derive(&config).stages.remove(0)
}

fn row(state: State, redrives: u32) -> JobRow {
    JobRow {
        id: RowId(1),
        stage: "embed".into(),
        job: "job-1".into(),
        state,
        attempt: 3,
        redrives,
        at: None,
        origin: None,
        went_to: None,
        finishes: 0,
        updated_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn order(what: What, reason: Option<&str>) -> Order {
    Order { what, by: "ann".into(), reason: reason.map(str::to_owned) }
}

#[test]
fn what_is_sent_back_is_the_original_record_with_its_origin_and_one_more_redrive() {
    let out = record(&opened(), &stage(), 3, 1, &order(What::Redrive, None));
    assert_eq!(out.partition, Some(1), "the origin's partition, on a topic with fewer");
    let at = Coordinates { topic: out.topic.clone(), partition: 1, offset: 0, timestamp: None };
    let read = Record { at, key: out.key, value: out.value, headers: out.headers };
    let envelope = trail::open(&read, true);
    assert_eq!((read.key, read.value), (Some(vec![0xfe].into()), None));
    assert_eq!(envelope.original.iter().collect::<Vec<_>>(), [("binary", Some([0xff, 0x00].as_slice()))]);
    assert_eq!(envelope.correlation.job.0, "job-1");
    assert_eq!(envelope.correlation.tenant.as_deref(), Some("acme"));
    let origin = Coordinates { topic: "in".into(), partition: 4, offset: 17, timestamp: Some(1_000) };
    assert_eq!(envelope.trail, Trail { redrives: 1, ..Trail::fresh(&origin) });
}

#[test]
fn what_is_given_up_says_by_whom_and_why() {
    let out = record(&opened(), &stage(), 6, 2, &order(What::Discard, Some("duplicate of job-7")));
    let at = Coordinates { topic: out.topic.clone(), partition: 4, offset: 0, timestamp: None };
    let read = Record { at, key: out.key, value: out.value, headers: out.headers };
    let trail = trail::open(&read, true).trail;
    assert_eq!(trail.discard, Some(("ann".to_owned(), "duplicate of job-7".to_owned())));
    assert_eq!((trail.redrives, out.partition), (2, Some(4)));
}

#[test]
fn only_what_is_dead_and_was_not_sent_back_may_be() {
    let opened = opened();
    let letter = &opened.found.letter;
    let refused = |row: Option<&JobRow>, before| objection(letter, row, before).map(|advice| advice.message);
    assert_eq!(refused(Some(&row(State::Dead, 0)), None), None);
    assert_eq!(refused(Some(&row(State::Dead, 0)), Some(0)), None);
    for (row, before, word) in [
        (Some(row(State::Dead, 0)), Some(1), "sent back before"),
        (Some(row(State::Dead, 1)), None, "sent back before"),
        (Some(row(State::Done, 0)), None, "done"),
        (Some(row(State::Discarded, 1)), Some(1), "sent back before"),
        (None, None, "does not know"),
    ] {
        let message = refused(row.as_ref(), before).expect("refused");
        assert!(message.contains(word), "{message}");
    }
}
