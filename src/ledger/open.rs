//! The ledger that the configuration names.

use std::sync::Arc;

use jiff::Timestamp;

use super::postgres::{PostgresLedger, Predecessor};
use super::sqlite::SqliteLedger;
use super::{Ledger, LedgerError};
use crate::config::Store;

/// Opens it for the process that has this name, and voids the leases of the last one that had it, if that is gone.
pub async fn open(
    config: &Store,
    instance: &str,
    predecessor: Predecessor,
    now: Timestamp,
) -> Result<Arc<dyn Ledger>, LedgerError> {
    Ok(match &config.postgres {
        Some(postgres) => {
            Arc::new(PostgresLedger::open(postgres, instance, predecessor, config.retention.0, now).await?)
        }
        // A file's names are locked, and the lock ends with the process.
        None => Arc::new(SqliteLedger::open(&config.path, instance, config.retention.0, now)?),
    })
}
