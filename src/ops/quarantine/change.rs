//! What people do with dead letters without sending them back: restore, reclassify, note, assign, link and resolve. It is
//! found out first what would be done, and then written down; nothing else happens, since the index and everybody who
//! asks it know of it from the topic of operations.

use serde::Serialize;

use super::Acts;
use super::selection::{Chosen, SelectionError, Target, groups, letters};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::client::{ClusterInfo, reach};
use crate::kafka::{KafkaProblem, ProduceError, Producer};
use crate::message::trail::is_id;
use crate::ops::advice::Advice;
use crate::quarantine::{Deed, Group, Known, LETTERS_MAX, Quarantine, State};

/// Longest note, in bytes.
const NOTE_MAX: usize = 4096;
/// Letters that are named of those with which it cannot be done.
const NAMED: usize = 10;
const CLASSES: [&str; 3] = ["transient", "permanent", "systemic"];

/// What is done, in whose name and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Change {
    #[serde(flatten)]
    pub deed: Deed,
    /// A person, or `rule:<name>`.
    pub by: String,
    pub reason: Option<String>,
}

/// What would be done. What comes later is not touched by it, but for groups, whose letters are all that look alike.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Prepared {
    #[serde(flatten)]
    pub change: Change,
    /// Their ids.
    pub letters: Vec<String>,
    pub groups: Vec<Group>,
    /// The first of the letters, to be shown.
    #[serde(skip)]
    pub first: Vec<Known>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Done {
    /// What the audit finds it by.
    pub operation: String,
    #[serde(flatten)]
    pub change: Change,
    pub letters: usize,
    pub groups: usize,
}

/// Nothing, or not everything, was done.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It makes no sense, whatever the letters are.
    #[error("{0}")]
    Wrong(Advice),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// It cannot be done with these, and so it was with none.
    #[error("it cannot be done with {} of the dead letters", .0.len())]
    Refused(Vec<Advice>),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    /// The rest may have been written or not; done again, it means the same.
    #[error("only {} letters and {} groups are known to be written down: {error}", .done.letters, .done.groups)]
    Unwritten { done: Box<Done>, error: ProduceError },
}

impl Change {
    /// Finds out what would be done. No more than `max` letters, or groups, are touched.
    ///
    /// A cause is removed for all that look alike, so that resolving letters means resolving their groups. A group as a whole
    /// can be noted, assigned, linked and resolved; the other deeds are done with the letters that it has now.
    pub async fn prepare(
        self,
        index: &dyn Quarantine,
        target: &Target,
        max: usize,
    ) -> Result<Prepared, ChangeError> {
        self.check()?;
        let is_of_letters = matches!(self.deed, Deed::Restored | Deed::Reclassified { .. });
        let is_group = matches!(target, Target::Group(_));
        if self.deed == Deed::Resolved || is_group && !is_of_letters {
            let groups = groups(index, target, max).await?;
            return Ok(Prepared { change: self, letters: Vec::new(), groups, first: Vec::new() });
        }
        let mut refused = Vec::new();
        let Chosen { ids, first } = letters(index, target, max, |letter| {
            if refused.len() < NAMED {
                refused.extend(self.objection(letter));
            }
        })
        .await?;
        match refused.is_empty() {
            true => Ok(Prepared { change: self, letters: ids, groups: Vec::new(), first }),
            false => Err(ChangeError::Refused(refused)),
        }
    }

    /// Refuses words that cannot be kept.
    pub fn check(&self) -> Result<(), ChangeError> {
        self.wrong().map_or(Ok(()), |advice| Err(ChangeError::Wrong(advice)))
    }

    /// Why it cannot be done with this letter.
    fn objection(&self, letter: &Known) -> Option<Advice> {
        if self.deed != Deed::Restored || letter.state == State::Discarded {
            return None;
        }
        let message = format!("dead letter {} is {}, not discarded", letter.entry.id, letter.state.as_str());
        Some(Advice::new(message, "only what was given up can be taken back"))
    }

