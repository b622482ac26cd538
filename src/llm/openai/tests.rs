use std::collections::HashSet;
use std::net::SocketAddr;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;

use super::*;
use crate::config::{Amount, Provider, Secret, Size, Span};
use crate::llm::{ChatMessage, Purpose};
use crate::provider::faults::Rates;
use crate::provider::{self, Options, Running};

const KEY: &str = "sk-lazaret-0123456789";

fn settings(base_url: &str) -> Provider {
    Provider {
        base_url: base_url.to_owned(),
        api_key: None,
        timeout: Span::secs(10),
        response_max: Size::mib(1),
        prices: BTreeMap::new(),
    }
}

/// The settings with a key in a file, which has to live as long as they are read.
fn with_key(mut provider: Provider, key: &str) -> (Provider, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{key}\n")).unwrap();
    provider.api_key = Some(Secret::File(file.path().to_owned()));
    (provider, file)
}

fn client(base_url: &str) -> Client {
    Client::new("main", &settings(base_url), "USD").unwrap()
}

async fn simulator(rates: Rates) -> (Running, Client) {
    let running = provider::start(Options { rates, ..Options::default() }).await.unwrap();
    let client = client(&running.base_url);
    (running, client)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| (*t).to_owned()).collect()
}

fn question(text: &str) -> ChatRequest {
    let content = format!("Passages:\n[1] (Tides) High water is at noon.\n\nQuestion: {text}");
    let messages = vec![ChatMessage { role: "user", content }];
    ChatRequest { model: "m".into(), messages, max_tokens: 100, temperature: 0.0 }
}

/// What comes of embedding each of 20 different texts.
async fn faults(client: &Client) -> Vec<Fault> {
    let mut faults = Vec::new();
    for n in 0..20 {
        faults.push(
            client.embed(&Bill::default(), "m", &texts(&[&format!("text number {n}")])).await.unwrap_err(),
        );
    }
    faults
}

