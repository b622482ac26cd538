//! A place in a payload and an expression that says what stands there afterwards: `/question=payload.question.trim()`. In CEL, as
//! conditions are, and bounded as they are; it can ask for the payload, the headers, and what conditions know of a letter. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cel::extractors::This;
use cel::objects::Key;
use cel::{Context, ExecutionError, Value as Cel};
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::sheet::{Sheet, weight};
use crate::config::expression::Calculation;
use crate::flow::fault::one_line;
use crate::message::Headers;
use crate::ops::advice::Advice;
use crate::quarantine::{Known, operand};

/// What an expression asks for beside the variables of conditions.
const PAYLOAD: &str = "payload";
const HEADERS: &str = "headers";
/// Largest payload that expressions are carried out on, about, and what may come of them. In bytes.
const PAYLOAD_MAX: usize = 256 << 10;
const RESULT_MAX: usize = 1 << 20;
/// How deep lists and objects stand in each other at most.
const DEPTH_MAX: usize = 128;
/// Longest cause in a message.
const CAUSE_MAX: usize = 300;
/// Most of them in one edit.
pub const FORMULAS_MAX: usize = 32;

/// See the module.
#[derive(Clone, Debug)]
pub struct Formula {
    /// A JSON Pointer (RFC 6901).
    pointer: String,
    calculation: Calculation,
}

impl Formula {
    /// Reads `POINTER=EXPRESSION`. The error says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (pointer, expression) = text
            .split_once('=')
            .ok_or_else(|| format!("'{text}' has no '='; write it like /question=payload.question.trim()"))?;
        Self::new(pointer.trim_end(), expression)
    }

    pub fn new(pointer: &str, expression: &str) -> Result<Self, String> {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!(
                "'{pointer}' is no JSON Pointer; write it like /question, or /a/0 for the first of a list"
            ));
        }
        let calculation = Calculation::parse(expression, &[PAYLOAD, HEADERS])?;
        Ok(Self { pointer: pointer.to_owned(), calculation })
    }

    /// Whether what it makes may tell what a part of the payload, or a header, is.
    fn reads(&self) -> (bool, bool) {
        (self.calculation.asks_for(PAYLOAD), self.calculation.asks_for(HEADERS))
    }

    fn value(
        &self,
        letter: &Known,
        now: Timestamp,
        view: &Value,
        headers: &Headers,
    ) -> Result<Value, String> {
        let mut context = self.calculation.context();
        functions(&mut context).map_err(|error| error.to_string())?;
        let value = |name: &str| match name {
            PAYLOAD => to_cel(view),
            HEADERS => of_headers(headers),
            name => operand(letter, name, now).into(),
        };
        to_json(&self.calculation.value(context, value)?, 0, &mut RESULT_MAX.clone())
    }
}

/// What may be told by what it makes of a record: of a payload, of headers.
pub fn reads(formulas: &[Formula]) -> (bool, bool) {
    formulas.iter().map(Formula::reads).fold((false, false), |(a, b), (c, d)| (a || c, b || d))
}

/// The payload that comes of it, one after the other: each sees what the ones before it made.
pub fn carried_out(
    formulas: &[Formula],
    letter: &Known,
    sheet: &Sheet,
    now: Timestamp,
) -> Result<Value, Advice> {
    let mut view = sheet.structured()?.clone();
    if weight(&view) > PAYLOAD_MAX {
        let message =
            format!("its payload has more than the {PAYLOAD_MAX} bytes that expressions are carried out on");
        return Err(Advice::new(message, "give a patch, or the whole payload"));
    }
    for formula in formulas {
        let made = formula.value(letter, now, &view, &sheet.headers);
        let put = made.and_then(|value| put(&mut view, &formula.pointer, value));
        let put = put.and_then(|()| match weight(&view) {
            much if much > RESULT_MAX => Err("what it makes becomes too large".to_owned()),
            _ if depth(&view) > DEPTH_MAX => Err("what it makes is nested too deep".to_owned()),
            _ => Ok(()),
        });
        if let Err(why) = put {
            let Formula { pointer, calculation } = formula;
            let message = format!(
                "'{pointer}={}' cannot be carried out: {}",
                one_line(calculation.text(), CAUSE_MAX),
                one_line(&why, CAUSE_MAX)
            );
            let hint = "see its payload with `lazaret dlq show --payload`, or leave the letter out";
            return Err(Advice::new(message, hint));
        }
    }
    Ok(view)
}

