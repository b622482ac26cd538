use proptest::prelude::*;

use super::*;
use crate::flow::{Code, Fault};
use crate::message::Spent;
use crate::message::deadletter::{Detail, Scene};
use crate::message::{Headers, arbitrary};

fn owner() -> Owner {
    Owner { pipeline: "rag-ingest".into(), stage: "parse".into() }
}

fn headers(texts: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    texts.iter().for_each(|(name, text)| headers.push_text((*name).to_owned(), *text));
    headers
}

fn letter() -> DeadLetter {
    let origin =
        Coordinates { topic: "docs".into(), partition: 3, offset: 42, timestamp: Some(1_700_000_000_123) };
    let correlation = Correlation {
        job: JobId("job-1".into()),
        tenant: Some("acme".into()),
        resource: None,
        traceparent: format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16)),
    };
    let scene = Scene {
        pipeline: "rag-ingest",
        stage: "parse",
        revision: "r1",
        origin: &origin,
        correlation: &correlation,
        attempts: 4,
        first_failure: "2026-11-22T01:02:03.004Z".parse().unwrap(),
        last_failure: "2026-11-22T01:03:03.004Z".parse().unwrap(),
        redrives: 2,
    };
    let mut fault = Fault::new(Code::LlmTimeout, "no answer within 30s");
    fault.chain = vec!["gave up after 4 attempts (max_attempts)".into()];
    fault.spent = Some(Spent { input: 1200, output: 30, calls: 4 });
    DeadLetter::new(scene, &fault)
}

#[test]
fn a_letter_of_ours_is_taken_as_it_was_written() {
    let letter = letter();
    let original = headers(&[("producer-id", "shop"), ("feature", "search"), ("model", "m-1")]);
    let record = arbitrary::record(letter.seal(&original, Detail::Full));
    let entry = Entry::read(&record, &Owner::default());
    let expected = Entry {
        id: letter.id.clone(),
        writer: Writer::Lazaret,
        at: record.at.clone(),
        pipeline: "rag-ingest".into(),
        stage: "parse".into(),
        revision: Some("r1".into()),
        code: "llm.timeout".into(),
        class: "transient".into(),
        message: "no answer within 30s".into(),
        chain: letter.chain.clone(),
        fingerprint: letter.fingerprint.clone(),
        attempts: 4,
        first_failure: letter.first_failure,
        last_failure: letter.last_failure,
        origin: Some(Origin {
            topic: "docs".into(),
            partition: Some(3),
            offset: Some(42),
            timestamp: Some(1_700_000_000_123),
        }),
        redrives: 2,
        job: "job-1".into(),
        tenant: Some("acme".into()),
        resource: None,
        trace: Some("a".repeat(32)),
        producer: Some("shop".into()),
        feature: Some("search".into()),
        model: Some("m-1".into()),
        size: record.size() as u64,
        spent: letter.spent,
    };
    assert_eq!(entry, expected);
}

#[test]
fn a_record_that_says_nothing_is_an_entry_all_the_same() {
    let record = arbitrary::record(Headers::new());
    let entry = Entry::read(&record, &owner());
    assert_eq!((entry.writer, entry.code.as_str(), entry.class.as_str()), (Writer::Unknown, "unknown", ""));
    assert_eq!((entry.pipeline.as_str(), entry.stage.as_str()), ("rag-ingest", "parse"));
    assert_eq!(entry.last_failure.as_millisecond(), 1_700_000_000_000);
    assert_eq!((entry.id.len(), entry.fingerprint.len()), (20, 16));
    assert_eq!(entry.job, JobId::derived(&record.at).0);
    assert_eq!((entry.trace, entry.attempts, entry.origin), (None, 0, None));
    let mut timeless = record;
    timeless.at.timestamp = None;
    assert_eq!(Entry::read(&timeless, &owner()).last_failure, Timestamp::UNIX_EPOCH);
    timeless.at.timestamp = Some(i64::MAX);
    assert_eq!(Entry::read(&timeless, &owner()).last_failure, Timestamp::UNIX_EPOCH);
}