/// A server of one handler, for what the simulator does not do.
async fn server(routes: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

#[tokio::test]
async fn texts_become_vectors_in_their_order() {
    let (_running, client) = simulator(Rates::default()).await;
    let both = client.embed(&Bill::default(), "m", &texts(&["high water", "low water"])).await.unwrap();
    let low = client.embed(&Bill::default(), "m", &texts(&["low water"])).await.unwrap();
    assert_eq!(both.vectors.len(), 2);
    assert_eq!(both.vectors[1], low.vectors[0]);
    let length: f32 = low.vectors[0].iter().map(|x| x * x).sum();
    assert!((length - 1.0).abs() < 1e-5);
    assert!(both.usage.prompt_tokens > low.usage.prompt_tokens);
    assert!(
        client.embed(&Bill::default(), "m", &[]).await.unwrap().vectors.is_empty(),
        "nothing is asked for nothing"
    );
}

#[tokio::test]
async fn a_question_gets_an_answer() {
    let (_running, client) = simulator(Rates::default()).await;
    let answer = client.chat(&Bill::default(), question("When is high water?")).await.unwrap();
    assert_eq!(answer.text, "High water is at noon. [1]");
    assert_eq!((answer.finish_reason.as_str(), answer.model.as_str()), ("stop", "m"));
}

#[tokio::test]
async fn a_rate_limit_says_how_long_to_wait_in_both_forms() {
    let (_running, client) = simulator(Rates { rate_limit: 1.0, ..Rates::default() }).await;
    let faults = faults(&client).await;
    assert!(faults.iter().all(|f| f.code == Code::LlmRateLimited && f.status == Some(429)));
    let waits: Vec<Duration> = faults.iter().map(|f| f.retry_after.unwrap()).collect();
    assert!(waits.iter().all(|w| *w > Duration::ZERO && *w <= Duration::from_secs(3)), "{waits:?}");
    assert!(waits.iter().any(|w| w.subsec_nanos() == 0), "seconds are whole");
    assert!(waits.iter().any(|w| w.subsec_nanos() != 0), "a date is counted from now");
}

#[tokio::test]
async fn server_errors_and_overloads_are_told_apart() {
    let (_running, client) =
        simulator(Rates { server_error: 0.5, overloaded: 0.5, ..Rates::default() }).await;
    let faults = faults(&client).await;
    let kinds: HashSet<_> = faults.iter().map(|f| (f.code, f.status, f.retry_after.is_some())).collect();
    let expected = [(Code::LlmServerError, Some(500), false), (Code::LlmOverloaded, Some(503), true)]
        .into_iter()
        .collect();
    assert_eq!(kinds, expected);
}

#[tokio::test]
async fn a_provider_that_hangs_is_left_after_the_timeout() {
    let (running, _) = simulator(Rates { hang: 1.0, ..Rates::default() }).await;
    let mut settings = settings(&running.base_url);
    settings.timeout = Span::millis(150);
    let client = Client::new("main", &settings, "USD").unwrap();
    let started = Instant::now();
    let fault = client.embed(&Bill::default(), "m", &texts(&["x"])).await.unwrap_err();
    assert_eq!((fault.code, fault.status), (Code::LlmTimeout, None));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(!fault.chain.is_empty());
}

#[tokio::test]
async fn a_cut_answer_is_malformed_or_a_broken_connection() {
    let (_running, client) = simulator(Rates { truncate: 1.0, ..Rates::default() }).await;
    let codes: HashSet<Code> = faults(&client).await.iter().map(|f| f.code).collect();
    assert_eq!(codes, [Code::LlmMalformed, Code::LlmConnection].into_iter().collect());
}

#[tokio::test]
async fn refused_keys_and_empty_accounts_are_the_stages_failure() {
    let (_running, client) = simulator(Rates { unauthorized: 0.5, quota: 0.5, ..Rates::default() }).await;
    let codes: HashSet<Code> = faults(&client).await.iter().map(|f| f.code).collect();
    assert_eq!(codes, [Code::LlmUnauthorized, Code::LlmQuotaExhausted].into_iter().collect());
}

#[tokio::test]
async fn what_is_wrong_with_the_record_is_permanent() {
    let (_running, client) = simulator(Rates::default()).await;
    for (text, code) in [
        (format!("say: {}", provider::FILTER_PHRASE), Code::LlmContentFiltered),
        ("word ".repeat(10_000), Code::LlmContextLength),
        (String::new(), Code::LlmBadRequest),
    ] {
        for _ in 0..2 {
            assert_eq!(
                client.embed(&Bill::default(), "m", std::slice::from_ref(&text)).await.unwrap_err().code,
                code
            );
        }
    }
    let fault = client.chat(&Bill::default(), question(provider::FILTER_PHRASE)).await.unwrap_err();
    assert_eq!(fault.code, Code::LlmContentFiltered);
}

#[tokio::test]
async fn an_unknown_model_and_a_wrong_path_are_the_configurations_failure() {
    let options = Options { models: vec!["known".into()], ..Options::default() };
    let running = provider::start(options).await.unwrap();
    let unknown = client(&running.base_url).embed(&Bill::default(), "m", &texts(&["x"])).await.unwrap_err();
    assert_eq!(unknown.code, Code::LlmModelUnknown);
    let root = running.base_url.trim_end_matches("/v1");
    let lost = client(root).embed(&Bill::default(), "known", &texts(&["x"])).await.unwrap_err();
    assert_eq!((lost.code, lost.status), (Code::LlmModelUnknown, Some(404)));
    assert!(lost.message.contains("base_url"), "{}", lost.message);
    let slash = client(&format!("{}/", running.base_url));
    assert!(slash.embed(&Bill::default(), "known", &texts(&["x"])).await.is_ok());
}

#[tokio::test]
async fn the_key_is_sent_and_a_wrong_one_is_refused() {
    let options = Options { api_key: Some(SecretString::from(KEY)), ..Options::default() };
    let running = provider::start(options).await.unwrap();
    let (right, _file) = with_key(settings(&running.base_url), KEY);
    assert!(
        Client::new("main", &right, "USD")
            .unwrap()
            .embed(&Bill::default(), "m", &texts(&["x"]))
            .await
            .is_ok()
    );
    let (wrong, _file) = with_key(settings(&running.base_url), "sk-other");
    let fault = Client::new("main", &wrong, "USD")
        .unwrap()
        .embed(&Bill::default(), "m", &texts(&["x"]))
        .await
        .unwrap_err();
    assert_eq!(fault.code, Code::LlmUnauthorized);
}

#[tokio::test]
async fn neither_key_nor_prompt_stands_in_an_error() {
    let quoting = |headers: HeaderMap, body: String| async move {
        let key = headers["authorization"].to_str().unwrap().to_owned();
        (StatusCode::BAD_REQUEST, format!("refused {key} because of {body}"))
    };
    let address = server(Router::new().route("/v1/chat/completions", post(quoting))).await;
    let (settings, _file) = with_key(settings(&format!("http://{address}/v1")), KEY);
    let client = Client::new("main", &settings, "USD").unwrap();
    let fault = client.chat(&Bill::default(), question("What did patient Tanaka die of?")).await.unwrap_err();
    let told = format!("{fault:?}");
    assert!(told.contains("refused Bearer [key] because of"), "{told}");
    assert!(!told.contains("sk-") && !told.contains("Tanaka") && !told.contains("High water"), "{told}");
}

#[tokio::test]
async fn an_answer_above_the_limit_is_not_read_to_its_end() {
    let (running, _) = simulator(Rates::default()).await;
    let mut settings = settings(&running.base_url);
    settings.response_max = Size(1_000);
    let fault = Client::new("main", &settings, "USD")
        .unwrap()
        .embed(&Bill::default(), "m", &texts(&["x"]))
        .await
        .unwrap_err();
    assert_eq!(fault.code, Code::LlmMalformed);
    assert!(fault.message.contains("response_max"), "{}", fault.message);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (running, _) = simulator(Rates::default()).await;
    let target = format!("{}/embeddings", running.base_url);
    let elsewhere = move || async move { Redirect::temporary(&target).into_response() };
    let address = server(Router::new().route("/v1/embeddings", post(elsewhere))).await;
    let fault = client(&format!("http://{address}/v1"))
        .embed(&Bill::default(), "m", &texts(&["x"]))
        .await
        .unwrap_err();
    assert_eq!((fault.code, fault.status), (Code::LlmModelUnknown, Some(307)));
    assert_eq!(running.stats().bodies, 0);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_connection_failure() {
    let (running, client) = simulator(Rates::default()).await;
    running.stop().await;
    let fault = client.embed(&Bill::default(), "m", &texts(&["x"])).await.unwrap_err();
    assert_eq!((fault.code, fault.status), (Code::LlmConnection, None));
    assert!(!format!("{fault:?}").contains("http://"), "the address may carry secrets: {fault:?}");
}

#[tokio::test]
async fn a_repeated_call_of_a_job_has_the_same_idempotency_key() {
    let (running, client) = simulator(Rates::default()).await;
    let job = client.keyed("job\n1");
    for (client, text) in
        [(&job, "a"), (&job, "a"), (&job, "b"), (&client.keyed("job 2"), "a"), (&client, "a")]
    {
        client.embed(&Bill::default(), "m", &texts(&[text])).await.unwrap();
    }
    let keys: Vec<Option<String>> = running.log().into_iter().map(|call| call.idempotency_key).collect();
    assert_eq!(keys[0], keys[1]);
    let distinct: HashSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), 4, "{keys:?}");
    assert_eq!(keys[4], None);
}

