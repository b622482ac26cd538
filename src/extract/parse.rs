//! One document to text, in this process: sniff, parse, tidy, check. The child process calls it; nothing else
//! should, because a parser may run for ever.

use super::sniff::{Content, Kind, sniff};
use super::tidy::{tidy, tidy_title, without_headings};
use super::{Extraction, Limits, Text, docx, html, pdf};
use crate::flow::{Code, Fault};

/// The text of a document, or the fault that a record with it must get.
pub fn parse(document: Extraction, limits: &Limits) -> Result<Text, Fault> {
    let text = match sniff(&document)? {
        // Pages carry offsets into the text, so the PDF reader tidies page by page.
        Content::Pdf => pdf::read(document.bytes, limits)?,
        Content::Docx => tidied(docx::read(&document.bytes, limits)?, Kind::Docx),
        Content::Text(Kind::Html, text) => tidied(html::read(&text), Kind::Html),
        Content::Text(Kind::Markdown, text) => {
            let title = markdown_title(&text);
            tidied((text, title), Kind::Markdown)
        }
        Content::Text(kind, text) => {
            let mut text = tidied((text, None), kind);
            text.markdown = without_headings(&text.markdown).into_owned();
            text
        }
    };
    if text.markdown.len() > limits.text_max {
        let message = format!(
            "the document holds {} bytes of text, the limit is {}",
            text.markdown.len(),
            limits.text_max
        );
        return Err(Fault::new(Code::DocumentTooLarge, message));
    }
    if !text.markdown.chars().any(char::is_alphanumeric) {
        let message = format!("the document ({}) holds no text; is it a scan?", text.media_type);
        return Err(Fault::new(Code::DocumentEmpty, message));
    }
    Ok(text)
}

fn tidied((markdown, title): (String, Option<String>), kind: Kind) -> Text {
    let title = title.map(|t| tidy_title(&t)).filter(|t| !t.is_empty());
    Text { markdown: tidy(&markdown), pages: Vec::new(), title, media_type: kind.media_type().into() }
}

/// The first heading of the first level.
fn markdown_title(text: &str) -> Option<String> {
    let mut in_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        }
        if let Some(title) = line.strip_prefix("# ").filter(|_| !in_code) {
            let title = without_tags(title.trim().trim_end_matches('#').trim_end());
            if !title.is_empty() {
                return Some(title);
            }
        }
    }
    None
}

/// Takes tags of HTML out, which converters put into headings as anchors.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once('<') {
        out.push_str(before);
        let is_tag = from.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic());
        match from.split_once('>').filter(|_| is_tag) {
            Some((_, after)) => rest = after,
            None => {
                out.push('<');
                rest = from;
            }
        }
    }
    out.push_str(rest);
    out.trim().to_owned()
}

#[cfg(test)]
mod tests;
