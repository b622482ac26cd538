//! The HTTP side of the simulator: who may ask, and what fate a call has. The answers themselves come from
//! `protocol`, the switches for tests from `admin`.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use futures::stream;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::admin;
use super::calls::{Call, Calls};
use super::faults::{self, BodyHash, Fate, Rates};
use super::protocol::{self, Refusal, Rules};

/// Largest request read.
const REQUEST_MAX: usize = 64 << 20;
/// A client that waits longer than this on a call that hangs is told 504.
const HANG_MAX: Duration = Duration::from_secs(600);

pub struct Shared {
    pub seed: u64,
    pub rates: RwLock<Rates>,
    pub calls: Arc<Calls>,
    pub models: Vec<String>,
    pub filter_phrase: String,
    pub api_key: Option<SecretString>,
    pub stop: CancellationToken,
}

impl Shared {
    pub fn rates(&self) -> RwLockReadGuard<'_, Rates> {
        // They are only ever replaced as a whole, so a panic elsewhere does not leave them torn.
        self.rates.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An endpoint that costs money.
#[derive(Clone, Copy)]
enum Endpoint {
    Embeddings,
    Chat,
}

impl Endpoint {
    fn name(self) -> &'static str {
        match self {
            Endpoint::Embeddings => "embeddings",
            Endpoint::Chat => "chat",
        }
    }

    fn answer(self, body: &Bytes, shared: &Shared) -> Result<Value, Refusal> {
        let rules = Rules { models: &shared.models, filter_phrase: &shared.filter_phrase };
        match self {
            Endpoint::Embeddings => protocol::embeddings(body, &rules),
            Endpoint::Chat => protocol::chat(body, &rules),
        }
    }
}

pub fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(
            "/v1/embeddings",
            post(|State(shared), headers: HeaderMap, body: Bytes| {
                ask(Endpoint::Embeddings, shared, headers, body)
            }),
        )
        .route(
            "/v1/chat/completions",
            post(|State(shared), headers: HeaderMap, body: Bytes| ask(Endpoint::Chat, shared, headers, body)),
        )
        .route("/v1/models", get(models))
        .route("/healthz", get(|| async { "ok\n" }))
        .merge(admin::routes())
        .layer(DefaultBodyLimit::max(REQUEST_MAX))
        .with_state(shared)
}

/// One paid call: check the key, find the fate, take the time it takes, and answer or fail.
async fn ask(endpoint: Endpoint, shared: Arc<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_allowed(&shared, &headers) {
        return refuse(&unauthorized());
    }
    let hash = hash(endpoint, &body);
    let (attempt, text) = (shared.calls.arrived(&hash), protocol::beginning(&body));
    let (fate, latency, spoils) = {
        let rates = shared.rates();
        let drawn = faults::fate(shared.seed, &hash, attempt, &rates);
        let fate = if rates.marks(&body) { Fate::ServerError } else { drawn };
        (fate, faults::latency(shared.seed, &hash, attempt, &rates), rates.spoils(&body))
    };
    tokio::time::sleep(latency).await;

    let ended = |outcome| {
        let key = headers.get("idempotency-key").and_then(|k| k.to_str().ok()).map(str::to_owned);
        let (body, text) = (hash.to_hex().to_string(), text.clone());
        let call = Call { endpoint: endpoint.name(), body, text, attempt, outcome, idempotency_key: key };
        shared.calls.ended(call, &hash);
    };
    match fate {
        Fate::Answer | Fate::Truncate { .. } => {
            let answered = compute(endpoint, shared.clone(), body).await;
            ended(match (&answered, fate) {
                (Err(refusal), _) => outcome(refusal.status),
                (Ok(_), Fate::Answer) if spoils => "spoiled",
                (Ok(_), Fate::Answer) => "200",
                (Ok(_), _) => "truncated",
            });
            match (answered, fate) {
                (Err(refusal), _) => refuse(&refusal),
                (Ok(answer), Fate::Truncate { abruptly }) => truncated(&answer, abruptly),
                (Ok(answer), _) if spoils => Json(protocol::spoiled(answer)).into_response(),
                (Ok(answer), _) => Json(answer).into_response(),
            }
        }
        Fate::Hang => {
            ended("hang");
            let asleep = tokio::time::sleep(HANG_MAX);
            shared.stop.run_until_cancelled(asleep).await;
            refuse(&Refusal::new(504, "server_error", None, "The request took too long."))
        }
        failure => {
            let (refusal, wait) = refusal_of(failure);
            ended(outcome(refusal.status));
            with_retry_after(refuse(&refusal), wait)
        }
    }
}

