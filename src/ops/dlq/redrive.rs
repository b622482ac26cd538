//! A few dead letters, named by their ids, back to their stage at once: to be run again, or to be given up for good. What is
//! large, or to be watched, is a plan and a run (`ops::redrive`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use uuid::Uuid;

use super::DlqError;
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::KafkaProblem;
use crate::kafka::client::reach;
use crate::kafka::look::settled;
use crate::ledger::{JobRow, LedgerError, LedgerReader, State as JobState};
use crate::message::TopicPartition;
use crate::ops::advice::Advice;
use crate::ops::quarantine::change::ensure_there;
use crate::ops::quarantine::content::portions;
use crate::ops::quarantine::selection::named;
use crate::ops::quarantine::{self, FollowError, edits, rows};
use crate::ops::redrive::approval;
use crate::ops::redrive::send::{LETTERS_MAX, Outgoing, SendError, Sender};
pub use crate::ops::redrive::send::{Order, What};
use crate::quarantine::{Entry, Known, Quarantine, State, Writer, times_sent};
use crate::worker::revision_of;

/// What does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aside {
    #[default]
    Nothing,
    /// That what failed for good was not changed: the cause lay elsewhere.
    Unchanged,
    /// What the ledger and the index say, too.
    All,
}

/// Letters that the index is asked for together.
const ASKED: usize = 1000;
/// How long it may take until what was sent can be read.
const SEEN: Duration = Duration::from_secs(5);

/// A dead letter that was sent back.
#[derive(Clone, Debug, Serialize)]
pub struct SentBack {
    /// `dlq.id`.
    pub id: String,
    pub pipeline: String,
    pub stage: String,
    pub job: String,
    /// How often it has been sent back now.
    pub redrives: u32,
    /// It went with another value or other headers than it died with.
    pub edited: bool,
    /// `topic-partition` of the redrive topic.
    pub at: String,
}

