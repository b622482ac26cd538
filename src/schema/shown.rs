//! Any Avro value as JSON for people, by the schema it was written with: what no stage could read is shown all the same.

use apache_avro::types::Value as Avro;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use super::registry::Registry;
use super::wire;
use crate::flow::Fault;

/// The id of the schema that a value in the wire format was written with, and the value.
pub async fn shown(registry: &Registry, value: &[u8]) -> Result<(u32, Json), Fault> {
    let (id, _) = wire::split(value)?;
    Ok((id, json(registry.read(value).await?)))
}

/// Bytes are base64. What JSON has no form for is what the library writes of it.
fn json(value: Avro) -> Json {
    match value {
        Avro::Bytes(bytes) | Avro::Fixed(_, bytes) => Json::String(STANDARD.encode(bytes)),
        Avro::Union(_, inner) => json(*inner),
        Avro::Array(items) => items.into_iter().map(json).collect(),
        Avro::Map(entries) => {
            Json::Object(entries.into_iter().map(|(name, value)| (name, json(value))).collect())
        }
        Avro::Record(fields) => {
            Json::Object(fields.into_iter().map(|(name, value)| (name, json(value))).collect::<Map<_, _>>())
        }
        other => {
            let words = format!("{other:?}");
            Json::try_from(other).unwrap_or(Json::String(words))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_is_shown() {
        let field = |name: &str, value| (name.to_owned(), value);
        let value = Avro::Record(vec![
            field("bytes", Avro::Bytes(vec![0, 255])),
            field("fixed", Avro::Fixed(1, vec![7])),
            field("union", Avro::Union(1, Box::new(Avro::String("a".into())))),
            field("list", Avro::Array(vec![Avro::Null, Avro::Int(1), Avro::Date(3)])),
            field("map", Avro::Map([("k".to_owned(), Avro::TimestampMillis(5))].into())),
            field("enum", Avro::Enum(2, "RED".into())),
            field("odd", Avro::Double(f64::NAN)),
        ]);
        let expected = json!({
            "bytes": "AP8=", "fixed": "Bw==", "union": "a", "list": [null, 1, 3], "map": { "k": 5 }, "enum": "RED",
        });
        let Json::Object(mut shown) = json(value) else { panic!("an object") };
        assert!(shown.remove("odd").is_some());
        assert_eq!(Json::Object(shown), expected);
    }
}
