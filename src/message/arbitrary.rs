//! Records of every kind that Kafka can hold, for the property tests of what is written into headers and read back.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{Coordinates, Headers, Record, SpanId, Spent};

/// Headers of a producer: our own names among them, repeated, null, and not text.
pub fn headers() -> impl Strategy<Value = Headers> {
    let ours = prop::sample::select(vec![
        "lazaret.v",
        "lazaret.attempt",
        "lazaret.due.at",
        "lazaret.origin.topic",
        "lazaret.tokens.input",
        "lazaret.span",
        "dlq.id",
        "dlq.attempts",
        "dlq.origin.offset",
        "dlq.tokens.output",
        "dlq.span",
        "job-id",
        "tenant-id",
        "resource-id",
        "traceparent",
    ]);
    let name = prop_oneof![3 => ours.prop_map(str::to_owned), 1 => "[a-z.]{1,8}", 1 => ".{0,8}"];
    let value = prop_oneof![
        vec(any::<u8>(), 0..12),
        text().prop_map(String::into_bytes),
        prop::sample::select(vec!["1", "0", "-1", "2026-11-22T00:00:00.000Z", "4294967296"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    vec((name, option::of(value)), 0..12).prop_map(|items| items.into_iter().collect())
}

/// What a provider may have counted.
pub fn spent() -> impl Strategy<Value = Spent> {
    let number = || 0u64..=1_000_000_000_000;
    (number(), number(), number()).prop_map(|(input, output, calls)| Spent { input, output, calls })
}

/// The name of a span.
pub fn span() -> impl Strategy<Value = SpanId> {
    any::<std::num::NonZeroU64>().prop_map(SpanId)
}

/// Headers as others write them into dead letters, of several families at once, and as nobody writes them.
pub fn foreign_headers() -> impl Strategy<Value = Headers> {
    let theirs = prop::sample::select(vec![
        "kafka_dlt-exception-fqcn",
        "kafka_dlt-exception-cause-fqcn",
        "kafka_dlt-exception-message",
        "kafka_dlt-exception-stacktrace",
        "kafka_dlt-key-exception-fqcn",
        "kafka_dlt-original-topic",
        "kafka_dlt-original-partition",
        "kafka_dlt-original-offset",
        "kafka_dlt-original-timestamp",
        "kafka_dlt-original-consumer-group",
        "kafka_deliveryAttempt",
        "kafka_exception-fqcn",
        "kafka_original-topic",
        "retry_topic-attempts",
        "retry_topic-backoff-timestamp",
        "x-exception-fqcn",
        "x-original-topic",
        "__connect.errors.topic",
        "__connect.errors.offset",
        "__connect.errors.connector.name",
        "__connect.errors.exception.stacktrace",
        "__streams.errors.exception",
        "__streams.errors.stacktrace",
        "__dlq.errors.topic",
        "__dlq.errors.delivery.count",
        "source_topic",
        "source_partition",
        "source_offset",
        "source_attempts",
        "dead-letter-exception-class-name",
        "dead-letter-reason",
        "dead-letter-cause",
        "delayed-retry-topic",
        "delayed-retry-count",
        "NServiceBus.FailedQ",
        "NServiceBus.TimeOfFailure",
        "NServiceBus.ExceptionInfo.StackTrace",
        "producer-id",
        "model",
    ]);
    let value = prop_oneof![
        4 => vec(any::<u8>(), 0..12),
        4 => text().prop_map(String::into_bytes),
        4 => prop::sample::select(vec![
            "7",
            "-1",
            "99999999999999999999",
            "2026-11-22 03:14:07:512345 Z",
            "org.springframework.kafka.listener.ListenerExecutionFailedException",
            "java.util.concurrent.CompletionException: a\n\tat a.b(C.java:1)\nCaused by: java.io.IOException: b\n\tat x",
            "System.AggregateException: a\r\n ---> System.TimeoutException: b\r\n   at x",
            "\nCaused by: \nCaused by: : \n ---> ",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => (1usize..40_000, any::<char>()).prop_map(|(times, c)| c.to_string().repeat(times).into_bytes()),
        1 => (1usize..4_000).prop_map(|times| "\nCaused by: a.B: c".repeat(times).into_bytes()),
    ];
    (headers(), vec((theirs.prop_map(str::to_owned), option::of(value)), 0..16), any::<bool>()).prop_map(
        |(other, theirs, in_front)| {
            let other: Vec<_> =
                other.iter().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec))).collect();
            let (first, then) = if in_front { (theirs, other) } else { (other, theirs) };
            first.into_iter().chain(then).collect()
        },
    )
}

/// Ids as they are taken from headers.
pub fn id() -> impl Strategy<Value = String> {
    "\\PC{1,120}"
}

/// Any text, line breaks and control characters among it.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof!["(?s).{0,40}", "[a-z ]{0,40}"]
}

/// Times with milliseconds, which is what headers carry, from one end of what can be written to the other.
pub fn time() -> impl Strategy<Value = Timestamp> {
    let ends = Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond();
    let ms = prop_oneof![ends, -1000i64..1000, 1_700_000_000_000i64..1_900_000_000_000];
    ms.prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

pub fn coordinates() -> impl Strategy<Value = Coordinates> {
    (id(), any::<i32>(), any::<i64>(), option::of(any::<i64>())).prop_map(
        |(topic, partition, offset, timestamp)| Coordinates {
            topic: topic.into(),
            partition,
            offset,
            timestamp,
        },
    )
}

/// A record with these headers, wherever it stands.
pub fn record(headers: Headers) -> Record {
    let at = Coordinates { topic: "in".into(), partition: 1, offset: 7, timestamp: Some(1_700_000_000_000) };
    Record { at, key: None, value: Some(b"v".to_vec().into()), headers }
}
