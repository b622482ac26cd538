use super::*;

fn document(bytes: &[u8], media_type: Option<&str>, file_name: Option<&str>) -> Extraction {
    Extraction {
        bytes: bytes.to_vec(),
        media_type: media_type.map(str::to_owned),
        file_name: file_name.map(str::to_owned),
    }
}

fn kind(bytes: &[u8], media_type: Option<&str>, file_name: Option<&str>) -> Result<Kind, Code> {
    match sniff(&document(bytes, media_type, file_name)) {
        Ok(Content::Pdf) => Ok(Kind::Pdf),
        Ok(Content::Docx) => Ok(Kind::Docx),
        Ok(Content::Text(kind, _)) => Ok(kind),
        Err(fault) => Err(fault.code),
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
const ELF: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0";

#[test]
fn nothing_is_empty() {
    assert_eq!(kind(b"", None, Some("a.pdf")), Err(Code::DocumentEmpty));
}

#[test]
fn bytes_that_are_something_else_are_a_mismatch() {
    assert_eq!(kind(PNG, Some("text/html"), Some("page.html")), Err(Code::DocumentMismatch));
    assert_eq!(kind(b"%PDF-1.4", Some("text/html"), None), Err(Code::DocumentMismatch));
    assert_eq!(kind(b"just text", Some("application/pdf"), None), Err(Code::DocumentMismatch));
    assert_eq!(kind(b"just text", None, Some("a.docx")), Err(Code::DocumentMismatch));
    assert_eq!(kind(b"just text", Some("image/png"), None), Err(Code::DocumentMismatch));
}

#[test]
fn what_no_parser_reads_is_unsupported() {
    for bytes in [PNG, ELF, b"PK\x05\x06\0\0\0\0", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"{\\rtf1 hello}"] {
        assert_eq!(kind(bytes, None, None), Err(Code::DocumentUnsupported), "{bytes:?}");
    }
    assert_eq!(kind(PNG, Some("image/png"), Some("logo.png")), Err(Code::DocumentUnsupported));
    assert_eq!(kind(b"\x01\x02\x03\xfe\xff\x80\x00", None, Some("a.bin")), Err(Code::DocumentUnsupported));
}

#[test]
fn noise_that_says_it_is_text_is_in_no_encoding() {
    assert_eq!(kind(b"\x01\x02\x03\xfe\xff\x80\x00", Some("text/plain"), None), Err(Code::ParseEncoding));
}

#[test]
fn either_the_media_type_or_the_name_may_vouch() {
    assert_eq!(kind(b"%PDF-1.4", Some("text/plain"), Some("a.pdf")), Ok(Kind::Pdf));
    assert_eq!(kind(b"# A", Some("application/octet-stream"), Some("a.md")), Ok(Kind::Markdown));
    assert_eq!(kind(b"%PDF-1.4", None, None), Ok(Kind::Pdf));
}

#[test]
fn junk_before_a_pdf_is_forgiven_and_a_text_may_quote_its_header() {
    assert_eq!(kind(b"junk %PDF-1.4", None, Some("a.pdf")), Ok(Kind::Pdf));
    assert_eq!(kind(b"files start with %PDF-1.4", None, Some("a.txt")), Ok(Kind::Plain));
}

#[test]
fn undeclared_text_is_html_when_it_looks_like_it() {
    assert_eq!(kind(b"\n<!-- x --><!DOCTYPE HTML><p>x", None, None), Ok(Kind::Html));
    assert_eq!(kind(b"a < b and so on", None, Some("NOTES")), Ok(Kind::Plain));
    assert_eq!(kind(b"<html>", Some("text/plain"), None), Ok(Kind::Plain));
}

#[test]
fn text_is_not_taken_for_the_binary_format_whose_magic_it_starts_with() {
    assert_eq!(kind(b"BM25 is a ranking function", None, None), Ok(Kind::Plain));
    assert_eq!(kind(b"MZ is a country code nowhere", None, None), Ok(Kind::Plain));
}

#[test]
fn the_charset_parameter_is_used() {
    let sniffed = sniff(&document(b"\xb1\xb2\xb3", Some("text/plain; charset=\"Shift_JIS\""), None));
    assert!(matches!(sniffed, Ok(Content::Text(Kind::Plain, text)) if text == "ｱｲｳ"));
}
