use std::time::Instant;

use super::*;
use crate::provider::{Options, Running, StartError, start};

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn url(running: &Running, path: &str) -> String {
    format!("http://{}{path}", running.address)
}

async fn get_json(running: &Running, path: &str) -> Value {
    http().get(url(running, path)).send().await.unwrap().json().await.unwrap()
}

async fn embed(http: &reqwest::Client, running: &Running, text: &str) -> u16 {
    let request = json!({ "model": "m", "input": text });
    http.post(url(running, "/v1/embeddings")).json(&request).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_rates_can_be_changed_while_it_runs() {
    let running = start(Options::default()).await.unwrap();
    assert_eq!(embed(&http(), &running, "x").await, 200);

    let change = json!({ "server_error": 1.0, "latency": "1ms" });
    let reply = http().post(url(&running, "/admin/faults")).json(&change).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(embed(&http(), &running, "x").await, 500);
    let shown = get_json(&running, "/admin/faults").await;
    assert_eq!((&shown["server_error"], &shown["latency"]), (&json!(1.0), &json!("1ms")));

    for wrong in [r#"{"hang":0.5}"#, r#"{"hang":-1}"#, r#"{"hung":0}"#, r#"{"latency":3}"#, "[]", ""] {
        let reply = http().post(url(&running, "/admin/faults")).body(wrong).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{wrong}");
    }
    assert_eq!(get_json(&running, "/admin/faults").await, shown, "what is refused changes nothing");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let http = http();
    let rates = Rates { rate_limit: 0.3, server_error: 0.3, ..Rates::default() };
    let mut runs = Vec::new();
    for seed in [5, 5, 6] {
        let running = start(Options { seed, rates: rates.clone(), ..Options::default() }).await.unwrap();
        let mut statuses = Vec::new();
        for n in 0..40 {
            statuses.push(embed(&http, &running, &format!("text {}", n % 10)).await);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn stats_tell_what_was_answered_more_than_once() {
    let running = start(Options::default()).await.unwrap();
    for text in ["once", "twice", "twice"] {
        embed(&http(), &running, text).await;
    }
    let stats = get_json(&running, "/admin/stats").await;
    assert_eq!(stats["calls"]["embeddings"]["200"], 3);
    assert_eq!((&stats["bodies"], &stats["answered_again"]), (&json!(2), &json!(1)));
    assert_eq!(stats["repeats"][0]["answered"], 2);
    let calls = get_json(&running, "/admin/calls").await;
    assert_eq!(calls["calls"][2]["attempt"], 1);
    assert_eq!(calls["calls"][2]["body"], stats["repeats"][0]["body"]);
}

#[tokio::test]
async fn without_the_key_only_health_is_told() {
    let options = Options { api_key: Some(SecretString::from("sesame")), ..Options::default() };
    let running = start(options).await.unwrap();
    let status = |path: &'static str, key: &'static str| {
        let request = http().get(url(&running, path)).bearer_auth(key);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(status("/healthz", "wrong").await, 200);
    assert_eq!(status("/v1/models", "wrong").await, 401);
    assert_eq!(status("/v1/models", "sesame").await, 200);
    assert_eq!(embed(&http(), &running, "x").await, 401);
}

#[tokio::test]
async fn stopping_ends_calls_that_hang() {
    let rates = Rates { hang: 1.0, ..Rates::default() };
    let running = start(Options { rates, ..Options::default() }).await.unwrap();
    let request = http().post(url(&running, "/v1/embeddings")).json(&json!({ "model": "m", "input": "x" }));
    let hanging = tokio::spawn(request.send());
    while running.stats().calls.is_empty() {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    running.stop().await;
    assert_eq!(hanging.await.unwrap().unwrap().status(), 504);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_port_in_use_and_an_address_that_is_none_are_named() {
    let running = start(Options::default()).await.unwrap();
    let taken = Options { listen: running.address.to_string(), ..Options::default() };
    assert!(
        matches!(start(taken).await, Err(StartError::InUse { listen }) if listen == running.address.to_string())
    );
    let nowhere = start(Options { listen: "here".into(), ..Options::default() }).await;
    let message = nowhere.err().unwrap().to_string();
    assert!(message.contains("'here'") && message.contains("127.0.0.1:8089"), "{message}");
    let rates = Rates { hang: 2.0, ..Rates::default() };
    assert!(matches!(start(Options { rates, ..Options::default() }).await, Err(StartError::Rates(_))));
}
