//! Writes edits down, or that they are taken back, and looks whether that counts: somebody else may have been first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream;
use schemars::JsonSchema;
use serde::Serialize;

use super::desk::{Desk, Draft};
use super::{EditError, PAGE, Prepared, What, edited_by};
use crate::config::Config;
use crate::kafka::Producer;
use crate::kafka::look::settled;
use crate::ops::advice::Advice;
use crate::ops::quarantine::change::operations_topic;
use crate::ops::quarantine::{self, Acts, REFRESH};
use crate::quarantine::{Deed, Known, Quarantine};

/// Acts that are under way together.
const TOGETHER: usize = 32;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Done {
    /// What the audit finds it by.
    pub operation: String,
    /// Their ids.
    pub letters: Vec<String>,
    /// Those with which somebody else was first: nothing of this counts for them.
    pub lost: Vec<Lost>,
}

/// A letter with which somebody else was first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Lost {
    pub id: String,
    /// Who, and with what.
    pub why: String,
}

impl Prepared {
    /// Writes it down in somebody's name, each letter's for itself and all as one operation, and looks whether it counts.
    pub async fn carry_out(
        self,
        config: &Config,
        index: &Arc<dyn Quarantine>,
        producer: &Producer,
        by: &str,
        reason: &str,
    ) -> Result<Done, EditError> {
        super::check(by, Some(reason))?;
        let topic = operations_topic(config).await?;
        let acts = Acts::new(producer, &topic, by, Some(reason));
        let mut written = BTreeMap::new();
        let wrote = self.write(config, &**index, &acts, &mut written).await;
        wrote.map_err(|error| error.after(acts.operation(), written.len(), self.letters.len()))?;
        // While a transaction is open on the topic, it may stand before what was written.
        settled(&config.kafka, &[&topic], Instant::now() + REFRESH).await?;
        if let Some(late) = quarantine::refresh(config, index).await? {
            let hint = "it is written down: `lazaret dlq show` says, later, whether it counts";
            return Err(EditError::Late(Advice::new(late, hint)));
        }
        let mut done = Done { operation: acts.operation().to_owned(), letters: Vec::new(), lost: Vec::new() };
        let ids: Vec<String> = written.keys().cloned().collect();
        for ids in ids.chunks(PAGE) {
            for letter in index.get(ids).await? {
                let act = written.get(&letter.entry.id).map(String::as_str).unwrap_or_default();
                match self.lost(&letter, act) {
                    None => done.letters.push(letter.entry.id),
                    Some(why) => done.lost.push(Lost { id: letter.entry.id, why }),
                }
            }
        }
        Ok(done)
    }

    /// `written` gets, by letter, the act that was, if only some were, too.
    async fn write(
        &self,
        config: &Config,
        index: &dyn Quarantine,
        acts: &Acts<'_>,
        written: &mut BTreeMap<String, String>,
    ) -> Result<(), EditError> {
        let mut desk = Desk::new(config)?;
        for ids in self.letters.chunks(PAGE) {
            let mut known: HashMap<String, Known> =
                index.get(ids).await?.into_iter().map(|letter| (letter.entry.id.clone(), letter)).collect();
            // In the order in which they were chosen.
            let letters: Vec<Known> = ids.iter().filter_map(|id| known.remove(id)).collect();
            let deeds = self.deeds(&mut desk, letters).await?;
            let notes = deeds.into_iter().map(|(id, deed)| async move {
                let act = acts.note_one(&id, &deed).await?;
                Ok((id, act))
            });
            let mut notes = stream::iter(notes).buffered(TOGETHER);
            while let Some(note) = notes.next().await {
                let (id, act) = note.map_err(EditError::Unwritten)?;
                written.insert(id, act);
            }
        }
        Ok(())
    }

    /// What is to be written of each. All were looked at before, so that what stands in the way now has come since.
    async fn deeds(
        &self,
        desk: &mut Desk<'_>,
        letters: Vec<Known>,
    ) -> Result<Vec<(String, Deed)>, EditError> {
        match &self.what {
            What::Undo => {
                let undone =
                    letters.into_iter().filter_map(|letter| Some((letter.entry.id, letter.edit?.act)));
                Ok(undone.map(|(id, edit)| (id, Deed::Unedited { edit })).collect())
            }
            What::Edit(wish) => {
                let mut deeds = Vec::with_capacity(letters.len());
                for (letter, draft) in desk.drafts(letters, wish).await? {
                    match draft {
                        Ok(Some(Draft { edit, .. })) => {
                            deeds.push((letter.entry.id, Deed::Edited { edit: Box::new(edit) }));
                        }
                        Ok(None) => {}
                        Err(advice) => return Err(EditError::Refused(vec![super::about(&letter, advice)])),
                    }
                }
                Ok(deeds)
            }
        }
    }

    /// Why this act does not count.
    fn lost(&self, letter: &Known, act: &str) -> Option<String> {
        let id = &letter.entry.id;
        match (&self.what, &letter.edit) {
            (What::Edit(_), Some(edition)) if edition.act == act => None,
            (What::Edit(_), Some(edition)) => Some(edited_by(id, edition)),
            (What::Undo, None) => None,
            (What::Undo, Some(edition)) if !edition.sent => Some(edited_by(id, edition)),
            (What::Edit(_), None) | (What::Undo, Some(_)) => Some(format!(
                "dead letter {id} was sent back or given up in this moment: it is {}",
                letter.state.as_str()
            )),
        }
    }
}
