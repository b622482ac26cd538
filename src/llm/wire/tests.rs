use serde_json::json;

use super::*;

fn embeddings_of(body: serde_json::Value, count: usize) -> Result<Embeddings, Fault> {
    embeddings(body.to_string().as_bytes(), count)
}

fn completion_of(body: serde_json::Value) -> Result<Completion, Fault> {
    completion(body.to_string().as_bytes(), "asked")
}

#[test]
fn vectors_come_in_the_order_of_the_texts_and_of_unit_length() {
    let body = json!({ "object": "list", "model": "m", "extra": {}, "usage": { "prompt_tokens": 9, "total_tokens": 9 },
        "data": [{ "index": 1, "embedding": [0.0, 2.0] }, { "index": 0, "embedding": [3.0, 4.0] }] });
    let result = embeddings_of(body, 2).unwrap();
    assert_eq!(result.vectors, [[0.6, 0.8], [0.0, 1.0]]);
    assert_eq!(result.usage, Usage { prompt_tokens: 9, completion_tokens: 0 });
}

#[test]
fn a_server_without_index_and_usage_is_understood() {
    let body = json!({ "data": [{ "embedding": [1.0, 0.0] }, { "embedding": [0.0, 1.0] }] });
    assert_eq!(embeddings_of(body, 2).unwrap().vectors, [[1.0, 0.0], [0.0, 1.0]]);
}

#[test]
fn vectors_that_could_be_somebody_elses_are_malformed() {
    for (body, what) in [
        (json!({ "data": [{ "embedding": [1.0] }] }), "too few"),
        (
            json!({ "data": [{ "index": 0, "embedding": [1.0] }, { "index": 0, "embedding": [1.0] }] }),
            "twice",
        ),
        (
            json!({ "data": [{ "index": 0, "embedding": [1.0] }, { "index": 2, "embedding": [1.0] }] }),
            "out of range",
        ),
        (json!({ "data": [{ "embedding": [1.0] }, { "embedding": [1.0, 2.0] }] }), "lengths"),
        (json!({ "data": [{ "embedding": [1.0] }, { "embedding": [0.0] }] }), "zero"),
        (json!({ "data": [{ "embedding": [1.0] }, { "embedding": [] }] }), "empty"),
        (json!({ "data": [{ "embedding": [1.0] }, { "embedding": [1e300] }] }), "not finite"),
        (json!({ "data": [{ "embedding": [1.0] }, { "embedding": [null] }] }), "null"),
        (json!({ "data": [{ "embedding": [1.0] }, { "embedding": "AAAA" }] }), "text"),
        (json!({ "object": "list" }), "no data"),
    ] {
        let fault = embeddings_of(body, 2).expect_err(what);
        assert_eq!((fault.code, fault.status), (Code::LlmMalformed, Some(200)), "{what}");
    }
}

#[test]
fn an_answer_is_read_with_and_without_the_optional_fields() {
    let full = json!({ "id": "x", "model": "m-1", "usage": { "prompt_tokens": 3, "completion_tokens": 4 },
        "choices": [{ "index": 0, "finish_reason": "length", "message": { "role": "assistant", "content": "hi" } }] });
    let result = completion_of(full).unwrap();
    assert_eq!(
        (result.text.as_str(), result.finish_reason.as_str(), result.model.as_str()),
        ("hi", "length", "m-1")
    );
    assert_eq!(result.usage, Usage { prompt_tokens: 3, completion_tokens: 4 });

    let bare = json!({ "choices": [{ "message": { "content": "hi" } }], "usage": { "prompt_tokens": null } });
    let result = completion_of(bare).unwrap();
    assert_eq!((result.finish_reason.as_str(), result.model.as_str()), ("stop", "asked"));
    assert_eq!(result.usage, Usage::default());

    let parts = json!({ "choices": [{ "message": { "content": [
        { "type": "text", "text": "a" }, { "type": "text", "text": "b" }] } }] });
    assert_eq!(completion_of(parts).unwrap().text, "ab");
}

#[test]
fn a_filtered_or_refused_answer_is_a_fault_of_the_record() {
    for body in [
        json!({ "choices": [{ "finish_reason": "content_filter", "message": { "content": "" } }] }),
        json!({ "choices": [{ "finish_reason": "content_filter", "message": { "content": "half an ans" } }] }),
        json!({ "choices": [{ "finish_reason": "stop", "message": { "content": null, "refusal": "I cannot" } }] }),
    ] {
        assert_eq!(completion_of(body.clone()).unwrap_err().code, Code::LlmContentFiltered, "{body}");
    }
}

#[test]
fn an_answer_without_an_answer_is_malformed() {
    for body in [
        json!({ "choices": [] }),
        json!({ "choices": [{ "message": { "content": null, "tool_calls": [] } }] }),
        json!({}),
        json!([]),
    ] {
        assert_eq!(completion_of(body.clone()).unwrap_err().code, Code::LlmMalformed, "{body}");
    }
}

#[test]
fn a_body_that_is_cut_off_says_so_and_quotes_nothing() {
    let fault = completion(br#"{"choices":[{"message":{"content":"the secret of"#, "m").unwrap_err();
    assert_eq!(fault.code, Code::LlmMalformed);
    assert!(fault.message.contains("cut off") && !fault.message.contains("secret"), "{}", fault.message);
    for body in ["", "<html></html>", "data: {}", "\u{feff}{}"] {
        assert_eq!(completion(body.as_bytes(), "m").unwrap_err().code, Code::LlmMalformed, "{body}");
    }
}

#[test]
fn an_error_in_a_success_is_what_the_error_says() {
    for (body, code) in [
        (json!({ "error": { "code": 502, "message": "upstream failed" } }), Code::LlmServerError),
        (json!({ "error": { "code": 429, "message": "slow down" } }), Code::LlmRateLimited),
        (json!({ "error": { "code": "context_length_exceeded", "message": "" } }), Code::LlmContextLength),
        (json!({ "error": { "message": "something" } }), Code::LlmMalformed),
    ] {
        let fault = completion_of(body.clone()).unwrap_err();
        assert_eq!((fault.code, fault.status), (code, Some(200)), "{body}");
    }
}

#[test]
fn what_cannot_be_used_is_paid_for_where_the_answer_says_what_it_took() {
    let usage = json!({ "prompt_tokens": 12, "completion_tokens": 3 });
    let spent = Some(Spent { input: 12, output: 3, calls: 1 });
    for body in [
        json!({ "choices": [{ "finish_reason": "content_filter", "message": { "content": "" } }], "usage": usage }),
        json!({ "choices": [{ "message": { "content": null, "refusal": "I cannot" } }], "usage": usage }),
        json!({ "choices": [], "usage": usage }),
        json!({ "usage": usage }),
        json!({ "error": { "message": "upstream failed" }, "usage": usage }),
    ] {
        assert_eq!(completion_of(body.clone()).unwrap_err().spent, spent, "{body}");
    }
    let vectors = json!({ "data": [{ "embedding": [1.0] }, { "embedding": [0.0] }], "usage": usage });
    for count in [1, 2] {
        assert_eq!(embeddings_of(vectors.clone(), count).unwrap_err().spent, spent);
    }
    assert_eq!(completion_of(json!({ "choices": [] })).unwrap_err().spent, None, "nobody said");
    assert_eq!(completion(br#"{"usage": {"prompt_tokens": 12}, "choi"#, "m").unwrap_err().spent, None);
}
