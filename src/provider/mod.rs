//! A model provider for tests and demonstrations: it speaks the OpenAI API over HTTP, computes its answers on
//! this machine, and fails as often and in the way it is told to. The pipeline does not know it from a real one.
//! It is no model: it matches and quotes, and writes nothing of its own.

mod admin;
mod answerer;
pub mod calls;
pub mod embedder;
pub mod faults;
mod prompt;
mod protocol;
mod sentences;
mod server;
mod words;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::calls::{Call, Calls, Stats};
use self::faults::{Rates, RatesError};

/// The names `/v1/models` shows when none were given.
pub const DEFAULT_MODELS: [&str; 2] = ["lazaret-embed", "lazaret-extract"];
/// A text with this phrase meets the content filter, unless another phrase was given.
pub const FILTER_PHRASE: &str = "the contents of this crate are forbidden";

/// How the simulator behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port`; port 0 takes a free one.
    pub listen: String,
    /// The same seed gives the same body the same fate.
    pub seed: u64,
    pub rates: Rates,
    /// Names of the models that are served; any name when empty.
    pub models: Vec<String>,
    /// Texts that contain it are refused by the content filter; none when empty.
    pub filter_phrase: String,
    /// Required as a bearer token when present.
    pub api_key: Option<SecretString>,
}

impl Default for Options {
    /// A healthy provider on a free port of loopback.
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            seed: 1,
            rates: Rates::default(),
            models: Vec::new(),
            filter_phrase: FILTER_PHRASE.into(),
            api_key: None,
        }
    }
}

/// The simulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{listen} is in use; stop what listens there or name another address")]
    InUse { listen: String },
    #[error("cannot listen on '{listen}' ({cause}); write host:port, such as 127.0.0.1:8089")]
    Bind { listen: String, cause: io::Error },
    #[error(transparent)]
    Rates(#[from] RatesError),
}

/// A simulator that serves until it is stopped or dropped.
pub struct Running {
    /// What a configuration names as `base_url`.
    pub base_url: String,
    pub address: SocketAddr,
    calls: Arc<Calls>,
    stop: DropGuard,
    serving: JoinHandle<io::Result<()>>,
}

impl Running {
    /// What was asked so far; the same as `GET /admin/stats`.
    pub fn stats(&self) -> Stats {
        self.calls.stats()
    }

    /// The latest calls, oldest first; the same as `GET /admin/calls`.
    pub fn log(&self) -> Vec<Call> {
        self.calls.log()
    }

    /// Takes no more calls, ends those that hang, and waits for the rest.
    pub async fn stop(self) {
        drop(self.stop);
        match self.serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the provider simulator ended with an error"),
            Err(error) => tracing::warn!(%error, "the provider simulator did not end by itself"),
        }
    }
}

/// Opens the port and serves in the background.
pub async fn start(options: Options) -> Result<Running, StartError> {
    let rates = options.rates.checked()?;
    let listen = options.listen;
    let bind = |cause: io::Error| match cause.kind() {
        io::ErrorKind::AddrInUse => StartError::InUse { listen: listen.clone() },
        _ => StartError::Bind { listen: listen.clone(), cause },
    };
    let listener = TcpListener::bind(&listen).await.map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let (stop, calls) = (CancellationToken::new(), Arc::new(Calls::default()));
    let shared = server::Shared {
        seed: options.seed,
        rates: RwLock::new(rates),
        calls: calls.clone(),
        models: options.models,
        filter_phrase: options.filter_phrase,
        api_key: options.api_key,
        stop: stop.clone(),
    };
    let routes = server::routes(Arc::new(shared)).into_make_service_with_connect_info::<SocketAddr>();
    let stopped = stop.clone().cancelled_owned();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(stopped);
    Ok(Running {
        base_url: format!("http://{address}/v1"),
        address,
        calls,
        stop: stop.drop_guard(),
        serving: tokio::spawn(async move { serving.await }),
    })
}
