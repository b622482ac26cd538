//! The HTTP API of the quarantine, below `/v1`: what the command line can do, for programs. What is done lives in `ops`; here it
//! is asked, allowed and told.
//!
//! Every route is one row of [`routes`]: the router, the rights and the OpenAPI document are made from it, so that none can
//! be forgotten.

mod acts;
mod admit;
mod archive;
mod ask;
mod asked;
mod edit;
mod export;
mod groups;
mod letters;
mod oidc;
mod openapi;
mod people;
mod problem;
mod redrives;
mod rights;
mod route;
mod rules;
mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::export::EXPORTS_MAX;
pub use self::people::{People, PeopleError};
pub use self::problem::Problem;
pub use self::rights::{Right, Role, Scope, Who};
pub use self::route::Route;
pub use self::tokens::{Minted, Tokens, TokensError};
use crate::config::Config;
use crate::kafka::Producer;
use crate::quarantine::Quarantine;
use crate::telemetry::http::{self, HttpError};

/// Largest body of a request: ids of ten thousand letters have room.
const BODY_MAX: usize = 256 << 10;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    parts: Arc<Parts>,
    /// Files that may still be made at the same time.
    exports: Arc<Semaphore>,
}

pub struct Parts {
    pub config: Config,
    pub index: Arc<dyn Quarantine>,
    pub producer: Producer,
    /// Who may ask.
    pub people: People,
}

impl std::ops::Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl Api {
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), exports: Arc::new(Semaphore::new(EXPORTS_MAX)) }
    }

    /// Opens the port and serves until `stop`. Returns the address, which tells the port where `listen` says 0.
    pub async fn serve(self, listen: &str, stop: CancellationToken) -> Result<SocketAddr, HttpError> {
        http::open(listen, self.router(), stop).await
    }

    /// What is served, for a port that somebody else has opened.
    pub fn router(self) -> Router {
        let mut router = Router::new();
        for Route { path, right, handler, .. } in routes() {
            let guard = middleware::from_fn_with_state((self.clone(), right), admit::guard);
            router = router.route(path, handler.layer(guard));
        }
        router
            .fallback(async || {
                Problem::not_found("there is no such page", "`/v1/openapi.json` lists what there is")
            })
            .method_not_allowed_fallback(async || Problem::wrong_method())
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .layer(middleware::map_response(admit::hygiene))
            .layer(middleware::from_fn(admit::measure))
            .with_state(self)
    }
}

/// All that can be asked.
fn routes() -> Vec<Route> {
    let all = [
        letters::routes(),
        export::routes(),
        groups::routes(),
        acts::routes(),
        archive::routes(),
        edit::routes(),
        redrives::routes(),
        rules::routes(),
        openapi::routes(),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
