//! SmallRye Reactive Messaging. Numbers are text. It writes its headers in front of the record's own ones.

use super::cause::Said;
use super::value::Block;
use super::{EXCEPTION_MAX, Family, Foreign, Kind};
use crate::flow::fault::MESSAGE_MAX;
use crate::message::Headers;

struct Names {
    exception: &'static str,
    cause: &'static str,
    message: &'static str,
    cause_message: &'static str,
    topic: &'static str,
    partition: &'static str,
    offset: &'static str,
}

macro_rules! names {
    ($prefix:literal) => {
        Names {
            exception: concat!($prefix, "exception-class-name"),
            cause: concat!($prefix, "cause-class-name"),
            message: concat!($prefix, "reason"),
            cause_message: concat!($prefix, "cause"),
            topic: concat!($prefix, "topic"),
            partition: concat!($prefix, "partition"),
            offset: concat!($prefix, "offset"),
        }
    };
}

/// Its strategy `dead-letter-queue`.
pub static DEAD_LETTER: Kind = Kind {
    marks: &["dead-letter-exception-class-name", "dead-letter-reason", "dead-letter-topic"],
    all: false,
    read: |headers| letter(headers, &names!("dead-letter-")),
};

/// Its strategy `delayed-retry-topic`: the headers are those of the last retry.
pub static DELAYED_RETRY: Kind = Kind {
    marks: &["delayed-retry-exception-class-name", "delayed-retry-reason", "delayed-retry-topic"],
    all: false,
    read: |headers| {
        let retries: Option<u32> = Block::last(headers).decimal("delayed-retry-count");
        Foreign {
            attempts: retries.map(|retries| retries.saturating_add(1)),
            ..letter(headers, &names!("delayed-retry-"))
        }
    },
};

fn letter(headers: &Headers, names: &Names) -> Foreign {
    let block = Block::first(headers);
    let said = Said {
        exception: block.line(names.exception, EXCEPTION_MAX),
        message: block.line(names.message, MESSAGE_MAX),
        cause: block.line(names.cause, EXCEPTION_MAX),
        cause_message: block.line(names.cause_message, MESSAGE_MAX),
        trace: None,
    };
    Foreign {
        origin: block.origin(names.topic, names.partition, names.offset),
        ..Foreign::new(Family::SmallRye, said.told())
    }
}
