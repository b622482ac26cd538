//! Gets a document's bytes, wherever they are: in the record, in a file, or behind a URL. It reads nothing
//! outside the allowed roots and hosts, and never more than the limit.

mod file;
mod http;
mod inline;

#[cfg(test)]
mod tests;

use std::time::Duration;

use url::Url;

pub use http::HostError;

use crate::config;
use crate::flow::{Code, Fault};
use crate::message::payload::Document;

/// Bytes, and what the place they came from says about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    pub bytes: Vec<u8>,
    /// MIME type as the document declares it, else as the server does.
    pub media_type: Option<String>,
    /// File name as the document declares it, else the last segment of the reference.
    pub file_name: Option<String>,
}

/// Fetches documents from the configured sources.
#[derive(Clone, Debug)]
pub struct Fetcher {
    files: file::Files,
    http: http::Http,
    timeout: Duration,
}

/// The sources cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum FetcherError {
    #[error("sources.http_hosts: {0}")]
    Host(#[from] HostError),
    #[error("the HTTP client for documents cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl Fetcher {
    pub fn new(sources: &config::Sources) -> Result<Self, FetcherError> {
        Ok(Self {
            files: file::Files::below(sources.file_roots.clone()),
            http: http::Http::to(&sources.http_hosts)?,
            timeout: sources.timeout.0,
        })
    }

    /// The bytes of the document, at most `size_max` of them (else `document.too_large`).
    pub async fn fetch(&self, document: &Document, size_max: u64) -> Result<Fetched, Fault> {
        let Some(uri) = &document.uri else {
            return inline::read(document, size_max);
        };
        let reference = Reference::parse(uri)?;
        let url = reference.url().clone();
        let work = async {
            match reference {
                Reference::File(url) => self.files.read(url, size_max).await.map(|bytes| (bytes, None)),
                Reference::Http(url) => self.http.get(url, size_max).await,
            }
        };
        let (bytes, served_as) =
            tokio::time::timeout(self.timeout, work).await.map_err(|_| self.too_slow(&url))??;
        Ok(Fetched {
            bytes,
            media_type: document.media_type.clone().or(served_as),
            file_name: document.file_name.clone().or_else(|| file_name(&url)),
        })
    }

    /// Whether the document may be fetched and is not too large, as far as can be told without reading it:
    /// inline bytes are decoded, files are looked at, hosts are compared with the list.
    pub async fn check(&self, document: &Document, size_max: u64) -> Result<(), Fault> {
        let Some(uri) = &document.uri else {
            return inline::read(document, size_max).map(drop);
        };
        match Reference::parse(uri)? {
            Reference::Http(url) => self.http.permit(&url),
            Reference::File(url) => {
                let look = self.files.look(url.clone(), size_max);
                tokio::time::timeout(self.timeout, look).await.map_err(|_| self.too_slow(&url))?
            }
        }
    }

    fn too_slow(&self, url: &Url) -> Fault {
        let message =
            format!("fetching {} took longer than {:?} (sources.timeout)", shown(url), self.timeout);
        Fault::new(Code::SourceUnavailable, message)
    }
}

/// A reference of a kind that can be fetched.
enum Reference {
    File(Url),
    Http(Url),
}

impl Reference {
    fn parse(uri: &str) -> Result<Self, Fault> {
        let url = Url::parse(uri).map_err(|e| {
            Fault::new(Code::RecordSchemaViolation, "the document's uri is not a URL").caused_by(&e)
        })?;
        match url.scheme() {
            "file" => Ok(Self::File(url)),
            "http" | "https" => Ok(Self::Http(url)),
            other => Err(Fault::new(
                Code::SourceForbidden,
                format!("documents are not fetched by '{other}:'; use file, http or https"),
            )),
        }
    }

    fn url(&self) -> &Url {
        match self {
            Self::File(url) | Self::Http(url) => url,
        }
    }
}

/// The URL as it may stand in logs and dead letters: credentials and signed queries are left out.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only on URLs that can hold neither.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The last segment of the path, decoded.
fn file_name(url: &Url) -> Option<String> {
    let segment = url.path_segments()?.next_back().filter(|s| !s.is_empty())?;
    let as_file = Url::parse(&format!("file:///{segment}")).ok()?.to_file_path().ok()?;
    Some(as_file.file_name()?.to_string_lossy().into_owned())
}

/// The fault of every source whose document is over the limit.
fn too_large(what: &str, size: Option<u64>, size_max: u64) -> Fault {
    let size = size.map_or("more".to_owned(), |size| format!("{size} bytes; more"));
    Fault::new(
        Code::DocumentTooLarge,
        format!("{what} has {size} than the {size_max} bytes allowed (size_max)"),
    )
}