    /// What is wrong with the words.
    fn wrong(&self) -> Option<Advice> {
        let advice = |message: &str, hint: &str| Some(Advice::new(message, hint));
        if !is_id(&self.by) {
            return advice("nobody is named who does it", "name somebody with --by");
        }
        const BOUNDS: &str = "write at most 512 bytes, without line breaks or control characters";
        match &self.reason {
            None if matches!(
                self.deed,
                Deed::Restored
                    | Deed::Reclassified { .. }
                    | Deed::Resolved
                    | Deed::Unmasked
                    | Deed::Edited { .. }
                    | Deed::Unedited { .. }
            ) =>
            {
                return advice("no reason is given", "say why with --reason");
            }
            Some(reason) if !is_id(reason) => return advice("the reason cannot be kept", BOUNDS),
            _ => {}
        }
        match &self.deed {
            Deed::Noted { text } if text.len() > NOTE_MAX || text.chars().any(is_strange) => {
                advice("the note cannot be kept", "write at most 4096 bytes, without control characters")
            }
            Deed::Assigned { owner: text } | Deed::Linked { ticket: text }
                if !text.is_empty() && !is_id(text) =>
            {
                advice("this name cannot be kept", BOUNDS)
            }
            Deed::Reclassified { code, .. } if !is_id(code) || code.contains(char::is_whitespace) => {
                advice("this is not a code", "`lazaret codes` lists those of Lazaret")
            }
            Deed::Reclassified { class, .. } if !CLASSES.contains(&class.as_str()) => {
                advice("this is not a class", "write transient, permanent or systemic")
            }
            _ => None,
        }
    }
}

fn is_strange(c: char) -> bool {
    c.is_control() && c != '\n'
}

impl Prepared {
    /// Letters, or groups, that it would touch.
    pub fn count(&self) -> usize {
        self.letters.len() + self.groups.len()
    }

    /// Writes it down on the topic of operations, as one operation. Returns when all replicas have all of it.
    pub async fn carry_out(self, producer: &Producer, topic: &str) -> Result<Done, ChangeError> {
        let Change { deed, by, reason } = &self.change;
        let acts = Acts::new(producer, topic, by, reason.as_deref());
        let operation = acts.operation().to_owned();
        let mut done = Done { operation, change: self.change.clone(), letters: 0, groups: 0 };
        for letters in self.letters.chunks(LETTERS_MAX) {
            if let Err(error) = acts.note(letters, deed).await {
                return Err(ChangeError::Unwritten { done: Box::new(done), error });
            }
            done.letters += letters.len();
        }
        for group in &self.groups {
            if let Err(error) = acts.note_of_group(&group.fingerprint, deed).await {
                return Err(ChangeError::Unwritten { done: Box::new(done), error });
            }
            done.groups += 1;
        }
        Ok(done)
    }
}

/// The topic where it is written down what is done, if it is there. What cannot be written down is not done.
pub async fn operations_topic(config: &Config) -> Result<String, ChangeError> {
    let refused = |message: String, hint: &str| Err(ChangeError::Refused(vec![Advice::new(message, hint)]));
    let Some(topic) = Topology::derive(config).operations else {
        return refused(
            "no topic is named on which it is written down what is done with dead letters".into(),
            "name one with 'quarantine.operations' in the configuration",
        );
    };
    let cluster = reach(&config.kafka, "ops").await?;
    ensure_there(&topic, &cluster).map_err(|missing| ChangeError::Refused(vec![missing]))?;
    Ok(topic)
}

/// The topic of operations is one of this cluster.
pub fn ensure_there(topic: &str, cluster: &ClusterInfo) -> Result<(), Advice> {
    if cluster.topics.contains_key(topic) {
        return Ok(());
    }
    let message =
        format!("there is no topic '{topic}', on which it is written down what is done with dead letters");
    Err(Advice::new(message, "make it with `lazaret topics apply`"))
}

#[cfg(test)]
mod tests;
