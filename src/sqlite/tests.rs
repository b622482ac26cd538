//! The writer and the readers, on a table of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

const SCHEMA: Schema = Schema {
    application_id: 1,
    page_size: 4096,
    migrations: &["CREATE TABLE t (n INTEGER PRIMARY KEY, even INTEGER CHECK (n % 2 = 0))"],
};

fn place() -> (TempDir, Place) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("t.db");
    (folder, Place { what: "table", path, without_it: "nothing is lost" })
}

fn writer(place: &Place) -> Writer {
    let db = open(place, &SCHEMA).expect("opened");
    Writer::start(db, place.clone(), |_| Ok(false)).expect("started")
}

fn insert(n: i64) -> impl FnMut(&Connection) -> rusqlite::Result<usize> + Send + 'static {
    move |db| db.execute("INSERT INTO t (n) VALUES (?1)", [n])
}

async fn numbers(place: &Place) -> Vec<i64> {
    let readers = Readers::new(place.clone(), 1);
    let read = readers
        .read(|db| db.prepare("SELECT n FROM t ORDER BY n")?.query_map([], |row| row.get(0))?.collect());
    read.await.expect("read")
}

#[tokio::test]
async fn one_that_fails_does_not_fail_its_neighbours() {
    let (_folder, place) = place();
    let writer = writer(&place);
    let calls = (0..40).map(|n| writer.write(insert(n)));
    let answers = futures::future::join_all(calls).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_ok(), n % 2 == 0, "{n}: {answer:?}");
    }
    assert_eq!(numbers(&place).await, (0..40).step_by(2).collect::<Vec<i64>>());
}

#[tokio::test]
async fn work_that_wrote_and_then_failed_leaves_nothing() {
    let (_folder, place) = place();
    let writer = writer(&place);
    let failed = writer.write(|db| {
        db.execute("INSERT INTO t (n) VALUES (100)", [])?;
        db.execute("INSERT INTO t (n) VALUES (101)", [])
    });
    failed.await.expect_err("101 is odd");
    assert!(numbers(&place).await.is_empty());
}

#[tokio::test]
async fn what_waits_when_the_handle_goes_is_still_written() {
    let (_folder, place) = place();
    let writer = Arc::new(writer(&place));
    let (begun, wait) = std::sync::mpsc::channel();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let first = tokio::spawn({
        let writer = writer.clone();
        async move {
            writer
                .write(move |_| {
                    begun.send(()).ok();
                    gate.recv().ok();
                    Ok(())
                })
                .await
        }
    });
    tokio::task::spawn_blocking(move || wait.recv()).await.expect("joined").expect("begun");
    let mut second = Box::pin(writer.write(insert(2)));
    assert!(futures::poll!(&mut second).is_pending());
    go.send(()).expect("the writer waits");
    first.await.expect("joined").expect("written");
    second.await.expect("written");
    drop(writer);
    assert_eq!(numbers(&place).await, [2]);
}

#[tokio::test]
async fn work_whose_caller_left_before_its_turn_is_not_begun() {
    let (_folder, place) = place();
    let writer = writer(&place);
    let mut left = Box::pin(writer.write(insert(2)));
    let (begun, wait) = std::sync::mpsc::channel();
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let mut blocker = Box::pin(writer.write(move |_| {
        begun.send(()).ok();
        gate.recv().ok();
        Ok(())
    }));
    assert!(futures::poll!(&mut blocker).is_pending());
    tokio::task::spawn_blocking(move || wait.recv()).await.expect("joined").expect("begun");
    assert!(futures::poll!(&mut left).is_pending());
    drop(left);
    go.send(()).expect("the writer waits");
    blocker.await.expect("written");
    writer.write(insert(4)).await.expect("written");
    assert_eq!(numbers(&place).await, [4]);
}

#[tokio::test]
async fn the_chore_goes_on_while_there_is_more_and_nothing_else_waits() {
    let (_folder, place) = place();
    let left = Arc::new(AtomicUsize::new(5));
    let chore = {
        let left = left.clone();
        move |_: &Connection| {
            let before = left.load(Ordering::SeqCst);
            left.store(before.saturating_sub(1), Ordering::SeqCst);
            Ok(before > 1)
        }
    };
    let writer =
        Writer::start(open(&place, &SCHEMA).expect("opened"), place.clone(), chore).expect("started");
    writer.write(insert(2)).await.expect("written");
    for _ in 0..10 {
        writer.write(|_| Ok(())).await.expect("written");
    }
    assert_eq!(left.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn readers_see_what_was_committed_and_cannot_write() {
    let (_folder, place) = place();
    let writer = writer(&place);
    writer.write(insert(2)).await.expect("written");
    let readers = Readers::new(place.clone(), 2);
    let count = |db: &Connection| db.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
    let (a, b) = tokio::join!(readers.read(count), readers.read(count));
    assert_eq!((a, b), (Ok(1), Ok(1)));
    let refused = readers.read(|db| db.execute("DELETE FROM t", [])).await;
    assert!(refused.is_err());
    assert_eq!(readers.read(count).await, Ok(1));
}

#[tokio::test]
async fn a_reader_of_a_file_that_is_not_there_says_so() {
    let (_folder, place) = place();
    let failure = Readers::new(place, 1).read(|_| Ok(())).await.expect_err("no file");
    assert!(failure.0.contains("there is no such file"), "{failure}");
}

#[tokio::test]
async fn a_reader_of_another_program_s_database_says_so() {
    let (_folder, place) = place();
    let theirs = Connection::open(&place.path).expect("opened");
    theirs.execute_batch("CREATE TABLE theirs (n)").expect("made");
    let readers = Readers::new(place, 1);
    let read = readers.read(|db| db.query_row("SELECT n FROM t", [], |row| row.get::<_, i64>(0)));
    let failure = read.await.expect_err("not our tables");
    assert!(failure.0.contains("of another program"), "{failure}");
}
