use serde_json::json;

use super::*;
use crate::config::{Size, Sources};
use crate::stage::fakes::{ORIGIN, code_of, job, run_one};

fn stage(of: Subject, sources: &Sources) -> Validate {
    let settings = config::Validate { of, size_max: Size(64) };
    Validate::new(&settings, Fetcher::new(sources).expect("sources"))
}

fn documents() -> Validate {
    stage(Subject::Document, &Sources::default())
}

fn questions() -> Validate {
    stage(Subject::Question, &Sources::default())
}

#[tokio::test]
async fn a_document_without_a_version_gets_the_time_it_entered() {
    let payload = json!({"id": "a", "tenant": "acme", "text": "Hello."});
    let document: Document = run_one(&documents(), job(payload)).await.expect("valid");
    assert_eq!(document.version, Some(ORIGIN));
    assert_eq!(document.text.as_deref(), Some("Hello."));
}

#[tokio::test]
async fn a_given_version_is_kept() {
    let payload = json!({"id": "a", "tenant": "acme", "version": 7, "text": "Hello."});
    let document: Document = run_one(&documents(), job(payload)).await.expect("valid");
    assert_eq!(document.version, Some(7));
}

#[tokio::test]
async fn names_for_people_are_made_one_line() {
    let payload = json!({"id": "a", "tenant": "t", "text": "x", "title": " A\n guide ", "file_name": " "});
    let document: Document = run_one(&documents(), job(payload)).await.expect("valid");
    assert_eq!(document.title.as_deref(), Some("A guide"));
    assert_eq!(document.file_name, None);
}

#[tokio::test]
async fn a_missing_null_or_blank_field_has_its_own_code() {
    for payload in [
        json!({"tenant": "acme", "text": "x"}),
        json!({"id": null, "tenant": "acme", "text": "x"}),
        json!({"id": "a", "tenant": "  ", "text": "x"}),
        json!({"id": "a", "tenant": "acme"}),
        json!({"id": "a", "tenant": "acme", "uri": ""}),
    ] {
        assert_eq!(code_of(&documents(), job(&payload)).await, Code::RecordMissingField, "{payload}");
    }
}

#[tokio::test]
async fn what_does_not_fit_the_schema_is_permanent() {
    for payload in [
        json!("just text"),
        json!({"id": 5, "tenant": "acme", "text": "x"}),
        json!({"id": "a\u{0}b", "tenant": "acme", "text": "x"}),
        json!({"id": "a".repeat(513), "tenant": "acme", "text": "x"}),
        json!({"id": "a", "tenant": "acme", "text": "x", "content": "eA=="}),
        json!({"id": "a", "tenant": "acme", "content": "not base64!"}),
    ] {
        assert_eq!(code_of(&documents(), job(&payload)).await, Code::RecordSchemaViolation, "{payload}");
    }
}

#[tokio::test]
async fn an_empty_document_is_permanent() {
    for payload in [
        json!({"id": "a", "tenant": "acme", "text": " \n"}),
        json!({"id": "a", "tenant": "acme", "content": ""}),
    ] {
        assert_eq!(code_of(&documents(), job(&payload)).await, Code::DocumentEmpty, "{payload}");
    }
}

#[tokio::test]
async fn the_limit_is_on_the_bytes_and_not_on_their_encoding() {
    let encoded = |n: usize| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(vec![b'x'; n])
    };
    let fits = json!({"id": "a", "tenant": "acme", "content": encoded(64)});
    run_one::<Document>(&documents(), job(fits)).await.expect("64 bytes fit");
    for payload in [
        json!({"id": "a", "tenant": "acme", "content": encoded(65)}),
        json!({"id": "a", "tenant": "acme", "text": "x".repeat(65)}),
    ] {
        assert_eq!(code_of(&documents(), job(&payload)).await, Code::DocumentTooLarge, "{payload}");
    }
}

#[tokio::test]
async fn headers_that_contradict_the_payload_are_permanent() {
    let payload = json!({"id": "a", "tenant": "acme", "text": "x"});
    let mut other_tenant = job(&payload);
    other_tenant.correlation.tenant = Some("globex".into());
    assert_eq!(code_of(&documents(), other_tenant).await, Code::RecordTenantMismatch);

    let mut other_resource = job(&payload);
    other_resource.correlation.resource = Some("b".into());
    assert_eq!(code_of(&documents(), other_resource).await, Code::RecordSchemaViolation);

    let mut same = job(&payload);
    same.correlation.tenant = Some("acme".into());
    same.correlation.resource = Some("a".into());
    run_one::<Document>(&documents(), same).await.expect("headers agree");
}

#[tokio::test]
async fn a_reference_is_checked_before_anybody_fetches_it() {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(root.path().join("big.txt"), "x".repeat(65)).expect("a file");
    let sources = Sources {
        file_roots: vec![root.path().into()],
        http_hosts: vec!["docs.example.com".into()],
        ..Sources::default()
    };
    let stage = stage(Subject::Document, &sources);
    let with = |uri: String| job(json!({"id": "a", "tenant": "acme", "uri": uri}));
    let below = |name: &str| format!("file://{}/{name}", root.path().display());
    for (uri, code) in [
        (below("big.txt"), Code::DocumentTooLarge),
        (below("none.txt"), Code::SourceNotFound),
        ("file:///etc/hostname".into(), Code::SourceForbidden),
        ("https://other.example.com/a".into(), Code::SourceForbidden),
        ("ftp://docs.example.com/a".into(), Code::SourceForbidden),
        ("no url".into(), Code::RecordSchemaViolation),
    ] {
        assert_eq!(code_of(&stage, with(uri.clone())).await, code, "{uri}");
    }
    run_one::<Document>(&stage, with("https://docs.example.com/a".into())).await.expect("a listed host");
}

#[tokio::test]
async fn a_question_is_trimmed_and_needs_a_text() {
    let payload = json!({"id": "q", "tenant": "acme", "text": "  Why? "});
    let question: Question = run_one(&questions(), job(payload)).await.expect("valid");
    assert_eq!(question.text, "Why?");

    let blank = json!({"id": "q", "tenant": "acme", "text": " "});
    assert_eq!(code_of(&questions(), job(blank)).await, Code::RecordMissingField);
    let long = json!({"id": "q", "tenant": "acme", "text": "why ".repeat(20)});
    assert_eq!(code_of(&questions(), job(long)).await, Code::DocumentTooLarge);
}
