//! Finds out what became of dead letters that were sent back, and writes it down: processed is what counts, not sent.

use std::sync::Arc;

use super::{Acts, FollowError};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::{ProduceError, Producer};
use crate::ledger::{JobRow, LedgerError, LedgerReader, State as JobState};
use crate::quarantine::{Deed, Entry, Filter, Outcome, Quarantine, State};

/// Letters that are looked at together.
const LOOK_MAX: usize = 1000;
/// In whose name it is written down.
const BY: &str = "lazaret ops";

/// It is not known what became of them, or cannot be written down.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Produce(#[from] ProduceError),
}

/// Looks at the letters that are being redriven; says how many are no longer. Without a ledger or a topic of operations
/// nobody can say. Done twice at the same time it is written down twice, which means the same.
pub async fn settle(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    producer: &Producer,
) -> Result<usize, SettleError> {
    let Some(topic) = Topology::derive(config).operations else { return Ok(0) };
    let Some(ledger) = LedgerReader::find(&config.ledger)? else { return Ok(0) };
    let redriving = Filter { states: vec![State::Redriving], ..Filter::default() };
    let (mut settled, mut after) = (0, None);
    loop {
        let page = index.list(&redriving, after.as_ref(), LOOK_MAX).await.map_err(FollowError::from)?;
        let mut succeeded = Vec::new();
        for known in page.letters {
            let entry = known.entry;
            let row = ledger.job(&entry.pipeline, &entry.stage, &entry.job).await?;
            if row.is_some_and(|row| has_succeeded(&entry, &row)) {
                succeeded.push(entry.id);
            }
        }
        let acts = Acts::new(producer, &topic, BY, None);
        acts.note(&succeeded, &Deed::Settled { outcome: Outcome::Succeeded }).await?;
        settled += succeeded.len();
        after = page.next;
        if after.is_none() {
            return Ok(settled);
        }
    }
}

/// Whether the job is done, and by a record that was sent back after this death. That it died again is told by the
/// letter of that death. Pure.
fn has_succeeded(letter: &Entry, row: &JobRow) -> bool {
    row.redrives > letter.redrives && row.state == JobState::Done
}