/// Nothing, or not everything, was sent back.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    #[error(transparent)]
    Dlq(#[from] DlqError),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error(transparent)]
    Index(#[from] FollowError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// These must not be sent back, and so none was.
    #[error("{} of the dead letters must not be sent back", .0.len())]
    Refused(Vec<Advice>),
    /// These were, and `left` others were not.
    #[error("{}", errors.first().map(ToString::to_string).unwrap_or_default())]
    Unwritten { sent: Vec<SentBack>, left: usize, errors: Vec<SendError> },
}

/// Sends these dead letters back, all or, when one must not be, none. An id may be as much of its beginning as tells it
/// from the others.
pub async fn send_back(
    config: &Config,
    ids: &[String],
    order: &Order,
    aside: Aside,
) -> Result<Vec<SentBack>, RedriveError> {
    if order.what == What::Redrive {
        approval::ensure_few(config, ids.len()).map_err(|many| RedriveError::Refused(vec![many]))?;
    }
    let cluster = reach(&config.kafka, "dlq").await?;
    if let Some(topic) = Topology::derive(config).operations {
        ensure_there(&topic, &cluster).map_err(|missing| RedriveError::Refused(vec![missing]))?;
    }
    let index = quarantine::open(config).await.map_err(FollowError::from)?;
    if let Some(late) = quarantine::refresh(config, &index).await? {
        return Err(RedriveError::Refused(vec![Advice::new(late, "what was read is kept: try again")]));
    }
    let known = known(config, &index).await?;
    let letters = named(&*index, ids, usize::MAX).await.map_err(DlqError::from)?;
    let (outgoing, refused) = weigh(config, &index, letters, order.what, aside).await?;
    if !refused.is_empty() {
        return Err(RedriveError::Refused(refused));
    }
    let mut sender = Sender::open(config, cluster, &Uuid::now_v7().to_string()).await?;
    let (sent, errors) = send(config, &mut sender, outgoing, order, known).await?;
    match errors.is_empty() {
        true => Ok(sent),
        false => Err(RedriveError::Unwritten { sent, left: errors.len(), errors }),
    }
}

/// How far the topic of operations is read.
async fn known(config: &Config, index: &Arc<dyn Quarantine>) -> Result<i64, FollowError> {
    match Topology::derive(config).operations {
        Some(topic) => Ok(edits::known(index, &topic).await?),
        None => Ok(0),
    }
}

/// Of these dead letters, by their whole ids, sends back those that may be, and says why the others may not. The index is up to
/// date.
pub async fn send_back_some(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    sender: &mut Sender,
    ids: &[String],
    order: &Order,
) -> Result<(Vec<SentBack>, Vec<Advice>), RedriveError> {
    let known = known(config, index).await?;
    let mut letters = Vec::with_capacity(ids.len());
    for ids in ids.chunks(ASKED) {
        letters.extend(index.get(ids).await.map_err(FollowError::from)?);
    }
    let (outgoing, mut refused) = weigh(config, index, letters, order.what, Aside::Nothing).await?;
    let (sent, failed) = send(config, sender, outgoing, order, known).await?;
    let why =
        |error: SendError| Advice::new(error.to_string(), "`lazaret dlq show` says what is known of it");
    refused.extend(failed.into_iter().map(why));
    Ok((sent, refused))
}

/// Those that may be sent back, and why others may not.
async fn weigh(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    letters: Vec<Known>,
    what: What,
    aside: Aside,
) -> Result<(Vec<Outgoing>, Vec<Advice>), RedriveError> {
    let ledger = LedgerReader::find(&config.ledger)?;
    let minds_edits = approval::minds_edits(config);
    let entries: Vec<&Entry> = letters.iter().map(|known| &known.entry).collect();
    let asked = match &ledger {
        Some(ledger) => rows(ledger, &entries).await?,
        None => vec![None; letters.len()],
    };
    let (mut outgoing, mut refused) = (Vec::new(), Vec::new());
    for (Known { entry, state, archived, edit, .. }, row) in letters.into_iter().zip(asked) {
        let revision = revision_of(config, &entry.pipeline, &entry.stage);
        let Some(revision) = revision.filter(|_| entry.writer == Writer::Lazaret) else {
            refused.push(no_stage(&entry));
            continue;
        };
        let objection = objection(&entry, state, row.as_ref()).or_else(|| match what {
            What::Redrive if aside != Aside::Unchanged && edit.is_none() => unchanged(&entry, &revision),
            _ => None,
        });
        if let Some(edit) = edit.as_ref().filter(|_| what == What::Redrive && minds_edits) {
            refused.push(approval::unseen(&entry, edit));
            continue;
        }
        match objection.filter(|_| aside != Aside::All) {
            Some(advice) => refused.push(advice),
            None => {
                let before = index.acts(&entry.id).await.map_err(FollowError::from)?;
                let redrives = row.map_or(0, |row| row.redrives);
                let redrives = redrives.max(entry.redrives.saturating_add(times_sent(&before)));
                let redrives = redrives.saturating_add(1);
                outgoing.push(Outgoing { letter: entry, redrives, archived, edit });
            }
        }
    }
    Ok((outgoing, refused))
}

/// Waits a moment until whoever looks sees what was sent: Kafka says that a transaction is committed before it can be read
/// everywhere. It is committed in any case.
async fn see(config: &Config, sent: &[SentBack]) {
    let topology = Topology::derive(config);
    let stages = sent.iter().filter_map(|one| topology.stage(&one.pipeline, &one.stage));
    let mut topics: BTreeSet<&str> = stages.map(|stage| stage.redrive.as_str()).collect();
    topics.extend(topology.operations.as_deref());
    let topics: Vec<&str> = topics.into_iter().collect();
    let _ = settled(&config.kafka, &topics, Instant::now() + SEEN).await;
}

/// Sends those that can be written, and says why others cannot.
async fn send(
    config: &Config,
    sender: &mut Sender,
    outgoing: Vec<Outgoing>,
    order: &Order,
    known: i64,
) -> Result<(Vec<SentBack>, Vec<SendError>), RedriveError> {
    let (mut sent, mut failed, mut left) = (Vec::new(), Vec::new(), outgoing.len());
    for mut together in portions(outgoing, LETTERS_MAX, Outgoing::size) {
        while !together.is_empty() {
            match sender.send(together.clone(), order, known).await {
                Ok(done) => {
                    left -= done.sent.len() + done.gone.len();
                    sent.extend(done.sent.into_iter().map(|(one, at)| sent_back(one, &at)));
                    failed.extend(done.gone.into_iter().map(gone));
                    break;
                }
                // None of them went, because of this one.
                Err(SendError::Letter { id, cause }) if together.iter().any(|one| one.letter.id == id) => {
                    together.retain(|one| one.letter.id != id);
                    left -= 1;
                    failed.push(SendError::Letter { id, cause });
                }
                Err(error) => {
                    let left = left + failed.len();
                    failed.insert(0, error);
                    return Err(RedriveError::Unwritten { sent, left, errors: failed });
                }
            }
        }
    }
    see(config, &sent).await;
    Ok((sent, failed))
}

fn sent_back(one: Outgoing, at: &TopicPartition) -> SentBack {
    let Outgoing { letter, redrives, edit, .. } = one;
    SentBack {
        id: letter.id,
        pipeline: letter.pipeline,
        stage: letter.stage,
        job: letter.job,
        redrives,
        edited: edit.is_some(),
        at: at.to_string(),
    }
}

fn gone(one: Outgoing) -> SendError {
    let cause = "neither Kafka nor the archive has it, or it is not one of Lazaret's".to_owned();
    SendError::Letter { id: one.letter.id, cause }
}

fn no_stage(letter: &Entry) -> Advice {
    let Entry { id, pipeline, stage, .. } = letter;
    match letter.writer {
        Writer::Lazaret => Advice::new(
            format!(
                "dead letter {id} is of stage '{stage}' of pipeline '{pipeline}', which the configuration does not have"
            ),
            "use the configuration that the stage runs with",
        ),
        _ => Advice::new(
            format!(
                "dead letter {id} was written by somebody else, whose stage does not read what Lazaret sends back"
            ),
            "send it back with the means of whoever wrote it",
        ),
    }
}

/// Why a letter should not be sent back: it was, or the stage says that it is not dead. Pure.
fn objection(letter: &Entry, state: State, row: Option<&JobRow>) -> Option<Advice> {
    let Entry { id, job, .. } = letter;
    let look = format!("`lazaret job {job}` shows what happened; --force does it all the same");
    let message = match (state, row) {
        (State::Redriving | State::Resolved | State::Superseded, _) => {
            format!("dead letter {id} was sent back before")
        }
        (State::Discarded, _) => format!("dead letter {id} was discarded"),
        (State::Open | State::Expired, None) => {
            format!("the ledger does not know the job of dead letter {id}")
        }
        // What was restored.
        (State::Open, Some(row)) if row.state == JobState::Discarded => return None,
        (_, Some(row)) if row.redrives > letter.redrives => format!("dead letter {id} was sent back before"),
        (_, Some(row)) if row.state != JobState::Dead => {
            format!("the job of dead letter {id} is {} according to the ledger, not dead", row.state.as_str())
        }
        (_, Some(_)) => return None,
    };
    Some(Advice::new(message, look))
}

/// Why a letter should not be run again: what failed for good fails again, unless something has changed. Pure.
fn unchanged(letter: &Entry, revision: &str) -> Option<Advice> {
    let is_same = letter.class == "permanent" && letter.revision.as_deref() == Some(revision);
    is_same.then(|| {
        let message = format!(
            "dead letter {} failed for good, and its stage has not changed since (revision {revision})",
            letter.id
        );
        let hint = "change the stage, edit the record with `lazaret dlq edit`, or, if the cause lies elsewhere and is removed, \
                    say so with --unchanged and --reason";
        Advice::new(message, hint)
    })
}

#[cfg(test)]
mod tests;
