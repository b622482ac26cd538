//! The OpenAI protocol as this client speaks it: what is sent, and how an answer is read and checked. Pure.
//!
//! Reading is tolerant (unknown fields, no usage, no index) where servers differ, and strict where a wrong
//! answer would be stored: count, order, dimensions and finiteness of vectors.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{ChatMessage, ChatRequest, Completion, Embeddings, classify};
use crate::flow::{Code, Fault};
use crate::message::Spent;
use crate::message::payload::Usage;

#[derive(Serialize)]
pub struct EmbeddingsBody<'a> {
    model: &'a str,
    input: &'a [String],
    encoding_format: &'static str,
}

impl<'a> EmbeddingsBody<'a> {
    pub fn new(model: &'a str, input: &'a [String]) -> Self {
        Self { model, input, encoding_format: "float" }
    }
}

#[derive(Serialize)]
pub struct ChatBody<'a> {
    model: &'a str,
    messages: Vec<MessageBody<'a>>,
    // The older name of the field: every compatible server knows it.
    max_tokens: u32,
    temperature: f64,
    stream: bool,
}

#[derive(Serialize)]
struct MessageBody<'a> {
    role: &'a str,
    content: &'a str,
}

impl<'a> ChatBody<'a> {
    pub fn new(request: &'a ChatRequest) -> Self {
        let message = |m: &'a ChatMessage| MessageBody { role: m.role, content: &m.content };
        Self {
            model: &request.model,
            messages: request.messages.iter().map(message).collect(),
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            stream: false,
        }
    }
}

#[derive(Deserialize)]
struct EmbeddingsReply {
    data: Vec<EmbeddingReply>,
    #[serde(default)]
    usage: Option<UsageReply>,
}

#[derive(Deserialize)]
struct EmbeddingReply {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct ChatReply {
    choices: Vec<Choice>,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    usage: Option<UsageReply>,
}

#[derive(Deserialize)]
struct Choice {
    message: MessageReply,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct MessageReply {
    #[serde(default)]
    content: Option<Content>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl Content {
    fn into_text(self) -> String {
        match self {
            Content::Text(text) => text,
            Content::Parts(parts) => parts.into_iter().map(|p| p.text).collect(),
        }
    }
}

/// Usage with nulls and gaps, as some servers send it.
#[derive(Default, Deserialize)]
struct UsageReply {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

fn usage(reply: Option<UsageReply>) -> Usage {
    let reply = reply.unwrap_or_default();
    Usage {
        prompt_tokens: reply.prompt_tokens.unwrap_or(0),
        completion_tokens: reply.completion_tokens.unwrap_or(0),
    }
}

/// What an answer of any kind says that it took.
pub fn spent(body: &[u8]) -> Option<Spent> {
    #[derive(Deserialize)]
    struct Bare {
        usage: Option<UsageReply>,
    }
    let reply: Bare = serde_json::from_slice(body).ok()?;
    Spent::of(usage(reply.usage))
}

/// Reads an answer to `/embeddings` for `count` texts. The vectors come out in the order of the texts and of
/// unit length.
pub fn embeddings(body: &[u8], count: usize) -> Result<Embeddings, Fault> {
    let mut reply: EmbeddingsReply = read(body)?;
    let usage = usage(reply.usage.take());
    let malformed = |what: String| malformed(what).with_spent(Spent::of(usage));
    if reply.data.len() != count {
        return Err(malformed(format!("{} vectors for {count} texts", reply.data.len())));
    }
    let mut vectors = vec![Vec::new(); count];
    for (position, item) in reply.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(position);
        let place = vectors.get_mut(index).filter(|v| v.is_empty());
        let place =
            place.ok_or_else(|| malformed(format!("index {index} is out of range or there twice")))?;
        *place = unit(item.embedding).ok_or_else(|| malformed(format!("vector {index} has no direction")))?;
    }
    let dimensions = vectors.first().map_or(0, Vec::len);
    if vectors.iter().any(|v| v.len() != dimensions) {
        return Err(malformed("vectors of different lengths".to_owned()));
    }
    Ok(Embeddings { vectors, usage })
}

/// The vector scaled to length 1; `None` when it is empty, zero or not finite.
fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return None;
    }
    for x in &mut vector {
        *x = (f64::from(*x) / length) as f32;
    }
    Some(vector)
}

/// Reads an answer to `/chat/completions`. A filtered or refused answer is a fault.
pub fn completion(body: &[u8], asked_model: &str) -> Result<Completion, Fault> {
    let reply: ChatReply = read(body)?;
    let usage = usage(reply.usage);
    // What cannot be used is to be paid for all the same.
    let billed = |fault: Fault| fault.with_spent(Spent::of(usage));
    let choice = reply.choices.into_iter().next().ok_or_else(|| billed(malformed("no choice")))?;
    let finish_reason = choice.finish_reason.unwrap_or_else(|| "stop".into());
    if finish_reason == "content_filter" {
        return Err(billed(filtered("the answer was stopped by the content filter")));
    }
    let Some(content) = choice.message.content else {
        return Err(billed(match choice.message.refusal {
            Some(_) => filtered("the model refused to answer"),
            None => malformed("a message without content"),
        }));
    };
    Ok(Completion {
        text: content.into_text(),
        usage,
        finish_reason,
        model: reply.model.filter(|m| !m.is_empty()).unwrap_or_else(|| asked_model.to_owned()),
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        if let Some(fault) = classify::disguised(body) {
            return fault.with_spent(spent(body));
        }
        // The parser's own message may quote the answer, so only the place is told.
        let what = match error.classify() {
            serde_json::error::Category::Eof => "the JSON is cut off",
            serde_json::error::Category::Data => "the JSON does not have the fields of the protocol",
            _ => "the body is not JSON",
        };
        malformed(format!("{what}, at line {} column {}", error.line(), error.column()))
            .with_spent(spent(body))
    })
}

fn malformed(what: impl std::fmt::Display) -> Fault {
    Fault::new(Code::LlmMalformed, format!("HTTP status 200, but {what}")).with_status(200)
}

fn filtered(what: &str) -> Fault {
    Fault::new(Code::LlmContentFiltered, what).with_status(200)
}

#[cfg(test)]
mod tests;
