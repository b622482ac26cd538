//! Values of headers in the encodings that are met, with bounds.

use std::borrow::Cow;
use std::str::FromStr;

use jiff::Timestamp;

use super::Origin;
use crate::flow::fault::one_line;
use crate::message::Headers;
use crate::message::trail::is_id;

/// How much of a stack trace is looked at, in bytes.
const TRACE_MAX: usize = 256 << 10;

/// The headers of one writer.
pub struct Block<'a> {
    headers: &'a Headers,
    /// Whether the first of a name counts: a writer that puts its headers in front of the others.
    first: bool,
}

impl<'a> Block<'a> {
    /// Of a writer that appends: the last of a name counts.
    pub fn last(headers: &'a Headers) -> Self {
        Self { headers, first: false }
    }

    pub fn first(headers: &'a Headers) -> Self {
        Self { headers, first: true }
    }

    pub fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        let mut named = self.headers.iter().filter(|(n, _)| *n == name);
        let (_, value) = if self.first { named.next() } else { named.last() }?;
        value
    }

    /// A name: of a topic, a group, an endpoint. What no name can be is none.
    pub fn id(&self, name: &str) -> Option<String> {
        let text = std::str::from_utf8(self.bytes(name)?).ok()?;
        is_id(text).then(|| text.to_owned())
    }

    /// Words for people, on one line. Damaged characters are replaced: the others may say enough.
    pub fn line(&self, name: &str, max: usize) -> Option<String> {
        let line = one_line(&lossy(self.bytes(name)?, 4 * max), max);
        (!line.is_empty()).then_some(line)
    }

    /// A stack trace, from its beginning.
    pub fn trace(&self, name: &str) -> Option<Cow<'a, str>> {
        Some(lossy(self.bytes(name)?, TRACE_MAX))
    }

    /// A number as text.
    pub fn decimal<T: FromStr>(&self, name: &str) -> Option<T> {
        std::str::from_utf8(self.bytes(name)?).ok()?.trim().parse().ok()
    }

    /// A number of four bytes, big endian. Some versions write the same header as text.
    pub fn int(&self, name: &str) -> Option<i32> {
        match self.bytes(name)?.try_into() {
            Ok(bytes) => Some(i32::from_be_bytes(bytes)),
            Err(_) => self.decimal(name),
        }
    }

    /// The same with eight bytes.
    pub fn long(&self, name: &str) -> Option<i64> {
        match self.bytes(name)?.try_into() {
            Ok(bytes) => Some(i64::from_be_bytes(bytes)),
            Err(_) => self.decimal(name),
        }
    }

    /// A number of as many bytes as it needs, up to eight: big endian, the first bit is the sign.
    pub fn big(&self, name: &str) -> Option<i64> {
        let bytes = self.bytes(name)?;
        let first = *bytes.first().filter(|_| bytes.len() <= 8)?;
        let sign = if first >= 0x80 { -1 } else { 0 };
        Some(bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte)))
    }

    /// A place whose numbers are text.
    pub fn origin(&self, topic: &str, partition: &str, offset: &str) -> Option<Origin> {
        origin(self.id(topic), self.decimal(partition), self.decimal(offset), None)
    }
}

/// A place; negative numbers stand for what is not known.
pub fn origin(
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp: Option<i64>,
) -> Option<Origin> {
    Some(Origin {
        topic: topic?,
        partition: partition.filter(|partition| *partition >= 0),
        offset: offset.filter(|offset| *offset >= 0),
        timestamp: timestamp.filter(|timestamp| *timestamp >= 0),
    })
}

/// A time in milliseconds since 1970.
pub fn time(milliseconds: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds).ok()
}

fn lossy(bytes: &[u8], max: usize) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.get(..max).unwrap_or(bytes))
}
