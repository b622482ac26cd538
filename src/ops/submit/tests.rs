//! What is found to submit, what is refused, and what the records say.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::documents::{DocumentFile, INLINE_MAX, find, search};
use super::questions::{Asked, ask, parse};
use super::*;
use crate::schema::Shape;

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("the folder");
        std::fs::write(path, bytes).expect("written");
    }
    folder
}

fn load<I: Item>(item: I, format: Format) -> Loaded {
    item.load(format, "acme", &JobId("job-1".into())).expect("loaded")
}

fn payload<I: Item>(item: I) -> Value {
    match load(item, Format::Json).body {
        Body::Payload(value) => value,
        Body::Bytes(_) => panic!("a payload"),
    }
}

#[test]
fn a_folder_is_searched_in_a_fixed_order_and_ids_are_paths_below_it() {
    let folder = folder(&[
        ("b.md", b"b"),
        ("a/z.txt", b"z"),
        ("a/c.pdf", b"c"),
        (".git/config", b"no"),
        (".x", b"no"),
    ]);
    let found = find(&[folder.path().to_owned()], None).expect("found");
    let ids: Vec<_> = found.iter().map(|f| f.id.as_str()).collect();
    assert_eq!(ids, ["a/c.pdf", "a/z.txt", "b.md"]);
}

#[test]
fn a_small_document_travels_in_the_record_with_its_media_type() {
    let folder = folder(&[("note.md", b"# hi")]);
    let file = find(&[folder.path().join("note.md")], Some(7)).expect("found").remove(0);
    let value = payload(file);
    let expected = json!({
        "id": "note.md", "tenant": "acme", "version": 7, "file_name": "note.md",
        "media_type": "text/markdown", "content": "IyBoaQ=="
    });
    assert_eq!(value, expected);
}

#[test]
fn a_large_document_travels_as_an_absolute_reference() {
    let bytes = vec![b'x'; usize::try_from(INLINE_MAX.0).expect("small") + 1];
    let folder = folder(&[("big ü.txt", &bytes)]);
    let file = find(&[folder.path().to_owned()], None).expect("found").remove(0);
    let value = payload(file);
    let uri = value["uri"].as_str().expect("a reference");
    assert!(uri.starts_with("file:///") && uri.ends_with("/big%20%C3%BC.txt"), "{uri}");
    assert!(value.get("content").is_none());
}

#[test]
fn a_topic_of_bytes_gets_the_document_itself() {
    let folder = folder(&[("a.pdf", b"%PDF")]);
    let file = find(&[folder.path().to_owned()], None).expect("found").remove(0);
    let expected = Loaded {
        body: Body::Bytes(b"%PDF".to_vec()),
        content_type: Some("application/pdf"),
        file_name: Some("a.pdf".into()),
    };
    assert_eq!(load(file, Format::Bytes), expected);
}

#[test]
fn a_folder_without_documents_is_nothing_to_submit() {
    let folder = folder(&[(".hidden", b"x")]);
    assert!(matches!(find(&[folder.path().to_owned()], None), Err(SubmitError::Nothing(_))));
}

#[test]
fn two_files_that_would_be_one_document_are_refused() {
    let folder = folder(&[("a/x.txt", b"1"), ("b/x.txt", b"2")]);
    let both = [folder.path().join("a"), folder.path().join("b")];
    assert!(matches!(find(&both, None), Err(SubmitError::Usage(a)) if a.message.contains("'x.txt'")));
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let missing = find(&[PathBuf::from("no/such/folder")], None).expect_err("missing");
    assert!(missing.to_string().starts_with("cannot read no/such/folder: "));
}

#[test]
fn questions_are_plain_lines_or_json_lines() {
    let text = "\u{feff}What is a rung?\n\n{\"id\": \"q7\", \"text\": \"なぜ待つのですか？\"}\r\n";
    let questions = parse(text, "file").expect("questions");
    let expected = [
        Asked { id: None, text: "What is a rung?".into(), document: None },
        Asked { id: Some("q7".into()), text: "なぜ待つのですか？".into(), document: None },
    ];
    assert_eq!(questions, expected);
    let value = payload(questions[0].clone());
    assert_eq!(value, json!({ "id": "job-1", "tenant": "acme", "text": "What is a rung?" }));
}

#[test]
fn an_empty_question_is_refused_and_an_empty_file_is_nothing() {
    assert!(matches!(ask("  "), Err(SubmitError::Usage(_))));
    assert!(matches!(parse("\n \n", "file"), Err(SubmitError::Nothing(_))));
    let wrong = parse("ok\n{\"txet\": 1}", "file").expect_err("wrong key");
    assert!(
        matches!(&wrong, SubmitError::Usage(a) if a.message.starts_with("file, line 2 is not a question")),
        "{wrong}"
    );
}

#[test]
fn the_pipeline_is_the_only_one_that_takes_such_records() {
    let yaml = "version: 1
kafka: { bootstrap: 'localhost:9092' }
pipelines:
  ingest: { input: { topic: d }, output: { topic: i }, stages: [ { name: v, kind: validate } ] }
  answer: { input: { topic: q }, output: { topic: a }, stages: [ { name: v, kind: { validate: { of: question } } } ] }
";
    let mut config: Config = serde_saphyr::from_str(yaml).expect("a valid configuration");
    assert_eq!(pipeline(&config, None, Subject::Question).expect("found").0, "answer");
    assert_eq!(pipeline(&config, Some("ingest"), Subject::Question).expect("found").0, "ingest");
    assert!(
        matches!(pipeline(&config, Some("x"), Subject::Document), Err(SubmitError::Usage(a)) if a.hint.contains("answer, ingest"))
    );
    config.pipelines.insert("more".into(), config.pipelines["ingest"].clone());
    assert!(
        matches!(pipeline(&config, None, Subject::Document), Err(SubmitError::Usage(a)) if a.message.contains("several"))
    );
}