#[tokio::test]
async fn calls_and_tokens_are_counted_by_status() {
    let metrics = metrics::install().unwrap();
    let (running, _) = simulator(Rates { server_error: 1.0, ..Rates::default() }).await;
    let failing = Client::new("counted", &settings(&running.base_url), "USD").unwrap();
    failing.embed(&Bill::default(), "m", &texts(&["x"])).await.unwrap_err();
    let (running, _) = simulator(Rates::default()).await;
    let mut priced = settings(&running.base_url);
    let price = |number| Amount::of(number).unwrap();
    priced.prices.insert("m".into(), Price { input: price(1_000_000.0), output: price(0.0) });
    let working = Client::new("counted", &priced, "EUR").unwrap();
    let bill = Bill::new(Purpose::Retry);
    working.chat(&bill, question("When is high water?")).await.unwrap();
    let spent = bill.spent().expect("the simulator counts tokens");
    assert_eq!(spent.calls, 1);
    running.stop().await;
    working.chat(&Bill::default(), question("When is high water?")).await.unwrap_err();

    let text = metrics.render();
    for (operation, status) in [("embeddings", "500"), ("chat", "200"), ("chat", "connect")] {
        let series = format!(
            r#"lazaret_provider_requests_total{{provider="counted",model="m",operation="{operation}",status="{status}"}} 1"#
        );
        assert!(text.contains(&series), "{series} is not in\n{text}");
    }
    let (labels, input) = (r#"provider="counted",model="m""#, spent.input);
    for series in [
        format!(r#"lazaret_provider_tokens_total{{{labels},token_type="prompt",purpose="retry"}} {input}"#),
        format!(
            r#"lazaret_provider_cost_total{{{labels},purpose="retry",currency="EUR"}} {input}.000000000"#
        ),
    ] {
        assert!(text.contains(&series), "{series} is not in\n{text}");
    }
}

#[test]
fn a_base_url_that_cannot_work_is_named_with_an_example() {
    for url in ["", "api.openai.com/v1", "ftp://x/v1", "http://user:sesame@host/v1", "file:///v1"] {
        let message = Client::new("main", &settings(url), "USD").err().unwrap().to_string();
        assert!(message.starts_with("providers.main.base_url: "), "{message}");
        assert!(message.contains("https://") && !message.contains("sesame"), "{message}");
    }
}

#[test]
fn a_key_that_is_missing_or_no_header_is_named_without_its_value() {
    let mut provider = settings("http://127.0.0.1:1/v1");
    provider.api_key = Some(Secret::Env("LAZARET_TEST_UNSET_KEY".into()));
    let message = Client::new("main", &provider, "USD").err().unwrap().to_string();
    assert!(
        message.contains("providers.main.api_key") && message.contains("LAZARET_TEST_UNSET_KEY"),
        "{message}"
    );
    let (provider, _file) = with_key(provider, "sesame\nopen");
    let message = Client::new("main", &provider, "USD").err().unwrap().to_string();
    assert!(message.contains("providers.main.api_key") && !message.contains("sesame"), "{message}");
}
