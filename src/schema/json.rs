//! JSON from outside: parsed with a limit on size, depth and number of values, so that a small record cannot
//! become a large tree. Pure.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::flow::{Code, Fault};

/// Most values (numbers, strings, lists, objects) in one record. A value costs some 70 bytes of memory.
const VALUES_MAX: usize = 2_000_000;

/// Parses the whole slice. Depth is bounded by `serde_json` (128).
pub fn decode(bytes: &[u8]) -> Result<Value, Fault> {
    parse(bytes, VALUES_MAX).map_err(|error| {
        let hint = match bytes.first() {
            None => "; the value is empty",
            Some(0) => "; the first byte is 00, as in Avro: does the topic's format say so?",
            Some(_) => "",
        };
        Fault::new(Code::RecordUndecodable, format!("the value is not JSON: {error}{hint}"))
    })
}

fn parse(bytes: &[u8], values_max: usize) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut left = values_max;
    let value = Budget(&mut left).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// How many values may still come.
struct Budget<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Budget<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.0 = self.0.checked_sub(1).ok_or_else(|| D::Error::custom("too many values in one record"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Budget<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Budget(self.0))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            object.insert(name, fields.next_value_seed(Budget(self.0))?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let fault = decode(b"{\"id\": \"a\",\n  \"tenant\": }").unwrap_err();
        assert_eq!(fault.code, Code::RecordUndecodable);
        assert!(fault.message.contains("line 2 column 13"), "{}", fault.message);
    }

    #[test]
    fn avro_on_a_json_topic_is_recognised() {
        let fault = decode(&[0, 0, 0, 0, 7, 2, 65]).unwrap_err();
        assert!(fault.message.contains("as in Avro"), "{}", fault.message);
    }

    #[test]
    fn bytes_after_the_value_are_not_ignored() {
        assert!(decode(b"{} {}").is_err());
        assert!(decode(b"{}\n").is_ok());
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        assert_eq!(decode(b"{\"id\": \"\xff\"}").unwrap_err().code, Code::RecordUndecodable);
    }

    #[test]
    fn nesting_without_end_is_refused_and_does_not_crash() {
        assert_eq!(decode("[".repeat(100_000).as_bytes()).unwrap_err().code, Code::RecordUndecodable);
    }

    #[test]
    fn a_record_has_a_limited_number_of_values() {
        assert!(parse(b"[1, 2, {\"a\": 3}]", 5).is_ok());
        let error = parse(b"[1, 2, {\"a\": 3}]", 4).unwrap_err();
        assert!(error.to_string().contains("too many values"), "{error}");
    }

    proptest! {
        #[test]
        fn parsing_agrees_with_serde_json(
            text in "[\\[\\]{}\",:0-9a-z.\\-]{0,24}",
            number in any::<f64>(),
            integer in any::<i64>(),
        ) {
            prop_assert_eq!(decode(text.as_bytes()).ok(), serde_json::from_slice(text.as_bytes()).ok());
            let value = json!({ "text": text, "list": [number, integer, null, true] });
            let text = value.to_string();
            prop_assert_eq!(decode(text.as_bytes()).ok(), serde_json::from_str(&text).ok());
        }
    }
}
