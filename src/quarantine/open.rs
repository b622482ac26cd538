//! The index of dead letters that the configuration names.

use std::sync::Arc;

use super::postgres::PostgresQuarantine;
use super::sqlite::SqliteQuarantine;
use super::{Quarantine, QuarantineError};
use crate::config::QuarantineStore;

pub async fn open(config: &QuarantineStore) -> Result<Arc<dyn Quarantine>, QuarantineError> {
    Ok(match &config.postgres {
        Some(postgres) => Arc::new(PostgresQuarantine::open(postgres).await?),
        None => Arc::new(SqliteQuarantine::open(&config.path)?),
    })
}
