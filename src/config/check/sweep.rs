//! Rules of the sweep: names, stages that there are, limits that let something through, rules that are never reached.

use std::collections::BTreeSet;

use super::Findings;
use crate::config::model::Config;
use crate::config::model::sweep::{Action, Match, Reclassify, Redrive, Rule};
use crate::config::{CONDITIONS, suggest};
use crate::flow::Code;
use crate::flow::code::is_in_area;

pub fn check(config: &Config, found: &mut Findings) {
    rules(config, &config.quarantine.sweep.rules, "quarantine.sweep.rules", found);
    if config.quarantine.sweep.schedule.is_some() && config.quarantine.sweep.rules.is_empty() {
        let hint = "add a rule, or leave the schedule out";
        found.warning("quarantine.sweep.schedule", "there is no rule to sweep by", hint);
    }
}

/// `path` is that of the list.
pub fn rules(config: &Config, rules: &[Rule], path: &str, found: &mut Findings) {
    let mut names = BTreeSet::new();
    let mut catches_all: Option<&str> = None;
    let given = rules.iter().filter_map(|rule| match &rule.action {
        Action::Reclassify(to) => Some(to.code.as_str()),
        _ => None,
    });
    let given: Vec<&str> = given.collect();
    for (n, rule) in rules.iter().enumerate() {
        let path = format!("{path}[{n}]");
        if rule.name.trim().is_empty() || rule.name.chars().any(char::is_control) {
            found.error(
                format!("{path}.name"),
                "a rule needs a name",
                "acts are written down in it; say what it is for",
            );
        } else if !names.insert(rule.name.as_str()) {
            let message = format!("there are two rules '{}'", rule.name);
            found.error(format!("{path}.name"), message, "give each its own name");
        }
        if let Some(earlier) = catches_all {
            let message =
                format!("this rule is never reached: '{earlier}' before it is for all dead letters");
            found.warning(format!("{path}.match"), message, "put it before that one");
        }
        which(config, &rule.matches, &given, &format!("{path}.match"), found);
        if let Some(back) = circle(rules, rule) {
            let message = format!(
                "what this rule reclassifies comes back to it by rule '{back}', again at every sweep"
            );
            found.warning(format!("{path}.do.reclassify"), message, "let one of them match less");
        }
        match &rule.action {
            Action::Archive(_) if config.quarantine.archive.is_none() => found.error(
                format!("{path}.do.archive"),
                "there is no archive",
                "name a folder or a store with 'quarantine.archive'",
            ),
            Action::Redrive(redrive) => sent_back(redrive, &format!("{path}.do.redrive"), found),
            Action::Keep(_) | Action::Discard(_) if rule.matches == Match::default() => {
                catches_all = catches_all.or(Some(&rule.name));
            }
            _ => {}
        }
        for (name, text) in texts(&rule.action) {
            if text.trim().is_empty() {
                let path = format!("{path}.do.{}.{name}", rule.action.name());
                found.error(path, "this text is empty", "write something that people will understand");
            }
        }
    }
}

/// The rule that gives what this one reclassifies back to it, if nothing but code, class and stage mattered.
fn circle<'a>(rules: &'a [Rule], from: &'a Rule) -> Option<&'a str> {
    let (mut rule, mut passed) = (from, BTreeSet::new());
    while let Action::Reclassify(to) = &rule.action {
        if !passed.insert(rule.name.as_str()) {
            return None;
        }
        let next = taken_by(rules, to, &from.matches)?;
        if next.name == from.name {
            return Some(&rule.name);
        }
        rule = next;
    }
    None
}

/// The rule that decides on what has this code and class, as a sweep finds it (`ops::sweep::judge`).
fn taken_by<'a>(rules: &'a [Rule], now: &Reclassify, place: &Match) -> Option<&'a Rule> {
    let mut is_classified = false;
    for rule in rules.iter().filter(|rule| is_for(&rule.matches, now, place)) {
        match &rule.action {
            Action::Reclassify(to) if to == now => is_classified = true,
            Action::Reclassify(_) if is_classified => {}
            _ => return Some(rule),
        }
    }
    None
}

/// Whether code and class are those that are matched, and pipeline and stage can be.
fn is_for(matches: &Match, of: &Reclassify, place: &Match) -> bool {
    let can_be =
        |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
    matches.code.as_deref().is_none_or(|code| is_in_area(&of.code, code))
        && matches.class.is_none_or(|class| class == of.class)
        && can_be(&matches.pipeline, &place.pipeline)
        && can_be(&matches.stage, &place.stage)
}

