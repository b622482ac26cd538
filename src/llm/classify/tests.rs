use std::time::Duration;

use reqwest::header::HeaderValue;

use super::*;

fn now() -> Timestamp {
    "2026-11-22T04:00:00Z".parse().unwrap()
}

fn refused(status: u16, body: &str) -> Fault {
    refusal(status, &HeaderMap::new(), body.as_bytes(), now())
}

#[test]
fn each_status_alone_has_its_code() {
    for (status, code) in [
        (301, Code::LlmModelUnknown),
        (308, Code::LlmModelUnknown),
        (400, Code::LlmBadRequest),
        (401, Code::LlmUnauthorized),
        (402, Code::LlmQuotaExhausted),
        (403, Code::LlmUnauthorized),
        (404, Code::LlmModelUnknown),
        (405, Code::LlmModelUnknown),
        (407, Code::LlmUnauthorized),
        (408, Code::LlmTimeout),
        (409, Code::LlmServerError),
        (413, Code::LlmBadRequest),
        (415, Code::LlmBadRequest),
        (418, Code::LlmBadRequest),
        (422, Code::LlmBadRequest),
        (424, Code::LlmServerError),
        (429, Code::LlmRateLimited),
        (500, Code::LlmServerError),
        (502, Code::LlmServerError),
        (503, Code::LlmOverloaded),
        (504, Code::LlmTimeout),
        (520, Code::LlmServerError),
        (524, Code::LlmTimeout),
        (529, Code::LlmOverloaded),
    ] {
        let fault = refused(status, "");
        assert_eq!((fault.code, fault.status), (code, Some(status)), "{status}");
    }
}

/// Bodies in the shapes that servers send; the texts are shortened.
const BODIES: &[(&str, u16, &str, Code)] = &[
    (
        "OpenAI, wrong key",
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-***.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        Code::LlmUnauthorized,
    ),
    (
        "OpenAI, too fast",
        429,
        r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on requests per min (RPM): Limit 3. Please try again in 20s.","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
        Code::LlmRateLimited,
    ),
    (
        "OpenAI, a request above the limit of a minute",
        429,
        r#"{"error":{"message":"Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
        Code::LlmContextLength,
    ),
    (
        "OpenAI, no money",
        429,
        r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        Code::LlmQuotaExhausted,
    ),
    (
        "OpenAI, no such model",
        404,
        r#"{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        Code::LlmModelUnknown,
    ),
    (
        "OpenAI, a model the project may not use",
        403,
        r#"{"error":{"message":"Project `proj_x` does not have access to model `gpt-4o`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
        Code::LlmModelUnknown,
    ),
    (
        "OpenAI, too long",
        400,
        r#"{"error":{"message":"This model's maximum context length is 8192 tokens, however you requested 9000 tokens.","type":"invalid_request_error","param":null,"code":null}}"#,
        Code::LlmContextLength,
    ),
    (
        "OpenAI, too long, by code",
        400,
        r#"{"error":{"message":"Input tokens exceed the configured limit","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        Code::LlmContextLength,
    ),
    (
        "OpenAI, policy",
        400,
        r#"{"error":{"message":"Your request was rejected by the safety system.","type":"invalid_request_error","param":null,"code":"content_policy_violation"}}"#,
        Code::LlmContentFiltered,
    ),
    (
        "OpenAI, a bad parameter",
        400,
        r#"{"error":{"message":"Unsupported parameter: 'max_tokens'","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
        Code::LlmBadRequest,
    ),
    (
        "OpenAI, down",
        500,
        r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":null}}"#,
        Code::LlmServerError,
    ),
    (
        "Azure, content filter",
        400,
        r#"{"error":{"message":"The response was filtered due to the prompt triggering the content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"}}}}}"#,
        Code::LlmContentFiltered,
    ),
    (
        "Azure, too fast",
        429,
        r#"{"error":{"code":"429","message":"Requests to the Embeddings Operation have exceeded the call rate limit. Please retry after 6 seconds."}}"#,
        Code::LlmRateLimited,
    ),
    (
        "Azure, no deployment",
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
        Code::LlmModelUnknown,
    ),
    (
        "Azure, wrong key",
        401,
        r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}"#,
        Code::LlmUnauthorized,
    ),
    (
        "Azure gateway, quota of the month",
        403,
        r#"{"statusCode":403,"message":"Out of call volume quota. Quota will be replenished in 12:00:00."}"#,
        Code::LlmQuotaExhausted,
    ),
    (
        "vLLM, too long",
        400,
        r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.","type":"BadRequestError","param":null,"code":400}"#,
        Code::LlmContextLength,
    ),
    (
        "vLLM, no such model",
        404,
        r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}}"#,
        Code::LlmModelUnknown,
    ),
    ("vLLM, wrong key", 401, r#"{"error":"Unauthorized"}"#, Code::LlmUnauthorized),
    (
        "vLLM, a missing field",
        422,
        r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{"model":"x"}}]}"#,
        Code::LlmBadRequest,
    ),
    (
        "Ollama, model not pulled",
        404,
        r#"{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error","param":null,"code":null}}"#,
        Code::LlmModelUnknown,
    ),
    (
        "Ollama, too long",
        400,
        r#"{"error":{"message":"the input length exceeds the context length","type":"invalid_request_error","param":null,"code":null}}"#,
        Code::LlmContextLength,
    ),
    (
        "Ollama, queue full",
        503,
        r#"{"error":"server busy, please try again. maximum pending requests exceeded"}"#,
        Code::LlmOverloaded,
    ),
    (
        "Ollama, runner gone",
        500,
        r#"{"error":{"message":"llama runner process has terminated","type":"api_error"}}"#,
        Code::LlmServerError,
    ),
    (
        "text-embeddings-inference, too long",
        413,
        r#"{"error":"Input validation error: `inputs` must have less than 512 tokens. Given: 611","error_type":"Validation"}"#,
        Code::LlmContextLength,
    ),
    (
        "text-embeddings-inference, backend failed",
        424,
        r#"{"error":"inference failed","error_type":"Backend"}"#,
        Code::LlmServerError,
    ),
    (
        "Anthropic style, overloaded",
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        Code::LlmOverloaded,
    ),
    (
        "Anthropic style, no money",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
        Code::LlmQuotaExhausted,
    ),
    (
        "Anthropic style, too long",
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
        Code::LlmContextLength,
    ),
    (
        "Anthropic style, wrong key behind a proxy that says 400",
        400,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
        Code::LlmUnauthorized,
    ),
    (
        "LiteLLM, too long",
        400,
        r#"{"error":{"message":"litellm.ContextWindowExceededError: BadRequestError","type":null,"param":null,"code":"400"}}"#,
        Code::LlmContextLength,
    ),
    (
        "LiteLLM, budget",
        400,
        r#"{"error":{"message":"Budget has been exceeded! Current cost: 12","type":"budget_exceeded","param":null,"code":"400"}}"#,
        Code::LlmQuotaExhausted,
    ),
    (
        "OpenRouter, no credits",
        402,
        r#"{"error":{"code":402,"message":"Insufficient credits"}}"#,
        Code::LlmQuotaExhausted,
    ),
    (
        "Mistral, no such model",
        400,
        r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}"#,
        Code::LlmModelUnknown,
    ),
    (
        "Google, wrong key",
        400,
        r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}]"#,
        Code::LlmUnauthorized,
    ),
    (
        "nginx, bad gateway",
        502,
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body></body></html>",
        Code::LlmServerError,
    ),
    (
        "Cloudflare, too fast",
        429,
        "<!DOCTYPE html><title>Access denied | error 1015</title>",
        Code::LlmRateLimited,
    ),
    (
        "Envoy, no upstream",
        503,
        "upstream connect error or disconnect/reset before headers",
        Code::LlmOverloaded,
    ),
    ("bytes that are no text", 500, "\u{0}\u{1}\u{fffd}", Code::LlmServerError),
];

