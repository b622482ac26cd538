//! Who is let in. Every request is looked at here before anything of it is read.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use super::{Api, Problem, Right, Who};
use crate::telemetry::metrics;

/// Longest time for an answer.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Lets a request through if whoever asks is known and has the right.
pub async fn guard(
    State((api, right)): State<(Api, Option<Right>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let who = match admit(&api, &method, request.headers(), right).await {
        Ok(who) => who,
        Err(problem) => {
            tracing::warn!(%method, path, right = right.map(Right::as_str), "a request was refused");
            return problem.into_response();
        }
    };
    if method != Method::GET {
        tracing::info!(%method, path, by = who.name, "a request was allowed");
    }
    request.extensions_mut().insert(who);
    match tokio::time::timeout(TIME_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "the answer takes too long")
            .hint("what was to be done may have been done; `/v1/acts` tells")
            .into_response(),
    }
}

async fn admit(
    api: &Api,
    method: &Method,
    headers: &HeaderMap,
    right: Option<Right>,
) -> Result<Arc<Who>, Problem> {
    if *method != Method::GET {
        ensure_own(headers)?;
    }
    let who = match api.people.is_everybody() {
        true => {
            ensure_local(headers)?;
            // Not even what is only looked at: to look may be much work.
            ensure_own(headers)?;
            Arc::new(Who::local())
        }
        false => {
            let token = text(headers, &header::AUTHORIZATION).and_then(|text| {
                let (scheme, token) = text.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            });
            api.people.find(token, Timestamp::now(), Instant::now()).await?
        }
    };
    right.map_or(Ok(()), |right| who.need(right))?;
    Ok(who)
}

/// A page of somebody else that is open in a browser does not act here.
fn ensure_own(headers: &HeaderMap) -> Result<(), Problem> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign_site = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    let origin = text(headers, &header::ORIGIN).map(|origin| origin.split_once("://").map(|(_, host)| host));
    let is_foreign_origin = origin.is_some_and(|host| host.is_none() || host != text(headers, &header::HOST));
    match is_foreign_site || is_foreign_origin || (headers.contains_key(header::ORIGIN) && origin.is_none()) {
        true => {
            Err(Problem::forbidden("this was sent by a page of another site", "call the API from a program"))
        }
        false => Ok(()),
    }
}

/// Where no token is asked for, the name in the request must be one of this machine: a name that somebody else points at it
/// is a way for pages of others to read what is here.
fn ensure_local(headers: &HeaderMap) -> Result<(), Problem> {
    let host = text(headers, &header::HOST).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    match name == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "without tokens this address answers to names of this machine only",
            "ask 127.0.0.1, or set ops.tokens or ops.oidc in the configuration",
        )),
    }
}

/// Counts what was asked, and how long the answer took to begin.
pub async fn measure(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    };
    let asked = Instant::now();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    metrics::api_request(route, method, response.status().as_u16(), asked.elapsed());
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Nothing of an answer is kept, guessed at or framed.
pub async fn hygiene(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name: header::HeaderName, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CACHE_CONTROL, "no-store");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    response
}
