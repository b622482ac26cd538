//! The `parse` stage: fetches a document and turns its bytes into Markdown text. The parser itself runs
//! behind [`Extract`], never in this process.

use std::sync::Arc;

use async_trait::async_trait;
use url::Url;

use super::chunk::Outline;
use super::fetch::{self, Fetched, Fetcher};
use super::{Job, Output, Stage};
use crate::config;
use crate::extract::{Extract, Extraction, Limits, Text};
use crate::flow::{Code, Fault};
use crate::message::payload::{Document, DocumentRef, Parsed};

/// Bytes to text.
pub struct Parse {
    size_max: u64,
    limits: Limits,
    fetcher: Fetcher,
    extractor: Arc<dyn Extract>,
}

impl Parse {
    pub fn new(settings: &config::Parse, fetcher: Fetcher, extractor: Arc<dyn Extract>) -> Self {
        let limits = Limits {
            time_max: settings.time_max.0,
            memory_max: settings.memory_max.0,
            expansion_max: settings.expansion_max.0,
            text_max: usize::try_from(settings.text_max.0).unwrap_or(usize::MAX),
        };
        Self { size_max: settings.size_max.0, limits, fetcher, extractor }
    }
}

#[async_trait]
impl Stage for Parse {
    async fn run(&self, job: &Job) -> Result<Vec<Output>, Fault> {
        let document: Document = job.payload_as()?;
        let Fetched { bytes, media_type, file_name } = self.fetcher.fetch(&document, self.size_max).await?;
        if bytes.is_empty() {
            return Err(Fault::new(Code::DocumentEmpty, "the document has no bytes"));
        }
        let what = Extraction { bytes, media_type, file_name: file_name.clone() };
        let text = self.extractor.extract(what, self.limits).await?;
        if text.markdown.trim().is_empty() {
            let message = format!("the document ({}) holds no text", text.media_type);
            return Err(Fault::new(Code::DocumentEmpty, message));
        }
        let version = document.version.unwrap_or(job.origin_timestamp);
        Ok(vec![Output::new(&parsed(document, version, file_name, text))?])
    }
}

fn parsed(document: Document, version: i64, file_name: Option<String>, text: Text) -> Parsed {
    let title = document
        .title
        .or(text.title)
        .filter(|title| !title.trim().is_empty())
        .or_else(|| Outline::of(&text.markdown).first().map(str::to_owned))
        .or_else(|| file_name.clone());
    let uri = document.uri.as_deref().and_then(|uri| Url::parse(uri).ok());
    let source = document.file_name.or_else(|| uri.as_ref().map(fetch::shown)).or(file_name);
    Parsed {
        document: DocumentRef {
            id: document.id,
            tenant: document.tenant,
            version,
            title,
            source,
            media_type: Some(text.media_type).filter(|m| !m.is_empty()),
        },
        text: text.markdown,
        pages: text.pages,
    }
}

#[cfg(test)]
mod tests;