/// Replaces what stands there, or adds a field, or, with `-`, an item at the end of a list. What is above must be there.
fn put(view: &mut Value, pointer: &str, value: Value) -> Result<(), String> {
    let Some((above, name)) = pointer.rsplit_once('/') else {
        *view = value;
        return Ok(());
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match view.pointer_mut(above) {
        Some(Value::Object(fields)) => _ = fields.insert(name, value),
        Some(Value::Array(items)) if name == "-" => items.push(value),
        Some(Value::Array(items)) => {
            let item = name.parse::<usize>().ok().and_then(|n| items.get_mut(n));
            *item.ok_or_else(|| format!("the list at '{above}' has no item '{name}'"))? = value;
        }
        Some(_) => return Err(format!("what stands at '{above}' is neither an object nor a list")),
        None => return Err(format!("there is no '{above}'")),
    }
    Ok(())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What texts can be asked for beyond what CEL has anyway.
fn functions(context: &mut Context<'_, '_>) -> Result<(), cel::DeclarationError> {
    type Text = Arc<String>;
    let replace = |This(text): This<Text>, from: Text, to: Text| {
        let found = text.matches(from.as_str()).count();
        if text.len().saturating_add(found.saturating_mul(to.len())) > RESULT_MAX {
            return Err(ExecutionError::function_error("replace", "what it makes becomes too large"));
        }
        Ok(Arc::new(text.replace(from.as_str(), &to)))
    };
    context.add_function("trim", |This(text): This<Text>| Arc::new(text.trim().to_owned()))?;
    context.add_function("lowerAscii", |This(text): This<Text>| Arc::new(text.to_ascii_lowercase()))?;
    context.add_function("upperAscii", |This(text): This<Text>| Arc::new(text.to_ascii_uppercase()))?;
    context.add_function("replace", replace)
}

fn to_cel(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(is) => Cel::Bool(*is),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Cel::Int(number),
            (None, Some(number)) => Cel::UInt(number),
            (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| (name.clone(), to_cel(value));
            fields.iter().map(field).collect::<HashMap<String, Cel>>().into()
        }
    }
}

/// Of several of one name the last counts.
fn of_headers(headers: &Headers) -> Cel {
    let text = |value: &[u8]| match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => Cel::Bytes(Arc::new(value.to_vec())),
    };
    let header = |(name, value): (&str, Option<&[u8]>)| (name.to_owned(), value.map_or(Cel::Null, text));
    headers.iter().map(header).collect::<HashMap<String, Cel>>().into()
}

