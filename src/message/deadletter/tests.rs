use proptest::prelude::*;

use super::*;
use crate::flow::Code;
use crate::message::{arbitrary, trail};

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
    fault.spent = Some(Spent { input: 1200, output: 30, calls: 2 });
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
fn what_it_has_cost_stands_in_headers_and_is_unknown_where_it_does_not() {
    let headers = letter("x").seal(&Headers::new(), Detail::Full);
    let told = ["dlq.tokens.input", "dlq.tokens.output", "dlq.tokens.calls"].map(|name| headers.text(name));
    assert_eq!(told, [Some("1200"), Some("30"), Some("2")]);
    let before = DeadLetter { spent: None, ..letter("x") };
    let headers = before.seal(&Headers::new(), Detail::Full);
    assert!(!headers.contains("dlq.tokens.input"));
    assert_eq!(DeadLetter::read(&dead(headers)).map(|(letter, _)| letter.spent), Ok(None));
}

#[test]
fn the_span_of_the_last_attempt_stands_in_a_header_if_there_is_one() {
    let traced = DeadLetter { span: SpanId::read("00f067aa0ba902b7"), ..letter("x") };
    let headers = traced.seal(&Headers::new(), Detail::Brief);
    assert_eq!(headers.text("dlq.span"), Some("00f067aa0ba902b7"));
    assert!(!letter("x").seal(&Headers::new(), Detail::Full).contains("dlq.span"));
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
fn detail_is_shed_step_by_step_until_there_is_no_less() {
    let steps: Vec<Detail> = std::iter::successors(Some(Detail::Full), |detail| detail.less()).collect();
    assert_eq!(steps, [Detail::Full, Detail::NoChain, Detail::Brief]);
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

#[test]
fn a_time_that_no_calendar_has_is_kept_as_a_number() {
    let mut letter = letter("x");
    letter.origin.timestamp = Some(i64::MAX);
    let (read, _) = DeadLetter::read(&dead(letter.seal(&Headers::new(), Detail::Full))).unwrap();
    assert_eq!(read.origin.timestamp, Some(i64::MAX));
}

#[test]
fn an_id_that_no_stage_took_is_not_shown_as_one() {
    let mut original = Headers::new();
    original.push_text(TENANT_ID, "acme\u{1b}[2J");
    let mut letter = letter("x");
    letter.correlation.tenant = None;
    let (read, _) = DeadLetter::read(&dead(letter.seal(&original, Detail::Full))).unwrap();
    assert_eq!(read.correlation.tenant, None);
}

/// A letter as a stage writes it: its ids are those that the headers named, or else derived ones.
fn any_letter() -> impl Strategy<Value = (DeadLetter, Headers)> {
    let texts = proptest::collection::vec(arbitrary::text(), 8);
    let chain = proptest::collection::vec(arbitrary::text(), 0..9);
    let told = (proptest::option::of(arbitrary::spent()), proptest::option::of(arbitrary::span()));
    let numbers = (any::<u32>(), any::<u32>(), told);
    let times = (arbitrary::time(), arbitrary::time());
    (arbitrary::headers(), arbitrary::coordinates(), texts, chain, numbers, times).prop_map(
        |(
            original,
            origin,
            texts,
            chain,
            (attempts, redrives, (spent, span)),
            (first_failure, last_failure),
        )| {
            let Correlation { job, tenant, resource, traceparent } =
                trail::open(&arbitrary::record(original.clone()), false).correlation;
            let mut texts = texts.into_iter();
            let mut text = || texts.next().unwrap();
            let letter = DeadLetter {
                id: text(),
                pipeline: text(),
                stage: text(),
                revision: text(),
                code: text(),
                class: text(),
                message: text(),
                chain,
                fingerprint: text(),
                attempts,
                first_failure,
                last_failure,
                origin,
                redrives,
                spent,
                span,
                correlation: Correlation { job, tenant, resource, traceparent },
            };
            (letter, original)
        },
    )
}

proptest! {
    #[test]
    fn every_letter_is_read_back_whatever_headers_the_record_had((letter, original) in any_letter()) {
        let record = dead(letter.seal(&original, Detail::Full));
        prop_assert_eq!(DeadLetter::read(&record), Ok((letter, original)));
    }

    #[test]
    fn shedding_changes_nothing_but_causes_and_message((letter, original) in any_letter()) {
        for detail in [Detail::NoChain, Detail::Brief] {
            let (read, headers) = DeadLetter::read(&dead(letter.seal(&original, detail))).unwrap();
            prop_assert!(detail == Detail::NoChain || read.message.len() <= SHED_MESSAGE_MAX);
            let message = if detail == Detail::Brief { read.message.clone() } else { letter.message.clone() };
            let shed = DeadLetter { chain: vec![], message, ..letter.clone() };
            prop_assert_eq!((&read, &headers), (&shed, &original));
        }
    }

    #[test]
    fn hostile_headers_are_refused_by_name_or_read(
        headers in arbitrary::headers(),
        (letter, _) in any_letter(),
        gone in 0usize..24,
    ) {
        let sealed = letter.seal(&headers, Detail::Full);
        let holed: Headers = sealed.iter().enumerate().filter(|(n, _)| *n != headers.len() + gone)
            .map(|(_, (name, value))| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
        for headers in [headers, holed] {
            match DeadLetter::read(&dead(headers)) {
                Ok((letter, _)) => prop_assert!(letter.correlation.tenant.iter().all(|id| is_id(id))),
                Err(problem) => prop_assert!(problem.to_string().contains(problem.missing)),
            }
        }
    }

    #[test]
    fn a_fingerprint_does_not_depend_on_numbers_or_quoted_parts(
        words in proptest::collection::vec("[a-z]{1,8}", 1..6),
        numbers in (any::<u64>(), any::<u64>()),
        quoted in ("[a-z ]{0,9}", "[a-z ]{0,9}"),
    ) {
        let print = |number: u64, quoted: &str| {
            let message = format!("{} {number} '{quoted}' end", words.join(" "));
            fingerprint("parse", "parse.corrupt", &message)
        };
        prop_assert_eq!(print(numbers.0, &quoted.0), print(numbers.1, &quoted.1));
    }
}
