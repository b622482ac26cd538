//! Documents behind `http` and `https`. Only listed hosts are asked, private addresses included; a redirect
//! is followed only to a listed host. No cookies, no credentials.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Response, StatusCode, redirect};
use url::{Host, Url};

use super::{FetcherError, shown, too_large};
use crate::flow::{Code, Fault, retry_after};

/// Redirects followed in one fetch.
const REDIRECTS_MAX: usize = 3;

/// The hosts that may be asked, and the client that asks.
#[derive(Clone, Debug)]
pub struct Http {
    hosts: Arc<BTreeSet<Allowed>>,
    client: Client,
}

/// A host, and the port if it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Allowed {
    host: Host<String>,
    port: Option<u16>,
}

/// An entry of the list is not a host.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a host; write host or host:port, without scheme and path")]
pub struct HostError(String);

impl Allowed {
    fn parse(entry: &str) -> Result<Self, HostError> {
        let wrong = || HostError(entry.to_owned());
        let (host, port) = match entry.rsplit_once(':') {
            // A colon inside brackets belongs to an IPv6 address.
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (entry, None),
        };
        Ok(Self { host: Host::parse(host).map_err(|_| wrong())?, port })
    }

    fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }
}

impl Http {
    /// An entry without a port allows the scheme's own port only.
    pub fn to(hosts: &[String]) -> Result<Self, FetcherError> {
        let hosts: BTreeSet<Allowed> =
            hosts.iter().map(|entry| Allowed::parse(entry)).collect::<Result<_, _>>()?;
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .user_agent(concat!("lazaret/", env!("CARGO_PKG_VERSION")));
        if hosts.iter().all(Allowed::is_loopback) {
            // The environment's proxy does not reach this machine.
            client = client.no_proxy();
        }
        Ok(Self { hosts: Arc::new(hosts), client: client.build()? })
    }

    /// Whether the URL names a listed host and carries no credentials.
    pub fn permit(&self, url: &Url) -> Result<(), Fault> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(forbidden(url, "carries credentials, which would end up in logs and dead letters"));
        }
        let listed = |port| {
            url.host().is_some_and(|host| self.hosts.contains(&Allowed { host: host.to_owned(), port }))
        };
        // `port` is none when it is the scheme's own.
        let allowed = match url.port() {
            Some(port) => listed(Some(port)),
            None => listed(None) || listed(url.port_or_known_default()),
        };
        if allowed { Ok(()) } else { Err(forbidden(url, "names a host that is not in sources.http_hosts")) }
    }

    /// The body and its content type.
    pub async fn get(&self, url: Url, size_max: u64) -> Result<(Vec<u8>, Option<String>), Fault> {
        let mut url = url;
        for _ in 0..=REDIRECTS_MAX {
            self.permit(&url)?;
            let response = self.client.get(url.clone()).send().await.map_err(|e| unreachable(&url, e))?;
            match redirect_of(&url, &response)? {
                Some(next) => url = next,
                None => return body(&url, response, size_max).await,
            }
        }
        Err(forbidden(&url, &format!("is where more than {REDIRECTS_MAX} redirects lead")))
    }
}

/// Where the response sends us, if it does.
fn redirect_of(url: &Url, response: &Response) -> Result<Option<Url>, Fault> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let next = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|location| url.join(location).ok())
        .ok_or_else(|| forbidden(url, "redirects to nowhere"))?;
    let downgrade = url.scheme() == "https" && next.scheme() != "https";
    if downgrade || !matches!(next.scheme(), "http" | "https") {
        return Err(forbidden(&next, "is a redirect to a less safe scheme"));
    }
    Ok(Some(next))
}

async fn body(url: &Url, mut response: Response, size_max: u64) -> Result<(Vec<u8>, Option<String>), Fault> {
    if !response.status().is_success() {
        return Err(refused(url, response.status(), response.headers(), Timestamp::now()));
    }
    if let Some(size) = response.content_length().filter(|size| *size > size_max) {
        return Err(too_large(&shown(url), Some(size), size_max));
    }
    // "Some bytes" is what servers say who do not know.
    let media_type = text_of(response.headers(), CONTENT_TYPE.as_str())
        .filter(|served| !served.starts_with("application/octet-stream"));
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| unreachable(url, e))? {
        if (bytes.len() + chunk.len()) as u64 > size_max {
            return Err(too_large(&shown(url), None, size_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, media_type))
}

/// What a status other than success means.
fn refused(url: &Url, status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Fault {
    let code = match status.as_u16() {
        404 | 410 => Code::SourceNotFound,
        408 | 425 | 429 | 500..=599 => Code::SourceUnavailable,
        _ => Code::SourceDenied,
    };
    let wait = retry_after::from_headers(|name| headers.get(name)?.to_str().ok(), now);
    Fault::new(code, format!("{} answered {status}", shown(url)))
        .with_status(status.as_u16())
        .with_retry_after(wait.filter(|_| code == Code::SourceUnavailable))
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn forbidden(url: &Url, why: &str) -> Fault {
    Fault::new(Code::SourceForbidden, format!("{} {why}", shown(url)))
}

/// The error without its URL, whose query may be a secret.
fn unreachable(url: &Url, error: reqwest::Error) -> Fault {
    let message = format!("cannot fetch {}", shown(url));
    Fault::new(Code::SourceUnavailable, message).caused_by(&error.without_url())
}
