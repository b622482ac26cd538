//! `/metrics`, `/livez` and `/readyz`. It shows no payload and changes nothing.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::metrics::Metrics;

/// How often histogram samples are folded when nobody scrapes.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// What has to be true before this process takes work. Cheap to clone; all clones say the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, String>>>);

/// A condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    pub condition: String,
    pub reason: String,
}

impl Readiness {
    /// Nothing to wait for yet: ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not ready until `condition` is [met](Self::met). Said again, the newer reason stands.
    pub fn wait_for(&self, condition: impl Into<String>, reason: impl Into<String>) {
        self.conditions().insert(condition.into(), reason.into());
    }

    /// The condition holds. A condition that nobody waited for may be met.
    pub fn met(&self, condition: &str) {
        self.conditions().remove(condition);
    }

    /// What is waited for, by name of the condition; empty when ready.
    pub fn waiting(&self) -> Vec<Waiting> {
        let conditions = self.conditions();
        conditions.iter().map(|(c, r)| Waiting { condition: c.clone(), reason: r.clone() }).collect()
    }

    fn conditions(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        // The map is whole after every call, so a panic elsewhere while it was held does not matter.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port could not be opened. The text says what is wrong, [`HttpError::hint`] what to do.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("the address {listen} is in use")]
    InUse { listen: String },
    #[error("cannot listen on '{listen}': {cause}")]
    Bind { listen: String, cause: io::Error },
}

impl HttpError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::InUse { .. } => "stop what listens there, or name another address; port 0 takes a free one",
            Self::Bind { .. } => "write host:port of this machine, such as 127.0.0.1:9464",
        }
    }
}

/// An open port.
#[derive(Clone, Debug)]
pub struct Port {
    /// Tells the port where 0 was asked for.
    pub address: SocketAddr,
    more: Arc<OnceLock<Router>>,
}

impl Port {
    /// Serves these routes, too, from now on. They come later than probes, which are there before anything else is. What comes
    /// twice is not heard of.
    pub fn bring(&self, routes: Router) {
        let _ = self.more.set(routes);
    }
}

/// Opens the port and serves until `stop` is cancelled.
pub async fn serve(
    listen: &str,
    metrics: Metrics,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<Port, HttpError> {
    let more = Arc::new(OnceLock::new());
    let routes = Router::new()
        .route("/metrics", get(render).with_state(metrics.clone()))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .fallback(answer_more)
        .with_state(more.clone());
    let address = open(listen, routes, stop.clone()).await?;
    tokio::spawn(fold(metrics, stop));
    Ok(Port { address, more })
}

/// Opens a port and serves these routes until `stop` is cancelled. Returns the address.
pub async fn open(listen: &str, routes: Router, stop: CancellationToken) -> Result<SocketAddr, HttpError> {
    let bind = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AddrInUse => HttpError::InUse { listen: listen.to_owned() },
        _ => HttpError::Bind { listen: listen.to_owned(), cause },
    };
    let listener = TcpListener::bind(listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, %address, "a port failed");
        }
    });
    Ok(address)
}

/// By what has been brought since.
async fn answer_more(State(more): State<Arc<OnceLock<Router>>>, request: Request) -> Response {
    match more.get() {
        Some(routes) => routes.clone().oneshot(request).await.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn fold(metrics: Metrics, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(FOLD_EVERY);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        metrics.fold();
    }
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let waiting_for = readiness.waiting();
    let ready = waiting_for.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(serde_json::json!({ "ready": ready, "waiting_for": waiting_for }))).into_response()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::telemetry::metrics;

    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let reply = client.get(format!("http://{address}{path}")).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    #[tokio::test]
    async fn readiness_says_what_it_waits_for() {
        let (readiness, stop) = (Readiness::new(), CancellationToken::new());
        let metrics = metrics::install().unwrap();
        let port = serve("127.0.0.1:0", metrics, readiness.clone(), stop.clone()).await.unwrap();
        let address = port.address;

        readiness.wait_for("ledger", "cannot open data/ledger.db");
        let (status, body) = get(address, "/readyz").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 503);
        assert_eq!(
            body["waiting_for"],
            json!([{ "condition": "ledger", "reason": "cannot open data/ledger.db" }])
        );

        readiness.met("ledger");
        assert_eq!(get(address, "/readyz").await.0, 200);
        assert_eq!(get(address, "/livez").await, (200, "ok\n".into()));
        assert!(get(address, "/metrics").await.1.contains("lazaret_build_info{"));

        assert_eq!(get(address, "/more").await.0, 404);
        port.bring(Router::new().route("/more", axum::routing::get(|| async { "more" })));
        assert_eq!(get(address, "/more").await, (200, "more".into()), "what comes later is served beside it");
        assert_eq!((get(address, "/livez").await.0, get(address, "/elsewhere").await.0), (200, 404));
        stop.cancel();
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = taken.local_addr().unwrap().to_string();
        let metrics = metrics::install().unwrap();
        let refused = serve(&listen, metrics, Readiness::new(), CancellationToken::new()).await;
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(&listen) && message.contains("in use"), "{message}");
    }

    #[tokio::test]
    async fn an_address_that_is_none_is_an_error_with_an_example() {
        let metrics = metrics::install().unwrap();
        let refused = serve("here", metrics, Readiness::new(), CancellationToken::new()).await;
        let error = refused.unwrap_err();
        assert!(error.to_string().contains("'here'"), "{error}");
        assert!(error.hint().contains("127.0.0.1:9464"), "{}", error.hint());
    }
}
