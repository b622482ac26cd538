//! What a stage of one's own makes of a record.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Record;

/// A record to write. Its key is that of the record it was made of, unless another is given; Lazaret adds the headers
/// `job-id`, `tenant-id`, `resource-id` and `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)] // by which it is told from an output of the pipelines' stages in the ledger
pub struct Output {
    pub(crate) value: Option<Bytes>,
    #[serde(default)]
    pub(crate) key: OutputKey,
    #[serde(default)]
    pub(crate) headers: Vec<(String, Option<Bytes>)>,
    #[serde(default)]
    pub(crate) topic: Option<String>,
    /// Its number among the outputs of one record, where there are several.
    #[serde(default)]
    pub(crate) child: Option<u32>,
}

/// The key of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputKey {
    /// That of the record it was made of.
    #[default]
    OfRecord,
    /// None: the partitioner spreads such records.
    Absent,
    Given(Bytes),
}

/// Bytes, which stand in the ledger's JSON as base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub(crate) bytes::Bytes);

impl Output {
    /// A record with this value.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(Bytes::of(value)), ..Self::tombstone() }
    }

    /// A record without a value, which deletes its key in a compacted topic.
    pub fn tombstone() -> Self {
        Self { value: None, key: OutputKey::OfRecord, headers: Vec::new(), topic: None, child: None }
    }

    /// The record as it came: key, value and headers. Their bytes are shared.
    pub fn copy(record: &Record) -> Self {
        let headers = record.headers().shared();
        let headers = headers.map(|(name, value)| (name.to_owned(), value.cloned().map(Bytes)));
        let value = record.value().cloned().map(Bytes);
        Self { value, headers: headers.collect(), ..Self::tombstone() }
    }

    /// A record with this value as JSON. A value that JSON cannot hold is a permanent failure.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, super::Fault> {
        serde_json::to_vec(value).map(Self::new).map_err(|error| {
            super::Fault::permanent(format!("the output cannot be written as JSON: {error}"))
        })
    }

    /// With a key of its own.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = OutputKey::Given(Bytes::of(key));
        self
    }

    /// Without a key.
    pub fn without_key(mut self) -> Self {
        self.key = OutputKey::Absent;
        self
    }

    /// Appends a header, whatever is there already.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), Some(Bytes::of(value))));
        self
    }

    /// To another topic than the service's output topic, in the same transaction. The topic must exist; when it does
    /// not, the stage pauses (`output.unwritable`).
    pub fn to(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }
}

/// What one record becomes: nothing, one record or many. All are written, or none.
///
/// Made of an [`Output`], a `Vec`, an array or an `Option` of them, or of `()`. Where they are several, each carries a
/// job id of its own: the record's with `/0`, `/1`, …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs(pub(crate) Vec<Output>);

impl Outputs {
    /// The record is done with, and nothing is written.
    pub fn none() -> Self {
        Self::default()
    }
}

impl From<Output> for Outputs {
    fn from(output: Output) -> Self {
        Self(vec![output])
    }
}

impl From<Vec<Output>> for Outputs {
    fn from(outputs: Vec<Output>) -> Self {
        Self(outputs)
    }
}

impl<const N: usize> From<[Output; N]> for Outputs {
    fn from(outputs: [Output; N]) -> Self {
        Self(outputs.into())
    }
}

impl From<Option<Output>> for Outputs {
    fn from(output: Option<Output>) -> Self {
        Self(output.into_iter().collect())
    }
}

impl From<()> for Outputs {
    fn from((): ()) -> Self {
        Self::none()
    }
}

impl FromIterator<Output> for Outputs {
    fn from_iter<T: IntoIterator<Item = Output>>(outputs: T) -> Self {
        Self(outputs.into_iter().collect())
    }
}

impl Bytes {
    fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into().into())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self::of).map_err(serde::de::Error::custom)
    }
}
