//! By when dead letters are to be looked at, and to be over. Written as one span, the time to a first look, or with both.

use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::super::units::Span;

/// Times from the death of a record on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Self", deny_unknown_fields, default)]
#[schemars(transform = allow_span_alone)]
pub struct Sla {
    /// Time to a first look: until a person has done something with the dead letter or its group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<Span>,
    /// Time to resolution: until it is neither open nor being redriven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve: Option<Span>,
}

impl<'de> Deserialize<'de> for Sla {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SlaVisitor)
    }
}

impl Serialize for Sla {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self { look: Some(look), resolve: None } => look.serialize(serializer),
            both => Sla::serialize(both, serializer),
        }
    }
}

/// Adds to the schema of both times the one that can stand alone.
fn allow_span_alone(schema: &mut schemars::Schema) {
    let both = std::mem::take(schema);
    let span = serde_json::json!({ "$ref": "#/$defs/Span" });
    *schema = schemars::json_schema!({ "anyOf": [span, both] });
}

struct SlaVisitor;

impl<'de> Visitor<'de> for SlaVisitor {
    type Value = Sla;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as `4h`, or two: `{ look: 4h, resolve: 2d }`")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Sla, E> {
        let look = Span::parse(text).map_err(E::custom)?;
        Ok(Sla { look: Some(look), resolve: None })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Sla, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Sla, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Sla, A::Error> {
        Sla::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Sla, String> {
        serde_saphyr::from_str(yaml).map_err(|e| e.to_string())
    }

    #[test]
    fn one_time_alone_is_that_to_a_first_look() {
        let look = Some(Span::secs(4 * 3600));
        assert_eq!(read("4h"), Ok(Sla { look, resolve: None }));
        assert_eq!(read("{ look: 4h }"), Ok(Sla { look, resolve: None }));
        let both = Sla { look, resolve: Some(Span::secs(2 * 86_400)) };
        assert_eq!(read("{ look: 4h, resolve: 2d }"), Ok(both));
        assert_eq!(read("{ resolve: 2d }"), Ok(Sla { look: None, ..both }));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for yaml in ["4h", "{ look: 4h, resolve: 2d }", "{ resolve: 2d }"] {
            let sla = read(yaml).expect("times");
            let written = serde_json::to_string(&sla).expect("JSON");
            assert_eq!(read(&written), Ok(sla), "{written}");
        }
        assert_eq!(serde_json::to_value(read("4h").expect("a time")).expect("JSON"), "4h");
    }

    #[test]
    fn what_is_no_time_is_told_what_would_be_one() {
        for (yaml, expected) in [
            ("4", "'4' has no unit; did you mean 4s or 4ms?"),
            ("soon", "'soon' is not a duration"),
            ("{ look: 4 }", "'4' has no unit"),
            ("{ lok: 4h }", "unknown field `lok`"),
            ("[4h]", "a duration such as `4h`"),
        ] {
            let told = read(yaml).expect_err("no time");
            assert!(told.contains(expected), "{yaml}: {told}");
        }
    }
}
