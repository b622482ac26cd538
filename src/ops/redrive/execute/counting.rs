//! How far a run is, from what the index has of each of its letters.

use std::collections::BTreeMap;

use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::{Executor, LOOKED_AT, PAGE};
use crate::ops::quarantine::pages;
use crate::ops::redrive::RunError;
use crate::ops::redrive::pace::Pace;
use crate::quarantine::{Entry, Fate, InRun, Tally};

impl Executor<'_> {
    /// What ended in this leg while nobody ran it counts as if it had been heard.
    pub(super) async fn judge(&mut self, failed: Vec<Entry>) -> Result<(), RunError> {
        if !self.run.told {
            self.run.baseline = self.tally;
        }
        let baseline = self.run.baseline;
        self.pace = Pace::new(self.run.plan.policy.clone(), baseline, Timestamp::now());
        let since = |now: u64, then: u64| now.saturating_sub(then).min(LOOKED_AT as u64);
        (0..since(self.tally.succeeded, baseline.succeeded)).for_each(|_| self.pace.ended(true));
        let died = since(self.tally.failed, baseline.failed);
        (0..died).for_each(|_| self.pace.ended(false));
        for entry in failed {
            self.look_at_successor(&entry).await?;
        }
        Ok(())
    }

    /// Goes through all letters of the plan. Some of those that died again come back.
    pub(super) async fn count(&mut self) -> Result<Vec<Entry>, RunError> {
        (self.tally, self.pending, self.left) = (Tally::default(), BTreeMap::new(), Vec::new());
        let mut failed = Vec::new();
        let (mut next, mut first) = (0, None);
        let mut pages = pages::in_run(&**self.index, &self.run.id, PAGE);
        while let Some(letters) = pages.try_next().await? {
            for InRun { place, fate, letter, .. } in letters {
                next = place + 1;
                let fate = if self.gone.contains(&place) { Fate::Expired } else { fate };
                self.tally.add(fate);
                self.left.push(fate == Fate::Left);
                match (fate, letter) {
                    (Fate::Left, _) => _ = first.get_or_insert(place),
                    (Fate::Pending, Some(known)) => _ = self.pending.insert(place, known.entry),
                    (Fate::Failed, Some(known)) if failed.len() < LOOKED_AT => failed.push(known.entry),
                    _ => {}
                }
            }
        }
        self.next = first.unwrap_or(next);
        Ok(failed)
    }

    /// All seem to have ended: true when the index says so, too.
    pub(super) async fn is_over(&mut self) -> Result<bool, RunError> {
        self.see().await?;
        self.count().await?;
        Ok(self.tally.left == 0 && self.tally.pending == 0)
    }
}