fn texts(action: &Action) -> Vec<(&'static str, &str)> {
    match action {
        Action::Reclassify(to) => vec![("code", &to.code)],
        Action::Discard(discard) => vec![("reason", &discard.reason)],
        Action::Assign(assign) => vec![("owner", &assign.owner)],
        Action::Redrive(redrive) => redrive.reason.iter().map(|text| ("reason", text.as_str())).collect(),
        Action::Archive(_) | Action::Keep(_) => Vec::new(),
    }
}

/// `given`: codes that rules give.
fn which(config: &Config, matches: &Match, given: &[&str], path: &str, found: &mut Findings) {
    if let Some(name) = &matches.pipeline
        && !config.pipelines.contains_key(name)
    {
        let hint = suggest::hint(name, "known are", config.pipelines.keys().map(String::as_str));
        found.error(format!("{path}.pipeline"), format!("there is no pipeline '{name}'"), hint);
        return;
    }
    let of = matches.pipeline.as_deref();
    let pipelines = config.pipelines.iter().filter(|(name, _)| of.is_none_or(|of| of == name.as_str()));
    let stages: Vec<_> = pipelines.flat_map(|(_, pipeline)| &pipeline.stages).collect();
    if let Some(name) = &matches.stage {
        let named: Vec<_> = stages.iter().filter(|stage| stage.name == *name).collect();
        if named.is_empty() {
            let hint = suggest::hint(name, "known are", stages.iter().map(|stage| stage.name.as_str()));
            found.error(format!("{path}.stage"), format!("there is no stage '{name}'"), hint);
        } else if matches.provider.is_some() && named.iter().all(|stage| stage.kind.asks().is_none()) {
            let message = format!("stage '{name}' calls no provider, and so the rule matches nothing");
            found.error(format!("{path}.provider"), message, "leave 'provider' out");
        }
    }
    if let Some(code) = &matches.code
        && !Code::ALL.iter().any(|known| is_in_area(known.as_str(), code))
        && !given.iter().any(|known| is_in_area(known, code))
        && config.quarantine.topics.is_empty()
    {
        let known = Code::ALL.iter().map(|code| code.as_str());
        let near = suggest::nearest(code, known).map(|near| format!("did you mean '{near}'? "));
        let hint = format!("{}`lazaret codes` lists them", near.unwrap_or_default());
        found.warning(format!("{path}.code"), format!("no failure of Lazaret has the code '{code}'"), hint);
    }
    if let (Some(older), Some(younger)) = (matches.older_than, matches.younger_than)
        && older >= younger
    {
        let message = format!("nothing is older than {older} and younger than {younger}");
        found.error(format!("{path}.younger_than"), message, "make it longer than 'older_than'");
    }
}

fn sent_back(redrive: &Redrive, path: &str, found: &mut Findings) {
    let mut not_zero = |name: &str, is_zero: bool| {
        if is_zero {
            found.error(format!("{path}.{name}"), "nothing would ever be sent back", "write at least 1");
        }
    };
    not_zero("redrives", redrive.redrives == 0);
    not_zero("most", redrive.most == 0);
    not_zero("rate", redrive.rate == Some(0));
    not_zero("canary", redrive.canary.as_ref().is_some_and(|sizes| sizes.contains(&0)));
    if redrive.gate.is_some_and(|gate| gate > 100) {
        found.error(format!("{path}.gate"), "a share is at most 100 percent", "write 95, for example");
    }
    if redrive.redrives > 3 && !redrive.overridden.iter().any(|name| name == "loop") {
        let message =
            "what was sent back three times is held back by the condition 'loop', with all that goes with it";
        let hint = "write at most 3, or set 'loop' aside with 'override'";
        found.error(format!("{path}.redrives"), message, hint);
    }
    if redrive.overridden.is_empty() {
        return;
    }
    for name in redrive.overridden.iter().filter(|name| !CONDITIONS.contains(&name.as_str())) {
        let message = format!("there is no condition '{name}' of a redrive");
        found.error(format!("{path}.override"), message, suggest::hint(name, "known are", CONDITIONS));
    }
    if redrive.reason.is_none() {
        let message = "conditions are set aside, and nobody says why";
        found.error(format!("{path}.reason"), message, "say it here; it stands in every act");
    }
}
