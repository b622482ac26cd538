//! Which rule is for a dead letter. Pure: what has to be asked of others is given.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::sweep::{Action, GroupStanding, ProviderState, Rule};
use crate::quarantine::{Filter, Known, State, Writer, operand};

/// A stage, by pipeline and name.
pub type StageName = (String, String);

/// What rules ask for beside the letter itself.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Groups that died again after they were said to be resolved, by fingerprint.
    pub regressed: BTreeSet<String>,
    /// Of stages that call one.
    pub providers: BTreeMap<StageName, ProviderState>,
}

/// The rules, at one moment.
pub struct Judge<'a> {
    rules: Vec<(&'a Rule, Filter)>,
    now: Timestamp,
}

impl<'a> Judge<'a> {
    pub fn new(rules: &'a [Rule], now: Timestamp) -> Self {
        Self { rules: rules.iter().map(|rule| (rule, filter(rule, now))).collect(), now }
    }

    /// The place of the first rule that matches and has something to do, and conditions of which nobody can tell whether they
    /// hold: they do not match.
    pub fn rule_for(&self, letter: &Known, circumstances: &Circumstances) -> (Option<usize>, Vec<String>) {
        let mut untold = Vec::new();
        let place = self.rules.iter().position(|(rule, filter)| {
            filter.matches(letter)
                && has_something_to_do(&rule.action, letter)
                && rule.matches.group_state.is_none_or(|wanted| {
                    let is_regressed = circumstances.regressed.contains(&letter.entry.fingerprint);
                    (wanted == GroupStanding::Regressed) == is_regressed
                })
                && rule.matches.provider.is_none_or(|wanted| {
                    circumstances.providers.get(&stage_of(letter)).is_some_and(|is| *is == wanted)
                })
                && rule.matches.condition.as_ref().is_none_or(|condition| {
                    condition.holds(|name| operand(letter, name, self.now)).unwrap_or_else(|why| {
                        untold.push(format!("rule '{}': '{condition}': {why}", rule.name));
                        false
                    })
                })
        });
        (place, untold)
    }

    /// Whether it matters for this letter how the provider of its stage is.
    pub fn asks_for_provider(&self, letter: &Known) -> bool {
        self.rules.iter().any(|(rule, filter)| rule.matches.provider.is_some() && filter.matches(letter))
    }

    /// Whether it matters for any how their group is.
    pub fn asks_for_groups(&self) -> bool {
        self.rules.iter().any(|(rule, _)| rule.matches.group_state.is_some())
    }
}

pub fn stage_of(letter: &Known) -> StageName {
    (letter.entry.pipeline.clone(), letter.entry.stage.clone())
}

/// What the index's own filter can tell.
fn filter(rule: &Rule, now: Timestamp) -> Filter {
    let ago = |span: Duration| now.checked_sub(span).unwrap_or(Timestamp::MIN);
    let which = &rule.matches;
    Filter {
        pipeline: which.pipeline.clone(),
        stage: which.stage.clone(),
        code: which.code.clone(),
        class: which.class.map(|class| class.to_string()),
        fingerprint: which.group.clone(),
        tenant: which.tenant.clone(),
        text: which.text.clone(),
        states: vec![State::Open],
        // Those that died a whole `older_than` ago are old enough.
        until: which.older_than.map(|span| ago(span.0.saturating_sub(Duration::from_millis(1)))),
        since: which.younger_than.map(|span| ago(span.0)),
        ..Filter::default()
    }
}

/// What is so already is left to the rules that follow, and so is what cannot be done.
fn has_something_to_do(action: &Action, letter: &Known) -> bool {
    let entry = &letter.entry;
    let is_ours = entry.writer == Writer::Lazaret;
    match action {
        Action::Redrive(redrive) => is_ours && entry.redrives < redrive.redrives,
        Action::Discard(_) => is_ours,
        Action::Reclassify(to) => entry.code != to.code || entry.class != to.class.to_string(),
        Action::Archive(_) => letter.archived.is_none(),
        Action::Assign(_) => letter.remarks.owner.is_none(),
        Action::Keep(_) => true,
    }
}

#[cfg(test)]
mod tests;