#[test]
fn known_bodies_get_their_code() {
    for (name, status, body, code) in BODIES {
        let fault = refused(*status, body);
        assert_eq!(fault.code, *code, "{name}: {}", fault.message);
        assert_eq!(fault.class, code.class(), "{name}");
        assert_eq!(fault.status, Some(*status), "{name}");
    }
}

#[test]
fn a_body_that_is_no_json_keeps_status_and_retry_after() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("Sun, 22 Nov 2026 04:00:30 GMT"));
    let body = b"<html><title>429 Too Many Requests</title>";
    let fault = refusal(429, &headers, body, now());
    assert_eq!(fault.code, Code::LlmRateLimited);
    assert_eq!(fault.status, Some(429));
    assert_eq!(fault.retry_after, Some(Duration::from_secs(30)));
}

#[test]
fn retry_after_is_kept_for_an_overload_and_read_from_a_body_that_has_it() {
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("2.5"));
    assert_eq!(refusal(503, &headers, b"", now()).retry_after, Some(Duration::from_millis(2_500)));

    let body = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"check quota",
        "details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}]}}]"#;
    let fault = refused(429, body);
    assert_eq!((fault.code, fault.retry_after), (Code::LlmRateLimited, Some(Duration::from_secs(34))));
}

#[test]
fn the_message_is_one_bounded_line_with_what_helps() {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", HeaderValue::from_static("req_77"));
    let body =
        format!(r#"{{"error":{{"message":"first\nsecond {}","code":"bad_thing"}}}}"#, "x".repeat(9_000));
    let message = refusal(400, &headers, body.as_bytes(), now()).message;
    assert!(message.starts_with("HTTP status 400 (bad_thing): first second xxx"), "{message}");
    assert!(message.ends_with(", its request id req_77") && message.len() < 500, "{message}");
    assert!(refused(404, "").message.contains("check base_url"));
}

#[test]
fn the_words_of_a_server_error_do_not_turn_it_into_the_records_fault() {
    let body = r#"{"error":{"message":"backend said: maximum context length","code":"content_filter"}}"#;
    assert_eq!(refused(500, body).code, Code::LlmServerError);
}
