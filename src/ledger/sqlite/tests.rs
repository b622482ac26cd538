//! The contract on SQLite, and what only a file can do: crash, fill up, be damaged, be of an older version.

mod jobs;
mod lives;
mod outstanding;
mod upgrade;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::ledger::contract::{self, claim, fresh, second};
use crate::ledger::{Holding, State};

const DAY: Duration = Duration::from_secs(86_400);

fn open_at(path: &Path, instance: &str) -> SqliteLedger {
    SqliteLedger::open(path, instance, DAY, second(0)).expect("the ledger opens")
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("data/ledger.db");
    (folder, path)
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> String {
    match result {
        Err(LedgerError::Unavailable(message)) => message,
        other => panic!("expected an unavailable ledger, got {other:?}"),
    }
}

/// What an outside checker reads: how many jobs were not finished once when they are done, or were otherwise.
fn miscounted(path: &Path) -> i64 {
    let db = Connection::open(path).expect("the file opens");
    db.query_row("SELECT count(*) FROM jobs WHERE finishes <> (state = 'done')", [], |row| row.get(0))
        .expect("documented layout")
}

#[tokio::test]
async fn the_contract_holds() {
    let (_folder, path) = folder();
    let open = async |instance: &str| -> Arc<dyn Ledger> {
        let ledger: Arc<dyn Ledger> = Arc::new(open_at(&path, instance));
        ledger
    };
    contract::contract(open).await;
    assert_eq!(miscounted(&path), 0);
}

#[tokio::test]
async fn many_claims_of_one_job_at_once_give_one_lease() {
    let (_folder, path) = folder();
    let ledger = Arc::new(open_at(&path, "a"));
    let claims = (0..200).map(|_| ledger.begin(claim("one")));
    let answers = futures::future::join_all(claims).await;
    let fresh = answers.iter().filter(|a| matches!(a, Ok(Begin::Fresh(_)))).count();
    let busy = answers.iter().filter(|a| matches!(a, Ok(Begin::Busy))).count();
    assert_eq!((fresh, busy), (1, 199));
}

#[tokio::test]
async fn an_answer_is_on_disk_when_it_is_given() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    let lease = fresh(&ledger, claim("durable")).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    // The copy is what a power cut would leave behind: the file and its log, without an orderly close.
    let copy = path.with_file_name("copy.db");
    for suffix in ["", "-wal"] {
        let of = |p: &Path| PathBuf::from(format!("{}{suffix}", p.display()));
        std::fs::copy(of(&path), of(&copy)).expect("the file is there");
    }
    let begun = open_at(&copy, "a").begin(claim("durable")).await;
    assert!(matches!(begun, Ok(Begin::Stored(_, result)) if result == b"dear"));
}

#[tokio::test]
async fn jobs_that_are_over_are_forgotten_after_the_retention_with_their_history() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    for n in 0..600 {
        let lease = fresh(&ledger, claim(&format!("old-{n}"))).await;
        let end = match n {
            0 => End::Released { fault: None },
            1 => End::Parked { topic: "parking".into() },
            _ if n % 2 == 0 => End::Discarded { by: "ada".into(), reason: "old".into() },
            _ => End::Done,
        };
        ledger.settle(&lease, end, second(1)).await.expect("held");
    }
    let later = second(86_400 + 120);
    let lease = fresh(&ledger, Claim { now: later, ..claim("new") }).await;
    ledger.settle(&lease, End::Done, later).await.expect("held");
    drop(ledger);

    let ledger = SqliteLedger::open(&path, "a", DAY, later).expect("the ledger opens");
    for n in 0..3 {
        fresh(&ledger, Claim { now: later, ..claim(&format!("wake-{n}")) }).await;
    }
    drop(ledger);
    let db = Connection::open(&path).expect("the file opens");
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("documented layout");
    let kept = count("SELECT count(*) FROM jobs WHERE state IN ('released', 'parked')");
    assert_eq!(kept, 2, "not over, so not forgotten");
    assert_eq!(count("SELECT count(*) FROM jobs WHERE job = 'new'"), 1);
    assert_eq!(count("SELECT count(*) FROM jobs WHERE job LIKE 'old-%'"), 2);
    assert_eq!(count("SELECT count(*) FROM events WHERE row NOT IN (SELECT id FROM jobs)"), 0);
}

