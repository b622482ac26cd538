//! A file of the first version is opened: what it knew is still known.

use super::*;
use crate::ledger::State;
use crate::ledger::contract::{attempt, fault};

/// A file as the first version left it: a job done, one stored, one waiting, one condemned.
fn first_version(path: &Path) {
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("the folder is made");
    let db = Connection::open(path).expect("opened");
    let fault = serde_json::to_string(&fault()).expect("JSON");
    db.pragma_update(None, "journal_mode", "wal").expect("set");
    db.execute_batch(SCHEMA.migrations[0]).expect("made");
    db.pragma_update(None, "user_version", 1).expect("set");
    db.pragma_update(None, "application_id", SCHEMA.application_id).expect("set");
    db.execute_batch(&format!(
        "INSERT INTO instances VALUES ('a', 4, 0);
         UPDATE tokens SET last = 17;
         INSERT INTO jobs (id, job, stage, pipeline, state, attempt, redrives, finishes, token, holder, epoch,
                           lease_until, tenant, traceparent, fault, created_at, updated_at, result) VALUES
           (1, 'done', 'embed', 'rag', 'done', 0, 0, 1, 14, 'a', 4, 0, 't', '', NULL, 0, 1700000000000, NULL),
           (2, 'stored', 'embed', 'rag', 'stored', 0, 0, 0, 15, 'a', 4, 9, 't', '', NULL, 0, 1700000000000, x'64656172'),
           (3, 'waiting', 'embed', 'rag', 'waiting', 1, 0, 0, 16, 'a', 4, 0, 't', '', '{fault}', 0, 1700000000000, NULL),
           (4, 'condemned', 'embed', 'rag', 'condemned', 2, 0, 0, 17, 'a', 4, 9, 't', '', '{fault}', 0, 1700000000000, NULL);
         INSERT INTO events (row, at, kind, attempt, redrives, went_to) VALUES
           (1, 1, 'started', 0, 0, NULL), (1, 5, 'done', 0, 0, NULL), (3, 5, 'waiting', 1, 0, 'rung');"
    ))
    .expect("filled");
}

#[tokio::test]
async fn a_file_of_the_first_version_opens_and_its_jobs_go_on() {
    let (_folder, path) = folder();
    first_version(&path);
    let ledger = open_at(&path, "a");
    let begun = async |claim| ledger.begin(claim).await.expect("the ledger works");
    assert_eq!(begun(claim("done")).await, Begin::Finished(State::Done));
    assert!(matches!(begun(claim("stored")).await, Begin::Stored(_, result) if result == b"dear"));
    assert_eq!(begun(claim("waiting")).await, Begin::Finished(State::Waiting));
    assert!(matches!(begun(attempt("waiting", 0, 1)).await, Begin::Fresh(lease) if lease.token == 19));
    assert!(matches!(begun(attempt("condemned", 0, 2)).await, Begin::Condemned(_, why) if why == fault()));

    let life = ledger.history("waiting").await.expect("read");
    let kinds: Vec<_> = life.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["waiting", "duplicate", "started"], "its history came along");
    drop(ledger);
    drop(open_at(&path, "a"));
}

#[tokio::test]
async fn rows_that_do_not_say_where_they_stood_are_not_recovered() {
    let (_folder, path) = folder();
    first_version(&path);
    let ledger = open_at(&path, "a");
    let found = ledger.recover(outstanding::recovery(Holding::LiveAndDead)).await.expect("recovered");
    assert_eq!(found, []);
    let begun = ledger.begin(claim("stored")).await;
    assert!(matches!(begun, Ok(Begin::Stored(..))), "{begun:?}");
    let jobs = LedgerReader::of(&path).jobs("rag", None, 10).await.expect("read");
    let placed: Vec<_> = jobs.iter().map(|job| (job.at.is_some(), job.origin.is_some())).collect();
    assert_eq!(placed, [(false, false), (true, true), (false, false), (false, false)]);
}

#[tokio::test]
async fn a_reader_of_a_file_that_was_not_brought_up_to_date_says_how_to() {
    let (_folder, path) = folder();
    first_version(&path);
    for message in [
        unavailable(LedgerReader::of(&path).history("done").await),
        unavailable(LedgerReader::of(&path).jobs("rag", None, 10).await),
    ] {
        assert!(message.contains("an older version") && message.contains("`lazaret run`"), "{message}");
    }
}

#[test]
fn the_result_stays_the_last_column() {
    let (_folder, path) = folder();
    first_version(&path);
    drop(open_at(&path, "a"));
    let db = Connection::open(&path).expect("opened");
    let last: String = db
        .query_row("SELECT name FROM pragma_table_info('jobs') ORDER BY cid DESC LIMIT 1", [], |row| {
            row.get(0)
        })
        .expect("a table");
    assert_eq!(last, "result");
}
