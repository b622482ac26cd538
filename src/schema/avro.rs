//! Between JSON and Avro values, by schema. Bytes are base64 (RFC 4648 section 4) in JSON; a union of null and
//! something is the something or nothing. Pure.

use std::collections::HashMap;

use apache_avro::schema::{Name, ResolvedSchema, Schema, UnionSchema};
use apache_avro::types::Value as Avro;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

/// The value and the schema do not go together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", place(.path))]
pub struct Mismatch {
    /// Where in the value, such as `evidence[2].score`; empty for the whole.
    path: String,
    what: String,
}

fn place(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl Mismatch {
    fn new(what: impl Into<String>) -> Self {
        Self { path: String::new(), what: what.into() }
    }

    fn below(mut self, step: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{separator}{}", self.path);
        self
    }
}

/// Makes the Avro value that `schema` describes. Every field must be known to the schema: what would be dropped in
/// silence is an error.
pub fn from_json(value: &Json, schema: &Schema) -> Result<Avro, Mismatch> {
    let resolved = ResolvedSchema::new(schema).map_err(|e| Mismatch::new(format!("the schema: {e}")))?;
    from_json_in(value, schema, &resolved)
}

/// The same with names that are resolved already.
pub fn from_json_in(value: &Json, schema: &Schema, resolved: &ResolvedSchema<'_>) -> Result<Avro, Mismatch> {
    Writer { names: resolved.get_names() }.write(value, schema)
}

struct Writer<'s> {
    names: &'s HashMap<Name, &'s Schema>,
}

impl Writer<'_> {
    fn write(&self, value: &Json, schema: &Schema) -> Result<Avro, Mismatch> {
        let written = match (schema, value) {
            (Schema::Ref { name }, _) => {
                let schema = self.names.get(name).ok_or_else(|| Mismatch::new(format!("no type {name}")))?;
                return self.write(value, schema);
            }
            (Schema::Union(union), _) => return self.write_union(value, union),
            (Schema::Record(record), Json::Object(object)) => {
                return self.write_record(object, &record.fields);
            }
            (Schema::Array(array), Json::Array(items)) => {
                let write =
                    |(n, item)| self.write(item, &array.items).map_err(|e| e.below(&format!("[{n}]")));
                return items.iter().enumerate().map(write).collect::<Result<_, _>>().map(Avro::Array);
            }
            (Schema::Enum(symbols), Json::String(text)) => {
                let at = symbols.symbols.iter().position(|symbol| symbol == text);
                at.and_then(|at| u32::try_from(at).ok()).map(|at| Avro::Enum(at, text.clone()))
            }
            (Schema::Bytes, Json::String(text)) => {
                let decoded = STANDARD.decode(text);
                return decoded.map(Avro::Bytes).map_err(|e| Mismatch::new(format!("not base64: {e}")));
            }
            (Schema::Map(map), Json::Object(entries)) => {
                let write = |(name, value): (&String, &Json)| {
                    let written = self.write(value, &map.types).map_err(|e| e.below(name))?;
                    Ok((name.clone(), written))
                };
                return entries.iter().map(write).collect::<Result<_, _>>().map(Avro::Map);
            }
            (Schema::Fixed(fixed), Json::String(text)) => {
                let decoded = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == fixed.size);
                decoded.map(|bytes| Avro::Fixed(bytes.len(), bytes))
            }
            (Schema::Null, Json::Null) => Some(Avro::Null),
            (Schema::Boolean, Json::Bool(flag)) => Some(Avro::Boolean(*flag)),
            (Schema::Int, Json::Number(number)) => {
                number.as_i64().and_then(|n| i32::try_from(n).ok()).map(Avro::Int)
            }
            (Schema::Long, Json::Number(number)) => number.as_i64().map(Avro::Long),
            (Schema::Double, Json::Number(number)) => number.as_f64().map(Avro::Double),
            (Schema::Float, Json::Number(number)) => float(number),
            (Schema::String, Json::String(text)) => Some(Avro::String(text.clone())),
            _ => None,
        };
        written.ok_or_else(|| Mismatch::new(format!("expected {}, found {}", kind(schema), found(value))))
    }

    fn write_union(&self, value: &Json, union: &UnionSchema) -> Result<Avro, Mismatch> {
        let mut mismatch = None;
        for (n, variant) in (0u32..).zip(union.variants()) {
            // Null fits only null; its complaint about anything else would hide the one that helps.
            if (*variant == Schema::Null) != value.is_null() {
                continue;
            }
            match self.write(value, variant) {
                Ok(inner) => return Ok(Avro::Union(n, Box::new(inner))),
                Err(e) => mismatch = Some(e),
            }
        }
        Err(mismatch.unwrap_or_else(|| Mismatch::new(format!("{} is not allowed", found(value)))))
    }

    fn write_record(
        &self,
        object: &Map<String, Json>,
        fields: &[apache_avro::schema::RecordField],
    ) -> Result<Avro, Mismatch> {
        if let Some(name) = object.keys().find(|name| fields.iter().all(|field| field.name != **name)) {
            return Err(Mismatch::new("the schema has no such field").below(name));
        }
        let mut written = Vec::with_capacity(fields.len());
        for field in fields {
            let value = object
                .get(&field.name)
                .or(field.default.as_ref())
                .ok_or_else(|| Mismatch::new("a required field is missing").below(&field.name))?;
            let value = self.write(value, &field.schema).map_err(|e| e.below(&field.name))?;
            written.push((field.name.clone(), value));
        }
        Ok(Avro::Record(written))
    }
}

