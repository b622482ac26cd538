//! The contract on PostgreSQL, and what only several processes on one database can do.

use super::*;
use crate::postgres::fixture::Database;
use crate::quarantine::contract::{self, apply, letter};

async fn open_in(database: &Database) -> PostgresQuarantine {
    PostgresQuarantine::open(&database.settings).await.expect("the index opens")
}

#[tokio::test]
async fn the_contract_holds() {
    if crate::postgres::fixture::url().is_none() {
        return;
    }
    let open = async || {
        let database = Database::new().expect("it is there");
        let index: Arc<dyn Quarantine> = Arc::new(open_in(&database).await);
        index
    };
    contract::contract(open).await;
}

/// Two processes that read the same topics, because neither knows of the other yet.
#[tokio::test]
async fn letters_that_several_processes_take_in_at_once_count_once() {
    let Some(database) = Database::new() else { return };
    let indexes = [open_in(&database).await, open_in(&database).await];
    let batch = |n: i64| Batch { entries: (n * 4..n * 4 + 8).map(letter).collect(), ..Batch::default() };
    let taken = (0..20).flat_map(|n| indexes.iter().map(move |index| index.apply(batch(n))));
    for taken in futures::future::join_all(taken).await {
        taken.expect("the index works");
    }
    for index in &indexes {
        assert_eq!(index.count(&Filter::default()).await.expect("works"), 84);
    }
    assert_eq!(database.number("SELECT count(*) FROM letters").await, 84);
    assert_eq!(database.number("SELECT max(key) FROM letters").await, 83);
}

/// All of them are in one schema when the configuration says nothing else.
#[tokio::test]
async fn it_has_a_schema_together_with_ledger_and_search_index() {
    let Some(database) = Database::new() else { return };
    let index = open_in(&database).await;
    crate::index::postgres::PostgresIndex::open(&database.settings).await.expect("the search index opens");
    let ledger = include_str!("../../../schemas/sql/postgres/0001_ledger.sql");
    database.line().await.run(ledger).await.expect("no table of the ledger is there");
    apply(&index, &[letter(1)], &[]).await;
    assert_eq!(index.count(&Filter::default()).await.expect("works"), 1);
}

#[tokio::test]
async fn a_database_that_may_not_be_written_is_named_and_nothing_is_half_done() {
    let Some(database) = Database::new() else { return };
    let index = open_in(&database).await;
    let line = database.line().await;
    line.run("ALTER TABLE letter_positions ADD CONSTRAINT full_disk CHECK (false) NOT VALID")
        .await
        .expect("done");
    let positions = BTreeMap::from([(TopicPartition::new("a.dlq", 0), 1)]);
    let batch = Batch { entries: vec![letter(1)], positions, ..Batch::default() };
    let refused = index.apply(batch.clone()).await.expect_err("refused").0;
    assert!(refused.contains("index of dead letters") && refused.contains("full_disk"), "{refused}");
    assert_eq!(index.count(&Filter::default()).await.expect("works"), 0);
    line.run("ALTER TABLE letter_positions DROP CONSTRAINT full_disk").await.expect("done");
    index.apply(batch).await.expect("works");
    assert_eq!(index.count(&Filter::default()).await.expect("works"), 1);
}
