//! A document that stands in its record, as text or as base64. Nothing is read from anywhere.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Fetched, too_large};
use crate::flow::{Code, Fault};
use crate::message::payload::Document;

/// RFC 4648 §4; padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub fn read(document: &Document, size_max: u64) -> Result<Fetched, Fault> {
    let (bytes, media_type) = match (&document.text, &document.content) {
        (Some(text), _) => {
            fits("the document's text", text.len() as u64, size_max)?;
            (text.clone().into_bytes(), document.media_type.as_deref().map(as_utf8))
        }
        (None, Some(content)) => (decode(content, size_max)?, document.media_type.clone()),
        (None, None) => {
            return Err(Fault::new(
                Code::RecordMissingField,
                "the document has none of `text`, `content` and `uri`",
            ));
        }
    };
    Ok(Fetched { bytes, media_type, file_name: document.file_name.clone() })
}

/// Decodes after checking the size that will come out, so that an oversized document costs no memory.
fn decode(content: &str, size_max: u64) -> Result<Vec<u8>, Fault> {
    let digits = content.trim_end_matches('=').len() as u64;
    fits("the document's content", digits / 4 * 3 + digits % 4 * 3 / 4, size_max)?;
    BASE64.decode(content).map_err(|e| {
        Fault::new(Code::RecordSchemaViolation, "the document's `content` is not base64").caused_by(&e)
    })
}

fn fits(what: &str, size: u64, size_max: u64) -> Result<(), Fault> {
    if size > size_max { Err(too_large(what, Some(size), size_max)) } else { Ok(()) }
}

/// Text in a record is Unicode, whatever encoding the file had from which it was taken.
fn as_utf8(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    format!("{essence}; charset=utf-8")
}
