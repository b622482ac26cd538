use proptest::prelude::*;

use super::*;

fn record(headers: Headers) -> Record {
    let at = Coordinates { topic: "in".into(), partition: 1, offset: 7, timestamp: Some(1_700_000_000_000) };
    Record { at, key: None, value: Some(b"v".to_vec()), headers }
}

fn trail() -> Trail {
    Trail {
        attempt: 3,
        due: Some("2026-01-02T03:04:05.678Z".parse().unwrap()),
        first_failure: Some("2026-01-02T03:04:00Z".parse().unwrap()),
        last_failure: Some("2026-01-02T03:04:01Z".parse().unwrap()),
        redrives: 1,
        code: Some(Code::LlmTimeout),
        discard: None,
        origin: Coordinates { topic: "docs".into(), partition: 2, offset: 99, timestamp: Some(5) },
    }
}

#[test]
fn a_record_without_ids_gets_the_same_ids_at_every_delivery() {
    let first = open(&record(Headers::new()), false);
    let second = open(&record(Headers::new()), false);
    assert_eq!(first.correlation.job.0, "in-1-7-1700000000000");
    assert!(is_traceparent(&first.correlation.traceparent));
    assert_eq!(first, second);
}

#[test]
fn a_control_block_is_not_believed_on_an_input_topic_and_stays_among_the_original_headers() {
    let forged = seal(&Headers::new(), &trail(), &open(&record(Headers::new()), false).correlation);
    let envelope = open(&record(forged.clone()), false);
    assert_eq!(envelope.trail.attempt, 0);
    assert_eq!(envelope.trail.redrives, 0);
    assert_eq!(envelope.original, forged);
}

#[test]
fn a_forged_block_survives_verbatim_below_the_true_one() {
    let correlation = open(&record(Headers::new()), false).correlation;
    let mut forged = Headers::new();
    forged.push_text("lazaret.v", "1");
    forged.push_text("lazaret.attempt", "99");
    let envelope = open(&record(seal(&forged, &trail(), &correlation)), true);
    assert_eq!(envelope.original, forged);
    assert_eq!(envelope.trail, trail());
}

#[test]
fn a_record_put_on_a_rung_by_hand_starts_anew() {
    let envelope = open(&record(Headers::new()), true);
    assert_eq!(envelope.trail, Trail::fresh(&record(Headers::new()).at));
}

#[test]
fn an_id_with_control_characters_or_without_end_is_not_taken() {
    for bad in ["", "a\nb", &"x".repeat(ID_MAX + 1)] {
        let mut headers = Headers::new();
        headers.push_text(JOB_ID, bad);
        assert_eq!(open(&record(headers), false).correlation.job.0, "in-1-7-1700000000000", "{bad:?}");
    }
}

fn any_headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof!["[a-z.]{1,8}", Just("lazaret.v".to_owned()), Just("job-id".to_owned())];
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..12));
    proptest::collection::vec((name, value), 0..8).prop_map(|items| items.into_iter().collect())
}

proptest! {
    #[test]
    fn what_was_sealed_is_opened_again(original in any_headers(), attempt: u32, redrives: u32, offset: i64) {
        let mut trail = trail();
        trail.attempt = attempt;
        trail.redrives = redrives;
        trail.origin.offset = offset;
        let correlation = correlate(&original, &trail.origin);
        let envelope = open(&record(seal(&original, &trail, &correlation)), true);
        prop_assert_eq!(envelope.original, original);
        prop_assert_eq!(envelope.trail, trail);
        prop_assert_eq!(envelope.correlation, correlation);
    }

    #[test]
    fn hostile_headers_never_panic(headers in any_headers(), own: bool) {
        open(&record(headers), own);
    }
}
