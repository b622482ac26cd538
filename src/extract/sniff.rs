//! What a document is: what its bytes look like against what its media type and file name say.
//!
//! It never looks further into a container than its list of names.

use super::Extraction;
use super::docx;
use super::encoding;
use crate::flow::{Code, Fault};

/// What Lazaret can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pdf,
    Docx,
    Html,
    Markdown,
    Plain,
}

pub const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

impl Kind {
    pub fn media_type(self) -> &'static str {
        match self {
            Kind::Pdf => "application/pdf",
            Kind::Docx => DOCX,
            Kind::Html => "text/html",
            Kind::Markdown => "text/markdown",
            Kind::Plain => "text/plain",
        }
    }

    fn is_text(self) -> bool {
        matches!(self, Kind::Html | Kind::Markdown | Kind::Plain)
    }
}

/// What one source (media type or file name) says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Kind(Kind),
    /// Something that is no text and that Lazaret does not read.
    Other,
}

/// What the bytes are.
enum Looks {
    Pdf,
    Docx,
    /// Decoded already, because only that tells text from binary data.
    Text(String),
    /// The name of a format that Lazaret does not read.
    Other(&'static str),
    Unknown,
}

/// A document that is what it says it is.
pub enum Content {
    Pdf,
    Docx,
    Text(Kind, String),
}

/// `document.empty`, `document.mismatch`, `document.unsupported`, `parse.encoding`, or for a container
/// `parse.corrupt` and `parse.encrypted`.
pub fn sniff(document: &Extraction) -> Result<Content, Fault> {
    if document.bytes.is_empty() {
        return Err(Fault::new(Code::DocumentEmpty, "the document has no bytes"));
    }
    let claims = claims(document);
    let says = |kind: Kind| claims.contains(&Claim::Kind(kind));
    let claimed = claims.iter().find_map(|claim| match claim {
        Claim::Kind(kind) => Some(*kind),
        Claim::Other => None,
    });
    match looks(document, says(Kind::Pdf))? {
        Looks::Pdf if claims.is_empty() || says(Kind::Pdf) => Ok(Content::Pdf),
        Looks::Docx if claims.is_empty() || says(Kind::Docx) => Ok(Content::Docx),
        Looks::Pdf => Err(mismatch(document, Kind::Pdf.media_type())),
        Looks::Docx => Err(mismatch(document, Kind::Docx.media_type())),
        Looks::Text(text) => match claims.iter().find_map(text_kind) {
            Some(kind) => Ok(Content::Text(kind, text)),
            None if claims.is_empty() && is_html(&text) => Ok(Content::Text(Kind::Html, text)),
            None if claims.is_empty() => Ok(Content::Text(Kind::Plain, text)),
            None => Err(mismatch(document, "text")),
        },
        Looks::Other(name) if claimed.is_some() => Err(mismatch(document, name)),
        Looks::Other(name) => {
            Err(Fault::new(Code::DocumentUnsupported, format!("no parser reads {name} ({})", said(document))))
        }
        Looks::Unknown => Err(match claimed {
            Some(kind) if kind.is_text() => Fault::new(
                Code::ParseEncoding,
                format!("the document ({}) is in no encoding that could be told", said(document)),
            ),
            Some(_) => mismatch(document, "of no known format"),
            None => Fault::new(
                Code::DocumentUnsupported,
                format!("the document ({}) is of no known format", said(document)),
            ),
        }),
    }
}

fn text_kind(claim: &Claim) -> Option<Kind> {
    match claim {
        Claim::Kind(kind) => kind.is_text().then_some(*kind),
        Claim::Other => None,
    }
}

fn looks(document: &Extraction, says_pdf: bool) -> Result<Looks, Fault> {
    let bytes = document.bytes.as_slice();
    if is_pdf(bytes, says_pdf) {
        return Ok(Looks::Pdf);
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Ok(if docx::is_docx(bytes)? { Looks::Docx } else { Looks::Other("application/zip") });
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        docx::refuse_encrypted(bytes)?;
        return Ok(Looks::Other("application/x-ole-storage"));
    }
    if let Some(name) = written_in_ascii(bytes) {
        return Ok(Looks::Other(name));
    }
    let charset = charset(document.media_type.as_deref()).or_else(|| encoding::html_charset(bytes));
    if let Some(text) = encoding::decode(bytes, charset.as_deref()) {
        return Ok(Looks::Text(text));
    }
    // Text that cannot be decoded is not "HTML where HTML was declared" but text in no encoding that can be told.
    let other = infer::get(bytes).filter(|found| !found.mime_type().starts_with("text/"));
    Ok(other.map_or(Looks::Unknown, |found| Looks::Other(found.mime_type())))
}

/// Readers allow junk before the header (ISO 32000-2, annex I.2), but a text may quote one.
fn is_pdf(bytes: &[u8], says_pdf: bool) -> bool {
    let head = bytes.get(..1024).unwrap_or(bytes);
    head.trim_ascii_start().starts_with(b"%PDF") || says_pdf && memchr::memmem::find(head, b"%PDF").is_some()
}

/// Formats that would pass for text.
fn written_in_ascii(bytes: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], _); 2] = [(b"{\\rtf", "application/rtf"), (b"%!PS", "application/postscript")];
    known.into_iter().find_map(|(magic, name)| bytes.starts_with(magic).then_some(name))
}