#[tokio::test]
async fn a_full_disk_fails_the_call_and_heals_by_itself() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    let lease = fresh(&ledger, claim("big")).await;
    let limit = |pages: i64| {
        ledger.writer.write(move |db| {
            db.pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
        })
    };
    limit(1).await.expect("the limit is set");
    let full = unavailable(ledger.store(&lease, vec![7; 1 << 20], second(1)).await);
    assert!(full.contains("the disk is full") && full.contains("free some space"), "{full}");
    assert!(full.contains("ledger.db"), "{full}");
    let other = unavailable(ledger.store(&lease, vec![7; 1 << 20], second(2)).await);
    assert_eq!(full, other);

    limit(1 << 20).await.expect("there is space again");
    ledger.store(&lease, vec![7; 1 << 20], second(3)).await.expect("the lease was kept");
    ledger.settle(&lease, End::Done, second(4)).await.expect("held");
}

#[test]
fn a_file_that_is_no_database_is_named_with_a_remedy() {
    let (_folder, path) = folder();
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("the folder is made");
    std::fs::write(&path, b"this is not the ledger you are looking for, it is a text of some length")
        .expect("written");
    let message = unavailable(SqliteLedger::open(&path, "a", DAY, second(0)).map(|_| ()));
    assert!(message.contains("is damaged") && message.contains("ledger.db"), "{message}");
    assert!(message.contains("move it away") && message.contains("may run once more"), "{message}");
}

#[tokio::test]
async fn damage_in_the_middle_is_found_at_the_start() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    for n in 0..100 {
        fresh(&ledger, claim(&format!("job-{n}"))).await;
    }
    drop(ledger);
    let mut bytes = std::fs::read(&path).expect("read");
    let (from, to) = (4096 * 3, bytes.len());
    bytes[from..to].fill(0x5a);
    std::fs::write(&path, bytes).expect("written");
    let message = unavailable(SqliteLedger::open(&path, "a", DAY, second(0)).map(|_| ()));
    assert!(message.contains("is damaged"), "{message}");
}

#[test]
fn somebody_elses_database_is_left_alone() {
    let (_folder, path) = folder();
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("the folder is made");
    let db = Connection::open(&path).expect("opened");
    db.execute_batch("CREATE TABLE photos (name TEXT)").expect("made");
    drop(db);
    let message = unavailable(SqliteLedger::open(&path, "a", DAY, second(0)).map(|_| ()));
    assert!(message.contains("another program"), "{message}");
}

#[test]
fn a_ledger_of_a_newer_version_is_left_alone() {
    let (_folder, path) = folder();
    drop(open_at(&path, "a"));
    Connection::open(&path).and_then(|db| db.pragma_update(None, "user_version", 99)).expect("set");
    let message = unavailable(SqliteLedger::open(&path, "a", DAY, second(0)).map(|_| ()));
    assert!(message.contains("newer version") && message.contains("99"), "{message}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let (folder, _) = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").expect("written");
    let message = unavailable(SqliteLedger::open(&file.join("ledger.db"), "a", DAY, second(0)).map(|_| ()));
    assert!(message.contains("folder cannot be made"), "{message}");
}

#[tokio::test]
async fn a_lock_of_another_process_is_named() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    ledger.writer.write(|db| db.busy_timeout(Duration::from_millis(10))).await.expect("set");
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let message = unavailable(ledger.begin(claim("locked")).await);
    assert!(message.contains("another process holds its lock"), "{message}");
    other.execute_batch("ROLLBACK").expect("unlocked");
    fresh(&ledger, claim("locked")).await;
}

#[tokio::test]
async fn a_ledger_that_may_not_be_written_is_named() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    ledger.writer.write(|db| db.pragma_update(None, "query_only", true)).await.expect("set");
    let message = unavailable(ledger.begin(claim("locked")).await);
    assert!(message.contains("may not be written") && message.contains("write permission"), "{message}");
}

#[tokio::test]
async fn the_reader_needs_no_instance_and_names_a_missing_file() {
    let (_folder, path) = folder();
    let message = unavailable(LedgerReader::of(&path).history("x").await);
    assert!(message.contains("there is no such file"), "{message}");
    let ledger = open_at(&path, "a");
    fresh(&ledger, claim("x")).await;
    let life = LedgerReader::of(&path).history("x").await.expect("read");
    assert_eq!(life.len(), 1);
    fresh(&ledger, claim("y")).await;
}
