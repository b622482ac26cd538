//! What to do about one dead letter, step by step, with the commands that do it. Pure.

use serde::Serialize;

use super::account::Account;
use super::explain::quoted;
use crate::flow::Code;
use crate::quarantine::{Entry, Group, State, Writer};

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Runbook {
    /// Of the dead letter.
    pub id: String,
    pub code: String,
    pub fingerprint: String,
    /// The stage's own, if it names one.
    pub runbook: Option<String>,
    pub steps: Vec<Step>,
}

/// One step. The text is Markdown; the commands are for a POSIX shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub title: &'static str,
    pub text: String,
    pub commands: Vec<String>,
}

/// `command` is how commands begin, see `explain::command`.
pub fn runbook(account: &Account, command: &str) -> Runbook {
    let entry = &account.letter.known.entry;
    let told = Telling { account, entry, command, group: format!("--group {}", quoted(&entry.fingerprint)) };
    let steps = vec![
        told.size(),
        told.radius(),
        told.cause(),
        told.mend(),
        told.conditions(),
        told.redrive(),
        told.verify(),
    ];
    Runbook {
        id: entry.id.clone(),
        code: entry.code.clone(),
        fingerprint: entry.fingerprint.clone(),
        runbook: account.letter.care.runbook.clone(),
        steps,
    }
}

struct Telling<'a> {
    account: &'a Account,
    entry: &'a Entry,
    command: &'a str,
    /// The flag that means the letters alike.
    group: String,
}

