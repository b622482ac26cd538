use super::*;

const ANY: Rules<'static> = Rules { models: &[], filter_phrase: "quarantine me" };

fn body(value: Value) -> Bytes {
    Bytes::from(value.to_string())
}

fn chat_with(text: &str, max_tokens: u64) -> Value {
    let messages = json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": text }]);
    chat(&body(json!({ "model": "m", "messages": messages, "max_tokens": max_tokens })), &ANY).unwrap()
}

#[test]
fn one_text_and_a_list_of_texts_are_embedded() {
    let one = embeddings(&body(json!({ "model": "m", "input": "tide" })), &ANY).unwrap();
    let many = embeddings(&body(json!({ "model": "m", "input": ["ebb", "tide"] })), &ANY).unwrap();
    assert_eq!(one["data"][0]["embedding"], many["data"][1]["embedding"]);
    assert_eq!(many["data"][1]["index"], 1);
    assert!(many["usage"]["prompt_tokens"].as_u64().unwrap() > 0);
}

#[test]
fn base64_holds_the_same_numbers() {
    let request = json!({ "model": "m", "input": "tide", "encoding_format": "base64" });
    let reply = embeddings(&body(request), &ANY).unwrap();
    let text = reply["data"][0]["embedding"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let numbers: Vec<f32> = bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(numbers, embedder::embed("tide"));
}

#[test]
fn what_a_provider_refuses_is_refused() {
    let served = vec!["m".to_owned()];
    let rules = Rules { models: &served, filter_phrase: "quarantine me" };
    let long = "word ".repeat(10_000);
    for (request, status, code) in [
        (json!({ "model": "m", "input": [] }), 400, None),
        (json!({ "model": "m", "input": [""] }), 400, None),
        (json!({ "model": "m", "input": [[1, 2]] }), 400, None),
        (json!({ "model": "m", "input": "x", "dimensions": 8 }), 400, None),
        (json!({ "input": "x" }), 400, None),
        (json!({ "model": "n", "input": "x" }), 404, Some("model_not_found")),
        (json!({ "model": "m", "input": long }), 400, Some("context_length_exceeded")),
        (json!({ "model": "m", "input": ["ok", "please quarantine me"] }), 400, Some("content_filter")),
    ] {
        let refusal = embeddings(&body(request), &rules).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (status, code), "{refusal:?}");
    }
    for (request, message) in [
        (json!({ "model": "m", "messages": [], "stream": true }), "does not stream"),
        (json!({ "model": "m", "messages": [] }), "no message"),
        (json!({ "model": "m", "messages": [{ "role": "system", "content": "x" }] }), "no message"),
    ] {
        let refusal = chat(&body(request), &rules).unwrap_err();
        assert!(refusal.status == 400 && refusal.message.contains(message), "{refusal:?}");
    }
    assert!(chat(&Bytes::from_static(b"{\"model\":"), &rules).is_err());
}

#[test]
fn an_answer_quotes_and_cites() {
    let reply =
        chat_with("Passages:\n[1] (Tides) High water is at noon.\n\nQuestion: When is high water?", 100);
    let choice = &reply["choices"][0];
    assert_eq!(choice["message"]["content"], "High water is at noon. [1]");
    assert_eq!(choice["finish_reason"], "stop");
}

#[test]
fn without_passages_there_is_no_answer() {
    assert_eq!(
        chat_with("Question: When is high water?", 100)["choices"][0]["message"]["content"],
        NO_ANSWER
    );
}

#[test]
fn the_answer_keeps_to_its_limit_and_says_so() {
    let passages = "Passages:\n[1] (A) High water is at noon.\n[2] (B) High water floods the quay.\n\nQuestion: When is high water?";
    let short = chat_with(passages, 10);
    assert_eq!(short["choices"][0]["finish_reason"], "length");
    assert_eq!(short["choices"][0]["message"]["content"].as_str().unwrap().matches('[').count(), 1);
    assert!(short["usage"]["completion_tokens"].as_u64().unwrap() <= 10);
    assert_eq!(chat_with(passages, 2)["choices"][0]["message"]["content"], "Hi");
}

use crate::provider::answerer::NO_ANSWER;

#[test]
fn the_log_knows_a_request_by_how_its_first_text_begins() {
    let chat = json!({ "messages": [{ "role": "system", "content": "Be brief." }] });
    let long = "x".repeat(1000);
    for (request, expected) in [
        (json!({ "input": "tide" }), "tide"),
        (json!({ "input": ["ebb", "tide"] }), "ebb"),
        (json!({ "input": long }), &long[..BEGINNING_MAX]),
        (chat, "Be brief."),
        (json!({ "input": [] }), ""),
        (json!([1]), ""),
    ] {
        assert_eq!(beginning(&body(request)), expected);
    }
    assert_eq!(beginning(&Bytes::from_static(b"no JSON")), "");
}
