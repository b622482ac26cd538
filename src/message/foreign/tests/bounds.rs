//! Several families at once, damaged headers, and headers that nobody writes.

use proptest::prelude::*;

use super::*;
use crate::flow::fault::{CHAIN_MAX, MESSAGE_MAX};

#[test]
fn of_several_families_the_last_block_counts() {
    let spring: &[Header<'_>] = &[("kafka_dlt-original-topic", b"a"), ("kafka_dlt-exception-fqcn", b"a.A")];
    let connect: &[Header<'_>] =
        &[("__connect.errors.topic", b"b"), ("__connect.errors.connector.name", b"c")];
    assert_eq!(read_of(&[spring, connect].concat()).family, Family::KafkaConnect);
    assert_eq!(read_of(&[connect, spring].concat()).family, Family::Spring);
    let ladder: &[Header<'_>] = &[("kafka_original-topic", b"first")];
    assert_eq!(read_of(&[ladder, spring].concat()).origin.unwrap().topic, "a");
    assert_eq!(read_of(&[spring, ladder].concat()).origin.unwrap().topic, "first");
}

#[test]
fn what_is_damaged_is_missing_and_the_rest_is_there() {
    let letter = read_of(&[
        ("kafka_dlt-original-topic", b"orders\xff"),
        ("kafka_dlt-original-partition", &[0, 0, 7]),
        ("kafka_dlt-exception-fqcn", b"a.B"),
        ("kafka_dlt-exception-message", b"caf\xe9 is closed"),
        ("kafka_dlt-original-consumer-group", b"\x1b[2J"),
    ]);
    assert_eq!((letter.origin, letter.consumer), (None, None));
    assert_eq!(letter.message, "caf\u{fffd} is closed");
    let number = |bytes: &[u8]| {
        let headers = [("n".to_owned(), Some(bytes.to_vec()))].into_iter().collect();
        let block = value::Block::last(&headers);
        (block.int("n"), block.long("n"), block.big("n"))
    };
    assert_eq!(number(&[]), (None, None, None));
    assert_eq!(number(&[0; 9]), (None, None, None));
    assert_eq!(number(b"-12"), (Some(-12), Some(-12), Some(0x002d_3132)));
}

#[test]
fn a_trace_is_cut_into_no_more_causes_than_a_chain_has() {
    let trace = format!("a.B: c{}", "\nCaused by: d.E: f\n\tat g".repeat(100));
    let letter =
        read_of(&[("__streams.errors.stacktrace", trace.as_bytes()), ("__streams.errors.topic", b"t")]);
    assert_eq!(letter.exception.as_deref(), Some("a.B"), "the trace says what no header does");
    assert_eq!((letter.chain.len(), letter.chain[7].as_str()), (CHAIN_MAX, "d.E: f at g"));
}

#[test]
fn a_record_of_nobody_known_is_none() {
    assert_eq!(read(&arbitrary::record(Headers::new())), None);
    assert_eq!(place(&Headers::new()), None);
}

proptest! {
    #[test]
    fn numbers_are_read_back_from_every_encoding(n: i64, m: i32) {
        let short = (0..8).find(|skip| big(&n.to_be_bytes()[8 - skip - 1..]) == Some(n)).unwrap();
        for bytes in [&n.to_be_bytes()[8 - short - 1..], &n.to_be_bytes()] {
            prop_assert_eq!(big(bytes), Some(n));
        }
        let headers: Headers = [
            ("int".to_owned(), Some(m.to_be_bytes().to_vec())),
            ("long".to_owned(), Some(n.to_be_bytes().to_vec())),
            ("text".to_owned(), Some(n.to_string().into_bytes())),
        ].into_iter().collect();
        let block = value::Block::last(&headers);
        prop_assert_eq!((block.int("int"), block.long("long"), block.decimal("text")), (Some(m), Some(n), Some(n)));
    }

    #[test]
    fn whatever_the_headers_are_what_is_read_is_bounded(headers in arbitrary::foreign_headers()) {
        let record = arbitrary::record(headers);
        let letter = read(&record);
        prop_assert_eq!(letter.is_some(), place(&record.headers).is_some());
        if let Some(letter) = letter {
            let lines = letter.chain.iter().chain(&letter.consumer).chain([&letter.message]);
            prop_assert!(lines.clone().all(|line| line.len() <= MESSAGE_MAX && !line.contains(char::is_control)));
            prop_assert!(letter.chain.len() <= CHAIN_MAX);
            prop_assert!(letter.exception.iter().all(|class| !class.is_empty() && class.len() <= EXCEPTION_MAX));
            prop_assert!(letter.origin.iter().all(|origin| !origin.topic.is_empty() && origin.topic.len() <= 512));
        }
    }
}

fn big(bytes: &[u8]) -> Option<i64> {
    value::Block::last(&[("n".to_owned(), Some(bytes.to_vec()))].into_iter().collect()).big("n")
}
