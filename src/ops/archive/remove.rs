//! Objects whose time is over leave the archive. What is still open in them never leaves in silence: it is kept, or, where the
//! configuration says so, given up first, in the name of a rule.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{ArchiveError, BY_RETENTION, Vault};
use crate::config::{Config, Span};
use crate::kafka::Producer;
use crate::kafka::client::reach;
use crate::kafka::look::settled;
use crate::ops::advice::Advice;
use crate::ops::quarantine::content::portions;
use crate::ops::quarantine::{self, Acts, REFRESH, pages};
use crate::ops::redrive::send::{LETTERS_MAX, Order, Outgoing, Sender, What};
use crate::quarantine::{Deed, Known, Parcel, Quarantine, State, Writer, times_sent};

/// Objects that are asked for together.
const PAGE: usize = 100;

/// What left the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub objects: u64,
    pub letters: u64,
    /// Of them, those that were open and were given up.
    pub discarded: u64,
    /// Objects whose time is over, and which are kept because of what is open in them.
    pub held: u64,
}

/// Removes what is to be removed. The index is up to date.
pub async fn remove(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    vault: &Vault,
    producer: &Producer,
    topic: &str,
    now: Timestamp,
) -> Result<Removed, ArchiveError> {
    let Some(archive) = &config.quarantine.archive else { return Ok(Removed::default()) };
    let (mut removed, mut pages) = (Removed::default(), pages::parcels(&**index, PAGE));
    while let Some(parcels) = pages.try_next().await? {
        let mut leaving = Vec::new();
        for parcel in parcels {
            let delete_after = config.retention(&parcel.pipeline, &parcel.stage).delete_after;
            let Some(span) = delete_after.filter(|span| is_over(&parcel, *span, now)) else { continue };
            let Some((_, ids)) = index.parcel(&parcel.object).await? else { continue };
            let known = index.get(&ids).await?;
            // Nobody knows whether one is open that the index does not have.
            if known.len() < ids.len() {
                removed.held += 1;
                continue;
            }
            let is_open = |known: &Known| matches!(known.state, State::Open | State::Redriving);
            let open: Vec<Known> = known.into_iter().filter(is_open).collect();
            let reason = format!("{span} after it died its time in the archive is over");
            if !open.is_empty() {
                // What is being redriven is waited for.
                let may = archive.delete_open && open.iter().all(|known| known.state == State::Open);
                if !may {
                    removed.held += 1;
                    continue;
                }
                removed.discarded += open.len() as u64;
                discard(config, index, producer, topic, open, &reason).await?;
            }
            let acts = Acts::new(producer, topic, BY_RETENTION, Some(&reason));
            acts.note(&ids, &Deed::Unarchived { object: parcel.object.clone() }).await?;
            leaving.push((parcel, ids));
        }
        if leaving.is_empty() {
            continue;
        }
        // Somebody may have opened one meanwhile: what came before the act that it leaves is seen now, and whoever comes after
        // that finds it gone.
        let mut wanted = BTreeSet::new();
        let looked = async {
            settled(&config.kafka, &[topic], Instant::now() + REFRESH).await?;
            if let Some(late) = quarantine::refresh(config, index).await? {
                return Err(ArchiveError::Refused(Advice::new(
                    late,
                    "nothing was deleted; it is tried again",
                )));
            }
            for (parcel, ids) in &leaving {
                if index.get(ids).await?.iter().any(is_wanted) {
                    wanted.insert(parcel.object.clone());
                }
            }
            Ok(())
        };
        let looked = looked.await;
        // What stays is in the archive again before anything can go wrong with the others.
        let acts = Acts::new(producer, topic, BY_RETENTION, Some("it is not deleted after all"));
        for (parcel, ids) in &leaving {
            if looked.is_err() || wanted.contains(&parcel.object) {
                acts.note(ids, &Deed::Archived { parcel: Box::new(parcel.clone()) }).await?;
            }
        }
        looked?;
        let mut failed = None;
        for (parcel, ids) in leaving {
            if wanted.contains(&parcel.object) {
                removed.held += 1;
                continue;
            }
            match vault.delete(&parcel.object).await {
                Ok(()) => {
                    removed.objects += 1;
                    removed.letters += ids.len() as u64;
                }
                // It is tried again, as long as an act names it.
                Err(error) => {
                    acts.note(&ids, &Deed::Archived { parcel: Box::new(parcel) }).await?;
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    Ok(removed)
}

/// Somebody has to look at it. Without its copy, what was open is expired.
fn is_wanted(known: &Known) -> bool {
    matches!(known.state, State::Open | State::Redriving | State::Expired)
}

fn is_over(parcel: &Parcel, delete_after: Span, now: Timestamp) -> bool {
    parcel.to.checked_add(delete_after.0).is_ok_and(|end| end < now)
}

/// Gives up what is open: the stage settles it, as if a person had. What others wrote, or what no stage of the
/// configuration is named for, is only written down as given up.
async fn discard(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    producer: &Producer,
    topic: &str,
    letters: Vec<Known>,
    reason: &str,
) -> Result<(), ArchiveError> {
    let has_stage = |known: &Known| {
        config.stage(&known.entry.pipeline, &known.entry.stage).is_some()
            && known.entry.writer == Writer::Lazaret
    };
    let (ours, others): (Vec<Known>, Vec<Known>) = letters.into_iter().partition(has_stage);
    let mut left: Vec<String> = others.into_iter().map(|known| known.entry.id).collect();
    if !ours.is_empty() {
        let cluster = reach(&config.kafka, "archive").await?;
        let mut sender = Sender::open(config, cluster, &Uuid::now_v7().to_string()).await?;
        let order = Order { what: What::Discard, by: BY_RETENTION.into(), reason: Some(reason.to_owned()) };
        let mut outgoing = Vec::with_capacity(ours.len());
        for known in ours {
            let before = index.acts(&known.entry.id).await?;
            let sent = known.entry.redrives.saturating_add(times_sent(&before));
            outgoing.push(Outgoing {
                letter: known.entry,
                redrives: sent.saturating_add(1),
                archived: known.archived,
                // What is given up goes as it is.
                edit: None,
            });
        }
        for together in portions(outgoing, LETTERS_MAX, |one| one.letter.size) {
            let sent = sender.send(together, &order, i64::MAX).await?;
            left.extend(sent.gone.into_iter().map(|one| one.letter.id));
        }
    }
    let acts = Acts::new(producer, topic, BY_RETENTION, Some(reason));
    Ok(acts.note(&left, &Deed::Discarded).await?)
}
