//! The contract on SQLite, random lives against a model, and what only a file can do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::index::contract::{self, document, find, put, whole};
use crate::message::payload::Passages;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("data/index.db");
    (folder, path)
}

#[tokio::test]
async fn the_contract_holds() {
    let (folder, _) = folder();
    let n = std::cell::Cell::new(0);
    let open = async || {
        n.set(n.get() + 1);
        let path = folder.path().join(format!("index-{}.db", n.get()));
        let index: Arc<dyn Index> = Arc::new(SqliteIndex::open(&path).expect("the index opens"));
        index
    };
    contract::contract(open).await;
}

#[tokio::test]
async fn nothing_of_an_old_version_stays_in_the_file() {
    let (_folder, path) = folder();
    let index = SqliteIndex::open(&path).expect("opened");
    for version in 1..=3 {
        let mut part = whole(document("t", "d", version), &["one", "two", "four"]);
        part.passages.iter_mut().for_each(|passage| passage.embedding = Some(vec![1.0]));
        put(&index, &part).await;
    }
    drop(index);
    let db = Connection::open(&path).expect("opened");
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("documented layout");
    assert_eq!(count("SELECT count(*) FROM documents"), 1);
    assert_eq!(count("SELECT count(*) FROM parts"), 1);
    assert_eq!(count("SELECT count(*) FROM passages"), 3);
    assert_eq!(count("SELECT count(*) FROM vectors"), 3);
    assert_eq!(count("SELECT count(*) FROM words WHERE words MATCH 'one OR two OR four'"), 3);
}

#[tokio::test]
async fn searches_go_on_while_documents_come_in() {
    let (_folder, path) = folder();
    let index = SqliteIndex::open(&path).expect("opened");
    put(&index, &whole(document("t", "d0", 1), &["a steady light"])).await;
    let parts: Vec<_> = (1..40).map(|n| whole(document("t", &format!("d{n}"), 1), &["a light"])).collect();
    let puts = futures::future::join_all(parts.iter().map(|part| index.put(part)));
    let finds = futures::future::join_all((0..40).map(|_| find(&index, "t", "steady")));
    let (puts, finds) = tokio::join!(puts, finds);
    assert!(puts.iter().all(|put| matches!(put, Ok(Put::Complete))));
    assert!(finds.iter().all(|found| found.len() == 1));
}

#[tokio::test]
async fn what_was_put_is_there_after_a_restart() {
    let (_folder, path) = folder();
    put(&SqliteIndex::open(&path).expect("opened"), &whole(document("t", "d", 1), &["a wreck"])).await;
    let index = SqliteIndex::open(&path).expect("opened again");
    assert_eq!(find(&index, "t", "wreck").await.len(), 1);
}

#[tokio::test]
async fn an_index_that_may_not_be_written_or_is_full_says_so_and_still_answers() {
    let (_folder, path) = folder();
    let index = SqliteIndex::open(&path).expect("opened");
    put(&index, &whole(document("t", "d", 1), &["a lamp"])).await;
    let large = whole(document("t", "large", 1), &["x".repeat(1 << 20).as_str()]);
    let pragma = |sql: &'static str| index.writer.write(move |db| db.execute_batch(sql));

    pragma("PRAGMA max_page_count = 1").await.expect("set");
    let full = index.put(&large).await.expect_err("full").0;
    assert!(full.contains("the search index") && full.contains("the disk is full"), "{full}");
    pragma("PRAGMA max_page_count = 1000000; PRAGMA query_only = 1").await.expect("set");
    let refused = index.put(&large).await.expect_err("read-only").0;
    assert!(refused.contains("may not be written"), "{refused}");
    assert_eq!(find(&index, "t", "lamp").await.len(), 1);
    drop(index);
    let index = SqliteIndex::open(&path).expect("opened");
    assert_eq!(put(&index, &large).await, Put::Complete);
}

#[test]
fn a_file_that_is_no_database_is_named_with_a_remedy() {
    let (_folder, path) = folder();
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(&path, "not a database ".repeat(100)).expect("written");
    let message = SqliteIndex::open(&path).map(|_| ()).expect_err("no database").0;
    assert!(message.contains("search index") && message.contains("is damaged"), "{message}");
    assert!(message.contains("documents must be sent again"), "{message}");
}

const WORDS: [&str; 4] = ["reef", "shoal", "strait", "fjord"];

/// A part that comes in: small numbers, so that versions and tenants meet.
#[derive(Clone, Debug)]
struct Arrival {
    tenant: u8,
    document: u8,
    version: i64,
    part: u32,
}

/// How many parts each version has, so that versions differ in length.
fn parts_of(version: i64) -> u32 {
    u32::try_from(4 - version).unwrap_or(1)
}

impl Arrival {
    fn passages(&self) -> Passages {
        let Self { tenant, document: id, version, part } = self;
        let text = format!("tenant{tenant} {} version{version}", WORDS[*part as usize]);
        let mut whole = whole(document(&format!("tenant{tenant}"), &format!("d{id}"), *version), &[&text]);
        whole.passages[0].embedding = Some(vec![1.0, 0.0]);
        Passages { part: *part, parts: parts_of(*version), ..whole }
    }
}

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let one = (0u8..2, 0u8..2, 1i64..4).prop_flat_map(|(tenant, document, version)| {
        (0..parts_of(version)).prop_map(move |part| Arrival { tenant, document, version, part })
    });
    proptest::collection::vec(one, 1..25)
}

async fn serve(path: &Path, arrivals: Vec<Arrival>) {
    let index = SqliteIndex::open(path).expect("opened");
    let mut received: BTreeMap<(u8, u8), BTreeMap<i64, BTreeSet<u32>>> = BTreeMap::new();
    let mut served: BTreeMap<(u8, u8), i64> = BTreeMap::new();
    for arrival in arrivals {
        let key = (arrival.tenant, arrival.document);
        let answer = put(&index, &arrival.passages()).await;
        if served.get(&key).is_some_and(|version| *version > arrival.version) {
            assert_eq!(answer, Put::Superseded);
        } else {
            let parts = received.entry(key).or_default().entry(arrival.version).or_default();
            parts.insert(arrival.part);
            let complete = parts.len() as u32 == parts_of(arrival.version);
            assert_eq!(answer, if complete { Put::Complete } else { Put::Partial });
            if complete {
                served.insert(key, arrival.version);
            }
        }
        for tenant in 0u8..2 {
            let name = format!("tenant{tenant}");
            let query = Query {
                tenant: &name,
                text: "reef shoal strait tenant0 tenant1",
                embedding: &[1.0, 0.0],
                limit: 50,
            };
            let found = index.search(query).await.expect("the index works");
            let found: Vec<_> = found
                .iter()
                .map(|e| (e.document.tenant.clone(), e.document.id.clone(), e.document.version))
                .collect();
            for (key, version) in served.iter().filter(|(key, _)| key.0 == tenant) {
                let expected = (name.clone(), format!("d{}", key.1), *version);
                let times = found.iter().filter(|entry| **entry == expected).count();
                assert_eq!(times as u32, parts_of(*version), "{expected:?} in {found:?}");
            }
            let expected: u32 =
                served.iter().filter(|(key, _)| key.0 == tenant).map(|(_, v)| parts_of(*v)).sum();
            assert_eq!(found.len() as u32, expected, "{found:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_search_sees_the_latest_whole_version_of_its_tenants_documents_and_nothing_else(arrivals in arrivals()) {
        let (_folder, path) = folder();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(serve(&path, arrivals));
    }
}
