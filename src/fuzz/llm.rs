//! Answers of providers: statuses, headers and bodies, of successes and of errors.

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::bytes::Bytes;
use crate::flow::Fault;
use crate::flow::fault::MESSAGE_MAX;
use crate::llm::withhold::withhold;
use crate::llm::{classify, wire};

/// A status, the headers that we look at, and a body that may be anything.
pub fn provider(input: &[u8]) {
    let mut bytes = Bytes(input);
    let status = u16::from(bytes.byte()) << 8 | u16::from(bytes.byte());
    let count = usize::from(bytes.byte() % 4);
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "retry-after-ms", "x-request-id"] {
        if let Ok(value) = HeaderValue::from_bytes(bytes.part()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let (key, prompt) = (bytes.text(), bytes.text());
    let body = bytes.0;
    let refused = classify::refusal(status, &headers, body, Timestamp::UNIX_EPOCH);
    hold(&refused);
    withhold(&refused.message, Some(&key), &[&prompt]);
    classify::disguised(body).iter().for_each(hold);
    match wire::completion(body, "model") {
        Ok(completion) => {
            assert!(completion.finish_reason != "content_filter" && !completion.model.is_empty())
        }
        Err(fault) => hold(&fault),
    }
    match wire::embeddings(body, count) {
        Ok(embeddings) => {
            assert_eq!(embeddings.vectors.len(), count);
            for vector in embeddings.vectors {
                let length: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                assert!((length - 1.0).abs() < 1e-3, "a vector of length {length}");
            }
        }
        Err(fault) => hold(&fault),
    }
}

/// A fault travels in headers: one line, bounded.
fn hold(fault: &Fault) {
    assert!(fault.message.len() <= MESSAGE_MAX && !fault.message.contains(char::is_control));
}
