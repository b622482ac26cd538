//! The values of records, and the schemas that others wrote them with.

use apache_avro::writer::datum::GenericDatumWriter;

use super::bytes::Bytes;
use crate::schema::wire::{self, WriterSchema};
use crate::schema::{Shape, avro as values, json as text};

/// Most memory one list or text may claim before it is read; the service allows more than a fuzzer has.
const ALLOCATION_MAX: usize = 4 << 20;

/// What our bounded parser reads, the one that it is built on reads alike.
pub fn json(input: &[u8]) {
    let found = text::decode(input);
    assert!(found.as_ref().err().is_none_or(|fault| fault.message.contains("the value is not JSON")));
    assert_eq!(found.ok(), serde_json::from_slice(input).ok());
}

/// Data of one of our own schemas, or with an odd first byte a foreign schema and its data.
pub fn avro(input: &[u8]) {
    if cfg!(fuzzing) {
        // Set once for the whole process: other tests may need more.
        apache_avro::util::max_allocation_bytes(ALLOCATION_MAX);
    }
    let mut bytes = Bytes(input);
    let choice = usize::from(bytes.byte());
    let shape = Shape::ALL[choice / 2 % Shape::ALL.len()];
    let Ok(ours) = shape.schema() else { panic!("{} is no schema", shape.name()) };
    let theirs = match choice % 2 {
        0 => shape.text().to_owned(),
        _ => {
            let length = bytes.take(2).iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            String::from_utf8_lossy(bytes.take(length)).into_owned()
        }
    };
    let wired = wire::join(7, bytes.0);
    let Ok((7, datum)) = wire::split(&wired) else { panic!("what was joined cannot be split") };
    let Ok(value) = WriterSchema::parse(&theirs, &[]).and_then(|writer| writer.read(datum)) else { return };
    let Some(value) = value.resolve(&ours).ok().and_then(|value| values::to_json(value).ok()) else { return };
    // What a stage reads it can write, and then reads the same.
    let Ok(again) = values::from_json(&value, &ours) else { panic!("{value} is not written as it was read") };
    let written = GenericDatumWriter::builder(&ours).build().and_then(|w| w.write_value_to_vec(again));
    let read = written.ok().and_then(|datum| WriterSchema::parse(shape.text(), &[]).ok()?.read(&datum).ok());
    assert_eq!(read.and_then(|read| values::to_json(read).ok()), Some(value));
}
