//! Spring for Apache Kafka, and the Kafka binder of Spring Cloud Stream. Numbers are binary, big endian.

use super::cause::Said;
use super::value::{Block, origin, time};
use super::{EXCEPTION_MAX, Family, Foreign, Kind};
use crate::flow::fault::MESSAGE_MAX;
use crate::message::Headers;

/// The three ways differ in what the names begin with.
struct Names {
    exception: &'static str,
    cause: &'static str,
    message: &'static str,
    trace: &'static str,
    /// The same of an exception that concerns the key.
    key_exception: &'static str,
    key_message: &'static str,
    key_trace: &'static str,
    topic: &'static str,
    partition: &'static str,
    offset: &'static str,
    timestamp: &'static str,
}

macro_rules! names {
    ($prefix:literal) => {
        Names {
            exception: concat!($prefix, "exception-fqcn"),
            cause: concat!($prefix, "exception-cause-fqcn"),
            message: concat!($prefix, "exception-message"),
            trace: concat!($prefix, "exception-stacktrace"),
            key_exception: concat!($prefix, "key-exception-fqcn"),
            key_message: concat!($prefix, "key-exception-message"),
            key_trace: concat!($prefix, "key-exception-stacktrace"),
            topic: concat!($prefix, "original-topic"),
            partition: concat!($prefix, "original-partition"),
            offset: concat!($prefix, "original-offset"),
            timestamp: concat!($prefix, "original-timestamp"),
        }
    };
}

/// A listener container gave the record up.
pub static CONTAINER: Kind = Kind {
    marks: &["kafka_dlt-exception-fqcn", "kafka_dlt-key-exception-fqcn", "kafka_dlt-original-topic"],
    all: false,
    read: |headers| Foreign {
        attempts: Block::last(headers).int(DELIVERY_ATTEMPT).and_then(|count| count.try_into().ok()),
        ..letter(headers, &names!("kafka_dlt-"))
    },
};

/// A ladder of retry topics ended. The names of the origin are those of the ladder's first record.
pub static LADDER: Kind = Kind {
    marks: &["kafka_exception-fqcn", "kafka_key-exception-fqcn", "kafka_original-topic"],
    all: false,
    read: |headers| {
        let block = Block::last(headers);
        // The number that the next attempt would have; old versions write it as one byte.
        let next = match block.bytes(ATTEMPTS) {
            Some([next]) => Some(u32::from(*next)),
            _ => block.int(ATTEMPTS).and_then(|next| next.try_into().ok()),
        };
        Foreign {
            attempts: next.map(|next| next.saturating_sub(1)),
            // When it could be tried again: on the dead letter topic, which nobody waits for, the time of the failure.
            failed_at: block.big(BACKOFF).and_then(time),
            ..letter(headers, &names!("kafka_"))
        }
    },
};

/// The binder gave the record up.
pub static BINDER: Kind = Kind {
    marks: &["x-exception-fqcn", "x-original-topic"],
    all: true,
    read: |headers| letter(headers, &names!("x-")),
};

const DELIVERY_ATTEMPT: &str = "kafka_deliveryAttempt";
const ATTEMPTS: &str = "retry_topic-attempts";
const BACKOFF: &str = "retry_topic-backoff-timestamp";
/// The same for containers and ladders.
const GROUP: &str = "kafka_dlt-original-consumer-group";

fn letter(headers: &Headers, names: &Names) -> Foreign {
    let block = Block::last(headers);
    // A value that cannot be read is told of before a key that cannot.
    let of_value = block.bytes(names.exception).is_some();
    let (exception, message, trace) = match of_value {
        true => (names.exception, names.message, names.trace),
        false => (names.key_exception, names.key_message, names.key_trace),
    };
    let trace = block.trace(trace);
    let said = Said {
        exception: block.line(exception, EXCEPTION_MAX),
        message: block.line(message, MESSAGE_MAX),
        cause: block.line(names.cause, EXCEPTION_MAX),
        cause_message: None,
        trace: trace.as_deref(),
    };
    Foreign {
        origin: origin(
            block.id(names.topic),
            block.int(names.partition),
            block.long(names.offset),
            block.long(names.timestamp),
        ),
        consumer: block.id(GROUP).map(|group| format!("consumer group {group}")),
        ..Foreign::new(Family::Spring, said.told())
    }
}
