//! The index that the configuration names.

use std::sync::Arc;

use super::postgres::PostgresIndex;
use super::sqlite::SqliteIndex;
use super::{Index, IndexError};
use crate::config::IndexStore;

pub async fn open(config: &IndexStore) -> Result<Arc<dyn Index>, IndexError> {
    Ok(match &config.postgres {
        Some(postgres) => Arc::new(PostgresIndex::open(postgres).await?),
        None => Arc::new(SqliteIndex::open(&config.path)?),
    })
}
