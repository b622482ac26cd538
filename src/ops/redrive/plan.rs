//! Makes a plan: selects the letters, counts what a person wants to know before he says yes, and freezes them in the order in
//! which they are to go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use uuid::Uuid;

use super::estimate::{Letters, estimate};
use super::{RunError, approval};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::look::settled;
use crate::ledger::{LedgerReader, State as JobState};
use crate::message::Spent;
use crate::ops::advice::Advice;
use crate::ops::quarantine::selection::one;
use crate::ops::quarantine::{Acts, pages};
use crate::quarantine::{
    Deed, Entry, Estimate, Filter, Kept, Known, Plan, Policy, Preview, Quarantine, State, Writer,
};

/// Letters of one act: their ids are some 40 bytes each.
const ENLISTED_MAX: usize = 1000;
/// Letters that the ledger is asked for before a plan is shown.
const PREVIEW_MAX: u64 = 10_000;
/// Groups that a plan may have.
const GROUPS_MAX: usize = 1000;
/// Ids that a plan shows as what was asked for.
const IDS_SHOWN: usize = 20;
/// How long it may take until what was written can be read.
const SEEN: Duration = Duration::from_secs(90);
/// Letters that are listed together.
const PAGE: usize = 1000;

/// Partition and offset of an original record, and the id of its letter.
type Place = (i32, i64, String);

/// Which letters are meant.
#[derive(Clone, Debug)]
pub enum Selection {
    /// By ids, or as much of their beginning as tells them from the others.
    Ids(Vec<String>),
    /// Those of them that are open.
    Filter(Box<Filter>),
    /// What a rule has chosen, by whole ids; those of them that are still open.
    Rule { name: String, ids: Vec<String> },
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    pub name: String,
    pub selection: Selection,
    pub policy: Policy,
    /// Most letters; a selection that has more is refused.
    pub most: u64,
}

/// A plan that is not written down yet.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub plan: Plan,
    /// Ids, in the order in which they go.
    pub letters: Vec<String>,
}

/// Selects and counts. Changes nothing.
pub async fn propose(config: &Config, index: &Arc<dyn Quarantine>, wish: Wish) -> Result<Proposal, RunError> {
    let mut gathered = Gathered::default();
    let ledger = LedgerReader::find(&config.ledger)?;
    let selection = match &wish.selection {
        Selection::Ids(ids) => {
            if ids.len() as u64 > wish.most {
                return Err(too_many(wish.most));
            }
            for id in ids {
                let letter = open(index, id).await?;
                gathered.take(letter, ledger.as_ref()).await?;
            }
            if ids.len() <= IDS_SHOWN { ids.join(" ") } else { format!("{} ids", ids.len()) }
        }
        Selection::Rule { name, ids } => {
            for ids in ids.chunks(PAGE) {
                let letters = index.get(ids).await?.into_iter();
                for letter in letters.filter(|letter| letter.state == State::Open) {
                    gathered.take(letter, ledger.as_ref()).await?;
                }
            }
            format!("rule '{name}'")
        }
        Selection::Filter(filter) => {
            let filter = Filter { states: vec![State::Open], ..(**filter).clone() };
            let mut pages = pages::letters(&**index, &filter, PAGE);
            while let Some(letters) = pages.try_next().await? {
                for letter in letters {
                    gathered.take(letter, ledger.as_ref()).await?;
                }
                if gathered.places.len() as u64 > wish.most {
                    return Err(too_many(wish.most));
                }
            }
            filter.to_string()
        }
    };
    let spent = gathered.spent;
    let mut proposal = gathered.into_proposal(wish, selection)?;
    proposal.plan.estimate = estimated(config, &proposal.plan, spent);
    proposal.plan.approval = approval::wanted(config, &proposal.plan).is_some();
    Ok(proposal)
}

fn estimated(config: &Config, plan: &Plan, spent: Option<Spent>) -> Option<Estimate> {
    let Plan { pipeline, stage, letters: count, bytes, preview, .. } = plan;
    estimate(config, Letters { pipeline, stage, count: *count, bytes: *bytes, preview: *preview, spent })
}

/// Writes a plan down. Returns its id, by which it is started.
pub async fn freeze(
    config: &Config,
    producer: &Producer,
    proposal: Proposal,
    by: &str,
    reason: Option<&str>,
) -> Result<String, RunError> {
    let topic = super::control::operations(&Topology::derive(config))?;
    let acts = Acts::of(Uuid::now_v7().to_string(), producer, &topic, by, reason);
    acts.say(&Deed::Planned { plan: Box::new(proposal.plan) }).await?;
    let mut from = 0;
    for ids in proposal.letters.chunks(ENLISTED_MAX) {
        acts.say(&Deed::Enlisted { from, ids: ids.to_vec() }).await?;
        from += ids.len() as u64;
    }
    // Who looks for it is to find it.
    settled(&config.kafka, &[&topic], Instant::now() + SEEN).await?;
    Ok(acts.operation().to_owned())
}

fn too_many(most: u64) -> RunError {
    let message = format!("more than {most} letters are selected");
    RunError::Refused(Advice::new(message, "select fewer, or allow more with --max"))
}

/// The open letter of this id.
async fn open(index: &Arc<dyn Quarantine>, id: &str) -> Result<Known, RunError> {
    let known =
        one(&**index, id, "`lazaret dlq ls` lists what is there; it may be past its retention").await?;
    if known.state == State::Open {
        return Ok(known);
    }
    let message = format!("dead letter {} is {}, not open", known.entry.id, known.state.as_str());
    let hint = format!("`lazaret dlq show {}` says what was done with it", known.entry.id);
    Err(RunError::Refused(Advice::new(message, hint)))
}

