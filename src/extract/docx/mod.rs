//! DOCX (ECMA-376, WordprocessingML) to Markdown: a ZIP file with XML in it. Paragraphs, headings by style,
//! lists, tables and the title; deleted text and field codes are left out.
//!
//! It reads only the parts named here and counts every byte it unpacks.

mod body;

use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use super::{Limits, encoding};
use crate::flow::{Code, Fault};

const DOCUMENT: &str = "word/document.xml";
const STYLES: &str = "word/styles.xml";
const CORE: &str = "docProps/core.xml";

/// Whether a ZIP file is a DOCX; `parse.corrupt` when it was one before it was cut off.
pub fn is_docx(bytes: &[u8]) -> Result<bool, Fault> {
    match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => Ok(archive.index_for_name(DOCUMENT).is_some()),
        Err(error) => {
            let head = bytes.get(..4096).unwrap_or(bytes);
            let names: [&[u8]; 3] = [b"[Content_Types].xml", b"word/", b"_rels/.rels"];
            if names.iter().any(|name| memchr::memmem::find(head, name).is_some()) {
                return Err(corrupt("the DOCX's table of contents").caused_by(&error));
            }
            Ok(false)
        }
    }
}

/// `parse.encrypted` for the OLE file that Word makes of a DOCX with a password ([MS-OFFCRYPTO] 2.3).
pub fn refuse_encrypted(bytes: &[u8]) -> Result<(), Fault> {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    if memchr::memmem::find(bytes, &name).is_some() {
        return Err(Fault::new(
            Code::ParseEncrypted,
            "the Office document can only be opened with a password",
        ));
    }
    Ok(())
}

/// Markdown and title.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<(String, Option<String>), Fault> {
    let archive = ZipArchive::new(Cursor::new(bytes));
    let archive = archive.map_err(|e| corrupt("the DOCX's table of contents").caused_by(&e))?;
    let mut parts = Parts { archive, left: limits.expansion_max, max: limits.expansion_max };
    let document = parts.xml(DOCUMENT)?.ok_or_else(|| corrupt(DOCUMENT))?;
    let levels = match parts.xml(STYLES)? {
        Some(styles) => heading_styles(&styles)?,
        None => HashMap::new(),
    };
    let title = match parts.xml(CORE)? {
        Some(core) => title(&core)?,
        None => None,
    };
    let markdown = body::markdown(&document, &levels)?;
    let first_heading = || markdown.lines().find_map(|l| l.strip_prefix("# ")).map(str::to_owned);
    let title = title.or_else(first_heading);
    Ok((markdown, title))
}

struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    left: u64,
    max: u64,
}

impl Parts<'_> {
    fn xml(&mut self, name: &str) -> Result<Option<String>, Fault> {
        let mut file = match self.archive.by_name(name) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(corrupt(name).caused_by(&error)),
        };
        if file.encrypted() {
            return Err(Fault::new(Code::ParseEncrypted, "the DOCX can only be opened with a password"));
        }
        let mut bytes = Vec::new();
        let read = file.by_ref().take(self.left + 1).read_to_end(&mut bytes);
        let read = read.map_err(|e| unpack_fault(name, &e))? as u64;
        self.left = self.left.checked_sub(read).ok_or_else(|| {
            Fault::new(Code::ParseExpansion, format!("the DOCX unpacks to more than {} bytes", self.max))
        })?;
        encoding::decode(&bytes, Some("utf-8")).map(Some).ok_or_else(|| corrupt(name))
    }
}

/// Memory runs out because of the child's limit and says nothing about damage.
fn unpack_fault(part: &str, error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::OutOfMemory {
        let message = format!("{part} unpacks to more than the parser's memory limit holds");
        return Fault::new(Code::ParseCrashed, message);
    }
    corrupt(part).caused_by(error)
}

fn corrupt(what: &str) -> Fault {
    Fault::new(Code::ParseCorrupt, format!("{what} is damaged or missing"))
}

/// Heading level by style id: the style's outline level, or its name (`heading 2`, `Title`).
fn heading_styles(xml: &str) -> Result<HashMap<String, usize>, Fault> {
    let mut levels = HashMap::new();
    let mut style = None;
    each(xml, STYLES, |event| {
        let (Event::Start(tag) | Event::Empty(tag)) = event else { return };
        match tag.local_name().as_ref() {
            "style" => style = attribute(&tag, "styleId"),
            "name" | "outlineLvl" => {
                let value = attribute(&tag, "val").unwrap_or_default().to_lowercase();
                let level = if tag.local_name().as_ref() == "outlineLvl" {
                    outline_level(&value)
                } else {
                    named_level(&value)
                };
                if let (Some(id), Some(level)) = (&style, level) {
                    levels.insert(id.clone(), level);
                }
            }
            _ => {}
        }
    })?;
    Ok(levels)
}

/// `0` is the first level, `9` is body text.
fn outline_level(value: &str) -> Option<usize> {
    value.parse().ok().filter(|level| *level < 6).map(|level: usize| level + 1)
}

fn named_level(name: &str) -> Option<usize> {
    match name {
        "title" => Some(1),
        _ => name.strip_prefix("heading ")?.trim().parse().ok().filter(|level| (1..=6).contains(level)),
    }
}

fn title(xml: &str) -> Result<Option<String>, Fault> {
    let mut title = String::new();
    let mut inside = false;
    each(xml, CORE, |event| match event {
        Event::Start(tag) => inside = tag.local_name().as_ref() == "title",
        Event::End(_) => inside = false,
        event if inside => push_text(&mut title, &event),
        _ => {}
    })?;
    Ok(Some(title.trim().to_owned()).filter(|t| !t.is_empty()))
}

fn each(xml: &str, part: &str, mut visit: impl FnMut(Event<'_>)) -> Result<(), Fault> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return Ok(()),
            Ok(event) => visit(event),
            Err(error) => return Err(corrupt(part).caused_by(&error)),
        }
    }
}

fn push_text(out: &mut String, event: &Event<'_>) {
    match event {
        Event::Text(text) => out.push_str(text),
        Event::CData(text) => out.push_str(text),
        Event::GeneralRef(reference) => match reference.resolve_char_ref() {
            Ok(Some(c)) => out.push(c),
            _ => out.push_str(quick_xml::escape::resolve_predefined_entity(reference).unwrap_or_default()),
        },
        _ => {}
    }
}

/// The value of an attribute, whatever its prefix.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.attributes().flatten().find(|a| a.key.local_name().as_ref() == name)?;
    Some(found.value.into_owned())
}

#[cfg(test)]
mod tests;