/// A number as a float, unless it is too large for one.
fn float(number: &Number) -> Option<Avro> {
    #[allow(clippy::cast_possible_truncation)] // rounding to the nearest float is what the schema asks for
    number.as_f64().map(|n| n as f32).filter(|n| n.is_finite()).map(Avro::Float)
}

/// Makes the JSON value that a stage reads. The value must have been resolved to one of our schemas.
pub fn to_json(value: Avro) -> Result<Json, Mismatch> {
    let number = |n: f64| {
        Number::from_f64(n)
            .map(Json::Number)
            .ok_or_else(|| Mismatch::new(format!("{n} is not a JSON number")))
    };
    match value {
        Avro::Null => Ok(Json::Null),
        Avro::Boolean(flag) => Ok(Json::Bool(flag)),
        Avro::Int(n) => Ok(n.into()),
        Avro::Long(n) => Ok(n.into()),
        Avro::Float(n) => number(n.into()),
        Avro::Double(n) => number(n),
        Avro::Bytes(bytes) => Ok(Json::String(STANDARD.encode(bytes))),
        Avro::String(text) | Avro::Enum(_, text) => Ok(Json::String(text)),
        Avro::Union(_, inner) => to_json(*inner),
        Avro::Array(items) => {
            let read = |(n, item)| to_json(item).map_err(|e| e.below(&format!("[{n}]")));
            items.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Json::Array)
        }
        Avro::Record(fields) => {
            let mut object = Map::new();
            for (name, value) in fields {
                let value = to_json(value).map_err(|e| e.below(&name))?;
                // An absent field and a null one mean the same to a stage; JSON writes it as absent.
                if !value.is_null() {
                    object.insert(name, value);
                }
            }
            Ok(Json::Object(object))
        }
        other => Err(Mismatch::new(format!("a value that our schemas do not use: {:?}", kind_of(&other)))),
    }
}

fn kind_of(value: &Avro) -> apache_avro::types::ValueKind {
    value.into()
}

fn kind(schema: &Schema) -> String {
    match schema {
        Schema::Enum(symbols) => format!("one of {}", symbols.symbols.join(", ")),
        other => format!("{:?}", apache_avro::schema::SchemaKind::from(other)).to_lowercase(),
    }
}

fn found(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number that does not fit",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
