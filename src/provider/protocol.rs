//! The OpenAI protocol as the simulator serves it: requests, answers and errors. It checks what a real provider
//! would check, so that a client that passes here has a chance there.

use axum::body::Bytes;
use base64::Engine;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answerer, embedder, prompt, words};

/// Most texts of one embeddings call, as with OpenAI.
const INPUTS_MAX: usize = 2048;
/// Most tokens of one text to embed.
const EMBED_TOKENS_MAX: u64 = 8192;
/// Longest beginning of a text that is kept, in characters.
const BEGINNING_MAX: usize = 120;
/// Most tokens of a conversation.
const CHAT_TOKENS_MAX: u64 = 128_000;
/// Tokens of an answer when the request names no limit.
const ANSWER_TOKENS: u64 = 1024;

/// An error answer.
#[derive(Debug, PartialEq)]
pub struct Refusal {
    pub status: u16,
    pub kind: &'static str,
    pub code: Option<&'static str>,
    pub message: String,
}

impl Refusal {
    pub fn new(
        status: u16,
        kind: &'static str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, kind, code, message: message.into() }
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", None, message)
    }

    fn too_long(tokens: u64, max: u64) -> Self {
        let message = format!(
            "This model's maximum context length is {max} tokens, but the request has about {tokens}."
        );
        Self::new(400, "invalid_request_error", Some("context_length_exceeded"), message)
    }

    pub fn body(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.kind, "param": null, "code": self.code } })
    }
}

/// What a request is checked against.
pub struct Rules<'a> {
    /// Served models; empty means any name is served.
    pub models: &'a [String],
    /// A text that contains this is refused by the content filter; empty means none is.
    pub filter_phrase: &'a str,
}

impl Rules<'_> {
    fn check<'t>(&self, model: &str, mut texts: impl Iterator<Item = &'t str>) -> Result<(), Refusal> {
        if !self.models.is_empty() && !self.models.iter().any(|m| m == model) {
            let message = format!("The model `{model}` does not exist.");
            return Err(Refusal::new(404, "invalid_request_error", Some("model_not_found"), message));
        }
        if !self.filter_phrase.is_empty() && texts.any(|text| text.contains(self.filter_phrase)) {
            let message = "The request was filtered by the content policy.";
            return Err(Refusal::new(400, "invalid_request_error", Some("content_filter"), message));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct EmbeddingsRequest {
    model: String,
    input: Input,
    #[serde(default)]
    encoding_format: Encoding,
    #[serde(default)]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    /// Little-endian `f32`s; what OpenAI's own Python client asks for.
    Base64,
}

#[derive(Deserialize)]
struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    max_completion_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

impl Message {
    /// The text, written as a string or as a list of parts.
    fn text(&self) -> String {
        let part = |part: &Value| part.get("text")?.as_str().map(str::to_owned);
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(part).collect::<Vec<_>>().join("\n"),
            _ => String::new(),
        }
    }
}

/// How the first text of a request begins, whatever endpoint it is for; empty when it cannot be read.
pub fn beginning(body: &Bytes) -> String {
    let Ok(request) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let input = request.get("input").map(|input| input.get(0).unwrap_or(input));
    let message = || request.get("messages")?.get(0)?.get("content");
    let text = input.or_else(message).and_then(Value::as_str).unwrap_or_default();
    text.chars().take(BEGINNING_MAX).collect()
}

/// Answers `/v1/embeddings`.
pub fn embeddings(body: &Bytes, rules: &Rules<'_>) -> Result<Value, Refusal> {
    let request: EmbeddingsRequest = read(body)?;
    let texts = match request.input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    if texts.is_empty() || texts.len() > INPUTS_MAX {
        return Err(Refusal::invalid(format!(
            "'input' has {} texts; 1 to {INPUTS_MAX} are allowed",
            texts.len()
        )));
    }
    if texts.iter().any(String::is_empty) {
        return Err(Refusal::invalid("'input' must not contain an empty text"));
    }
    if request.dimensions.is_some_and(|d| d != embedder::DIMENSIONS) {
        return Err(Refusal::invalid(format!("'dimensions' can only be {}", embedder::DIMENSIONS)));
    }
    rules.check(&request.model, texts.iter().map(String::as_str))?;
    let tokens: Vec<u64> = texts.iter().map(|text| words::token_estimate(text)).collect();
    if let Some(longest) = tokens.iter().find(|t| **t > EMBED_TOKENS_MAX) {
        return Err(Refusal::too_long(*longest, EMBED_TOKENS_MAX));
    }
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = encode(&embedder::embed(text), request.encoding_format);
            json!({ "object": "embedding", "index": index, "embedding": vector })
        })
        .collect();
    let tokens: u64 = tokens.iter().sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Ok(json!({ "object": "list", "model": request.model, "data": data, "usage": usage }))
}

fn encode(vector: &[f32], encoding: Encoding) -> Value {
    match encoding {
        Encoding::Float => json!(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
            base64::engine::general_purpose::STANDARD.encode(bytes).into()
        }
    }
}

/// What is left of an answer without anything that could be used: what it took.
pub fn spoiled(mut answer: Value) -> Value {
    for name in ["data", "choices"] {
        if let Some(found) = answer.get_mut(name) {
            *found = json!([]);
        }
    }
    answer
}

/// Answers `/v1/chat/completions`.
pub fn chat(body: &Bytes, rules: &Rules<'_>) -> Result<Value, Refusal> {
    let request: ChatRequest = read(body)?;
    if request.stream {
        return Err(Refusal::invalid("this provider does not stream; send \"stream\": false"));
    }
    let texts: Vec<String> = request.messages.iter().map(Message::text).collect();
    rules.check(&request.model, texts.iter().map(String::as_str))?;
    let asked: u64 = texts.iter().map(|text| words::token_estimate(text)).sum();
    if asked > CHAT_TOKENS_MAX {
        return Err(Refusal::too_long(asked, CHAT_TOKENS_MAX));
    }
    let mut users = request.messages.iter().zip(&texts).filter(|(message, _)| message.role == "user");
    let Some((_, user)) = users.next_back() else {
        return Err(Refusal::invalid("'messages' has no message of the role user"));
    };
    let limit = request.max_completion_tokens.or(request.max_tokens).unwrap_or(ANSWER_TOKENS);
    let (text, finish_reason) = fit(answerer::answer(&prompt::read(user)), limit);
    let answered = words::token_estimate(&text);
    Ok(json!({
        "id": format!("chatcmpl-{}", blake3::hash(body).to_hex()),
        "object": "chat.completion",
        "created": jiff::Timestamp::now().as_second(),
        "model": request.model,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": text },
            "finish_reason": finish_reason,
        }],
        "usage": { "prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered },
    }))
}

/// As many whole sentences as the limit allows; the first one is cut if it alone is too long.
fn fit(sentences: Vec<String>, limit: u64) -> (String, &'static str) {
    if sentences.is_empty() {
        return (answerer::NO_ANSWER.to_owned(), "stop");
    }
    let mut text = String::new();
    for sentence in sentences {
        let longer = if text.is_empty() { sentence } else { format!("{text} {sentence}") };
        if words::token_estimate(&longer) > limit {
            let cut = if text.is_empty() { longer.chars().take(limit as usize).collect() } else { text };
            return (cut, "length");
        }
        text = longer;
    }
    (text, "stop")
}

fn read<'de, T: Deserialize<'de>>(body: &'de Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal::invalid(format!("the body cannot be read: {e}")))
}

#[cfg(test)]
mod tests;
