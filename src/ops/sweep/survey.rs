//! Goes through all open dead letters and finds out which rule is for each. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::judge::{Circumstances, Judge, StageName, stage_of};
use crate::config::Config;
use crate::config::sweep::{Action, ProviderState, Rule};
use crate::ops::quarantine::pages;
use crate::ops::redrive::checks::asked_provider;
use crate::quarantine::{Filter, Known, Quarantine, QuarantineError, State};

/// Letters that are looked at together.
const PAGE: usize = 1000;
/// Letters of one rule and stage that something is done with in one sweep, where the rule says nothing.
const MOST: usize = 10_000;
/// Groups that are asked for.
const GROUPS: usize = 1000;
/// Conditions of which nobody could tell whether they hold, that are told.
const UNTOLD: usize = 10;

/// What one rule is for in one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Match {
    /// The place of the rule.
    #[serde(skip)]
    pub place: usize,
    pub rule: String,
    /// What it does, as it stands in the file.
    pub action: &'static str,
    pub pipeline: String,
    pub stage: String,
    /// How many letters it is for.
    pub letters: u64,
    /// When the first and the last of them died.
    pub first: Timestamp,
    pub last: Timestamp,
    /// Those that something is done with now, the latest death first: when there are more than the rule allows, the oldest.
    #[serde(skip)]
    pub ids: VecDeque<String>,
    /// How many those are.
    pub now: u64,
}

/// What a sweep finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Survey {
    /// Open letters.
    pub open: u64,
    /// Those that no rule is for.
    pub unmatched: u64,
    /// In the order of the rules.
    pub matches: Vec<Match>,
    /// Conditions of which nobody could tell whether they hold for a letter, the first of them.
    pub untold: Vec<String>,
}

pub async fn survey(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    rules: &[Rule],
    now: Timestamp,
) -> Result<Survey, QuarantineError> {
    let judge = Judge::new(rules, now);
    let open = Filter { states: vec![State::Open], ..Filter::default() };
    let mut circumstances = Circumstances::default();
    if judge.asks_for_groups() {
        let groups = index.groups(&open, GROUPS).await?.into_iter();
        circumstances.regressed = groups.filter(|group| group.regressed).map(|g| g.fingerprint).collect();
    }
    let (mut survey, mut found) = (Survey::default(), BTreeMap::<(usize, StageName), Match>::new());
    let mut asked = BTreeSet::new();
    let mut pages = pages::letters(&**index, &open, PAGE);
    while let Some(letters) = pages.try_next().await? {
        for letter in letters {
            let stage = stage_of(&letter);
            if judge.asks_for_provider(&letter) && asked.insert(stage.clone()) {
                let state = provider_of(config, &stage).await;
                circumstances.providers.extend(state.map(|state| (stage.clone(), state)));
            }
            survey.open += 1;
            let place = judge.rule_for(&letter, &circumstances).unwrap_or_else(|why| {
                if survey.untold.len() < UNTOLD {
                    survey.untold.push(why);
                }
                None
            });
            match place.and_then(|place| Some((place, rules.get(place)?))) {
                None => survey.unmatched += 1,
                Some((place, rule)) => {
                    let key = (place, stage);
                    found.entry(key).or_insert_with(|| Match::new(place, rule, &letter)).take(rule, &letter);
                }
            }
        }
    }
    survey.matches = found.into_values().collect();
    Ok(survey)
}

/// A real call. `None` when the stage calls none.
async fn provider_of(config: &Config, (pipeline, stage): &StageName) -> Option<ProviderState> {
    let stage = config.stage(pipeline, stage)?;
    let answer = asked_provider(config, Some(&stage.kind)).await?;
    Some(if answer.is_ok() { ProviderState::Up } else { ProviderState::Down })
}

impl Match {
    fn new(place: usize, rule: &Rule, letter: &Known) -> Self {
        let (pipeline, stage) = stage_of(letter);
        let died = letter.entry.last_failure;
        Self {
            place,
            rule: rule.name.clone(),
            action: rule.action.name(),
            pipeline,
            stage,
            letters: 0,
            first: died,
            last: died,
            ids: VecDeque::new(),
            now: 0,
        }
    }

    /// Letters come with the latest death first.
    fn take(&mut self, rule: &Rule, letter: &Known) {
        self.letters += 1;
        self.first = letter.entry.last_failure;
        let most = match &rule.action {
            Action::Redrive(redrive) => redrive.most as usize,
            Action::Keep(_) => 0,
            _ => MOST,
        };
        if most == 0 {
            return;
        }
        if self.ids.len() == most {
            self.ids.pop_front();
        }
        self.ids.push_back(letter.entry.id.clone());
        self.now = self.ids.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::dlq::fixture::{entry, known};

    #[test]
    fn when_there_are_more_than_a_rule_allows_the_oldest_are_taken() {
        let rules: Vec<Rule> =
            serde_saphyr::from_str("[{ name: a, do: { redrive: { most: 2 } } }]").expect("rules");
        let letter =
            |second| Known { entry: entry(&format!("j{second}"), "llm.timeout", second), ..known(0) };
        let letters = [letter(30), letter(20), letter(10)];
        let mut taken = Match::new(0, &rules[0], &letters[0]);
        letters.iter().for_each(|letter| taken.take(&rules[0], letter));
        let ids: Vec<_> = letters[1..].iter().map(|letter| letter.entry.id.clone()).collect();
        assert_eq!((taken.letters, taken.now, Vec::from(taken.ids)), (3, 2, ids));
        assert_eq!((taken.first, taken.last), (letters[2].entry.last_failure, letters[0].entry.last_failure));
    }
}
