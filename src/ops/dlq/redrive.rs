//! Sends dead letters back to the stage where they died, to be run again or to be given up for good. It writes to the
//! stage's redrive topic; what becomes of the record there is the stage's doing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde::Serialize;

use super::{DlqError, Filter, Opened, found, not_found, scan, topics};
use crate::config::Config;
use crate::flow::Topology;
use crate::flow::topology::StageTopics;
use crate::kafka::client::{ClusterInfo, reach};
use crate::kafka::{KafkaProblem, ProduceError, Producer};
use crate::ledger::{JobRow, LedgerError, LedgerReader, State};
use crate::message::deadletter::DeadLetter;
use crate::message::{OutRecord, Trail, trail};
use crate::ops::advice::Advice;
use crate::ops::quarantine::Acts;
use crate::quarantine::{Deed, Outcome};

/// What the stage is to do with them, in whose name and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub what: What,
    /// A person, or `rule:<name>`.
    pub by: String,
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Run them again, from the first attempt.
    Redrive,
    /// Give them up for good.
    Discard,
}

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
    /// `topic-partition@offset` on the redrive topic.
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
    Ledger(#[from] LedgerError),
    /// These must not be sent back, and so none was.
    #[error("{} of the dead letters must not be sent back", .0.len())]
    Refused(Vec<Advice>),
    /// It could not be written down what was to be done, and so nothing was.
    #[error("it cannot be written down what is to be done, and so nothing was: {0}")]
    Unnoted(ProduceError),
    /// Kafka did not take one, and those after it were not tried.
    #[error("{error}")]
    Unwritten { sent: Vec<SentBack>, left: usize, error: ProduceError },
}

/// Sends these dead letters back, all or, when one must not be, none. An id may be as much of its beginning as tells it
/// from the others. With `force` it does not matter what the ledger says.
pub async fn send_back(
    config: &Config,
    ids: &[String],
    order: &Order,
    force: bool,
) -> Result<Vec<SentBack>, RedriveError> {
    let letters = find(config, ids).await?;
    let topology = Topology::derive(config);
    let cluster = reach(&config.kafka, "dlq").await?;
    let acts = acts(&topology, &cluster)?;
    let sent_before = sent_before(config, &topology, &letters).await?;
    let (mut records, mut refused) = (Vec::new(), Vec::new());
    for letter in &letters {
        let dead = &letter.found.letter;
        let Some(stage) = topology.stage(&dead.pipeline, &dead.stage) else {
            refused.push(no_stage(dead));
            continue;
        };
        let row = ledger_row(config, dead).await?;
        let before = sent_before.get(&key(dead)).copied();
        match objection(dead, row.as_ref(), before).filter(|_| !force) {
            Some(advice) => refused.push(advice),
            None => {
                let known = row.map(|row| row.redrives).max(before).unwrap_or_default();
                let partitions = cluster.topics.get(&stage.redrive).copied().unwrap_or(1);
                let redrives = known.max(dead.redrives).saturating_add(1);
                records.push((dead, redrives, record(letter, stage, partitions, redrives, order)));
            }
        }
    }
    if !refused.is_empty() {
        return Err(RedriveError::Refused(refused));
    }
    let producer = Producer::new(&config.kafka, &topology, "dlq")?;
    let deed = match order.what {
        What::Redrive => Deed::Redriven,
        What::Discard => Deed::Discarded,
    };
    let ids: Vec<String> = records.iter().map(|(letter, ..)| letter.id.clone()).collect();
    let acts = acts.map(|topic| Acts::new(&producer, topic, &order.by, order.reason.as_deref()));
    if let Some(acts) = &acts
        && let Err(error) = acts.note(&ids, &deed).await
    {
        // Some of it may have been written.
        let _ = acts.note(&ids, &Deed::Settled { outcome: Outcome::Returned }).await;
        return Err(RedriveError::Unnoted(error));
    }
    let sent = write(&producer, records).await;
    if let (Some(acts), Err(RedriveError::Unwritten { sent, .. })) = (&acts, &sent) {
        // If this cannot be written either, they stand as being redriven: they can be sent back with --force.
        let left = ids.get(sent.len()..).unwrap_or_default();
        let _ = acts.note(left, &Deed::Settled { outcome: Outcome::Returned }).await;
    }
    sent
}

/// The topic where it is written down what is done. What cannot be written down is not done.
fn acts<'a>(topology: &'a Topology, cluster: &ClusterInfo) -> Result<Option<&'a str>, RedriveError> {
    let Some(topic) = topology.operations.as_deref() else { return Ok(None) };
    if cluster.topics.contains_key(topic) {
        return Ok(Some(topic));
    }
    let message =
        format!("there is no topic '{topic}', on which it is written down what is done with dead letters");
    Err(RedriveError::Refused(vec![Advice::new(message, "make it with `lazaret topics apply`")]))
}

