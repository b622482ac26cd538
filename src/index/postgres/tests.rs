//! The contract on PostgreSQL, and what only several processes on one database can do.

use std::collections::BTreeSet;

use super::*;
use crate::index::contract::{self, document, find, put, whole};
use crate::postgres::fixture::Database;

async fn open_in(database: &Database) -> PostgresIndex {
    PostgresIndex::open(&database.settings).await.expect("the index opens")
}

#[tokio::test]
async fn the_contract_holds() {
    if crate::postgres::fixture::url().is_none() {
        return;
    }
    let open = async || {
        let database = Database::new().expect("it is there");
        let index: Arc<dyn Index> = Arc::new(open_in(&database).await);
        index
    };
    contract::contract(open).await;
}

#[tokio::test]
async fn nothing_of_an_old_version_stays_in_the_database() {
    let Some(database) = Database::new() else { return };
    let index = open_in(&database).await;
    for version in 1..=3 {
        let mut part = whole(document("t", "d", version), &["one", "two", "four"]);
        part.passages.iter_mut().for_each(|passage| passage.embedding = Some(vec![1.0]));
        put(&index, &part).await;
    }
    for (table, rows) in [("documents", 1), ("parts", 1), ("passages", 3), ("vectors", 3), ("words", 3)] {
        assert_eq!(database.number(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
}

/// Processes that have parts of the same document at the same time.
#[tokio::test]
async fn parts_that_come_to_several_processes_at_once_make_one_whole_version() {
    let Some(database) = Database::new() else { return };
    let indexes = [open_in(&database).await, open_in(&database).await, open_in(&database).await];
    for round in 0..10 {
        let id = format!("d{round}");
        let part = |version: i64, n: u32| Passages {
            part: n,
            parts: 4,
            ..whole(document("t", &id, version), &[&format!("gale{round} {version}")])
        };
        let parts: Vec<Passages> = (0..8).flat_map(|n| [part(1, n % 4), part(2, n % 4)]).collect();
        let puts = parts.iter().enumerate().map(|(n, part)| indexes[n % indexes.len()].put(part));
        for put in futures::future::join_all(puts).await {
            put.expect("the index works");
        }
        let found: BTreeSet<_> = find(&indexes[0], "t", &format!("gale{round}"))
            .await
            .into_iter()
            .filter(|e| e.document.id == id)
            .map(|e| e.text)
            .collect();
        assert_eq!(found, BTreeSet::from([format!("gale{round} 2")]));
    }
    assert_eq!(indexes[1].stats().await.expect("it works"), Stats { documents: 10, passages: 40 });
    assert_eq!(database.number("SELECT count(*) FROM passages").await, 40);
}

#[tokio::test]
async fn text_with_what_the_server_cannot_hold_is_kept_all_the_same() {
    let Some(database) = Database::new() else { return };
    let index = open_in(&database).await;
    let mut part = whole(document("t", "d", 1), &["a lamp \0 and a log"]);
    part.passages[0].heading = Some("nul \0".into());
    put(&index, &part).await;
    assert_eq!(find(&index, "t", "lamp").await[0].text, "a lamp \u{fffd} and a log");
}

#[tokio::test]
async fn a_database_that_may_not_be_written_is_named_and_still_answers() {
    let Some(database) = Database::new() else { return };
    let index = open_in(&database).await;
    put(&index, &whole(document("t", "d", 1), &["a lamp"])).await;
    let line = database.line().await;
    line.run("ALTER TABLE passages ADD CONSTRAINT full_disk CHECK (false) NOT VALID").await.expect("changed");
    let refused = index.put(&whole(document("t", "e", 1), &["a wick"])).await.expect_err("refused").0;
    assert!(refused.contains("search index") && refused.contains("full_disk"), "{refused}");
    assert_eq!(find(&index, "t", "lamp").await.len(), 1);
    line.run("ALTER TABLE passages DROP CONSTRAINT full_disk").await.expect("changed");
    assert_eq!(put(&index, &whole(document("t", "e", 1), &["a wick"])).await, Put::Complete);
}
