//! Tokens for the mechanism `OAUTHBEARER`. librdkafka fetches them from a token endpoint on a thread of its own and in time, for
//! every kind of client, polled or not; so a token that stands in a file is served to it by an endpoint in this process.
//! Decides nothing about a token: that is for the broker.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rdkafka::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::problem::KafkaProblem;
use crate::config::{Secret, TokenEndpoint, TokenSource};

/// The name by which librdkafka asks the endpoint in this process.
const ASKER: &str = "lazaret";
/// What the endpoint in this process answers when it has no token. librdkafka tries again after some seconds; other codes it
/// takes for a hiccup, and keeps the cause to itself for most of a minute.
const NO_TOKEN: StatusCode = StatusCode::NOT_FOUND;

/// Sets what a client needs to get its tokens.
pub fn set(config: &mut ClientConfig, source: &TokenSource) -> Result<(), KafkaProblem> {
    config.set("sasl.oauthbearer.method", "oidc");
    match source {
        TokenSource::Endpoint(endpoint) => asked(config, endpoint),
        TokenSource::File(path) => {
            let failed = |message| KafkaProblem::Config { place: "security.token.file".into(), message };
            // Told now and in one sentence, rather than by a client that waits for it.
            read(path).map_err(failed)?;
            reached_without_proxy(|name| std::env::var(name).ok()).map_err(failed)?;
            let desk = Desk::of(path).map_err(|cause| KafkaProblem::Other {
                what: "serve the token to the client".into(),
                cause,
            })?;
            config
                .set("sasl.oauthbearer.token.endpoint.url", desk.url)
                .set("sasl.oauthbearer.client.id", ASKER)
                .set("sasl.oauthbearer.client.secret", desk.secret.expose_secret());
            Ok(())
        }
    }
}

fn asked(config: &mut ClientConfig, endpoint: &TokenEndpoint) -> Result<(), KafkaProblem> {
    let place = |key: &str| format!("security.token.endpoint.{key}");
    let secret = endpoint.client_secret.read().map_err(|error| KafkaProblem::Config {
        place: place("client_secret"),
        message: error.to_string(),
    })?;
    config
        .set("sasl.oauthbearer.token.endpoint.url", &endpoint.url)
        .set("sasl.oauthbearer.client.id", &endpoint.client_id)
        .set("sasl.oauthbearer.client.secret", secret.expose_secret());
    if let Some(scope) = &endpoint.scope {
        // librdkafka puts it as it is into a form.
        let scope: String = url::form_urlencoded::byte_serialize(scope.as_bytes()).collect();
        config.set("sasl.oauthbearer.scope", scope);
    }
    if let Some(path) = &endpoint.ca_file {
        super::client::readable(path, &place("ca_file"))?;
        config.set("https.ca.location", path.to_string_lossy());
    }
    if !endpoint.extensions.is_empty() {
        let pairs = endpoint.extensions.iter().map(|(name, value)| format!("{name}={value}"));
        config.set("sasl.oauthbearer.extensions", pairs.collect::<Vec<_>>().join(","));
    }
    Ok(())
}

/// The token that stands there now.
fn read(path: &Path) -> Result<String, String> {
    let token = Secret::File(path.to_owned()).read().map_err(|error| error.to_string())?;
    let token = token.expose_secret().trim();
    // A JWT has three parts. Anything else would be refused by the client with less of a hint.
    match token.split('.').count() == 3 {
        true => Ok(token.to_owned()),
        false => Err(format!("what stands in {} is no token (JWT)", path.display())),
    }
}

/// libcurl, by which librdkafka asks, goes by the same variables as `curl`.
fn reached_without_proxy(env: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let given = |names: &[&str]| names.iter().find_map(|name| env(name).filter(|text| !text.is_empty()));
    if given(&["http_proxy", "all_proxy", "ALL_PROXY"]).is_none() {
        return Ok(());
    }
    match given(&["no_proxy", "NO_PROXY"]).is_some_and(|without| exempts_loopback(&without)) {
        true => Ok(()),
        false => Err("the token would go by way of the proxy that http_proxy or all_proxy names; add 127.0.0.1 to no_proxy"
            .to_owned()),
    }
}

/// Whether libcurl goes past the proxy to 127.0.0.1. A `*` stands for everything only by itself, and what comes after a blank
/// without a comma is not read.
fn exempts_loopback(no_proxy: &str) -> bool {
    if no_proxy == "*" {
        return true;
    }
    for entry in no_proxy.split(',') {
        let mut words = entry.split([' ', '\t']).filter(|word| !word.is_empty());
        if words.next().is_some_and(is_loopback_network) {
            return true;
        }
        if words.next().is_some() {
            return false;
        }
    }
    false
}

/// 127.0.0.1, or a network that it is in. Nothing, or 0, for the bits means all of them.
fn is_loopback_network(entry: &str) -> bool {
    let (network, bits) = entry.split_once('/').unwrap_or((entry, "32"));
    let (Ok(network), Ok(bits)) = (network.parse::<Ipv4Addr>(), bits.parse::<u32>()) else { return false };
    let apart = network.to_bits() ^ Ipv4Addr::LOCALHOST.to_bits();
    match bits {
        0 => apart == 0,
        1..=32 => apart >> (32 - bits) == 0,
        _ => false,
    }
}

/// An endpoint in this process, on loopback, for who knows its secret.
#[derive(Clone)]
struct Desk {
    url: String,
    secret: SecretString,
}

impl Desk {
    /// The one for this file. There is one for each file and process, for as long as the process lives: clients come and go.
    fn of(path: &Path) -> Result<Self, String> {
        static DESKS: Mutex<BTreeMap<PathBuf, Desk>> = Mutex::new(BTreeMap::new());
        let mut desks = DESKS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = desks.get(path) {
            return Ok(desk.clone());
        }
        let desk = Self::open(path)?;
        desks.insert(path.to_owned(), desk.clone());
        Ok(desk)
    }

    fn open(path: &Path) -> Result<Self, String> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| format!("no random numbers: {error}"))?;
        let secret = blake3::Hash::from(secret).to_hex().to_string();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no port: {e}"))?;
        listener.set_nonblocking(true).map_err(|e| format!("no port: {e}"))?;
        let address = listener.local_addr().map_err(|e| format!("no port: {e}"))?;
        let expected = format!("Basic {}", STANDARD.encode(format!("{ASKER}:{secret}")));
        let routes = Router::new().route("/token", post(answer)).with_state((path.to_owned(), expected));
        // On a runtime of its own: that of who makes a client may end before the client does.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("no runtime: {e}"))?;
        let serve = move || {
            let served = runtime
                .block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, routes).await });
            if let Err(error) = served {
                tracing::error!(%error, "the token for kafka is not served any more");
            }
        };
        std::thread::Builder::new()
            .name("kafka-token".into())
            .spawn(serve)
            .map_err(|e| format!("no thread: {e}"))?;
        Ok(Self { url: format!("http://{address}/token"), secret: secret.into() })
    }
}

async fn answer(State((path, expected)): State<(PathBuf, String)>, headers: HeaderMap) -> Response {
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    // Hashes are compared in constant time.
    if blake3::hash(given.unwrap_or_default()) != blake3::hash(expected.as_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let token = tokio::task::spawn_blocking(move || read(&path)).await;
    match token.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(token) => Json(json!({ "access_token": token, "token_type": "Bearer" })).into_response(),
        Err(cause) => (NO_TOKEN, cause).into_response(),
    }
}

#[cfg(test)]
mod tests;
