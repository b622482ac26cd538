//! The switches of the simulator, for tests and for whoever sits at this machine: change the fault rates, read
//! what was asked. They answer to loopback only, wherever the rest listens.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::calls::Stats;
use super::faults::Rates;
use super::protocol::Refusal;
use super::server::{Shared, refuse};

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/admin/faults", get(show_faults).post(set_faults))
        .route("/admin/stats", get(stats))
        .route("/admin/calls", get(calls))
        .layer(middleware::from_fn(only_from_here))
}

async fn only_from_here(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if peer.ip().is_loopback() {
        return next.run(request).await;
    }
    refuse(&Refusal::new(403, "invalid_request_error", None, "/admin answers to loopback only."))
}

async fn show_faults(State(shared): State<Arc<Shared>>) -> Json<Rates> {
    Json(shared.rates().clone())
}

/// Changes the rates that are named and leaves the others as they are.
async fn set_faults(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let mut rates = shared.rates.write().unwrap_or_else(PoisonError::into_inner);
    let changed = merge(&rates, &body).map_err(|e| e.to_string());
    match changed.and_then(|rates| rates.checked().map_err(|e| e.to_string())) {
        Ok(changed) => {
            *rates = changed.clone();
            Json(changed).into_response()
        }
        Err(message) => refuse(&Refusal::new(400, "invalid_request_error", None, message)),
    }
}

fn merge(rates: &Rates, changes: &[u8]) -> Result<Rates, serde_json::Error> {
    let changes: Map<String, Value> = serde_json::from_slice(changes)?;
    let mut merged = serde_json::to_value(rates)?;
    if let Value::Object(fields) = &mut merged {
        fields.extend(changes);
    }
    serde_json::from_value(merged)
}

async fn stats(State(shared): State<Arc<Shared>>) -> Json<Stats> {
    Json(shared.calls.stats())
}

async fn calls(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "calls": shared.calls.log() }))
}