/// Fields of an object that an expression makes come in the order of their names.
/// `room`: how many bytes it may still have, about.
fn to_json(value: &Cel, depth: usize, room: &mut usize) -> Result<Value, String> {
    const NODE: usize = 32;
    if depth > DEPTH_MAX {
        return Err("what it makes is nested too deep".into());
    }
    let takes = match value {
        Cel::String(text) => NODE + text.len(),
        Cel::Bytes(bytes) => NODE + bytes.len() * 2,
        _ => NODE,
    };
    *room = room.checked_sub(takes).ok_or("what it makes becomes too large")?;
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(is) => Value::Bool(*is),
        Cel::Int(number) => (*number).into(),
        Cel::UInt(number) => (*number).into(),
        Cel::Float(number) => {
            Number::from_f64(*number).map(Value::Number).ok_or("it is no number of JSON")?
        }
        Cel::String(text) => Value::String(text.to_string()),
        Cel::Bytes(bytes) => Value::String(STANDARD.encode(bytes.as_slice())),
        Cel::Timestamp(time) => Value::String(time.to_rfc3339()),
        Cel::List(items) => {
            Value::Array(items.iter().map(|item| to_json(item, depth + 1, room)).collect::<Result<_, _>>()?)
        }
        Cel::Map(map) => {
            let mut fields: Vec<(String, &Cel)> = Vec::with_capacity(map.map.len());
            for (key, value) in map.map.iter() {
                let Key::String(name) = key else { return Err("a name of a field is no text".into()) };
                fields.push((name.to_string(), value));
            }
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            let mut object = Map::new();
            for (name, value) in fields {
                object.insert(name, to_json(value, depth + 1, room)?);
            }
            Value::Object(object)
        }
        _ => return Err("what it makes is no JSON".into()),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::ops::dlq::fixture;

    async fn made(payload: &Value, formulas: &[&str]) -> Result<Value, Advice> {
        let mut headers = Headers::new();
        headers.push_text("lang", "de");
        headers.push_text("lang", "en");
        let sheet = Sheet::of(None, Some(Bytes::from(payload.to_string())), headers).await;
        let formulas: Vec<Formula> = formulas.iter().map(|text| Formula::parse(text).expect(text)).collect();
        carried_out(&formulas, &fixture::known(60), &sheet, fixture::time(120))
    }

    #[tokio::test]
    async fn what_stands_somewhere_becomes_what_the_expression_says() {
        let payload =
            json!({ "z": 1, "question": "  Why?\n", "big": 18446744073709551615u64, "list": [1, 2.5] });
        for (formula, place, expected) in [
            ("/question=payload.question.trim()", "/question", json!("Why?")),
            ("/question = payload.question.trim().replace('?', '!')", "/question", json!("Why!")),
            ("/question=payload.question.upperAscii().contains('WHY')", "/question", json!(true)),
            ("/lang=headers.lang", "/lang", json!("en")),
            ("/tenant=tenant == 'acme' ? 'globex' : tenant", "/tenant", json!("globex")),
            ("/attempts=attempts + 1", "/attempts", json!(4)),
            ("/same=payload.big", "/same", json!(18446744073709551615u64)),
            ("/list/1=payload.list[1] * 2.0", "/list/1", json!(5.0)),
            ("/list/-={'b': [1], 'a': null}", "/list/2", json!({ "a": null, "b": [1] })),
        ] {
            let made = made(&payload, &[formula]).await.expect(formula);
            assert_eq!(made.pointer(place), Some(&expected), "{formula}");
            assert_eq!(made["z"], json!(1), "{formula}");
        }
        assert_eq!(made(&payload, &["=payload.list"]).await.expect("all of it"), json!([1, 2.5]));
    }

    #[tokio::test]
    async fn they_come_one_after_the_other_and_other_fields_keep_their_order() {
        let payload = json!({ "z": "a", "b": "" });
        let made = made(&payload, &["/b=payload.z + 'b'", "/z=payload.b + 'c'"]).await.expect("made");
        assert_eq!(made.to_string(), r#"{"z":"abc","b":"ab"}"#);
    }

    #[tokio::test]
    async fn what_cannot_be_carried_out_says_with_what_and_why() {
        let payload = json!({ "a": 1, "text": "x".repeat(100_000), "list": [] });
        for (formula, why) in [
            ("/a=payload.b", "'/a=payload.b' cannot be carried out: No such key"),
            ("/a=payload.text.trimm()", "trimm"),
            ("/a/b=1", "neither an object nor a list"),
            ("/no/b=1", "there is no '/no'"),
            ("/list/0=1", "has no item '0'"),
            ("/a=0.0 / 0.0", "no number of JSON"),
            ("/a=duration('1s')", "no JSON"),
            ("/a=payload.text.replace('x', payload.text)", "too large"),
            ("/a=payload.text.replace('', payload.text)", "too large"),
        ] {
            let refused = made(&payload, &[formula]).await.expect_err(formula);
            assert!(refused.message.contains(why), "{formula}: {refused}");
            assert!(refused.message.len() < 1000, "{formula}");
        }
        let large = json!({ "text": "x".repeat(PAYLOAD_MAX) });
        assert!(made(&large, &["/a=1"]).await.is_err());
    }

    #[test]
    fn what_can_never_be_carried_out_is_refused_when_it_is_written() {
        for (text, why) in [
            ("/a", "has no '='"),
            ("a=1", "no JSON Pointer"),
            ("/a=", "it is empty"),
            ("/a=payload.", "is not an expression"),
            ("/a=paylod.b", "there is no 'paylod'"),
            ("/a=[1, 2].map(x, x)", "there is no 'x'"),
        ] {
            let told = Formula::parse(text).expect_err(text);
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn whether_it_can_tell_what_is_hidden_is_known() {
        let of = |texts: &[&str]| -> Vec<Formula> {
            texts.iter().map(|text| Formula::parse(text).expect(text)).collect()
        };
        assert_eq!(reads(&of(&["/a='x'", "/b=tenant"])), (false, false));
        assert_eq!(reads(&of(&["/a='x'", "/b=payload.a"])), (true, false));
        assert_eq!(reads(&of(&["/b=headers['x'] == '1' ? 1 : 2"])), (false, true));
    }
}
