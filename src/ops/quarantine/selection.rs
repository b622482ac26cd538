//! Which dead letters, or which groups, an act is meant for: named one by one, or all that pass a filter; never more than
//! whoever asks allows.

use std::collections::BTreeSet;

use futures::TryStreamExt as _;

use super::pages;
use crate::ops::advice::Advice;
use crate::quarantine::{Filter, Group, Known, Quarantine, QuarantineError};

/// Letters that are shown of those that were chosen.
const SHOWN: usize = 20;
/// Letters that are asked for together.
const PAGE: usize = 1000;
/// One less than the index tells at once, so that it is known when there are more.
const GROUPS_MAX: usize = 999;

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Ids, or as much of their beginning as tells them from the others.
    Letters(Vec<String>),
    Those(Box<Filter>),
    /// A group as a whole, by its fingerprint, with the letters that are still to come.
    Group(String),
}

/// Nothing was chosen.
#[derive(Debug, thiserror::Error)]
pub enum SelectionError {
    #[error("{0}")]
    NotFound(Advice),
    #[error("{0}")]
    TooMany(Advice),
    #[error(transparent)]
    Index(#[from] QuarantineError),
}

/// Letters that were chosen.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    pub ids: Vec<String>,
    /// The first of them, to be shown.
    pub first: Vec<Known>,
}

impl Chosen {
    fn take(&mut self, letter: Known) {
        self.ids.push(letter.entry.id.clone());
        if self.first.len() < SHOWN {
            self.first.push(letter);
        }
    }
}

/// The letters that are meant, each once, and each shown to `look`.
pub async fn letters(
    index: &dyn Quarantine,
    target: &Target,
    max: usize,
    mut look: impl FnMut(&Known),
) -> Result<Chosen, SelectionError> {
    let mut chosen = Chosen::default();
    let filter = match target {
        Target::Letters(ids) => {
            for letter in named(index, ids, max).await? {
                look(&letter);
                chosen.take(letter);
            }
            return Ok(chosen);
        }
        Target::Those(filter) => Filter::clone(filter),
        Target::Group(fingerprint) => of_group(fingerprint),
    };
    let all = index.count(&filter).await?;
    allow(all, max, "dead letters")?;
    let mut pages = pages::letters(index, &filter, PAGE);
    while let Some(letters) = pages.try_next().await? {
        for letter in letters {
            look(&letter);
            chosen.take(letter);
        }
        // Some may have come since they were counted.
        allow(chosen.ids.len() as u64, max, "dead letters")?;
    }
    match chosen.ids.is_empty() {
        true => Err(nothing()),
        false => Ok(chosen),
    }
}

/// The groups that are meant: those of the letters.
pub async fn groups(
    index: &dyn Quarantine,
    target: &Target,
    max: usize,
) -> Result<Vec<Group>, SelectionError> {
    let prints: BTreeSet<String> = match target {
        Target::Those(filter) => {
            let most = max.min(GROUPS_MAX);
            let groups = index.groups(filter, most + 1).await?;
            if groups.len() > most {
                let message = format!("more than {most} groups have such dead letters");
                return Err(SelectionError::TooMany(Advice::new(message, "narrow it down")));
            }
            return if groups.is_empty() { Err(nothing()) } else { Ok(groups) };
        }
        Target::Letters(ids) => {
            named(index, ids, max).await?.into_iter().map(|known| known.entry.fingerprint).collect()
        }
        Target::Group(fingerprint) => BTreeSet::from([fingerprint.clone()]),
    };
    let mut groups = Vec::with_capacity(prints.len());
    for print in prints {
        let group = index.groups(&of_group(&print), 1).await?.pop();
        groups.push(group.ok_or_else(|| {
            let hint = "`lazaret dlq groups --state all` lists them";
            SelectionError::NotFound(Advice::new(format!("there is no group '{print}'"), hint))
        })?);
    }
    Ok(groups)
}

/// The letter whose id begins so, and no other. `elsewhere` is what to do when there is none.
pub async fn one(index: &dyn Quarantine, id: &str, elsewhere: &str) -> Result<Known, SelectionError> {
    let mut found = index.find(id).await?;
    let not_found = |message, hint: &str| Err(SelectionError::NotFound(Advice::new(message, hint)));
    match (found.pop(), found.pop()) {
        (None, _) => not_found(format!("there is no dead letter '{id}'"), elsewhere),
        (Some(letter), None) => Ok(letter),
        // The whole id of one may be how another begins.
        (Some(last), Some(first)) => match [first, last].into_iter().find(|letter| letter.entry.id == id) {
            Some(letter) => Ok(letter),
            None => not_found(format!("several dead letters begin with '{id}'"), "write more of the id"),
        },
    }
}

/// The letters of these ids, each once and in this order.
pub async fn named(index: &dyn Quarantine, ids: &[String], max: usize) -> Result<Vec<Known>, SelectionError> {
    allow(ids.len() as u64, max, "dead letters")?;
    let (mut letters, mut taken) = (Vec::<Known>::new(), BTreeSet::new());
    for id in ids {
        let letter = one(index, id, "`lazaret dlq ls` lists the ids; it may be past its retention").await?;
        if taken.insert(letter.entry.id.clone()) {
            letters.push(letter);
        }
    }
    Ok(letters)
}

fn of_group(fingerprint: &str) -> Filter {
    Filter { fingerprint: Some(fingerprint.to_owned()), ..Filter::default() }
}

fn allow(all: u64, max: usize, what: &str) -> Result<(), SelectionError> {
    if all <= max as u64 {
        return Ok(());
    }
    let message = format!("that would be {all} {what}, and {max} may be touched at once");
    Err(SelectionError::TooMany(Advice::new(
        message,
        format!("narrow it down, or allow more with --max {all}"),
    )))
}

fn nothing() -> SelectionError {
    let hint = "`lazaret dlq count` says how many pass a filter; --state all counts them wherever they are";
    SelectionError::NotFound(Advice::new("there are no such dead letters", hint))
}
