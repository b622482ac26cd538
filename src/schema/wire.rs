//! Avro in the Confluent wire format: a zero byte, the schema id (four bytes, big endian), the data. Pure.
//!
//! Reads strictly. `apache_avro` takes data that end early for null, so that a record cut off by its producer
//! would pass as one whose last fields are absent; and it follows a recursive schema as deep as the data go, which a
//! hostile record could drive until the stack, and with it the process, is gone. Neither happens here.

use std::collections::{HashMap, HashSet};
use std::io::{Error, ErrorKind, Read};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::schema::{Name, NamespaceRef, ResolvedSchema, Schema};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value as Json;

use super::avro::{self, Mismatch};
use crate::flow::{Code, Fault};

/// Largest value of Avro's type `fixed`; its memory is taken before a byte is read.
const FIXED_MAX: usize = 1 << 20;

/// Puts the head before the data.
pub fn join(id: u32, datum: &[u8]) -> Vec<u8> {
    [&[0], id.to_be_bytes().as_slice(), datum].concat()
}

/// Takes the schema id off the data.
pub fn split(wire: &[u8]) -> Result<(u32, &[u8]), Fault> {
    if let [0, a, b, c, d, datum @ ..] = wire {
        return Ok((u32::from_be_bytes([*a, *b, *c, *d]), datum));
    }
    let found = match wire {
        [] => "the value is empty".to_owned(),
        [b'{' | b'[', ..] => "the value looks like JSON: does the topic's format say so?".to_owned(),
        [0, ..] => format!("the value ends after {} bytes", wire.len()),
        [first, ..] => format!("the first byte is {first:02x}"),
    };
    Err(Fault::new(
        Code::RecordUndecodable,
        format!("not Avro in the wire format (a zero byte, four bytes of schema id, the data): {found}"),
    ))
}

/// The data and the schema they were written with do not go together, or the schema is none that is read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("{0}")]
    Avro(#[from] apache_avro::Error),
    #[error("the type {0} contains itself; such schemas are not read, because data could nest without end")]
    Recursive(String),
    #[error("the type {0} has a fixed size above {FIXED_MAX} bytes")]
    Fixed(String),
    #[error("{0} bytes are left after the data")]
    Left(usize),
    #[error("{0}")]
    Mismatch(#[from] Mismatch),
}

/// A schema that others wrote with, checked.
#[derive(Debug)]
pub struct WriterSchema {
    schema: Schema,
    /// Schemas of the registry that `schema` refers to by name; each behind those that it refers to itself.
    referenced: Vec<Schema>,
}

impl WriterSchema {
    pub fn parse(text: &str, referenced: &[String]) -> Result<Self, WireError> {
        let (schema, referenced) = Schema::parse_str_with_list(text, referenced)?;
        let writer = Self { schema, referenced };
        let resolved = writer.resolved()?;
        Inspector { names: resolved.get_names(), open: Vec::new(), done: HashSet::new() }
            .inspect(&writer.schema, None)?;
        Ok(writer)
    }

    /// Reads the data, all of them.
    pub fn read(&self, datum: &[u8]) -> Result<Value, WireError> {
        let reader =
            GenericDatumReader::builder(&self.schema).resolved_writer_schemata(self.resolved()?).build()?;
        let mut rest = Strict(datum);
        let value = reader.read_value(&mut rest)?;
        if rest.0.is_empty() { Ok(value) } else { Err(WireError::Left(rest.0.len())) }
    }

    /// Writes what [`read`](Self::read) reads.
    pub fn write(&self, value: &Json) -> Result<Vec<u8>, WireError> {
        let resolved = self.resolved()?;
        let value = avro::from_json_in(value, &self.schema, &resolved)?;
        let writer = GenericDatumWriter::builder(&self.schema).resolved_schemata(resolved).build()?;
        Ok(writer.write_value_to_vec(value)?)
    }

    fn resolved(&self) -> Result<ResolvedSchema<'_>, apache_avro::Error> {
        ResolvedSchema::new_with_schemata(self.referenced.iter().chain([&self.schema]).collect())
    }
}

/// A reader for which the end of the data is an error of its own kind, which nobody takes for null.
struct Strict<'a>(&'a [u8]);

impl Read for Strict<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.0.is_empty() && !into.is_empty() {
            return Err(Error::new(ErrorKind::InvalidData, "the data end too early"));
        }
        self.0.read(into)
    }
}

/// Walks a schema in the order in which data would be read, looking for types that must not be read.
struct Inspector<'s> {
    names: &'s HashMap<Name, &'s Schema>,
    /// The records in which we are, outermost first.
    open: Vec<Name>,
    done: HashSet<Name>,
}

impl<'s> Inspector<'s> {
    fn inspect(&mut self, schema: &'s Schema, enclosing: NamespaceRef<'_>) -> Result<(), WireError> {
        match schema {
            Schema::Ref { name } => {
                let name = name.fully_qualified_name(enclosing).into_owned();
                if self.open.contains(&name) {
                    return Err(WireError::Recursive(name.to_string()));
                }
                // A name that nobody defines is found out when data are read.
                let named = if self.done.contains(&name) { None } else { self.names.get(&name).copied() };
                named.map_or(Ok(()), |schema| self.inspect(schema, name.namespace()))
            }
            Schema::Array(array) => self.inspect(&array.items, enclosing),
            Schema::Map(map) => self.inspect(&map.types, enclosing),
            Schema::Union(union) => {
                union.variants().iter().try_for_each(|variant| self.inspect(variant, enclosing))
            }
            Schema::Fixed(fixed) if fixed.size > FIXED_MAX => Err(WireError::Fixed(fixed.name.to_string())),
            Schema::Record(record) => {
                let name = record.name.fully_qualified_name(enclosing).into_owned();
                self.open.push(name.clone());
                for field in &record.fields {
                    self.inspect(&field.schema, name.namespace().or(enclosing))?;
                }
                self.open.pop();
                self.done.insert(name);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
