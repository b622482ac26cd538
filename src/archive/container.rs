//! Records of dead letters as an Avro object container file (`schemas/archive.avsc`), which tools of others read too. The same
//! letters give the same bytes. Pure.

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::types::Value;
use apache_avro::{Codec, DeflateSettings, Reader, Schema, Writer};
use bytes::Bytes;

use crate::message::{Coordinates, Headers, Record};

static SCHEMA: LazyLock<Option<Schema>> =
    LazyLock::new(|| Schema::parse_str(include_str!("../../schemas/archive.avsc")).ok());

/// A record, and the id of the dead letter that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub id: String,
    pub record: Record,
}

/// These bytes are no container of letters, or these letters cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ContainerError(String);

impl From<apache_avro::Error> for ContainerError {
    fn from(error: apache_avro::Error) -> Self {
        Self(error.to_string())
    }
}

fn wrong(what: &str) -> ContainerError {
    ContainerError(format!("the letters in it cannot be read: {what}"))
}

/// Letters as bytes, in this order.
pub fn pack(letters: &[Letter]) -> Result<Vec<u8>, ContainerError> {
    let schema = SCHEMA.as_ref().ok_or_else(|| wrong("the schema"))?;
    let marker = marker(letters);
    let mut writer = Writer::builder()
        .schema(schema)
        .writer(head(schema, &marker)?)
        .codec(Codec::Deflate(DeflateSettings::default()))
        .marker(marker)
        .has_header(true)
        .build()?;
    for Letter { id, record } in letters {
        writer.append_value(value(id, record))?;
    }
    Ok(writer.into_inner()?)
}

/// What a container begins with: the library would write it in another order each time.
fn head(schema: &Schema, marker: &[u8; 16]) -> Result<Vec<u8>, ContainerError> {
    let schema = serde_json::to_vec(schema).map_err(|error| ContainerError(error.to_string()))?;
    let mut head = b"Obj\x01".to_vec();
    // A map of two, then one of none.
    length(&mut head, 2);
    for (key, value) in [("avro.codec", b"deflate".as_slice()), ("avro.schema", &schema)] {
        for bytes in [key.as_bytes(), value] {
            length(&mut head, bytes.len());
            head.extend_from_slice(bytes);
        }
    }
    length(&mut head, 0);
    head.extend_from_slice(marker);
    Ok(head)
}