impl Telling<'_> {
    fn size(&self) -> Step {
        let told = self.account.group.as_ref().map(size).unwrap_or_default();
        let group = &self.group;
        let mut commands = vec![
            format!("dlq groups {group} --state all"),
            format!("dlq count {group} --state all --since 10m"),
        ];
        let Entry { pipeline, stage, writer, .. } = self.entry;
        if *writer == Writer::Lazaret {
            commands.push(format!("lag --pipeline {} --stage {}", quoted(pipeline), quoted(stage)));
        }
        let text =
            format!("{told}Does it still grow, and does the stage go on with other records meanwhile?");
        self.step("Size and growth", text, commands)
    }

    fn radius(&self) -> Step {
        let by = ["tenant", "resource", "producer", "version"]
            .map(|by| format!("dlq count {} --by {by}", self.group));
        self.step("Blast radius", "Who is hit, and do they have something in common?".into(), by)
    }

    fn cause(&self) -> Step {
        let Entry { id, code, message, job, .. } = self.entry;
        let mut text = format!("`{code}`: {message}");
        for (name, url) in &self.account.links {
            text.push_str(&format!("\n{name}: {url}"));
        }
        if self.account.links.is_empty() {
            let trace = self.entry.trace.as_ref().map(|trace| format!(", or `trace_id` {trace}"));
            let trace = trace.unwrap_or_default();
            text.push_str(&format!("\nIts log lines are those with `job_id` {job}{trace}."));
        }
        let mut commands = vec![format!("dlq show {}", quoted(id))];
        commands.extend(self.code().map(|code| format!("codes {code}")));
        if !self.account.life.events.is_empty() {
            commands.push(format!("job {}", quoted(job)));
        }
        self.step("Cause", text, commands)
    }

    fn mend(&self) -> Step {
        let page = self.code().and_then(|code| code.section("What to do"));
        let mut text = match (page, self.entry.class.as_str()) {
            (Some(page), _) => self.filled(page),
            (None, "transient") => {
                "Nobody is at fault for long: wait until what failed is there again.".into()
            }
            (None, _) => {
                "No page tells what to do about this code: mend the cause with those whose it is.".into()
            }
        };
        if let Some(owner) = &self.account.letter.care.owner {
            text.push_str(&format!("\n\n{owner} answers for the stage."));
        }
        if let Some(url) = &self.account.letter.care.runbook {
            text.push_str(&format!("\n\nThe stage's own runbook: {url}"));
        }
        let mut commands = Vec::new();
        if self.entry.writer == Writer::Lazaret && self.entry.class == "permanent" {
            text.push_str(
                "\n\nWhere the record itself is the cause, give it another payload or other headers; for all that are alike \
                 with --group and --patch.",
            );
            commands.push(format!("dlq edit {}", quoted(&self.entry.id)));
        }
        text.push_str(
            "\n\nWhere the configuration is changed, `check` says what is wrong with it before a stage does.",
        );
        commands.push("check".to_owned());
        self.step("Fix, or wait", text, commands)
    }

    fn conditions(&self) -> Step {
        let page = self.code().and_then(|code| code.section("When to redrive"));
        let mut lines: Vec<String> = page.map(|page| self.filled(page)).into_iter().collect();
        let changes = &self.account.changes;
        lines.extend(changes.revision_differs.map(|differs| match differs {
            true => "The stage has another revision now than when the record died.".to_owned(),
            false => "The stage has the revision that it had when the record died: unless something else is another now, \
                      it fails again."
                .to_owned(),
        }));
        if let Some(until) = self.account.letter.care.kept_until {
            lines.push(format!("Kafka may delete the record from {until:.0} on."));
        }
        if self.account.letter.known.state == State::Expired {
            lines.push("Kafka has deleted the record: it cannot be sent back.".to_owned());
        }
        self.step("Before it is sent back", lines.join("\n\n"), [])
    }

    fn redrive(&self) -> Step {
        const TITLE: &str = "Redrive";
        if self.entry.writer != Writer::Lazaret {
            let text =
                "Lazaret sends back only what died in stages of its own: do it with what wrote this letter.";
            return self.step(TITLE, text.into(), []);
        }
        let short = self.entry.fingerprint.get(..8).unwrap_or(&self.entry.fingerprint);
        let name = quoted(&format!("{}-{short}", self.entry.code));
        let text = "A plan shows what would be sent back, and to where; PLAN is the id that it prints. What failed for good \
                    while its stage has not changed needs `--override changed`, when the reason says what else has. What is to \
                    be given up instead: `dlq discard`, with a reason.";
        let commands = [
            format!("redrive plan {} --name {name}", self.group),
            "redrive start PLAN --reason 'what has changed'".to_owned(),
            "redrive report PLAN".to_owned(),
        ];
        self.step(TITLE, text.into(), commands)
    }

    fn verify(&self) -> Step {
        let text = "Over when the run's report says succeeded, none is open or being redriven, no record is missing, and no new \
                    one has died since. Then say that the cause is removed: if one dies of it again, the group is a regressed one.";
        let group = &self.group;
        let commands = [
            format!("dlq count {group}"),
            format!("dlq groups {group} --state all"),
            format!("dlq count {group} --state all --since 10m"),
            format!("verify --pipeline {}", quoted(&self.entry.pipeline)),
            format!("dlq resolve {group} --reason 'what was the cause'"),
        ];
        self.step("Verify", text.into(), commands)
    }

    fn step(&self, title: &'static str, text: String, commands: impl IntoIterator<Item = String>) -> Step {
        let commands = commands.into_iter().map(|rest| format!("{} {rest}", self.command)).collect();
        Step { title, text: text.trim().to_owned(), commands }
    }

    fn code(&self) -> Option<Code> {
        self.entry.code.parse().ok()
    }

    /// The words of the pages that stand for this letter, replaced: those in code.
    fn filled(&self, page: &str) -> String {
        let word = |word: &str| match word {
            "ID" => quoted(&self.entry.id),
            "JOB" => quoted(&self.entry.job),
            "lazaret" => self.command.to_owned(),
            word => word.to_owned(),
        };
        let code = |part: &str| part.split(' ').map(word).collect::<Vec<_>>().join(" ");
        let parts = page.split('`').enumerate();
        parts
            .map(|(n, part)| if n % 2 == 1 { code(part) } else { part.to_owned() })
            .collect::<Vec<_>>()
            .join("`")
    }
}

fn size(group: &Group) -> String {
    let open: u64 = group
        .states
        .iter()
        .filter(|(state, _)| matches!(state, State::Open | State::Redriving))
        .map(|(_, count)| count)
        .sum();
    format!(
        "Letters alike: {}, open or being redriven: {open}, tenants: {}, resources: {}; the first died {:.0}, the last {:.0}. ",
        group.count, group.tenants, group.resources, group.first, group.last
    )
}

#[cfg(test)]
mod tests;
