//! Questions about runs of redrive, and their answers.

use std::collections::HashMap;

use super::answer::letters_of;
use super::row::clean;
use super::shelf::Shelf;
use crate::quarantine::{Act, Deed, Fate, InRun, Known, Run, times_sent};

/// Most runs, or letters of one, of one answer.
const ANSWER_MAX: usize = 1000;

pub async fn latest<S: Shelf>(shelf: &mut S, limit: usize) -> Result<Vec<Run>, S::Error> {
    let ids = shelf.latest_runs(limit.min(ANSWER_MAX)).await?;
    runs(shelf, ids).await
}

pub async fn active<S: Shelf>(shelf: &mut S) -> Result<Vec<Run>, S::Error> {
    let ids = shelf.active_runs().await?;
    let mut runs = runs(shelf, ids).await?;
    runs.retain(|run| run.state.is_active());
    Ok(runs)
}

/// Something was heard of these runs: finds out whether they rest, and forgets what need not be known any more. Of what was told
/// of how far a run is only the first and the last between two other acts count.
pub async fn restate<S: Shelf>(shelf: &mut S, ids: Vec<String>) -> Result<(), S::Error> {
    let is_progress = |act: &Act| matches!(act.deed, Deed::Progress { .. });
    let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
    for (run, act) in shelf.acts_on_runs(&ids).await? {
        acts.entry(run).or_default().push(act);
    }
    let between = |acts: &Vec<Act>| -> Vec<String> {
        let between = acts.windows(3).filter(|three| three.iter().all(is_progress));
        between.filter_map(|three| three.get(1)).map(|act| act.id.clone()).collect()
    };
    shelf.forget_acts(&acts.values().flat_map(between).collect::<Vec<_>>()).await?;
    let runs: HashMap<String, Run> =
        runs(shelf, ids.clone()).await?.into_iter().map(|run| (run.id.clone(), run)).collect();
    let rest = |id: String| {
        let is_active = runs.get(&id).is_some_and(|run| run.state.is_active());
        (id, !is_active)
    };
    shelf.rest(&ids.into_iter().map(rest).collect::<Vec<_>>()).await
}

pub async fn find<S: Shelf>(shelf: &mut S, prefix: &str) -> Result<Vec<Run>, S::Error> {
    let ids = shelf.runs_beginning(&clean(prefix)).await?;
    runs(shelf, ids).await
}

/// In this order; one of which only acts are known, and no plan, is not among them.
async fn runs<S: Shelf>(shelf: &mut S, ids: Vec<String>) -> Result<Vec<Run>, S::Error> {
    let enlisted: HashMap<String, i64> = shelf.enlisted_of(&ids).await?.into_iter().collect();
    let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
    for (run, act) in shelf.acts_on_runs(&ids).await? {
        acts.entry(run).or_default().push(act);
    }
    let run = |id: &String| {
        let enlisted = enlisted.get(id).copied().unwrap_or_default().unsigned_abs();
        Run::of(acts.get(id)?, enlisted)
    };
    Ok(ids.iter().filter_map(run).collect())
}

pub async fn letters<S: Shelf>(
    shelf: &mut S,
    run: &str,
    from: u64,
    limit: usize,
) -> Result<Vec<InRun>, S::Error> {
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let enlisted = shelf.enlisted(&clean(run), from, limit.min(ANSWER_MAX)).await?;
    let enlisted: Vec<_> = enlisted.into_iter().map(|(place, id)| (place.unsigned_abs(), id)).collect();
    fates(shelf, run, &enlisted).await
}

pub async fn fates<S: Shelf>(
    shelf: &mut S,
    run: &str,
    letters: &[(u64, String)],
) -> Result<Vec<InRun>, S::Error> {
    let ids: Vec<String> = letters.iter().map(|(_, id)| clean(id).into_owned()).collect();
    let mut acts: HashMap<String, Vec<Act>> = HashMap::new();
    for (letter, act) in shelf.acts_on(&ids).await? {
        acts.entry(letter).or_default().push(act);
    }
    let known = letters_of(shelf, &ids).await?;
    let mut known: HashMap<String, Known> =
        known.into_iter().map(|one| (one.entry.id.clone(), one)).collect();
    let fate = |(place, id): &(u64, String)| {
        let letter = known.remove(&*clean(id));
        let acts = acts.get(&*clean(id)).map(Vec::as_slice).unwrap_or_default();
        let fate = Fate::of(run, letter.as_ref().map(|letter| letter.state), acts);
        InRun { place: *place, id: id.clone(), fate, sent_before: times_sent(acts), letter }
    };
    Ok(letters.iter().map(fate).collect())
}