/// What media type and file name say, as far as they say anything. Either may vouch for the bytes: servers and
/// people mislabel, but seldom both in the same way.
fn claims(document: &Extraction) -> Vec<Claim> {
    let by_type = document.media_type.as_deref().and_then(by_media_type);
    let by_name = document.file_name.as_deref().and_then(by_extension);
    by_type.into_iter().chain(by_name).collect()
}

fn by_media_type(media_type: &str) -> Option<Claim> {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match essence.as_str() {
        "application/pdf" | "application/x-pdf" => Claim::Kind(Kind::Pdf),
        DOCX => Claim::Kind(Kind::Docx),
        "text/html" | "application/xhtml+xml" => Claim::Kind(Kind::Html),
        "text/markdown" | "text/x-markdown" => Claim::Kind(Kind::Markdown),
        "application/zip" | "application/gzip" | "application/msword" => Claim::Other,
        other if ["text/", "json", "xml", "yaml"].iter().any(|part| other.contains(part)) => {
            Claim::Kind(Kind::Plain)
        }
        other
            if ["image/", "audio/", "video/", "font/", "application/vnd."]
                .iter()
                .any(|p| other.starts_with(p)) =>
        {
            Claim::Other
        }
        // `application/octet-stream` and what nobody has heard of.
        _ => return None,
    })
}

fn by_extension(name: &str) -> Option<Claim> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "pdf" => Claim::Kind(Kind::Pdf),
        "docx" => Claim::Kind(Kind::Docx),
        "html" | "htm" | "xhtml" => Claim::Kind(Kind::Html),
        "md" | "markdown" => Claim::Kind(Kind::Markdown),
        "txt" | "text" | "log" | "csv" | "rst" | "adoc" | "json" | "xml" | "yaml" | "yml" => {
            Claim::Kind(Kind::Plain)
        }
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "zip" | "gz" | "xlsx" | "pptx" | "doc" | "odt" | "mp3"
        | "mp4" | "exe" => Claim::Other,
        _ => return None,
    })
}

/// The `charset` parameter of a media type.
fn charset(media_type: Option<&str>) -> Option<String> {
    media_type?.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn is_html(text: &str) -> bool {
    let head: String = text.trim_start().chars().take(1024).collect::<String>().to_ascii_lowercase();
    head.starts_with('<')
        && ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| head.contains(tag))
}

fn mismatch(document: &Extraction, found: &str) -> Fault {
    Fault::new(Code::DocumentMismatch, format!("the document ({}) is {found} by its bytes", said(document)))
}

fn said(document: &Extraction) -> String {
    match (&document.file_name, &document.media_type) {
        (Some(name), Some(media_type)) => format!("{name}, declared as {media_type}"),
        (Some(name), None) => name.clone(),
        (None, Some(media_type)) => format!("declared as {media_type}"),
        (None, None) => "nothing declared".into(),
    }
}

#[cfg(test)]
mod tests;
