//! Finds out what became of dead letters that were sent back, and writes it down: processed is what counts, not sent.

use std::sync::Arc;

use super::{Acts, FollowError};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::tail::bounds;
use crate::kafka::{ProduceError, Producer};
use crate::ledger::{JobRow, LedgerError, LedgerReader, State as JobState};
use crate::quarantine::{BY_INDEX, Deed, Entry, Filter, Outcome, Quarantine, State};

/// Letters that are looked at together.
const LOOK_MAX: usize = 1000;

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
    // While acts are still to be read, it may stand there already.
    if succeeded.is_empty() && skipped.is_empty() || !knows_all_acts(config, index, &topic).await? {
        return Ok(0);
    }
    let acts = Acts::new(producer, &topic, BY_INDEX, None);
    for (letters, outcome) in [(&succeeded, Outcome::Succeeded), (&skipped, Outcome::Skipped)] {
        acts.note(letters, &Deed::Settled { outcome }).await?;
    }
    Ok(succeeded.len() + skipped.len())
}

/// Whether the index has the topic of operations up to its end.
async fn knows_all_acts(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    topic: &str,
) -> Result<bool, FollowError> {
    let ends = bounds(&config.kafka, "ops", vec![topic.to_owned()]).await?;
    let known = index.positions().await?;
    Ok(ends.iter().all(|(name, (_, end))| known.get(name).copied().unwrap_or_default() >= *end))
}

/// What became of a letter that was sent back, if that is known. That it died again is told by the letter of that death.
/// Pure.
fn outcome(letter: &Entry, row: &JobRow) -> Option<Outcome> {
    match row.state {
        JobState::Done if row.redrives > letter.redrives => Some(Outcome::Succeeded),
        // It was done before it was sent back, and the stage has not run it again.
        JobState::Done => Some(Outcome::Skipped),
        _ => None,
    }
}
