//! Finds out what became of dead letters that were sent back, and writes it down: processed is what counts, not sent.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{Acts, FollowError, catch_up, pages};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::{ProduceError, Producer};
use crate::ledger::{JobRow, LedgerError, LedgerReader, State as JobState};
use crate::quarantine::{BY_INDEX, Deed, Entry, Filter, Outcome, Quarantine, State};

/// Letters that are looked at together.
const LOOK_MAX: usize = 1000;
/// Questions to the ledger at the same time.
const QUESTIONS: usize = 16;
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
    let (mut succeeded, mut skipped) = (Vec::new(), Vec::new());
    let mut pages = pages::letters(&**index, &redriving, LOOK_MAX);
    while let Some(page) = pages.try_next().await.map_err(FollowError::from)? {
        let letters: Vec<&Entry> = page.iter().map(|known| &known.entry).collect();
        let settled = settled_of(&ledger, &letters).await?;
        succeeded.extend(settled.succeeded);
        skipped.extend(settled.skipped);
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

/// Ids of letters that were sent back and of which it is known what became of them.
#[derive(Debug, Default)]
pub struct Settled {
    pub succeeded: Vec<String>,
    pub skipped: Vec<String>,
}

/// Asks the ledger what became of these.
pub async fn settled_of(ledger: &LedgerReader, letters: &[&Entry]) -> Result<Settled, LedgerError> {
    let mut settled = Settled::default();
    for (entry, row) in letters.iter().zip(rows(ledger, letters).await?) {
        match row.and_then(|row| outcome(entry, &row)) {
            Some(Outcome::Skipped) => settled.skipped.push(entry.id.clone()),
            Some(_) => settled.succeeded.push(entry.id.clone()),
            None => {}
        }
    }
    Ok(settled)
}

/// What the ledger has of the jobs of these letters, in their order.
pub async fn rows(ledger: &LedgerReader, letters: &[&Entry]) -> Result<Vec<Option<JobRow>>, LedgerError> {
    let ask = |letter: &&Entry| {
        let (pipeline, stage, job) = (letter.pipeline.clone(), letter.stage.clone(), letter.job.clone());
        async move { ledger.job(&pipeline, &stage, &job).await }
    };
    stream::iter(letters.iter().map(ask)).buffered(QUESTIONS).try_collect().await
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