/// What is counted while letters are selected.
#[derive(Default)]
struct Gathered {
    stages: BTreeMap<(String, String), u64>,
    foreign: u64,
    tenants: BTreeSet<String>,
    groups: BTreeSet<String>,
    permanent: BTreeMap<String, u64>,
    edited: u64,
    bytes: u64,
    oldest: Option<i64>,
    most_redriven: u32,
    preview: Option<Preview>,
    /// What providers have counted.
    spent: Option<Spent>,
    /// Where the original record stood, and the letter.
    places: BTreeSet<Place>,
}

impl Gathered {
    async fn take(&mut self, letter: Known, ledger: Option<&LedgerReader>) -> Result<(), RunError> {
        let Known { entry, edit, kept, .. } = letter;
        if entry.writer != Writer::Lazaret {
            self.foreign += 1;
            return Ok(());
        }
        let origin = entry.origin.as_ref();
        let place = origin.and_then(|origin| Some((origin.partition?, origin.offset?)));
        // A letter that does not say it is not one of ours; it goes last.
        let place = place.unwrap_or((i32::MAX, entry.at.offset));
        if !self.places.insert((place.0, place.1, entry.id.clone())) {
            return Ok(());
        }
        *self.stages.entry((entry.pipeline.clone(), entry.stage.clone())).or_default() += 1;
        self.tenants.extend(entry.tenant.clone());
        self.groups.insert(entry.fingerprint.clone());
        if edit.is_some() {
            self.edited += 1;
        } else if entry.class == "permanent" {
            *self.permanent.entry(entry.revision.clone().unwrap_or_default()).or_default() += 1;
        }
        self.bytes += entry.size;
        self.spent = Spent::sum(self.spent, entry.spent);
        // What is archived is not lost when Kafka deletes it.
        let at_risk = entry.at.timestamp.filter(|_| kept == Kept::Kafka);
        self.oldest = [self.oldest, at_risk].into_iter().flatten().min();
        self.most_redriven = self.most_redriven.max(entry.redrives);
        if let Some(ledger) = ledger {
            self.ask(&entry, ledger).await?;
        }
        Ok(())
    }

    async fn ask(&mut self, entry: &Entry, ledger: &LedgerReader) -> Result<(), RunError> {
        let preview = self.preview.get_or_insert_default();
        if preview.asked >= PREVIEW_MAX {
            return Ok(());
        }
        preview.asked += 1;
        match ledger.job(&entry.pipeline, &entry.stage, &entry.job).await? {
            None => preview.unknown += 1,
            Some(row) if row.state == JobState::Done => preview.done += 1,
            Some(row) if row.redrives > entry.redrives && row.state != JobState::Discarded => {
                preview.under_way += 1;
            }
            Some(_) => preview.run += 1,
        }
        Ok(())
    }

    fn into_proposal(self, wish: Wish, selection: String) -> Result<Proposal, RunError> {
        let mut stages = self.stages.into_keys();
        let (pipeline, stage) = match (stages.next(), stages.next(), self.foreign) {
            (Some(stage), None, 0) => stage,
            (None, None, 0) => {
                let message = "no open dead letter is selected".to_owned();
                let hint = "`lazaret dlq count --by state --state all` says where they are";
                return Err(RunError::NotFound(Advice::new(message, hint)));
            }
            (_, _, foreign) if foreign > 0 => {
                let message = format!("{foreign} of the letters were written by somebody else");
                let hint = "a stage of Lazaret cannot run them again: select a --pipeline";
                return Err(RunError::Refused(Advice::new(message, hint)));
            }
            _ => {
                let message = "letters of several stages are selected".to_owned();
                let hint = "make a plan for each: --pipeline, --stage";
                return Err(RunError::Refused(Advice::new(message, hint)));
            }
        };
        if self.groups.len() > GROUPS_MAX {
            let message = format!("letters of {} groups are selected", self.groups.len());
            let hint = format!("a plan has at most {GROUPS_MAX}: select by --code or --group");
            return Err(RunError::Refused(Advice::new(message, hint)));
        }
        let letters = in_turns(self.places);
        let plan = Plan {
            name: wish.name,
            pipeline,
            stage,
            selection,
            letters: letters.len() as u64,
            bytes: self.bytes,
            tenants: self.tenants.len() as u64,
            groups: self.groups.into_iter().collect(),
            oldest: self.oldest.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()),
            permanent: self.permanent,
            edited: self.edited,
            most_redriven: self.most_redriven,
            approval: false,
            preview: self.preview,
            estimate: None,
            policy: wish.policy,
        };
        Ok(Proposal { plan, letters })
    }
}

/// Of each partition in the order of its offsets, which is that of every key; and partitions by turns, so that none waits
/// for all of another.
fn in_turns(places: BTreeSet<Place>) -> Vec<String> {
    let mut turns: Vec<(usize, i32, String)> = Vec::with_capacity(places.len());
    let (mut partition, mut rank) = (None, 0);
    for (of, _, id) in places {
        rank = if partition == Some(of) { rank + 1 } else { 0 };
        partition = Some(of);
        turns.push((rank, of, id));
    }
    turns.sort_by_key(|(rank, partition, _)| (*rank, *partition));
    turns.into_iter().map(|(_, _, id)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_in_the_order_of_their_partition_and_partitions_by_turns() {
        let places =
            [((0, 5), "a"), ((0, 7), "b"), ((0, 70), "c"), ((2, 1), "d"), ((3, 9), "e"), ((3, 10), "f")];
        let places = places.into_iter().map(|((of, at), id)| (of, at, id.to_owned())).collect();
        assert_eq!(in_turns(places), ["a", "d", "e", "b", "f", "c"]);
        assert!(in_turns(BTreeSet::new()).is_empty());
    }
}
