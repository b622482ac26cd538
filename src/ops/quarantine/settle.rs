//! Finds out what became of dead letters that were sent back, and writes it down: processed is what counts, not sent.

use std::sync::Arc;
use std::time::Duration;

use super::{Acts, FollowError, catch_up};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::{ProduceError, Producer};
use crate::ledger::{JobRow, LedgerError, LedgerReader, State as JobState};
use crate::quarantine::{BY_INDEX, Deed, Entry, Filter, Outcome, Quarantine, State};

/// Letters that are looked at together.
const LOOK_MAX: usize = 1000;
/// How long the index may take to become up to date.
const REFRESH: Duration = Duration::from_secs(60);

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
    let (mut succeeded, mut skipped, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = index.list(&redriving, after.as_ref(), LOOK_MAX).await.map_err(FollowError::from)?;
        for entry in page.letters.into_iter().map(|known| known.entry) {
            let row = ledger.job(&entry.pipeline, &entry.stage, &entry.job).await?;
            match row.and_then(|row| outcome(&entry, &row)) {
                Some(Outcome::Skipped) => skipped.push(entry.id),
                Some(_) => succeeded.push(entry.id),
                None => {}
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if succeeded.is_empty() && skipped.is_empty() {
        return Ok(0);
    }
    // It may stand there already.
    catch_up(config, index, REFRESH).await?;
    let (succeeded, skipped) = (still(index, succeeded).await?, still(index, skipped).await?);
    let acts = Acts::new(producer, &topic, BY_INDEX, None);
    for (letters, outcome) in [(&succeeded, Outcome::Succeeded), (&skipped, Outcome::Skipped)] {
        acts.note(letters, &Deed::Settled { outcome }).await?;
    }
    Ok(succeeded.len() + skipped.len())
}

/// Those that are still being redriven.
async fn still(index: &Arc<dyn Quarantine>, letters: Vec<String>) -> Result<Vec<String>, FollowError> {
    let mut still = Vec::new();
    for letters in letters.chunks(LOOK_MAX) {
        let known = index.get(letters).await?.into_iter();
        still.extend(known.filter(|one| one.state == State::Redriving).map(|one| one.entry.id));
    }
    Ok(still)
}

/// What became of a letter that was sent back, if that is known. That it died again is told by the letter of that death.
/// Pure.
pub fn outcome(letter: &Entry, row: &JobRow) -> Option<Outcome> {
    match row.state {
        JobState::Done if row.redrives > letter.redrives => Some(Outcome::Succeeded),
        // It was done before it was sent back, and the stage has not run it again.
        JobState::Done => Some(Outcome::Skipped),
        _ => None,
    }
}
