//! Reads the body of an error answer, whoever wrote it: OpenAI and what imitates it, Azure, vLLM, Ollama,
//! Anthropic-style proxies, FastAPI, Google, or a proxy that speaks HTML. It decides nothing.

use std::time::Duration;

use serde_json::Value;

use crate::flow::fault::one_line;
use crate::flow::retry_after;

/// Most bytes of the provider's text that are quoted.
const QUOTE_MAX: usize = 300;

/// What an error body says.
#[derive(Debug, Default, PartialEq)]
pub struct ErrorBody {
    /// Identifiers: code, type, status and reason, lower case, the most telling first.
    pub words: Vec<String>,
    /// The text for people, one line, bounded.
    pub message: String,
    /// A wait that stands in the body instead of the headers.
    pub retry_after: Option<Duration>,
}

impl ErrorBody {
    /// Reads anything; what is no JSON is quoted as text.
    pub fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of_json(&value),
            Err(_) => Self { message: text_of(&String::from_utf8_lossy(body)), ..Self::default() },
        }
    }

    fn of_json(value: &Value) -> Self {
        // Google wraps the object in a list.
        let root = value.get(0).unwrap_or(value);
        let error = match root.get("error") {
            Some(error) if !error.is_null() => error,
            _ => root,
        };
        let words = ["/code", "/type", "/status", "/error_type", "/innererror/code"]
            .iter()
            .filter_map(|pointer| error.pointer(pointer).and_then(word))
            .chain(details(error).filter_map(|d| d.get("reason").and_then(word)))
            .chain(root.get("error_type").and_then(word))
            .collect();
        let retry_after =
            details(error).find_map(|d| d.get("retryDelay")?.as_str()).and_then(retry_after::from_retry_info);
        Self { words, message: message_of(error), retry_after }
    }

    /// The number in the code field, where it is an HTTP error status.
    pub fn status(&self) -> Option<u16> {
        self.words.iter().find_map(|w| w.parse().ok()).filter(|status| (400..600).contains(status))
    }
}

/// The entries of Google's `details`.
fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error.get("details").and_then(Value::as_array).into_iter().flatten()
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(one_line(&text.to_lowercase(), 64)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The text for people, in the places where it is known to stand.
fn message_of(error: &Value) -> String {
    // FastAPI lists what it found wrong under `detail`; its `input` field quotes the request and is left out.
    let places = ["/message", "/error", "/detail/0/msg", "/detail/message", "/detail", "/msg"];
    let text = error.as_str().or_else(|| places.iter().find_map(|p| error.pointer(p)?.as_str()));
    one_line(text.unwrap_or_default(), QUOTE_MAX)
}

/// The title of an HTML page, or the beginning of any other text.
fn text_of(text: &str) -> String {
    let title = || {
        let start = text.find("<title>")? + "<title>".len();
        let tail = text.get(start..)?;
        tail.get(..tail.find("</title>")?)
    };
    let is_html = text.trim_start().starts_with('<');
    let quote = if is_html { title().unwrap_or("an HTML page") } else { text };
    one_line(quote, QUOTE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> ErrorBody {
        ErrorBody::read(body.as_bytes())
    }

    #[test]
    fn the_message_is_found_wherever_a_provider_puts_it() {
        for (body, message) in [
            (r#"{"error":{"message":"a","type":"t","code":null}}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"object":"error","message":"c","code":400}"#, "c"),
            (r#"{"statusCode":401,"message":"d"}"#, "d"),
            (r#"{"detail":"e"}"#, "e"),
            (r#"{"detail":[{"loc":["body"],"msg":"f","input":"secret"}]}"#, "f"),
            (r#"[{"error":{"code":429,"message":"g"}}]"#, "g"),
            (r#""h""#, "h"),
            ("i\n  j", "i j"),
            ("<html><head><title>502 Bad\nGateway</title></head><body>x</body></html>", "502 Bad Gateway"),
            ("<html>x</html>", "an HTML page"),
            ("", ""),
            ("{}", ""),
            ("null", ""),
        ] {
            assert_eq!(read(body).message, message, "{body}");
        }
    }

    #[test]
    fn words_are_lower_case_and_complete() {
        let body = r#"{"error":{"code":"content_filter","type":null,"status":400,
            "innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
        assert_eq!(read(body).words, ["content_filter", "400", "responsibleaipolicyviolation"]);
    }

    #[test]
    fn a_long_text_is_cut() {
        assert!(read(&"x".repeat(100_000)).message.len() <= QUOTE_MAX);
    }
}