#[test]
fn a_record_carries_its_correlation_as_text() {
    let loaded = Loaded::payload(&json!({})).expect("loaded");
    let headers = headers("acme", &JobId("0193".into()), "a/b.md", Format::Json, &loaded);
    let text = |name| headers.text(name);
    assert_eq!(
        (text(JOB_ID), text(TENANT_ID), text(RESOURCE_ID)),
        (Some("0193"), Some("acme"), Some("a/b.md"))
    );
    assert_eq!(text(CONTENT_TYPE), Some("application/json"));
    assert!(crate::message::id::is_traceparent(text(TRACEPARENT).expect("a traceparent")));
}

#[tokio::test]
async fn a_question_cannot_go_where_documents_are_bytes() {
    let plan = |format| Plan { topic: "t".into(), format, shape: Shape::Document, ours: false };
    let codec = |format| Codec::new(&plan(format), None).expect("a codec");
    let body = || Body::Payload(json!({}));
    let refused = encode(body(), &codec(Format::Bytes), Format::Bytes, "q").await;
    assert!(matches!(refused, Err(SubmitError::Usage(a)) if a.message.starts_with("'q' is no document")));
    let json = encode(body(), &codec(Format::Json), Format::Json, "q").await;
    assert_eq!(json.expect("JSON"), b"{}");
}

#[tokio::test]
async fn after_a_failure_nothing_is_begun_and_what_was_begun_is_waited_for() {
    let unreadable = || SubmitError::Read { place: "5".into(), source: std::io::ErrorKind::NotFound.into() };
    let failed = tokio::sync::Notify::new();
    let begun = AtomicBool::new(false);
    let work = async |n: usize| match n {
        5 => {
            failed.notify_waiters();
            Err(unreadable())
        }
        // Acknowledged only after the failure, as a record that librdkafka holds already.
        0..5 => {
            failed.notified().await;
            Ok(n)
        }
        _ => {
            begun.store(true, Ordering::Relaxed);
            Ok(n)
        }
    };
    let mut reported = Vec::new();
    let ended = in_order((0..1_000).collect(), work, |n| reported.push(*n)).await;
    assert!(matches!(ended, Err(SubmitError::Read { place, .. }) if place == "5"));
    assert_eq!(reported, [0, 1, 2, 3, 4]);
    assert!(!begun.load(Ordering::Relaxed), "an item after the failed one was begun");
}

fn config_with_roots(roots: &[PathBuf]) -> Config {
    let yaml = "version: 1
kafka: { bootstrap: 'localhost:9092' }
pipelines:
  ingest: { input: { topic: d }, output: { topic: i }, stages: [ { name: v, kind: validate } ] }
";
    let mut config: Config = serde_saphyr::from_str(yaml).expect("a valid configuration");
    config.sources.file_roots = roots.to_vec();
    config
}

#[test]
fn a_large_file_that_no_stage_may_read_is_refused_before_anything_is_sent() {
    let bytes = vec![b'x'; usize::try_from(INLINE_MAX.0).expect("small") + 1];
    let folder = folder(&[("a/big.txt", &bytes), ("b/big.txt", &bytes), ("small.txt", b"x")]);
    let files = find(&[folder.path().to_owned()], None).expect("found");
    let check = |roots: &[PathBuf], format| Item::check(&files, &config_with_roots(roots), format);
    let refused = |checked| match checked {
        Err(SubmitError::Usage(advice)) => advice,
        other => panic!("{other:?}"),
    };
    let none = refused(check(&[], Format::Json));
    assert!(none.message.contains("a/big.txt (and 1 more like it)"), "{none}");
    assert!(none.hint.contains("sources.file_roots"), "{none}");
    let other = refused(check(&[folder.path().join("a")], Format::Avro));
    assert!(other.message.contains("b/big.txt is larger"), "{other}");
    assert!(check(&[folder.path().to_owned()], Format::Json).is_ok());
    let bytes = refused(check(&[folder.path().to_owned()], Format::Bytes));
    assert!(bytes.message.contains("takes documents as bytes"), "{bytes}");
}

#[test]
fn an_id_with_control_characters_is_refused_and_escaped() {
    let file = |name: &str| DocumentFile { path: name.into(), id: name.into(), version: None };
    assert!(check_ids(&[file("ü a.txt")]).is_ok());
    let refused =
        check_ids(&[file("ok"), file("a\x1b[2J.txt"), file("b\n")]).expect_err("control characters");
    let expected = r#"the id "a\u{1b}[2J.txt" and 1 more have control characters"#;
    assert!(matches!(&refused, SubmitError::Usage(a) if a.message == expected), "{refused}");
}

#[test]
fn links_to_nowhere_and_sockets_are_passed_over_and_counted() {
    let folder = folder(&[("a.txt", b"a")]);
    let below = |name| folder.path().join(name);
    std::os::unix::fs::symlink(below("gone"), below("dangling")).expect("a link");
    std::os::unix::fs::symlink(below("a.txt"), below("linked.txt")).expect("a link");
    std::os::unix::fs::symlink(folder.path(), below("loop")).expect("a link");
    let _socket = std::os::unix::net::UnixListener::bind(below("socket")).expect("a socket");
    let search = search(&[folder.path().to_owned()]).expect("found");
    assert_eq!(search.found.keys().collect::<Vec<_>>(), ["a.txt", "linked.txt"]);
    let mut passed_over = search.passed_over;
    passed_over.sort();
    assert_eq!(passed_over, [below("dangling"), below("socket")]);
}
