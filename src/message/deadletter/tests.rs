use proptest::prelude::*;

use super::*;
use crate::flow::Code;

fn letter(message: &str) -> DeadLetter {
    let origin =
        Coordinates { topic: "docs".into(), partition: 3, offset: 42, timestamp: Some(1_700_000_000_123) };
    let correlation = Correlation {
        job: JobId("job-1".into()),
        tenant: Some("acme".into()),
        resource: Some("契約.pdf".into()),
        traceparent: format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16)),
    };
    let mut fault = Fault::new(Code::ParseCorrupt, message);
    fault.chain = vec!["xref table is cut off".into(), "unexpected end".into()];
    let scene = Scene {
        pipeline: "rag-ingest",
        stage: "parse",
        revision: "r1",
        origin: &origin,
        correlation: &correlation,
        attempts: 1,
        first_failure: "2026-11-22T01:02:03.004Z".parse().unwrap(),
        last_failure: "2026-11-22T01:02:03.004Z".parse().unwrap(),
        redrives: 0,
    };
    DeadLetter::new(scene, &fault)
}

fn dead(headers: Headers) -> Record {
    let at = Coordinates { topic: "p.s.dlq".into(), partition: 0, offset: 0, timestamp: None };
    Record { at, key: None, value: None, headers }
}

#[test]
fn a_letter_is_read_back_as_it_was_written_and_the_original_headers_with_it() {
    let mut original = Headers::new();
    original.push("binary", Some(vec![0, 159, 146, 150]));
    original.push("null", None);
    original.push_text("dlq.id", "a dead letter of somebody else");
    let letter = letter("xref table at byte 17 is damaged");
    let record = dead(letter.seal(&original, Detail::Full));
    assert_eq!(DeadLetter::read(&record), Ok((letter, original)));
}

#[test]
fn times_are_rfc_3339_with_milliseconds_in_utc() {
    let headers = letter("x").seal(&Headers::new(), Detail::Full);
    assert_eq!(headers.text("dlq.first.failure.at"), Some("2026-11-22T01:02:03.004Z"));
    assert_eq!(headers.text("dlq.origin.timestamp"), Some("2023-11-14T22:13:20.123Z"));
}

#[test]
fn shedding_drops_causes_first_then_the_message_and_never_the_identity() {
    let letter = letter(&"long ".repeat(200));
    let sizes: Vec<usize> = [Detail::Full, Detail::NoChain, Detail::Brief]
        .map(|detail| letter.seal(&Headers::new(), detail).size())
        .to_vec();
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2] + 800, "{sizes:?}");
    let (read, _) = DeadLetter::read(&dead(letter.seal(&Headers::new(), Detail::Brief))).unwrap();
    assert_eq!((read.id, read.code, read.origin), (letter.id, letter.code, letter.origin));
}

#[test]
fn a_record_without_the_block_is_no_dead_letter() {
    let error = DeadLetter::read(&dead(Headers::new())).unwrap_err();
    assert_eq!(error.missing, "dlq.id");
}

#[test]
fn failures_that_differ_in_numbers_and_quoted_names_have_one_fingerprint() {
    let print = |message| letter(message).fingerprint;
    assert_eq!(
        print("xref at byte 17 of 'a.pdf' is damaged"),
        print("xref at byte 99218 of 'b c.pdf' is damaged")
    );
    assert_ne!(print("xref at byte 17 is damaged"), print("stream at byte 17 is damaged"));
}

#[test]
fn every_copy_of_one_death_has_one_id_and_a_redriven_one_another() {
    assert_eq!(letter("a").id, letter("b").id);
    let job = JobId("job-1".into());
    assert_ne!(id("p", "s", &job, 0), id("p", "s", &job, 1));
}

proptest! {
    #[test]
    fn hostile_headers_never_panic(items in proptest::collection::vec(
        (prop_oneof![Just("dlq.id".to_owned()), Just("dlq.attempts".to_owned()), "[a-z.]{1,9}"],
         proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20))), 0..12)) {
        let _ = DeadLetter::read(&dead(items.into_iter().collect()));
    }
}
