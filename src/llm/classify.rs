//! What a provider's failure means: status, headers, body and the time in, a [`Fault`] out. Pure; it neither
//! waits nor retries.
//!
//! The status decides, unless the body says something more precise: providers send an empty account as 400,
//! 402, 403 or 429, and a prompt that is too long as 400, 413 or 429.

use jiff::Timestamp;
use reqwest::header::HeaderMap;

use super::error_body::ErrorBody;
use crate::flow::{Code, Fault, retry_after};

/// Identifiers (code, type, status, reason) that say what a 4xx means.
const WORDS: &[(&str, Code)] = &[
    ("insufficient_quota", Code::LlmQuotaExhausted),
    ("billing_hard_limit_reached", Code::LlmQuotaExhausted),
    ("billing_not_active", Code::LlmQuotaExhausted),
    ("billing_error", Code::LlmQuotaExhausted),
    ("budget_exceeded", Code::LlmQuotaExhausted),
    ("model_not_found", Code::LlmModelUnknown),
    ("deploymentnotfound", Code::LlmModelUnknown),
    ("invalid_model", Code::LlmModelUnknown),
    ("unknown_model", Code::LlmModelUnknown),
    ("invalid_api_key", Code::LlmUnauthorized),
    ("api_key_invalid", Code::LlmUnauthorized),
    ("authentication_error", Code::LlmUnauthorized),
    ("context_length_exceeded", Code::LlmContextLength),
    ("string_above_max_length", Code::LlmContextLength),
    ("content_filter", Code::LlmContentFiltered),
    ("content_policy_violation", Code::LlmContentFiltered),
    ("responsibleaipolicyviolation", Code::LlmContentFiltered),
    ("moderation_blocked", Code::LlmContentFiltered),
    ("data_inspection_failed", Code::LlmContentFiltered),
];

/// Phrases of those that send no identifier, lower case.
const PHRASES: &[(&str, Code)] = &[
    ("credit balance is too low", Code::LlmQuotaExhausted),
    ("out of call volume quota", Code::LlmQuotaExhausted),
    ("maximum context length", Code::LlmContextLength),
    ("exceeds the context length", Code::LlmContextLength),
    ("context window", Code::LlmContextLength),
    ("contextwindowexceeded", Code::LlmContextLength),
    ("prompt is too long", Code::LlmContextLength),
    ("must have less than", Code::LlmContextLength),
    // A request above the rate limit of a whole minute: no wait makes it fit.
    ("request too large for", Code::LlmContextLength),
    ("content management policy", Code::LlmContentFiltered),
    ("contentpolicyviolation", Code::LlmContentFiltered),
];

/// An answer whose status is no success.
pub fn refusal(status: u16, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Fault {
    let error = ErrorBody::read(body);
    let code = code_of(status, &error);
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let wait = retry_after::from_headers(header, now).or(error.retry_after);
    Fault::new(code, describe(status, headers, &error)).with_status(status).with_retry_after(wait)
}

/// An answer with status 200 whose body is an error after all, as routers in front of several providers send.
/// `None` when the body is no such thing.
pub fn disguised(body: &[u8]) -> Option<Fault> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get("error").filter(|error| !error.is_null())?;
    let error = ErrorBody::read(body);
    let code = match error.status() {
        Some(status) => code_of(status, &error),
        None => precise(&error).unwrap_or(Code::LlmMalformed),
    };
    let message = format!("an error with HTTP status 200{}", said(&error));
    Some(Fault::new(code, message).with_status(200).with_retry_after(error.retry_after))
}

/// A call that got no complete answer: not connected, broken, or out of time.
pub fn broken(error: reqwest::Error) -> Fault {
    let (code, message) = if error.is_connect() {
        (Code::LlmConnection, "cannot connect")
    } else if error.is_timeout() {
        (Code::LlmTimeout, "no complete answer in time")
    } else {
        (Code::LlmConnection, "the connection broke before the answer was complete")
    };
    // The address may carry credentials; the provider is known by its name.
    Fault::new(code, message).caused_by(&error.without_url())
}

fn code_of(status: u16, error: &ErrorBody) -> Code {
    if (400..500).contains(&status)
        && let Some(code) = precise(error)
    {
        return code;
    }
    match status {
        401 | 403 | 407 => Code::LlmUnauthorized,
        402 => Code::LlmQuotaExhausted,
        // The path is fixed and the model is the only thing a caller names, so what is missing is the model, or
        // everything is because base_url is wrong. No record is at fault.
        300..=399 | 404 | 405 => Code::LlmModelUnknown,
        408 | 504 | 524 => Code::LlmTimeout,
        429 => Code::LlmRateLimited,
        503 | 529 => Code::LlmOverloaded,
        // Not the request's fault: the same request is still running, came too early, or a backend failed.
        409 | 424 | 425 | 500..=599 => Code::LlmServerError,
        _ => Code::LlmBadRequest,
    }
}

fn precise(error: &ErrorBody) -> Option<Code> {
    let by_word = WORDS.iter().find(|(word, _)| error.words.iter().any(|w| w == word));
    let text = error.message.to_lowercase();
    by_word.or_else(|| PHRASES.iter().find(|(phrase, _)| text.contains(phrase))).map(|(_, code)| *code)
}

fn describe(status: u16, headers: &HeaderMap, error: &ErrorBody) -> String {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
    let id = id.map(|id| format!(", its request id {}", crate::flow::fault::one_line(id, 64)));
    let hint = match status {
        300..=399 | 404 | 405 => "; check base_url and the model's name",
        _ => "",
    };
    format!("HTTP status {status}{}{}{hint}", said(error), id.unwrap_or_default())
}

/// ` (word): message`, as far as there is one.
fn said(error: &ErrorBody) -> String {
    let word = error.words.first().map(|word| format!(" ({word})")).unwrap_or_default();
    let message = if error.message.is_empty() { String::new() } else { format!(": {}", error.message) };
    word + &message
}

#[cfg(test)]
mod tests;
