//! The contract on SQLite, and what only a file can do.

use super::*;
use crate::quarantine::Deed;
use crate::quarantine::contract::{self, act, apply, letter};

#[tokio::test]
async fn the_contract_holds() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let n = std::cell::Cell::new(0);
    let open = async || {
        n.set(n.get() + 1);
        let path = folder.path().join(format!("quarantine-{}.db", n.get()));
        let index: Arc<dyn Quarantine> = Arc::new(SqliteQuarantine::open(&path).expect("the index opens"));
        index
    };
    contract::contract(open).await;
}

#[tokio::test]
async fn what_was_taken_in_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("data/quarantine.db");
    let entries: Vec<_> = (0..20).map(letter).collect();
    apply(&SqliteQuarantine::open(&path).expect("opened"), &entries, &[]).await;
    let index = SqliteQuarantine::open(&path).expect("opened again");
    assert_eq!(index.count(&Filter::default()).await.expect("works"), 20);
    apply(&index, &(15..40).map(letter).collect::<Vec<_>>(), &[]).await;
    assert_eq!(index.count(&Filter::default()).await.expect("works"), 40);
}

#[tokio::test]
async fn questions_are_answered_while_letters_come_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let index = SqliteQuarantine::open(&folder.path().join("quarantine.db")).expect("opened");
    let batches = (0..30).map(|n| {
        let entries = (n * 5..n * 5 + 5).map(letter).collect();
        index.apply(Batch { entries, ..Batch::default() })
    });
    let filter = Filter::default();
    let asked = futures::future::join_all((0..30).map(|_| index.groups(&filter, 10)));
    let (taken, answers) = tokio::join!(futures::future::join_all(batches), asked);
    assert!(taken.iter().all(Result::is_ok));
    // Each sees whole batches.
    assert!(
        answers.into_iter().all(|groups| groups.expect("works").iter().all(|group| group.count % 5 == 0))
    );
    assert_eq!(index.count(&filter).await.expect("works"), 150);
}

#[tokio::test]
async fn a_file_whose_stripes_are_gone_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("quarantine.db");
    let index = SqliteQuarantine::open(&path).expect("opened");
    apply(&index, &(0..40).map(letter).collect::<Vec<_>>(), &[]).await;
    index.write(|db| db.execute_batch("DELETE FROM letter_stripes WHERE place = 13")).await.expect("changed");
    let message = index.trend(&Filter::default()).await.expect_err("damaged").0;
    assert!(message.contains("index of dead letters") && message.contains("damaged"), "{message}");
    assert!(message.contains("from Kafka again"), "{message}");
}

#[tokio::test]
async fn a_file_of_the_first_version_is_filled_with_acts_anew() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("quarantine.db");
    let db = Connection::open(&path).expect("opened");
    db.execute_batch(SCHEMA.migrations[0]).expect("made");
    db.pragma_update(None, "user_version", 1).expect("set");
    db.pragma_update(None, "application_id", SCHEMA.application_id).expect("set");
    db.execute_batch(
        "INSERT INTO acts (id, at_offset, act, letters) VALUES ('a', 0, '{}', '[]');
         INSERT INTO acts_on_letters VALUES ('id-0001', 1);
         INSERT INTO letter_positions VALUES ('lazaret.operations', 0, 1);",
    )
    .expect("filled");
    drop(db);
    let index = SqliteQuarantine::open(&path).expect("the index opens");
    assert!(index.positions().await.expect("works").is_empty(), "all is read again");
    assert!(index.acts("id-0001").await.expect("works").is_empty());
    apply(&index, &[letter(1)], &[act(0, &["id-0001"], Deed::Discarded)]).await;
    assert_eq!(index.audit(&ActFilter::default(), None, 10).await.expect("works").acts.len(), 1);
}

#[tokio::test]
async fn a_file_from_before_tokens_were_kept_stays_and_knows_of_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("quarantine.db");
    let index = SqliteQuarantine::open(&path).expect("opened");
    apply(&index, &(0..40).map(letter).collect::<Vec<_>>(), &[]).await;
    let before = "ALTER TABLE letters DROP COLUMN tokens_in; ALTER TABLE letters DROP COLUMN tokens_out;
        DELETE FROM letter_stripes WHERE place % 32 IN (19, 20); PRAGMA user_version = 7";
    index.write(move |db| db.execute_batch(before)).await.expect("changed");
    drop(index);
    let index = SqliteQuarantine::open(&path).expect("opened again");
    let spent = Some(crate::message::Spent { input: 5, output: 2, calls: 1 });
    apply(&index, &[crate::quarantine::Entry { spent, ..letter(50) }], &[]).await;
    let group = index.groups(&Filter::default(), 10).await.expect("works").remove(0);
    assert_eq!((group.count, group.tokens.map(|tokens| (tokens.letters, tokens.input))), (41, Some((1, 5))));
}
