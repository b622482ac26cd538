use proptest::prelude::*;

use super::*;
use crate::message::arbitrary::{self, record};

fn trail() -> Trail {
    Trail {
        attempt: 3,
        due: Some("2026-01-02T03:04:05.678Z".parse().unwrap()),
        first_failure: Some("2026-01-02T03:04:00Z".parse().unwrap()),
        last_failure: Some("2026-01-02T03:04:01Z".parse().unwrap()),
        redrives: 1,
        code: Some(Code::LlmTimeout),
        edit: Some("act-1".into()),
        spent: Some(Spent { input: 1200, output: 30, calls: 2 }),
        span: SpanId::read("00f067aa0ba902b7"),
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
fn a_block_from_a_topic_that_cannot_be_is_as_good_as_none() {
    let correlation = open(&record(Headers::new()), false).correlation;
    let mut forged = trail();
    forged.origin.topic = "docs\n{}".into();
    let envelope = open(&record(seal(&Headers::new(), &forged, &correlation)), true);
    assert_eq!(envelope.trail, Trail::fresh(&record(Headers::new()).at), "its job id would be two lines");
}

#[test]
fn what_does_not_name_a_span_is_passed_over_and_the_rest_of_the_block_believed() {
    let correlation = open(&record(Headers::new()), false).correlation;
    let mut headers = seal(&Headers::new(), &trail(), &correlation);
    assert_eq!(headers.text("lazaret.span"), Some("00f067aa0ba902b7"));
    headers.push_text("lazaret.span", "a span");
    assert_eq!(open(&record(headers), true).trail, Trail { span: None, ..trail() });
}

#[test]
fn an_id_with_control_characters_or_without_end_is_not_taken() {
    for bad in ["", "a\nb", &"x".repeat(JOB_MAX + 1)] {
        let mut headers = Headers::new();
        headers.push_text(JOB_ID, bad);
        assert_eq!(open(&record(headers), false).correlation.job.0, "in-1-7-1700000000000", "{bad:?}");
    }
}

#[test]
fn an_id_of_512_bytes_is_taken_and_that_of_a_job_may_be_longer_by_64() {
    for (name, most) in [(TENANT_ID, 512), (RESOURCE_ID, 512), (JOB_ID, 576)] {
        let taken = |len| {
            let mut headers = Headers::new();
            headers.push_text(name, "x".repeat(len));
            let Correlation { job, tenant, resource, .. } = open(&record(headers), false).correlation;
            [Some(job.0), tenant, resource].into_iter().flatten().any(|id| id.len() == len)
        };
        assert!(taken(most) && !taken(most + 1), "{name}");
    }
}

#[test]
fn an_id_that_the_headers_name_is_not_written_again() {
    let Correlation { job, traceparent, .. } = open(&record(Headers::new()), false).correlation;
    let correlation = Correlation { job, tenant: Some("acme".into()), resource: None, traceparent };
    let mut headers = Headers::new();
    headers.push_text(TENANT_ID, "acme");
    push_missing(&mut headers, &correlation);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [TENANT_ID, JOB_ID, TRACEPARENT]);
}

#[test]
fn the_children_of_a_job_with_the_longest_id_keep_their_ids() {
    let parent = JobId("x".repeat(ID_MAX));
    let child = parent.child(u32::MAX).child(u32::MAX);
    let mut headers = Headers::new();
    headers.push_text(JOB_ID, child.0.clone());
    assert_eq!(open(&record(headers), false).correlation.job, child);
}

fn any_trail() -> impl Strategy<Value = Trail> {
    let time = || proptest::option::of(arbitrary::time());
    let code = proptest::option::of(prop::sample::select(Code::ALL));
    let discard = proptest::option::of(any::<(String, String)>());
    let edit = proptest::option::of(arbitrary::id());
    let told = (proptest::option::of(arbitrary::spent()), proptest::option::of(arbitrary::span()));
    let rest = (edit, discard, told);
    (any::<u32>(), time(), time(), time(), any::<u32>(), code, rest, arbitrary::coordinates()).prop_map(
        |(
            attempt,
            due,
            first_failure,
            last_failure,
            redrives,
            code,
            (edit, discard, (spent, span)),
            origin,
        )| Trail {
            attempt,
            due,
            first_failure,
            last_failure,
            redrives,
            code,
            edit,
            spent,
            span,
            discard,
            origin,
        },
    )
}

proptest! {
    #[test]
    fn what_was_sealed_is_opened_again(original in arbitrary::headers(), trail in any_trail()) {
        let correlation = correlate(&original, &trail.origin);
        let envelope = open(&record(seal(&original, &trail, &correlation)), true);
        prop_assert_eq!(envelope.original, original);
        prop_assert_eq!(envelope.trail, trail);
        prop_assert_eq!(envelope.correlation, correlation);
    }

    /// A stage fills in tenant and resource from the payload; on a rung they are headers.
    #[test]
    fn ids_that_the_headers_did_not_name_travel_with_the_block(
        original in arbitrary::headers(),
        trail in any_trail(),
        tenant in arbitrary::id(),
        resource in arbitrary::id(),
    ) {
        let mut correlation = correlate(&original, &trail.origin);
        correlation.tenant.get_or_insert(tenant);
        correlation.resource.get_or_insert(resource);
        let envelope = open(&record(seal(&original, &trail, &correlation)), true);
        prop_assert_eq!(envelope.correlation, correlation);
        prop_assert_eq!(envelope.original, original);
    }

    #[test]
    fn whatever_the_headers_say_a_record_can_be_opened_and_its_ids_are_usable(
        headers in arbitrary::headers(),
        own: bool,
    ) {
        let envelope = open(&record(headers.clone()), own);
        let Correlation { job, tenant, resource, traceparent } = &envelope.correlation;
        prop_assert!(is_job_id(&job.0) && is_traceparent(traceparent));
        prop_assert!(tenant.iter().chain(resource).all(|id| is_id(id)));
        prop_assert!(own || envelope.original == headers);
        let originals: Vec<_> = envelope.original.iter().collect();
        prop_assert_eq!(originals.as_slice(), &headers.iter().collect::<Vec<_>>()[..originals.len()]);
    }
}