/// A number in Avro's way: seven bits in a byte, the least first, and what says the sign lowest.
fn length(to: &mut Vec<u8>, length: usize) {
    let mut left = length << 1;
    while left >= 0x80 {
        to.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    to.push(left as u8);
}

/// What divides its blocks, which need not be random but another one in another file.
fn marker(letters: &[Letter]) -> [u8; 16] {
    let mut hash = blake3::Hasher::new();
    for Letter { id, record } in letters {
        hash.update(id.as_bytes()).update(&[0]).update(record.at.to_string().as_bytes()).update(&[0]);
    }
    hash.finalize().as_bytes().first_chunk().copied().unwrap_or_default()
}

fn value(id: &str, record: &Record) -> Value {
    let header = |(name, value): (&str, Option<&Bytes>)| {
        Value::Record(vec![("name".into(), Value::String(name.into())), ("value".into(), optional(value))])
    };
    let timestamp = match record.at.timestamp {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(timestamp) => Value::Union(1, Box::new(Value::Long(timestamp))),
    };
    Value::Record(vec![
        ("id".into(), Value::String(id.into())),
        ("topic".into(), Value::String(record.at.topic.to_string())),
        ("partition".into(), Value::Int(record.at.partition)),
        ("offset".into(), Value::Long(record.at.offset)),
        ("timestamp".into(), timestamp),
        ("key".into(), optional(record.key.as_ref())),
        ("value".into(), optional(record.value.as_ref())),
        ("headers".into(), Value::Array(record.headers.shared().map(header).collect())),
    ])
}

fn optional(bytes: Option<&Bytes>) -> Value {
    match bytes {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(bytes) => Value::Union(1, Box::new(Value::Bytes(bytes.to_vec()))),
    }
}

/// The letters again.
pub fn unpack(bytes: &[u8]) -> Result<Vec<Letter>, ContainerError> {
    Reader::new(bytes)?.map(|value| letter(value?)).collect()
}

fn letter(value: Value) -> Result<Letter, ContainerError> {
    let mut fields = fields(value)?;
    let mut take = |name: &str| fields.remove(name).ok_or_else(|| wrong(name));
    let Value::Array(headers) = take("headers")? else { return Err(wrong("headers")) };
    let headers: Vec<(String, Option<Bytes>)> = headers.into_iter().map(header).collect::<Result<_, _>>()?;
    let timestamp = match inner(take("timestamp")?) {
        Value::Null => None,
        other => Some(long(other)?),
    };
    let partition = i32::try_from(long(take("partition")?)?).map_err(|_| wrong("partition"))?;
    let at = Coordinates {
        topic: text(take("topic")?)?.into(),
        partition,
        offset: long(take("offset")?)?,
        timestamp,
    };
    let (key, value) = (opaque(take("key")?)?, opaque(take("value")?)?);
    Ok(Letter {
        id: text(take("id")?)?,
        record: Record { at, key, value, headers: Headers::from_iter(headers) },
    })
}

fn header(value: Value) -> Result<(String, Option<Bytes>), ContainerError> {
    let mut fields = fields(value)?;
    let mut take = |name: &str| fields.remove(name).ok_or_else(|| wrong(name));
    Ok((text(take("name")?)?, opaque(take("value")?)?))
}

fn fields(value: Value) -> Result<HashMap<String, Value>, ContainerError> {
    match value {
        Value::Record(fields) => Ok(fields.into_iter().collect()),
        _ => Err(wrong("a record")),
    }
}

fn inner(value: Value) -> Value {
    match value {
        Value::Union(_, value) => *value,
        other => other,
    }
}

fn text(value: Value) -> Result<String, ContainerError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(wrong("a text")),
    }
}

fn long(value: Value) -> Result<i64, ContainerError> {
    match value {
        Value::Long(number) => Ok(number),
        Value::Int(number) => Ok(number.into()),
        _ => Err(wrong("a number")),
    }
}

fn opaque(value: Value) -> Result<Option<Bytes>, ContainerError> {
    match inner(value) {
        Value::Null => Ok(None),
        Value::Bytes(bytes) => Ok(Some(bytes.into())),
        _ => Err(wrong("bytes")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::arbitrary;

    prop_compose! {
        fn letter()(
            id in "\\PC{0,9}",
            offset in any::<i64>(),
            partition in any::<i32>(),
            timestamp in any::<Option<i64>>(),
            key in any::<Option<Vec<u8>>>(),
            value in any::<Option<Vec<u8>>>(),
            headers in arbitrary::headers(),
        ) -> Letter {
            let at = Coordinates { topic: "p.s.dlq".into(), partition, offset, timestamp };
            let record = Record { at, key: key.map(Bytes::from), value: value.map(Bytes::from), headers };
            Letter { id, record }
        }
    }

    proptest! {
        #[test]
        fn letters_come_back_as_they_were(letters in prop::collection::vec(letter(), 0..8)) {
            let bytes = pack(&letters).expect("a container");
            prop_assert_eq!(&unpack(&bytes).expect("letters"), &letters);
            prop_assert!(pack(&letters).expect("a container") == bytes, "the same letters are the same bytes");
        }

        #[test]
        fn nothing_from_outside_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&bytes);
            let _ = unpack(&[b"Obj\x01".as_slice(), &bytes].concat());
        }
    }

    #[test]
    fn headers_that_repeat_and_those_without_a_value_keep_their_order() {
        let mut headers = Headers::new();
        headers.push("b", Some(vec![0xff, 0]));
        headers.push("a", None);
        headers.push("b", Some(Vec::new()));
        let at = Coordinates { topic: "t".into(), partition: 0, offset: 1, timestamp: None };
        let record = Record { at, key: None, value: Some(Bytes::new()), headers };
        let letters = [Letter { id: "x".into(), record }];
        assert_eq!(unpack(&pack(&letters).expect("a container")).expect("letters"), letters);
    }
}
