//! Between rdkafka's messages and ours: bytes, nulls, order and repeated header names stay as they are.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Headers as _, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use rdkafka::util::IntoOpaque;

use crate::message::{Coordinates, Headers, OutRecord, Record, Topic};

/// Stands for a header whose name is not UTF-8, which the client library cannot hand out.
pub const UNREADABLE_HEADER: &str = "lazaret-unreadable-header";

/// Copies a consumed message of this topic. Key and value share one piece of memory: they come and go together.
pub fn record(message: &BorrowedMessage<'_>, topic: Topic) -> Record {
    let (key, value) = (message.key(), message.payload());
    let (key_length, value_length) = (key.map_or(0, <[u8]>::len), value.map_or(0, <[u8]>::len));
    let mut both = Vec::with_capacity(key_length + value_length);
    both.extend_from_slice(key.unwrap_or_default());
    both.extend_from_slice(value.unwrap_or_default());
    let both = Bytes::from(both);
    Record {
        at: Coordinates {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
        },
        key: key.map(|_| both.slice(..key_length)),
        value: value.map(|_| both.slice(key_length..)),
        headers: message.headers().map(headers).unwrap_or_default(),
    }
}

fn headers(borrowed: &BorrowedHeaders) -> Headers {
    // rdkafka 0.39 panics on a header name that is not UTF-8. Anybody who may write to the input topic could
    // stop the process with one such record, so the panic ends here.
    let one = |at: usize| match catch_unwind(AssertUnwindSafe(|| borrowed.try_get(at))) {
        Ok(Some(header)) => Some((header.key.to_owned(), header.value.map(Bytes::copy_from_slice))),
        Ok(None) => None,
        Err(_) => Some((UNREADABLE_HEADER.to_owned(), None)),
    };
    (0..borrowed.count()).filter_map(one).collect()
}

/// A record as the producers take it. `opaque` comes back with its acknowledgement.
pub fn outgoing<D: IntoOpaque>(record: &OutRecord, opaque: D) -> BaseRecord<'_, [u8], [u8], D> {
    BaseRecord {
        topic: &record.topic,
        partition: record.partition,
        payload: record.value.as_deref(),
        key: record.key.as_deref(),
        timestamp: record.timestamp,
        headers: (!record.headers.is_empty()).then(|| owned_headers(&record.headers)),
        delivery_opaque: opaque,
    }
}

fn owned_headers(headers: &Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (key, value)| {
        all.insert(Header { key, value })
    })
}
