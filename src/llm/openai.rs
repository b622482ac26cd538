//! The client of an OpenAI-compatible provider. One call is one HTTP request: it never retries, because the
//! retry ladder does, and it never waits longer or reads more than the configuration allows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::Url;

use super::withhold::withhold;
use super::{Bill, ChatRequest, Completion, Embeddings, classify, wire};
use crate::config::{self, AddressError, Price, SecretError, http_address, is_loopback};
use crate::flow::fault::{MESSAGE_MAX, one_line};
use crate::flow::{Code, Fault};
use crate::message::Spent;
use crate::message::payload::Usage;
use crate::telemetry::metrics::{self, Operation};
use crate::telemetry::traces::{self, Answered};

/// Longest wait for a connection; the whole call has its own limit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an error answer that are read.
const ERROR_BODY_MAX: u64 = 64 * 1024;
/// Longest name of a model, or of why an answer ended, that is passed on.
const NAME_MAX: usize = 256;

/// The configuration of a provider cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("providers.{name}.base_url: {cause}; write for example https://api.openai.com/v1")]
    BaseUrl { name: String, cause: String },
    #[error("providers.{name}.api_key: {cause}")]
    Key { name: String, cause: SecretError },
    #[error("providers.{name}.api_key: the key has characters that no HTTP header can carry")]
    KeyCharacters { name: String },
    #[error("providers.{name}: cannot set up the HTTP client")]
    Http { name: String, source: reqwest::Error },
}

/// Asks one provider. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    name: String,
    base_url: Url,
    key: Option<SecretString>,
    response_max: u64,
    http: reqwest::Client,
    idempotency: Option<String>,
    prices: Arc<BTreeMap<String, Price>>,
    currency: Arc<str>,
}

/// One call, for messages and metrics.
struct Call<'a> {
    operation: Operation,
    model: &'a str,
    bill: &'a Bill,
    /// What must not stand in an error message.
    texts: Vec<&'a str>,
    started: Instant,
    /// For the trace of the attempt, if there is one.
    traced: Option<traces::Call<'a>>,
}

impl Client {
    /// Reads the key and prepares the connections; asks nothing yet. `name` is the provider's name in the
    /// configuration, and prices are in this currency.
    pub fn new(name: &str, provider: &config::Provider, currency: &str) -> Result<Self, ClientError> {
        let base_url = base_url(name, &provider.base_url)?;
        let key = provider.api_key.as_ref().map(config::Secret::read).transpose();
        let key = key.map_err(|cause| ClientError::Key { name: name.to_owned(), cause })?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &key {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))
                .map_err(|_| ClientError::KeyCharacters { name: name.to_owned() })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("lazaret/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(provider.timeout.0.min(CONNECT_TIMEOUT))
            .timeout(provider.timeout.0)
            // A redirect would carry the key and the prompt to a place that nobody configured.
            .redirect(redirect::Policy::none());
        if is_loopback(&base_url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|source| ClientError::Http { name: name.to_owned(), source })?;
        let response_max = provider.response_max.0;
        Ok(Self {
            name: name.to_owned(),
            base_url,
            key,
            response_max,
            http,
            idempotency: None,
            prices: Arc::new(provider.prices.clone()),
            currency: currency.into(),
        })
    }

    /// A client whose calls carry an `Idempotency-Key` made of `job` and the request, so that a provider that
    /// honours it charges a repeated call once.
    pub fn keyed(&self, job: &str) -> Self {
        Self { idempotency: Some(job.to_owned()), ..self.clone() }
    }

    /// The vectors of `texts`, in their order, each of unit length.
    pub async fn embed(&self, bill: &Bill, model: &str, texts: &[String]) -> Result<Embeddings, Fault> {
        if texts.is_empty() {
            return Ok(Embeddings { vectors: Vec::new(), usage: Default::default() });
        }
        let quoted = texts.iter().map(String::as_str).collect();
        let call = self.begin(Operation::Embeddings, model, bill, quoted);
        let reply = self.exchange(&["embeddings"], &wire::EmbeddingsBody::new(model, texts)).await;
        let result = reply.and_then(|body| wire::embeddings(&body, texts.len()));
        self.finish(call, result, |embeddings| (embeddings.usage, Answered::default()))
    }

    /// The model's answer to a conversation.
    pub async fn chat(&self, bill: &Bill, request: ChatRequest) -> Result<Completion, Fault> {
        let texts = request.messages.iter().map(|m| m.content.as_str()).collect();
        let model = request.model.as_str();
        let call = self.begin(Operation::Chat, model, bill, texts);
        let reply = self.exchange(&["chat", "completions"], &wire::ChatBody::new(&request)).await;
        let result = reply.and_then(|body| wire::completion(&body, model));
        self.finish(call, result, |completion| {
            // The other side's words, and no more of them than a name has.
            let name = |text: &str| Some(one_line(text, NAME_MAX));
            let (model, finish_reason) = (name(&completion.model), name(&completion.finish_reason));
            let answered = Answered { model, finish_reason, ..Answered::default() };
            (completion.usage, answered)
        })
    }

