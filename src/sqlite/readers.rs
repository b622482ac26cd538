//! A few connections that only read, each used by one caller at a time on a thread that may block.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::{Place, reopen};
use crate::failure::Failure;

/// Readers of one file. Connections are opened when they are first needed and kept.
pub struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
    place: Place,
}

impl Readers {
    /// At most `most` callers read at the same time; others wait for their turn.
    pub fn new(place: Place, most: usize) -> Self {
        Self { idle: Arc::default(), turns: Arc::new(Semaphore::new(most)), place }
    }

    /// Runs `work` on one snapshot of the database.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let gone = || self.place.unusable("its reader has ended", "restart; the log says why it ended");
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| gone())?;
        let (idle, place) = (self.idle.clone(), self.place.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let kept = lock(&idle).pop();
            let mut db = kept.map_or_else(|| reopen(&place), Ok)?;
            let snapshot = |db: &mut Connection| work(&*db.transaction()?);
            let result = snapshot(&mut db).map_err(|e| place.sqlite(&e));
            // After an error the connection is closed rather than kept: the next one starts afresh.
            if result.is_ok() {
                lock(&idle).push(db);
            }
            result
        });
        reading.await.map_err(|_| gone())?
    }
}

/// The list is valid whatever a thread that panicked was doing.
fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
