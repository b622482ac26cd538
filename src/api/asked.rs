//! What handlers are given of a request that was let in, and what they give back.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde::de::DeserializeOwned;

use super::ask::query;
use super::{Api, Problem, Who};

/// What a handler answers with.
pub type Told<T> = Result<Json<T>, Problem>;

/// A request that was let in.
pub struct Asked {
    pub api: Api,
    pub who: Arc<Who>,
    uri: Uri,
}

impl Asked {
    /// What stands behind the question mark.
    pub fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        query(&self.uri)
    }
}

impl FromRequestParts<Api> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        // Whoever is at the door has put it there.
        let who = parts.extensions.get::<Arc<Who>>().cloned();
        let who = who.ok_or_else(|| Problem::unknown("nobody was let in"))?;
        Ok(Self { api: api.clone(), who, uri: parts.uri.clone() })
    }
}

/// What is ordered, as JSON.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Api> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        ensure_json(request.headers())?;
        let body = Bytes::from_request(request, api).await.map_err(|error| {
            Problem::new(error.status(), "the order cannot be read, or is longer than 256 KiB")
                .hint("name fewer letters, or a filter")
        })?;
        let order = serde_json::from_slice(&body).map_err(|error| {
            Problem::wrong(
                format!("the order cannot be read: {error}"),
                "`/v1/openapi.json` says what it may hold",
            )
        })?;
        Ok(Self(order))
    }
}

fn ensure_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let wrong = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the order is not JSON");
    Err(wrong.hint("send it with 'Content-Type: application/json'"))
}