/// The letters of these ids, each once and in this order.
async fn find(config: &Config, ids: &[String]) -> Result<Vec<Opened>, DlqError> {
    let wanted: BTreeSet<String> = ids.iter().cloned().collect();
    let all = topics(config, &Filter::default())?;
    let (opened, complete) = scan(config, all, BTreeMap::<String, Opened>::new(), move |letters, record| {
        if let Ok((letter, original)) = DeadLetter::read(&record)
            && wanted.iter().any(|id| letter.id.starts_with(id.as_str()))
        {
            let found = found(letter, &record);
            let opened = Opened { found, original, key: record.key, value: record.value };
            letters.entry(opened.found.letter.id.clone()).or_insert(opened);
        }
        ControlFlow::Continue(())
    })
    .await?;
    let mut letters = Vec::new();
    let mut taken = BTreeSet::new();
    for id in ids {
        let mut matching = opened.range(id.clone()..).take_while(|(full, _)| full.starts_with(id.as_str()));
        match (matching.next(), matching.next()) {
            (Some((full, letter)), None) => {
                if taken.insert(full.clone()) {
                    letters.push(letter.clone());
                }
            }
            (Some(_), Some(_)) => {
                return Err(not_found(
                    format!("several dead letters begin with '{id}'"),
                    "write more of the id",
                ));
            }
            (None, _) if !complete => {
                let message = format!("no dead letter '{id}' was found within the time");
                return Err(not_found(
                    message,
                    "the topics are long; try again when the cluster is less busy",
                ));
            }
            (None, _) => {
                let hint = "`lazaret dlq ls` lists what is there; it may be past its retention";
                return Err(not_found(format!("there is no dead letter '{id}'"), hint));
            }
        }
    }
    Ok(letters)
}

/// Names a job in a stage.
type Key = (String, String, String);

fn key(letter: &DeadLetter) -> Key {
    (letter.pipeline.clone(), letter.stage.clone(), letter.correlation.job.0.clone())
}

/// The most redrives of these jobs that stand on their redrive topics, read or not.
async fn sent_before(
    config: &Config,
    topology: &Topology,
    letters: &[Opened],
) -> Result<BTreeMap<Key, u32>, DlqError> {
    let wanted: BTreeSet<Key> = letters.iter().map(|opened| key(&opened.found.letter)).collect();
    let is_wanted = |stage: &&StageTopics| wanted.iter().any(|k| k.0 == stage.pipeline && k.1 == stage.stage);
    let stages: BTreeMap<String, (String, String)> = topology
        .stages
        .iter()
        .filter(is_wanted)
        .map(|s| (s.redrive.clone(), (s.pipeline.clone(), s.stage.clone())))
        .collect();
    let topics = stages.keys().cloned().collect();
    let (seen, _) = scan(config, topics, BTreeMap::<Key, u32>::new(), move |seen, record| {
        if let Some((pipeline, stage)) = stages.get(&*record.at.topic) {
            let envelope = trail::open(&record, true);
            let key = (pipeline.clone(), stage.clone(), envelope.correlation.job.0);
            if wanted.contains(&key) {
                let most = seen.entry(key).or_default();
                *most = envelope.trail.redrives.max(*most);
            }
        }
        ControlFlow::Continue(())
    })
    .await?;
    Ok(seen)
}

async fn ledger_row(config: &Config, letter: &DeadLetter) -> Result<Option<JobRow>, LedgerError> {
    let Some(reader) = LedgerReader::find(&config.ledger)? else { return Ok(None) };
    reader.job(&letter.pipeline, &letter.stage, &letter.correlation.job.0).await
}

fn no_stage(letter: &DeadLetter) -> Advice {
    let DeadLetter { id, pipeline, stage, .. } = letter;
    Advice::new(
        format!(
            "dead letter {id} is of stage '{stage}' of pipeline '{pipeline}', which the configuration does not have"
        ),
        "use the configuration that the stage runs with",
    )
}

/// Why a letter should not be sent back: it was, or the stage says that it is not dead. Pure.
fn objection(letter: &DeadLetter, row: Option<&JobRow>, sent_before: Option<u32>) -> Option<Advice> {
    let DeadLetter { id, correlation, .. } = letter;
    let look =
        format!("`lazaret job {}` shows what happened; --force sends it back all the same", correlation.job);
    let message = match row {
        _ if sent_before.is_some_and(|redrives| redrives > letter.redrives) => {
            format!("dead letter {id} was sent back before")
        }
        None => format!("the ledger does not know the job of dead letter {id}"),
        Some(row) if row.redrives > letter.redrives => format!("dead letter {id} was sent back before"),
        Some(row) if row.state != State::Dead => {
            format!("the job of dead letter {id} is {} according to the ledger, not dead", row.state.as_str())
        }
        Some(_) => return None,
    };
    Some(Advice::new(message, look))
}

/// The original record with a control block, on the partition that belongs to its input partition. Pure.
fn record(
    letter: &Opened,
    stage: &StageTopics,
    partitions: usize,
    redrives: u32,
    order: &Order,
) -> OutRecord {
    let dead = &letter.found.letter;
    let discard = match order.what {
        What::Redrive => None,
        What::Discard => Some((order.by.clone(), order.reason.clone().unwrap_or_default())),
    };
    let trail = Trail { redrives, discard, ..Trail::fresh(&dead.origin) };
    let partitions = i32::try_from(partitions.max(1)).unwrap_or(i32::MAX);
    OutRecord {
        topic: stage.redrive.clone().into(),
        partition: Some(dead.origin.partition.rem_euclid(partitions)),
        key: letter.key.clone(),
        value: letter.value.clone(),
        headers: trail::seal(&letter.original, &trail, &dead.correlation),
        timestamp: None,
    }
}

/// One after the other, so that it is known which were written.
async fn write(
    producer: &Producer,
    records: Vec<(&DeadLetter, u32, OutRecord)>,
) -> Result<Vec<SentBack>, RedriveError> {
    let mut sent = Vec::new();
    for (letter, redrives, record) in &records {
        match producer.send(record.clone()).await {
            Ok(at) => sent.push(SentBack {
                id: letter.id.clone(),
                pipeline: letter.pipeline.clone(),
                stage: letter.stage.clone(),
                job: letter.correlation.job.0.clone(),
                redrives: *redrives,
                at: format!("{}-{}@{}", record.topic, at.partition, at.offset),
            }),
            Err(error) => {
                let left = records.len() - sent.len();
                return Err(RedriveError::Unwritten { sent, left, error });
            }
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests;