    fn begin<'a>(
        &self,
        operation: Operation,
        model: &'a str,
        bill: &'a Bill,
        texts: Vec<&'a str>,
    ) -> Call<'a> {
        let traced = bill.calls.as_ref().map(|calls| {
            calls.begin(traces::Endpoint {
                provider: self.name.clone(),
                operation,
                model: model.to_owned(),
                address: self.base_url.host_str().unwrap_or_default().to_owned(),
                port: self.base_url.port_or_known_default(),
                purpose: bill.purpose.as_str(),
            })
        });
        Call { operation, model, bill, texts, started: Instant::now(), traced }
    }

    /// Sends one request and reads its whole answer.
    async fn exchange(&self, path: &[&str], body: &impl Serialize) -> Result<Vec<u8>, Fault> {
        let body = serde_json::to_vec(body).map_err(|e| {
            Fault::new(Code::LlmBadRequest, "the request cannot be written as JSON").caused_by(&e)
        })?;
        let mut request = self
            .http
            .post(self.endpoint(path))
            .header(CONTENT_TYPE, "application/json")
            .header("X-Client-Request-Id", uuid::Uuid::now_v7().to_string());
        if let Some(job) = &self.idempotency {
            request = request.header("Idempotency-Key", idempotency_key(job, &body));
        }
        let response = request.body(body).send().await.map_err(classify::broken)?;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            // Status and headers are worth more than a complete error text.
            let (body, _) = read(response, ERROR_BODY_MAX).await;
            let fault = classify::refusal(status.as_u16(), &headers, &body, jiff::Timestamp::now());
            return Err(fault.with_spent(wire::spent(&body)));
        }
        match read(response, self.response_max).await {
            (body, End::Complete) => Ok(body),
            (_, End::TooLarge) => {
                let message = format!("the answer is larger than response_max, {} bytes", self.response_max);
                Err(Fault::new(Code::LlmMalformed, message).with_status(status.as_u16()))
            }
            (_, End::Broken(error)) => Err(classify::broken(error)),
        }
    }

    fn endpoint(&self, path: &[&str]) -> Url {
        let mut url = self.base_url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// Counts the call and what it took, whether anything came of it or not, and gives a fault its place while taking out what must not be in it.
    fn finish<T>(
        &self,
        mut call: Call<'_>,
        result: Result<T, Fault>,
        told: impl Fn(&T) -> (Usage, Answered),
    ) -> Result<T, Fault> {
        let result = result.map_err(|fault| self.place(&call, fault));
        let status = match &result {
            Ok(_) => "200".to_owned(),
            Err(Fault { status: Some(status), .. }) => status.to_string(),
            Err(Fault { code: Code::LlmTimeout, .. }) => "timeout".to_owned(),
            Err(_) => "connect".to_owned(),
        };
        metrics::provider_call(&self.name, call.model, call.operation, &status, call.started.elapsed());
        let (spent, answered) = match &result {
            Ok(answer) => {
                let (usage, answered) = told(answer);
                (Spent::of(usage), Answered { status: Some(200), ..answered })
            }
            Err(fault) => (fault.spent, Answered { status: fault.status, ..Answered::default() }),
        };
        if let Some(spent) = spent {
            let purpose = call.bill.purpose.as_str();
            metrics::provider_tokens(&self.name, call.model, purpose, spent);
            if let Some(price) = self.prices.get(call.model) {
                let cost = price.of(spent.input, spent.output);
                metrics::provider_cost(&self.name, call.model, purpose, &self.currency, cost);
            }
        }
        call.bill.add(spent);
        if let Some(traced) = call.traced.take() {
            traced.end(Answered { spent, ..answered }, result.as_ref().err());
        }
        result
    }

    fn place(&self, call: &Call<'_>, mut fault: Fault) -> Fault {
        let key = self.key.as_ref().map(ExposeSecret::expose_secret);
        let clean = |text: &str| one_line(&withhold(text, key, &call.texts), MESSAGE_MAX);
        let (name, operation, model) = (&self.name, call.operation.as_str(), call.model);
        let message = clean(&fault.message);
        fault.message =
            one_line(&format!("provider {name}, {operation}, model {model}: {message}"), MESSAGE_MAX);
        fault.chain = fault.chain.iter().map(|cause| clean(cause)).collect();
        fault
    }
}

/// How the reading of an answer ended.
enum End {
    Complete,
    TooLarge,
    Broken(reqwest::Error),
}

/// Reads at most `max` bytes of an answer, counting what comes and not what was announced.
async fn read(mut response: Response, max: u64) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if (body.len() + chunk.len()) as u64 > max => return (body, End::TooLarge),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, End::Complete),
            Err(error) => return (body, End::Broken(error)),
        }
    }
}

/// The same for the same job and request, and nothing that a header cannot carry.
fn idempotency_key(job: &str, body: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(job.len() as u64).to_le_bytes()).update(job.as_bytes()).update(body);
    hasher.finalize().to_hex().to_string()
}

fn base_url(name: &str, text: &str) -> Result<Url, ClientError> {
    http_address(text).map_err(|error| {
        let remedy = if error == AddressError::Credentials { "; they belong into api_key" } else { "" };
        ClientError::BaseUrl { name: name.to_owned(), cause: format!("{error}{remedy}") }
    })
}

#[cfg(test)]
mod tests;
