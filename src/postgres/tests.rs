//! Connections and migrations against a real server.

use super::fixture::Database;
use super::*;

const ONE: Schema = Schema { name: "test", migrations: &["CREATE TABLE t (n bigint PRIMARY KEY)"] };
const TWO: Schema = Schema {
    name: "test",
    migrations: &[ONE.migrations[0], "ALTER TABLE t ADD COLUMN m bigint NOT NULL DEFAULT 7"],
};

const BROKEN: Schema =
    Schema { name: "test", migrations: &[ONE.migrations[0], "ALTER TABLE nowhere ADD COLUMN m int"] };

fn place() -> Place {
    Place { what: "table", at: "here".into() }
}

#[tokio::test]
async fn many_that_start_at_once_make_the_tables_once() {
    let Some(database) = Database::new() else { return };
    let address = database.address();
    let place = place();
    let starts = (0..12).map(|n| migrate(&address, &place, if n % 2 == 0 { &ONE } else { &TWO }));
    let mut refused = 0;
    for started in futures::future::join_all(starts).await {
        match started {
            Ok(()) => {}
            // The older ones that came after a newer one.
            Err(Error::Failed(failure)) => {
                assert!(failure.0.contains("a newer version") && failure.0.contains("format 2"), "{failure}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused <= 6);
    assert_eq!(database.number("SELECT count(*) FROM migrations").await, 2);
    assert_eq!(database.number("SELECT count(*) FROM t").await, 0);
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_database_as_it_was() {
    let Some(database) = Database::new() else { return };
    let error = migrate(&database.address(), &place(), &BROKEN).await.expect_err("there is no such table");
    assert!(place().failure(&error).0.contains("nowhere"), "{error}");
    migrate(&database.address(), &place(), &ONE).await.expect("nothing stands in the way");
}

#[tokio::test]
async fn a_connection_that_the_server_has_ended_is_made_anew_and_the_work_done() {
    let Some(database) = Database::new() else { return };
    let lines = Lines::new(database.address(), place(), 1, "");
    let pid = async |lines: &Lines| {
        let asked = lines.ask(|line| async move {
            Ok(line.within(line.client().query_one("SELECT pg_backend_pid()", &[])).await?.get::<_, i32>(0))
        });
        asked.await
    };
    let first = pid(&lines).await.expect("connected");
    assert_eq!(pid(&lines).await.expect("kept"), first);
    let ended = database.number(&format!("SELECT pg_terminate_backend({first})::int::bigint")).await;
    assert_eq!(ended, 1);
    assert_ne!(pid(&lines).await.expect("a new one"), first);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_with_a_remedy() {
    let Some(database) = Database::new() else { return };
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "postgres://ada:hunter2@127.0.0.1:1/jobs").expect("written");
    let settings = crate::config::Postgres {
        url: crate::config::Secret::File(file.path().to_owned()),
        ..database.settings.clone()
    };
    let (address, place) = Address::of(&settings, "job ledger", "ledger.postgres").expect("an address");
    let message = place.failure(&migrate(&address, &place, &ONE).await.expect_err("nobody listens")).0;
    assert!(message.contains("127.0.0.1:1/jobs") && message.contains("start it"), "{message}");
    assert!(message.contains("refused") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn what_takes_too_long_is_given_up() {
    let Some(database) = Database::new() else { return };
    let settings =
        crate::config::Postgres { timeout: crate::config::Span::secs(1), ..database.settings.clone() };
    let (address, place) = Address::of(&settings, "job ledger", "ledger.postgres").expect("an address");
    let lines = Lines::new(std::sync::Arc::new(address), place, 1, "");
    let asked = lines.ask(|line| async move { line.run("SELECT pg_sleep(60)").await });
    let message = asked.await.expect_err("it takes a minute").0;
    assert!(message.contains("it is busy") && message.contains("statement timeout"), "{message}");
}