/// Computes the answer where it does not hold up other calls.
async fn compute(endpoint: Endpoint, shared: Arc<Shared>, body: Bytes) -> Result<Value, Refusal> {
    tokio::task::spawn_blocking(move || endpoint.answer(&body, &shared)).await.unwrap_or_else(|e| {
        Err(Refusal::new(500, "server_error", None, format!("The computation failed: {e}")))
    })
}

fn is_allowed(shared: &Shared, headers: &HeaderMap) -> bool {
    let Some(key) = &shared.api_key else {
        return true;
    };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    sent.and_then(|value| value.strip_prefix("Bearer ")) == Some(key.expose_secret())
}

fn hash(endpoint: Endpoint, body: &Bytes) -> BodyHash {
    blake3::Hasher::new().update(endpoint.name().as_bytes()).update(b"\n").update(body).finalize()
}

fn unauthorized() -> Refusal {
    Refusal::new(401, "invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided.")
}

/// The wait of a Retry-After header.
#[derive(Clone, Copy)]
enum Wait {
    Seconds(u64),
    Date(u64),
}

fn refusal_of(fate: Fate) -> (Refusal, Option<Wait>) {
    match fate {
        Fate::RateLimit { seconds, as_date } => {
            let wait = if as_date { Wait::Date(seconds) } else { Wait::Seconds(seconds) };
            (Refusal::new(429, "requests", Some("rate_limit_exceeded"), "Rate limit reached."), Some(wait))
        }
        Fate::Overloaded { seconds } => {
            let refusal = Refusal::new(503, "server_error", None, "The engine is overloaded.");
            (refusal, Some(Wait::Seconds(seconds)))
        }
        Fate::Unauthorized => (unauthorized(), None),
        Fate::Quota => {
            let code = "insufficient_quota";
            (Refusal::new(429, code, Some(code), "You exceeded your current quota."), None)
        }
        _ => (Refusal::new(500, "server_error", None, "The server had an error."), None),
    }
}

fn with_retry_after(mut response: Response, wait: Option<Wait>) -> Response {
    let text = match wait {
        Some(Wait::Seconds(seconds)) => seconds.to_string(),
        // A date has whole seconds and would be early by a fraction; one more keeps the promise.
        Some(Wait::Date(seconds)) => {
            let now: SystemTime = jiff::Timestamp::now().into();
            httpdate::fmt_http_date(now + Duration::from_secs(seconds + 1))
        }
        None => return response,
    };
    if let Ok(value) = text.parse() {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

pub fn refuse(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(refusal.body())).into_response()
}

/// The first half of an answer, and then either a proper end or a broken connection.
fn truncated(answer: &Value, abruptly: bool) -> Response {
    let mut bytes = answer.to_string().into_bytes();
    bytes.truncate(bytes.len() / 2);
    let body = if abruptly {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        Body::from_stream(stream::iter([Ok(Bytes::from(bytes)), Err(broken)]))
    } else {
        Body::from(bytes)
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn outcome(status: u16) -> &'static str {
    match status {
        400 => "400",
        401 => "401",
        404 => "404",
        429 => "429",
        503 => "503",
        _ => "500",
    }
}

async fn models(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !is_allowed(&shared, &headers) {
        return refuse(&unauthorized());
    }
    let model = |id: &str| json!({ "id": id, "object": "model", "created": 0, "owned_by": "lazaret" });
    let served: Vec<Value> = match shared.models.as_slice() {
        [] => super::DEFAULT_MODELS.iter().map(|id| model(id)).collect(),
        named => named.iter().map(|id| model(id)).collect(),
    };
    Json(json!({ "object": "list", "data": served })).into_response()
}

#[cfg(test)]
mod tests;
