use std::path::Path;
use std::time::Duration;

use super::*;

pub const LIMITS: Limits = Limits {
    time_max: Duration::from_secs(20),
    memory_max: 1 << 30,
    expansion_max: 64 << 20,
    text_max: 1 << 20,
};

fn plain(text: &str) -> Extraction {
    Extraction { bytes: text.into(), media_type: Some("text/plain".into()), file_name: None }
}

fn corpus(name: &str) -> Text {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/corpus").join(name);
    let bytes = std::fs::read(path).unwrap();
    parse(Extraction { bytes, media_type: None, file_name: Some(name.into()) }, &LIMITS).unwrap()
}

#[test]
fn white_space_alone_is_an_empty_document() {
    assert_eq!(parse(plain(" \n\t --- \n"), &LIMITS).unwrap_err().code, Code::DocumentEmpty);
}

#[test]
fn text_over_the_limit_is_too_large() {
    let limits = Limits { text_max: 9, ..LIMITS };
    assert!(parse(plain("nine byte"), &limits).is_ok());
    assert_eq!(parse(plain("ten bytes!"), &limits).unwrap_err().code, Code::DocumentTooLarge);
}

#[test]
fn the_title_of_markdown_is_its_first_heading_outside_code() {
    assert_eq!(markdown_title("```\n# no\n```\n## no\n# Yes #\n# no").as_deref(), Some("Yes"));
}

#[test]
fn a_title_is_one_line_of_bounded_length() {
    let title = |heading: &str| {
        let bytes = format!("# {heading}\n\ntext\n").into_bytes();
        parse(Extraction { bytes, media_type: Some("text/markdown".into()), file_name: None }, &LIMITS)
            .unwrap()
            .title
    };
    assert_eq!(title("One\ttwo\u{2028}three").as_deref(), Some("One two three"));
    assert!(title(&"long ".repeat(500)).unwrap().len() <= 300);
}

#[test]
fn the_title_of_markdown_is_free_of_tags() {
    let markdown = "# <a id=\"top\"></a>\n# <span id=\"x\"></span>Less than: a < b\n";
    assert_eq!(markdown_title(markdown).as_deref(), Some("Less than: a < b"));
}

#[test]
fn a_comment_in_a_plain_text_is_no_heading() {
    let text = parse(plain("Run this:\n# apt update\n"), &LIMITS).unwrap();
    assert_eq!(text.markdown, "Run this:\n    # apt update");
}

#[test]
fn every_kind_says_what_it_is() {
    for (name, media_type) in [
        ("leave-policy.md", "text/markdown"),
        ("vpn-access.html", "text/html"),
        ("password-policy.txt", "text/plain"),
        ("expense-rules.docx", super::super::sniff::DOCX),
        ("hs200-manual.pdf", "application/pdf"),
    ] {
        assert_eq!(corpus(name).media_type, media_type);
    }
}
