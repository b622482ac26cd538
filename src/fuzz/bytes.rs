//! Takes an input apart, so that one string of bytes can be numbers, texts and headers. What is missing at the end
//! is zero or empty.

use std::borrow::Cow;

use crate::message::{Coordinates, Headers, Record};

pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// Eight bytes, big endian.
    pub fn number(&mut self) -> i64 {
        self.take(8).iter().fold(0, |number, byte| number << 8 | i64::from(*byte))
    }

    /// A byte that says how many follow, and those.
    pub fn part(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.take(count.into())
    }

    pub fn text(&mut self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.part())
    }

    /// A record with headers until the end: name, whether the value is null (an odd byte), value.
    pub fn record(&mut self) -> Record {
        let has_none = self.byte() % 2 == 1;
        let timestamp = (!has_none).then(|| self.number());
        let at = Coordinates { topic: "in".into(), partition: 3, offset: 7, timestamp };
        let mut headers = Headers::new();
        while !self.0.is_empty() {
            let name = self.text().into_owned();
            let is_null = self.byte() % 2 == 1;
            headers.push(name, (!is_null).then(|| self.part().to_vec()));
        }
        Record { at, key: None, value: Some(b"v".to_vec().into()), headers }
    }
}