#[test]
fn a_letter_of_others_has_their_exception_for_its_code_and_their_consumer_behind_the_causes() {
    let record = arbitrary::record(headers(&[
        ("job-id", "import-7"),
        ("tenant-id", "acme"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("__connect.errors.topic", "orders"),
        ("__connect.errors.partition", "3"),
        ("__connect.errors.offset", "9"),
        ("__connect.errors.connector.name", "sink"),
        ("__connect.errors.exception.class.name", "org.apache.kafka.connect.errors.RetriableException"),
        ("__connect.errors.exception.message", "the database is busy"),
    ]));
    let entry = Entry::read(&record, &Owner::default());
    assert_eq!((entry.writer, entry.class.as_str()), (Writer::KafkaConnect, "transient"));
    assert_eq!(entry.code, "org.apache.kafka.connect.errors.RetriableException");
    assert_eq!(entry.chain, ["connector sink"]);
    assert_eq!((entry.job.as_str(), entry.tenant.as_deref()), ("import-7", Some("acme")));
    assert_eq!(entry.trace.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_eq!((entry.pipeline.as_str(), entry.stage.as_str()), ("", ""));
}

#[test]
fn without_a_job_id_a_letter_of_others_has_the_job_that_a_stage_would_have_given_its_original() {
    let place = [
        ("__streams.errors.topic", "in"),
        ("__streams.errors.partition", "1"),
        ("__streams.errors.offset", "9"),
    ];
    let job = |texts: &[(&str, &str)]| Entry::read(&arbitrary::record(headers(texts)), &owner()).job;
    assert_eq!(job(&place), "in-1-9");
    assert_eq!(job(&place[..2]), "in-1-7-1700000000000", "else its own place");
    assert_eq!(job(&[&place[..], &[("job-id", "a\u{1b}b")]].concat()), "in-1-9");
}

#[test]
fn failures_that_look_alike_have_one_fingerprint_in_their_stage_or_topic() {
    let print = |message: &str, whose: &Owner, topic: &str| {
        let exception = ("__streams.errors.exception", "a.B");
        let mut record = arbitrary::record(headers(&[exception, ("__streams.errors.message", message)]));
        record.at.topic = topic.into();
        Entry::read(&record, whose).fingerprint
    };
    let (ours, theirs) = (owner(), Owner::default());
    assert_eq!(print("order 1 is bad", &theirs, "t"), print("order 22 is bad", &theirs, "t"));
    assert_ne!(print("order 1 is bad", &theirs, "t"), print("order 1 is bad", &theirs, "u"));
    assert_eq!(print("order 1 is bad", &ours, "t"), print("order 1 is bad", &ours, "u"));
    assert_ne!(print("order 1 is bad", &ours, "t"), print("order 1 is good", &ours, "t"));
}

#[test]
fn the_last_block_says_whose_letter_it_is() {
    let theirs = headers(&[("__connect.errors.topic", "a"), ("__connect.errors.connector.name", "b")]);
    let record = arbitrary::record(letter().seal(&theirs, Detail::Full));
    assert_eq!(Entry::read(&record, &owner()).writer, Writer::Lazaret, "it failed there, and then here");
    let mut moved_on = letter().seal(&Headers::new(), Detail::Full);
    moved_on.push_text("__connect.errors.topic", "p.s.dlq");
    assert_eq!(Entry::read(&arbitrary::record(moved_on), &owner()).writer, Writer::KafkaConnect);
}

#[test]
fn a_block_of_ours_with_an_id_that_is_none_is_not_ours() {
    for id in ["", "\u{1b}", &"a".repeat(201)] {
        let letter = DeadLetter { id: id.into(), ..letter() };
        let entry = Entry::read(&arbitrary::record(letter.seal(&Headers::new(), Detail::Full)), &owner());
        assert_eq!((entry.writer, entry.id.len(), entry.job.as_str()), (Writer::Unknown, 20, "job-1"));
    }
}

fn assert_bounded(entry: &Entry) {
    let texts = [&entry.id, &entry.pipeline, &entry.stage, &entry.code, &entry.class, &entry.fingerprint];
    assert!(texts.iter().all(|text| text.len() <= NAME_MAX && !text.contains(char::is_control)), "{entry:?}");
    assert!(!entry.id.is_empty() && !entry.job.is_empty() && entry.chain.len() <= CHAIN_MAX, "{entry:?}");
    let mut lines = entry.chain.iter().chain([&entry.message]);
    assert!(lines.all(|line| line.len() <= MESSAGE_MAX && !line.contains(char::is_control)), "{entry:?}");
    let ids = [&entry.tenant, &entry.resource, &entry.producer, &entry.feature, &entry.model];
    assert!(ids.iter().all(|id| id.as_ref().is_none_or(|id| is_id(id))), "{entry:?}");
    assert!(is_job_id(&entry.job), "{entry:?}");
    assert!(entry.trace.as_ref().is_none_or(|trace| trace.len() == 32), "{entry:?}");
    assert!(entry.origin.as_ref().is_none_or(|origin| is_id(&origin.topic)), "{entry:?}");
}

proptest! {
    #[test]
    fn every_record_is_an_entry_that_is_bounded_and_depends_on_nothing_else(
        theirs in arbitrary::foreign_headers(),
        ours in any::<bool>(),
        cut in 0usize..40,
    ) {
        let sealed = if ours { letter().seal(&theirs, Detail::Full) } else { theirs };
        let gone: Headers = sealed.iter().enumerate().filter(|(n, _)| !ours || *n != cut)
            .map(|(_, (name, value))| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
        for headers in [sealed, gone] {
            let record = arbitrary::record(headers);
            let entry = Entry::read(&record, &owner());
            assert_bounded(&entry);
            prop_assert_eq!(&entry, &Entry::read(&record, &owner()));
            let json = serde_json::to_string(&entry).unwrap();
            prop_assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
        }
    }

    #[test]
    fn a_place_has_one_id_whatever_lies_there(
        at in arbitrary::coordinates(),
        other in arbitrary::coordinates(),
        one in arbitrary::foreign_headers(),
        two in arbitrary::foreign_headers(),
    ) {
        let id = |at: &Coordinates, headers| {
            Entry::read(&Record { at: at.clone(), ..arbitrary::record(headers) }, &owner()).id
        };
        prop_assert_eq!(id(&at, one.clone()), id(&at, two));
        let same = (&at.topic, at.partition, at.offset) == (&other.topic, other.partition, other.offset);
        prop_assert_eq!(id(&at, one.clone()) == id(&other, one), same);
    }
}
