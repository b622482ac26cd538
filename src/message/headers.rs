//! Kafka headers as an ordered list, and the names of the ones Lazaret reads or writes on every hop.

use std::borrow::Cow;

use bytes::Bytes;

/// Correlation headers, on every hop. UTF-8 text.
pub const JOB_ID: &str = "job-id";
pub const TENANT_ID: &str = "tenant-id";
pub const RESOURCE_ID: &str = "resource-id";
pub const TRACEPARENT: &str = "traceparent";

/// Who is hit when a record dies: read from dead letters, never written. UTF-8 text.
pub const PRODUCER_ID: &str = "producer-id";
pub const FEATURE: &str = "feature";
pub const MODEL: &str = "model";

/// Headers in the order of the record; names may repeat and values may be null, as Kafka allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Name, Option<Bytes>)>);

/// The name of a header. Ours are known beforehand.
type Name = Cow<'static, str>;

impl Headers {
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a header, whatever is there already.
    pub fn push(&mut self, name: impl Into<Name>, value: Option<Vec<u8>>) {
        self.push_bytes(name, value.map(Bytes::from));
    }

    /// The same with a value that is shared.
    pub fn push_bytes(&mut self, name: impl Into<Name>, value: Option<Bytes>) {
        self.0.push((name.into(), value));
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }

    /// Appends a text header.
    pub fn push_text(&mut self, name: impl Into<Name>, value: impl Into<String>) {
        self.push(name, Some(value.into().into_bytes()));
    }

    /// The last header of this name, if it is there and is UTF-8 text. Last, because every writer appends.
    pub fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(n, _)| n == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// Splits before the last header of this name: what stood before it, and it with everything after.
    /// `None` when no header has the name.
    pub fn split_at_last(&self, name: &str) -> Option<(Headers, Headers)> {
        let at = self.0.iter().rposition(|(n, _)| n == name)?;
        let (before, after) = self.0.split_at(at);
        Some((Headers(before.to_vec()), Headers(after.to_vec())))
    }

    /// As [`iter`](Self::iter), with values that can be shared.
    pub fn shared(&self) -> impl Iterator<Item = (&str, Option<&Bytes>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_deref()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(n, v)| n.len() + v.as_ref().map_or(0, Bytes::len)).sum()
    }
}

impl FromIterator<(String, Option<Vec<u8>>)> for Headers {
    fn from_iter<T: IntoIterator<Item = (String, Option<Vec<u8>>)>>(items: T) -> Self {
        items.into_iter().map(|(name, value)| (name, value.map(Bytes::from))).collect()
    }
}

impl FromIterator<(String, Option<Bytes>)> for Headers {
    fn from_iter<T: IntoIterator<Item = (String, Option<Bytes>)>>(items: T) -> Self {
        Self(items.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::arbitrary;

    #[test]
    fn headers_are_counted_with_those_that_have_no_value() {
        let mut headers = Headers::new();
        assert_eq!((headers.len(), headers.size(), headers.is_empty()), (0, 0, true));
        headers.push("null", None);
        headers.push_text("text", "ä");
        assert_eq!((headers.len(), headers.size(), headers.is_empty()), (2, 4 + 4 + 2, false));
        assert_eq!(["null", "text", "tex"].map(|name| headers.contains(name)), [true, true, false]);
    }

    #[test]
    fn collected_headers_keep_their_order_and_repeat_their_names() {
        let all = [("b", None), ("a", Some(vec![1])), ("b", Some(vec![]))].map(|(n, v)| (n.to_owned(), v));
        let headers = Headers::from_iter(all.clone());
        let listed = headers.iter().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)));
        assert_eq!(listed.collect::<Vec<_>>(), all);
    }

    proptest! {
        #[test]
        fn a_split_loses_nothing_and_stands_before_the_last_of_the_name(
            headers in arbitrary::headers(),
            more in arbitrary::headers(),
        ) {
            let mut all = headers.clone();
            all.push("here", None);
            all.0.extend(more.iter().filter(|(name, _)| *name != "here").map(|(n, v)| (n.to_owned().into(), v.map(|v| v.to_vec().into()))));
            let (before, after) = all.split_at_last("here").unwrap();
            prop_assert_eq!(&before, &headers);
            prop_assert_eq!(before.iter().chain(after.iter()).collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
            prop_assert_eq!(before.size() + after.size(), all.size());
        }

        #[test]
        fn the_last_of_a_name_is_its_text_and_nothing_before_it(headers in arbitrary::headers(), text in ".{0,9}") {
            let mut all = headers;
            all.push_text("name", "before");
            all.push_text("name", text.clone());
            prop_assert_eq!(all.text("name"), Some(text.as_str()));
            all.push("name", Some(vec![0xff]));
            prop_assert_eq!(all.text("name"), None);
        }
    }
}
