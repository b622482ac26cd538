//! PDF to text: `budget` counts what the streams unpack to, `content` turns a page into glyphs, `font` tells
//! their characters, `layout` makes lines of them and `prose` makes paragraphs and headings of lines.
//!
//! It never decodes images, runs scripts or asks for a password.

mod budget;
mod content;
mod font;
mod layout;
mod prose;

use hayro_syntax::page::Page;
use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use self::content::Reader;
use self::layout::Line;
use super::{Limits, Text};
use crate::flow::{Code, Fault};

/// Text of the whole document, pages and title.
///
/// `parse.corrupt` when the file is cut off or a page cannot be read, `parse.encrypted` when it wants a
/// password, `parse.encoding` when its fonts do not say which characters they show, `parse.expansion` when its
/// streams unpack to more than the limit, `document.too_large` when there is more text than the limit.
pub fn read(bytes: Vec<u8>, limits: &Limits) -> Result<Text, Fault> {
    require_end(&bytes)?;
    budget::check(&bytes, limits.expansion_max)?;
    let pdf = Pdf::new(bytes).map_err(load_fault)?;

    let mut reader = Reader::new(limits.text_max);
    let mut pages: Vec<Vec<Line>> = Vec::new();
    for (n, page) in pdf.pages().iter().enumerate() {
        require_content(page, n)?;
        pages.push(layout::lines(&reader.page(page)?));
    }
    if pages.is_empty() {
        return Err(Fault::new(Code::ParseCorrupt, "the PDF has no pages that can be found"));
    }
    reader.require_known_characters()?;

    let (markdown, offsets) = prose::compose(pages);
    let title = pdf.metadata().title.as_deref().and_then(title);
    Ok(Text { markdown, pages: offsets, title, media_type: "application/pdf".into() })
}

/// A PDF ends with the offset of its cross-reference table (ISO 32000-2, 7.5.5). Readers that repair files
/// would return the first half of a document as if it were all of it.
fn require_end(bytes: &[u8]) -> Result<(), Fault> {
    let end = bytes.iter().rposition(|b| !b.is_ascii_whitespace() && *b != 0).map_or(0, |at| at + 1);
    let tail = bytes.get(end.saturating_sub(2048)..end).unwrap_or_default();
    if tail.windows(9).any(|w| w == b"startxref") {
        return Ok(());
    }
    Err(Fault::new(
        Code::ParseCorrupt,
        format!("the PDF is cut off: its last bytes (of {}) hold no 'startxref'", bytes.len()),
    ))
}

fn require_content(page: &Page<'_>, n: usize) -> Result<(), Fault> {
    if page.raw().contains_key("Contents") && page.page_stream().is_none() {
        let message = format!("the content of page {} of the PDF cannot be unpacked", n + 1);
        return Err(Fault::new(Code::ParseCorrupt, message));
    }
    Ok(())
}

fn load_fault(error: LoadPdfError) -> Fault {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            Fault::new(Code::ParseEncrypted, "the PDF can only be opened with a password")
        }
        LoadPdfError::Decryption(why) => Fault::new(
            Code::ParseEncrypted,
            format!("the PDF is encrypted in a way that cannot be undone: {why:?}"),
        ),
        LoadPdfError::Invalid => Fault::new(
            Code::ParseCorrupt,
            "the PDF has no cross-reference table and no objects that can be found",
        ),
    }
}

/// Text strings are UTF-16BE or UTF-8 with a byte order mark, else PDFDocEncoding (ISO 32000-2, 7.9.2.2), whose
/// printable part is read as Windows-1252 here. Names that tools make up are no titles.
fn title(raw: &[u8]) -> Option<String> {
    let (text, _, _) = encoding_rs::WINDOWS_1252.decode(raw);
    let text = super::tidy::tidy_title(&text);
    let lower = text.to_lowercase();
    let made_up = ["untitled", "anonymous", "(anonymous)"].contains(&lower.as_str())
        || [".dvi", ".tex", ".doc", ".docx", ".indd"].iter().any(|end| lower.ends_with(end));
    (!text.is_empty() && !made_up).then_some(text)
}

#[cfg(test)]
mod tests;
