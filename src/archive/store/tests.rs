//! The same of a folder and of a real S3-compatible store, when there is one.

use super::*;
use crate::config::Secret;

fn archive(to: String, s3: S3) -> Archive {
    serde_json::from_value(serde_json::json!({ "to": to, "s3": s3 })).expect("settings")
}

/// `LAZARET_TEST_S3` is the URL of a store, `LAZARET_TEST_S3_BUCKET` a bucket there; the keys stand in
/// `LAZARET_TEST_S3_ACCESS_KEY` and `LAZARET_TEST_S3_SECRET_KEY`.
fn real(prefix: &str) -> Option<Archive> {
    let Ok(endpoint) = std::env::var("LAZARET_TEST_S3") else {
        assert!(
            std::env::var_os("LAZARET_TEST_SKIP_REAL").is_some(),
            "scripts/parts.sh s3 start starts a store; LAZARET_TEST_SKIP_REAL=1 passes these tests over"
        );
        return None;
    };
    let bucket = std::env::var("LAZARET_TEST_S3_BUCKET").expect("a bucket");
    let s3 = S3 {
        endpoint: Some(endpoint),
        region: None,
        access_key: Some(Secret::Env("LAZARET_TEST_S3_ACCESS_KEY".into())),
        secret_key: Some(Secret::Env("LAZARET_TEST_S3_SECRET_KEY".into())),
        allow_http: true,
    };
    Some(archive(format!("s3://{bucket}/{prefix}"), s3))
}

async fn objects_are_there_until_they_are_deleted(store: &Store) {
    assert_eq!(store.get("t/0/a.avro", 9).await.expect("works"), None);
    assert!(store.list().await.expect("works").is_empty());
    store.put("t/0/a.avro", Bytes::from_static(b"first")).await.expect("works");
    store.put("t/0/a.avro", Bytes::from_static(b"one \x00\xff")).await.expect("works");
    store.put("t/0/b.avro", Bytes::new()).await.expect("works");
    assert_eq!(store.get("t/0/a.avro", 9).await.expect("works").as_deref(), Some(b"one \x00\xff".as_slice()));
    assert_eq!(store.get("t/0/b.avro", 9).await.expect("works").as_deref(), Some(b"".as_slice()));
    let refused = store.get("t/0/a.avro", 5).await.expect_err("too large").to_string();
    assert!(refused.contains("'t/0/a.avro'") && refused.contains("it has 6 bytes"), "{refused}");
    let mut names = store.list().await.expect("works");
    names.sort();
    assert_eq!(names, ["t/0/a.avro", "t/0/b.avro"]);
    for _ in 0..2 {
        store.delete("t/0/a.avro").await.expect("works");
    }
    assert_eq!(store.list().await.expect("works"), ["t/0/b.avro"]);
    store.delete("t/0/b.avro").await.expect("works");
}

#[tokio::test]
async fn a_folder_keeps_objects() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = folder.path().join("made/archive");
    for to in [below.display().to_string(), format!("file://{}", below.display())] {
        let store = Store::open(&archive(to, S3::default())).expect("a store");
        objects_are_there_until_they_are_deleted(&store).await;
    }
}

#[tokio::test]
async fn an_s3_store_keeps_objects() {
    let prefix = format!("unit/{}", uuid::Uuid::now_v7());
    let Some(archive) = real(&prefix) else { return };
    objects_are_there_until_they_are_deleted(&Store::open(&archive).expect("a store")).await;
}

#[tokio::test]
async fn a_store_that_refuses_says_so_and_shows_no_key() {
    let Some(mut archive) = real("refused") else { return };
    archive.s3.secret_key = archive.s3.access_key.clone();
    let secret = archive.s3.secret_key.as_ref().expect("a key").read().expect("a key");
    let store = Store::open(&archive).expect("a store");
    let told = store.put("x", Bytes::new()).await.expect_err("the signature is wrong").to_string();
    assert!(told.starts_with("cannot write 'x' in the archive at s3://"), "{told}");
    assert!(!told.contains(&format!("={}", secret.expose_secret())), "{told}");
}

#[test]
fn a_secret_that_is_missing_is_named_by_its_place() {
    let s3 = S3 { access_key: Some(Secret::Env("LAZARET_TEST_NO_SUCH_KEY".into())), ..S3::default() };
    let told = Store::open(&archive("s3://b/p".into(), s3)).err().expect("no key").to_string();
    assert!(told.contains("LAZARET_TEST_NO_SUCH_KEY"), "{told}");
}
