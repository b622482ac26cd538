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

    /// The place of the first rule that matches and has something to do. When nobody can tell whether the condition of a rule
    /// holds, the letter is left alone, whatever rules follow: the error says why.
    pub fn rule_for(&self, letter: &Known, circumstances: &Circumstances) -> Result<Option<usize>, String> {
        // What has the code that one rule gives is not given another one by the next: they would take turns for ever.
        let mut is_classified = false;
        for (place, (rule, filter)) in self.rules.iter().enumerate() {
            if !filter.matches(letter) || !holds_now(rule, letter, circumstances) {
                continue;
            }
            if let Some(condition) = &rule.matches.condition {
                let holds = condition.holds(|name| operand(letter, name, self.now));
                if !holds.map_err(|why| format!("rule '{}': '{condition}': {why}", rule.name))? {
                    continue;
                }
            }
            let classifies = matches!(rule.action, Action::Reclassify(_));
            match has_something_to_do(&rule.action, letter) {
                true if classifies && is_classified => {}
                true => return Ok(Some(place)),
                false => is_classified |= classifies,
            }
        }
        Ok(None)
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

/// Whether group and provider are as the rule wants them.
fn holds_now(rule: &Rule, letter: &Known, circumstances: &Circumstances) -> bool {
    let is_regressed = circumstances.regressed.contains(&letter.entry.fingerprint);
    let group = rule.matches.group_state;
    let provider = rule.matches.provider;
    group.is_none_or(|wanted| (wanted == GroupStanding::Regressed) == is_regressed)
        && provider.is_none_or(|wanted| circumstances.providers.get(&stage_of(letter)) == Some(&wanted))
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
