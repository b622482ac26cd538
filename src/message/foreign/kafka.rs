//! What Apache Kafka itself writes: Connect, Streams, and the broker for share groups. Numbers are text.

use super::cause::Said;
use super::value::Block;
use super::{EXCEPTION_MAX, Family, Foreign, Kind};
use crate::flow::fault::{MESSAGE_MAX, one_line};

/// A sink connector (KIP-298). Its letters have the original's timestamp.
pub static CONNECT: Kind = Kind {
    marks: &[
        "__connect.errors.topic",
        "__connect.errors.connector.name",
        "__connect.errors.exception.class.name",
    ],
    all: false,
    read: |headers| {
        let block = Block::last(headers);
        let trace = block.trace("__connect.errors.exception.stacktrace");
        let said = Said {
            exception: block.line("__connect.errors.exception.class.name", EXCEPTION_MAX),
            message: block.line("__connect.errors.exception.message", MESSAGE_MAX),
            trace: trace.as_deref(),
            ..Said::default()
        };
        let parts = [
            ("connector", "__connect.errors.connector.name"),
            ("task", "__connect.errors.task.id"),
            ("step", "__connect.errors.stage"),
            ("in", "__connect.errors.class.name"),
        ];
        let parts = parts.into_iter().filter_map(|(what, name)| Some(format!("{what} {}", block.id(name)?)));
        let consumer = one_line(&parts.collect::<Vec<_>>().join(", "), MESSAGE_MAX);
        Foreign {
            origin: block.origin(
                "__connect.errors.topic",
                "__connect.errors.partition",
                "__connect.errors.offset",
            ),
            consumer: (!consumer.is_empty()).then_some(consumer),
            ..Foreign::new(Family::KafkaConnect, said.told())
        }
    },
};

/// An exception handler of a Streams application (KIP-1034). Its letters have the original's timestamp.
pub static STREAMS: Kind = Kind {
    marks: &["__streams.errors.exception", "__streams.errors.topic"],
    all: false,
    read: |headers| {
        let block = Block::last(headers);
        let trace = block.trace("__streams.errors.stacktrace");
        let said = Said {
            exception: block.line("__streams.errors.exception", EXCEPTION_MAX),
            message: block.line("__streams.errors.message", MESSAGE_MAX),
            trace: trace.as_deref(),
            ..Said::default()
        };
        Foreign {
            origin: block.origin(
                "__streams.errors.topic",
                "__streams.errors.partition",
                "__streams.errors.offset",
            ),
            ..Foreign::new(Family::KafkaStreams, said.told())
        }
    },
};

/// The broker, for a share group (KIP-1191). It knows why it gave up, and no exception.
pub static SHARE_GROUP: Kind = Kind {
    marks: &["__dlq.errors.topic", "__dlq.errors.group"],
    all: false,
    read: |headers| {
        let block = Block::last(headers);
        let said = Said { message: block.line("__dlq.errors.message", MESSAGE_MAX), ..Said::default() };
        Foreign {
            attempts: block.decimal("__dlq.errors.delivery.count"),
            origin: block.origin("__dlq.errors.topic", "__dlq.errors.partition", "__dlq.errors.offset"),
            consumer: block.id("__dlq.errors.group").map(|group| format!("share group {group}")),
            ..Foreign::new(Family::ShareGroup, said.told())
        }
    },
};
