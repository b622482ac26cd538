use serde_json::json;

use super::*;
use crate::config::Sources;
use crate::stage::fakes::{FakeExtract, ORIGIN, code_of, job, run_one};

fn text(markdown: &str) -> Text {
    Text { markdown: markdown.into(), media_type: "text/markdown".into(), ..Text::default() }
}

fn stage(text: Text) -> (Parse, Arc<FakeExtract>) {
    let extractor = Arc::new(FakeExtract { text, ..FakeExtract::default() });
    let fetcher = Fetcher::new(&Sources::default()).expect("sources");
    (Parse::new(&config::Parse::default(), fetcher, extractor.clone()), extractor)
}

#[tokio::test]
async fn the_extractor_gets_the_bytes_the_hints_and_the_limits() {
    let (stage, extractor) = stage(text("# Hi\n"));
    let payload = json!({"id": "a", "tenant": "t", "content": "44GC", "media_type": "text/plain",
        "file_name": "a.txt"});
    run_one::<Parsed>(&stage, job(payload)).await.expect("parsed");
    let given = extractor.given.lock().expect("no panic");
    let (what, limits) = given.first().expect("one call");
    assert_eq!(what.bytes, "あ".as_bytes());
    assert_eq!(what.media_type.as_deref(), Some("text/plain"));
    assert_eq!(what.file_name.as_deref(), Some("a.txt"));
    assert_eq!(limits.text_max, 6 << 20);
}

#[tokio::test]
async fn text_in_a_record_is_unicode_whatever_charset_its_file_had() {
    let (stage, extractor) = stage(text("x"));
    let payload =
        json!({"id": "a", "tenant": "t", "text": "あ", "media_type": "text/html; charset=shift_jis"});
    run_one::<Parsed>(&stage, job(payload)).await.expect("parsed");
    let given = extractor.given.lock().expect("no panic");
    assert_eq!(given[0].0.media_type.as_deref(), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn the_title_is_the_first_that_somebody_gave() {
    let document = |title: Option<&str>, file_name: Option<&str>| json!({"id": "a", "tenant": "t", "text": "x", "title": title, "file_name": file_name});
    let titled = Text { title: Some("Inner".into()), ..text("# Heading\n\ntext") };
    let cases = [
        (document(Some("Outer"), Some("a.md")), titled.clone(), Some("Outer")),
        (document(None, Some("a.md")), titled, Some("Inner")),
        (document(None, Some("a.md")), text("intro\n\n# Heading\n\ntext"), Some("Heading")),
        (document(None, Some("a.md")), text("text"), Some("a.md")),
        (document(None, None), text("text"), None),
    ];
    for (payload, text, title) in cases {
        let (stage, _) = stage(text);
        let parsed: Parsed = run_one(&stage, job(payload)).await.expect("parsed");
        assert_eq!(parsed.document.title.as_deref(), title);
        assert_eq!(parsed.document.version, ORIGIN);
    }
}

#[tokio::test]
async fn a_document_without_bytes_or_text_is_empty() {
    let (nothing_found, _) = stage(text(" \n"));
    let bytes = json!({"id": "a", "tenant": "t", "content": "AAAA"});
    assert_eq!(code_of(&nothing_found, job(bytes)).await, Code::DocumentEmpty);

    let (never_asked, extractor) = stage(text("x"));
    let none = json!({"id": "a", "tenant": "t", "content": ""});
    assert_eq!(code_of(&never_asked, job(none)).await, Code::DocumentEmpty);
    assert!(extractor.given.lock().expect("no panic").is_empty());
}
