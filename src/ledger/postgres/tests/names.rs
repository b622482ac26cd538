//! Who has a name, and what is known of who had it before.

use super::*;
use crate::ledger::postgres::names::{Name, key};

async fn claim_name(database: &Database, names: &[&str]) -> Option<Name> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Name::claim(&database.settings, &names).await.expect("the database works")
}

/// Ends the session that holds this name, as a restart of the server does.
async fn end_session(database: &Database, name: &str) {
    let key = key(&database.settings.schema, name);
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_locks
         WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = {key}"
    );
    assert_eq!(database.number(&sql).await, 1);
}

/// As if the last holder had run elsewhere.
async fn elsewhere(database: &Database) {
    let changed =
        "WITH moved AS (UPDATE names SET machine = 'another' RETURNING 1) SELECT count(*) FROM moved";
    assert_eq!(database.number(changed).await, 1);
}

#[tokio::test]
async fn two_that_live_never_share_a_name_and_a_free_one_is_used_again() {
    let Some(database) = Database::new() else { return };
    let first = claim_name(&database, &["host", "host-2"]).await.expect("a name");
    let second = claim_name(&database, &["host", "host-2"]).await.expect("a name");
    assert_eq!((first.name(), second.name()), ("host", "host-2"));
    assert!(claim_name(&database, &["host"]).await.is_none());
    first.leave().await;
    let again = claim_name(&database, &["host", "host-2"]).await.expect("a name");
    assert_eq!((again.name(), again.predecessor()), ("host", Predecessor::Gone));
}

#[tokio::test]
async fn a_process_that_died_on_this_machine_without_a_word_is_gone() {
    let Some(database) = Database::new() else { return };
    drop(claim_name(&database, &["host"]).await.expect("a name"));
    let again = loop {
        // The server notices a moment later that the session has ended.
        if let Some(name) = claim_name(&database, &["host"]).await {
            break name;
        }
    };
    assert_eq!(again.predecessor(), Predecessor::Gone);
}

#[tokio::test]
async fn a_process_that_lost_its_session_keeps_its_name() {
    let Some(database) = Database::new() else { return };
    let name = claim_name(&database, &["host"]).await.expect("a name");
    end_session(&database, "host").await;
    assert!(claim_name(&database, &["host"]).await.is_none(), "it runs here, as everybody can see");
    elsewhere(&database).await;
    assert!(claim_name(&database, &["host"]).await.is_none(), "and where nobody can, it objects");
    drop(name);
}

#[tokio::test]
async fn nobody_knows_what_became_of_a_process_elsewhere_that_does_not_object() {
    let Some(database) = Database::new() else { return };
    drop(claim_name(&database, &["host"]).await.expect("a name"));
    elsewhere(&database).await;
    let again = loop {
        if let Some(name) = claim_name(&database, &["host"]).await {
            break name;
        }
    };
    assert_eq!(again.predecessor(), Predecessor::Unknown);

    // Its leases count until they are over, unlike those of one that is gone.
    let lost = open_in(&database, "host").await;
    fresh(&lost, claim("held")).await;
    drop(lost);
    let settings = &database.settings;
    let heir = PostgresLedger::open(settings, "host", Predecessor::Unknown, DAY, second(1)).await;
    let heir = heir.expect("the ledger opens");
    assert_eq!(heir.begin(claim("held")).await.expect("it works"), Begin::Busy);
    fresh(&heir, Claim { now: second(60), ..claim("held") }).await;
}
