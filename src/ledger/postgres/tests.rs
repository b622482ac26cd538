//! The contract on PostgreSQL, and what only several processes on one database can do.

mod names;
mod work;

use super::*;
use crate::ledger::State;
use crate::ledger::contract::{self, claim, fresh, second};
use crate::postgres::fixture::Database;

const DAY: Duration = Duration::from_secs(86_400);

async fn open_in(database: &Database, instance: &str) -> PostgresLedger {
    let opened = PostgresLedger::open(&database.settings, instance, Predecessor::Gone, DAY, second(0)).await;
    opened.expect("the ledger opens")
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> String {
    match result {
        Err(LedgerError::Unavailable(message)) => message,
        other => panic!("expected an unavailable ledger, got {other:?}"),
    }
}

/// What an outside checker reads: how many jobs were not finished once when they are done, or were otherwise.
async fn miscounted(database: &Database) -> i64 {
    database.number("SELECT count(*) FROM jobs WHERE finishes <> (state = 'done')::int").await
}

#[tokio::test]
async fn the_contract_holds() {
    let Some(database) = Database::new() else { return };
    let open = async |instance: &str| -> Arc<dyn Ledger> {
        let ledger: Arc<dyn Ledger> = Arc::new(open_in(&database, instance).await);
        ledger
    };
    contract::contract(open).await;
    assert_eq!(miscounted(&database).await, 0);
}
