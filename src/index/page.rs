//! A part of a document with its terms, ready to be written, whatever the store. Pure.

use super::tokens;
use crate::message::payload::{Passage, Passages};

pub struct Page {
    pub part: Passages,
    /// The term that stands for the tenant.
    pub tenant: String,
    pub title: String,
    /// Terms of heading and text, one pair per passage.
    pub words: Vec<(String, String)>,
}

impl Page {
    pub fn of(part: Passages) -> Self {
        let heading = |passage: &Passage| tokens::terms(passage.heading.as_deref().unwrap_or_default());
        let words = part.passages.iter().map(|p| (heading(p), tokens::terms(&p.text))).collect();
        let document = &part.document;
        let source = document.source.as_deref().unwrap_or_default();
        let name = file_stem(source);
        // A document without a title is called like its file, and the extension says nothing.
        let title = document.title.as_deref().filter(|title| !source.ends_with(title)).unwrap_or_default();
        let title = tokens::terms(&format!("{title} {name}"));
        Self { tenant: tenant_term(&document.tenant), title, words, part }
    }
}

/// The term that stands for a tenant, whatever characters its name has.
pub fn tenant_term(tenant: &str) -> String {
    blake3::hash(tenant.as_bytes()).to_hex().to_string()
}

/// The last part of a path or URI without its extension: file names say what a document is about.
fn file_stem(source: &str) -> &str {
    let path = source.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit(['/', '\\']).find(|name| !name.is_empty()).unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}
