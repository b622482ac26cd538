//! Documents, as the child process parses them. There a panic or an endless loop costs the document and nothing
//! else; it is still a bug.

use std::time::Duration;

use crate::extract::parse::parse;
use crate::extract::{Extraction, Limits};
use crate::flow::fault::MESSAGE_MAX;

const LIMITS: Limits = Limits {
    time_max: Duration::from_secs(10),
    memory_max: 1 << 30,
    expansion_max: 4 << 20,
    text_max: 256 << 10,
};

/// Whatever the bytes look like, declared as whatever the first byte chooses.
pub fn any(input: &[u8]) {
    const DECLARED: &[(Option<&str>, Option<&str>)] = &[
        (None, None),
        (Some("application/pdf"), None),
        (Some("text/html; charset=shift_jis"), None),
        (Some("text/html"), Some("page.htm")),
        (Some("text/markdown"), None),
        (Some("text/plain; charset=\"iso-2022-jp\""), None),
        (None, Some("a.docx")),
        (None, Some("a.txt")),
        (Some("image/png"), Some("a.pdf")),
    ];
    let Some((choice, document)) = input.split_first() else { return };
    let (media_type, file_name) = DECLARED[usize::from(*choice) % DECLARED.len()];
    read(document, media_type, file_name);
}

pub fn text(input: &[u8]) {
    read(input, Some("text/markdown"), None);
}

pub fn html(input: &[u8]) {
    read(input, Some("text/html"), None);
}

pub fn docx(input: &[u8]) {
    read(input, None, Some("a.docx"));
}

pub fn pdf(input: &[u8]) {
    read(input, Some("application/pdf"), None);
}

/// Text is what the rest of the pipeline expects, or there is a fault that fits into headers.
fn read(bytes: &[u8], media_type: Option<&str>, file_name: Option<&str>) {
    let document = Extraction {
        bytes: bytes.to_vec(),
        media_type: media_type.map(str::to_owned),
        file_name: file_name.map(str::to_owned),
    };
    match parse(document, &LIMITS) {
        Ok(text) => {
            assert!(text.markdown.len() <= LIMITS.text_max);
            assert!(text.markdown.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            assert!(text.pages.is_sorted());
            assert!(text.pages.iter().all(|page| text.markdown.is_char_boundary(*page)));
            assert!(text.title.is_none_or(|title| !title.is_empty() && !title.contains(char::is_control)));
        }
        Err(fault) => assert!(fault.message.len() <= MESSAGE_MAX),
    }
}
