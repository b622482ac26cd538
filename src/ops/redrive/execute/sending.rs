//! Which letters are next, and what is done with each: sent, skipped since it is done, or followed since it was sent before.

use std::collections::BTreeMap;

use super::{Executor, PAGE, control};
use crate::ledger::{JobRow, State as JobState};
use crate::ops::quarantine::content::BYTES_MAX;
use crate::ops::quarantine::{edits, rows};
use crate::ops::redrive::send::{LETTERS_MAX, Order, Outgoing, SendError, What};
use crate::ops::redrive::{RunError, approval};
use crate::quarantine::{Deed, Entry, Fate, InRun, Known, Outcome};

impl Executor<'_> {
    /// Sends at most so many of those that are next. False: there are none.
    pub(super) async fn send(&mut self, most: u64) -> Result<bool, RunError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(LETTERS_MAX);
        let (mut chosen, mut bytes, mut passed) = (Vec::new(), 0, self.next);
        let known = edits::known(self.index, &self.topic).await?;
        'pages: loop {
            let letters = self.index.in_run(&self.run.id, passed, PAGE).await?;
            if letters.is_empty() {
                break;
            }
            for InRun { place, fate, letter, sent_before, .. } in letters {
                if letter.is_none() && self.is_being_built(place).await? {
                    return Ok(true);
                }
                let fate = if self.gone.contains(&place) { Fate::Expired } else { fate };
                if let (Fate::Left, Some(letter)) = (fate, letter) {
                    bytes += letter.entry.size + letter.edit.as_ref().map_or(0, |edit| 3 * edit.bytes);
                    let is_full = chosen.len() == most || (bytes > BYTES_MAX && !chosen.is_empty());
                    if is_full {
                        break 'pages;
                    }
                    chosen.push((place, letter, sent_before));
                } else {
                    // Somebody else has done something with it since it was counted.
                    self.move_on(place, fate);
                }
                passed = place + 1;
            }
        }
        let is_any = !chosen.is_empty();
        self.send_these(chosen, known).await?;
        self.next = passed;
        Ok(is_any)
    }

    /// The index does not know the letter at this place: true when it does now, since somebody builds it anew.
    async fn is_being_built(&self, place: u64) -> Result<bool, RunError> {
        control::refresh_stage(self.config, self.index, &self.run.plan).await?;
        let again = self.index.in_run(&self.run.id, place, 1).await?;
        Ok(again.iter().any(|one| one.letter.is_some()))
    }

    /// `known`: how far the topic of operations was read when they were looked up.
    async fn send_these(&mut self, chosen: Vec<(u64, Known, u32)>, known: i64) -> Result<(), RunError> {
        let entries: Vec<&Entry> = chosen.iter().map(|(_, letter, _)| &letter.entry).collect();
        let rows = match &self.ledger {
            Some(ledger) => rows(ledger, &entries).await?,
            None => vec![None; chosen.len()],
        };
        let minds_edits = approval::minds_edits(self.config);
        let (mut outgoing, mut places) = (Vec::new(), BTreeMap::new());
        let (mut done, mut under_way) = (Vec::new(), Vec::new());
        for ((place, letter, sent_before), row) in chosen.into_iter().zip(rows) {
            let Known { entry, archived, edit, .. } = letter;
            if let Some(edit) =
                edit.as_ref().filter(|edit| minds_edits && !approval::was_seen(&self.run, edit))
            {
                let cause =
                    format!("'{}' edited it, and nobody else has approved the redrive since", edit.by);
                return Err(SendError::Letter { id: entry.id, cause }.into());
            }
            match Way::of(&entry, sent_before, row.as_ref()) {
                Way::Skip => done.push((place, entry)),
                Way::Adopt => under_way.push((place, entry)),
                Way::Send(redrives) => {
                    places.insert(entry.id.clone(), place);
                    outgoing.push(Outgoing { letter: entry, redrives, archived, edit });
                }
            }
        }
        let ids = |letters: &[(u64, Entry)]| letters.iter().map(|(_, e)| e.id.clone()).collect::<Vec<_>>();
        self.note(ids(&done), Deed::Settled { outcome: Outcome::Skipped }).await?;
        for (place, _) in done {
            self.move_on(place, Fate::Skipped);
        }
        self.note(ids(&under_way), Deed::Redriven).await?;
        for (place, entry) in under_way {
            self.move_on(place, Fate::Pending);
            self.pending.insert(place, entry);
        }
        if outgoing.is_empty() {
            return Ok(());
        }
        let (by, reason) = (self.by().to_owned(), self.run.because.clone());
        let order = Order { what: What::Redrive, by, reason };
        let sent = self.sender.send(outgoing, &order, known).await?;
        self.pace.spent(sent.sent.len() as u64);
        for (Outgoing { letter, .. }, _) in sent.sent {
            if let Some(place) = places.get(&letter.id) {
                self.move_on(*place, Fate::Pending);
                self.pending.insert(*place, letter);
            }
        }
        // The index learns that they are gone when it looks where the topics begin.
        for place in sent.gone.iter().filter_map(|gone| places.get(&gone.letter.id)) {
            self.move_on(*place, Fate::Expired);
            self.gone.insert(*place);
        }
        Ok(())
    }

    /// It is left no longer, if it was.
    fn move_on(&mut self, place: u64, fate: Fate) {
        let left = usize::try_from(place).ok().and_then(|place| self.left.get_mut(place));
        if left.is_some_and(std::mem::take) {
            self.tally.remove(Fate::Left);
            self.tally.add(fate);
        }
    }
}

/// What is to be done with a letter whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Its job is done.
    Skip,
    /// It was sent back before; what becomes of that is waited for.
    Adopt,
    /// Send it, as the redrive with this number.
    Send(u32),
}

impl Way {
    /// `sent_before`: how often it was sent back or given up before; the stage may not have read that yet. Pure.
    fn of(letter: &Entry, sent_before: u32, row: Option<&JobRow>) -> Self {
        let (known, sent) = (row.map_or(0, |row| row.redrives), letter.redrives.saturating_add(sent_before));
        let next = known.max(sent).saturating_add(1);
        match row {
            Some(row) if row.state == JobState::Done => Way::Skip,
            // What was restored has its redrive behind it.
            Some(row) if row.state == JobState::Discarded => Way::Send(next),
            Some(row) if row.redrives > sent => Way::Adopt,
            _ => Way::Send(next),
        }
    }
}
