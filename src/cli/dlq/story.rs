//! One dead letter in words: cause and remedy first, then who, where and when, what was done, what became of the job, and
//! what to do next. Pure.

mod record;

use std::fmt::Write as _;

use jiff::Timestamp;

use super::edit::told;
use super::{late, stage};
use crate::flow::Code;
use crate::ops::dlq::account::{Account, EditOf};
use crate::ops::dlq::explain::{age, printable, quoted};
use crate::ops::dlq::life::{Cost, Life};
use crate::ops::job::{detail, since};
use crate::quarantine::{Act, Deed, Group, Remarks, State, Writer};

/// Events of the life of a job that are shown, the latest.
const EVENTS_MAX: usize = 100;

/// For whom a dead letter is told.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// Contents of the record are shown too.
    pub payload: bool,
    pub now: Timestamp,
    /// How commands to paste begin.
    pub command: &'a str,
}

// Writing to a string cannot fail, so the results of `writeln!` are not looked at.

/// The whole of it.
pub fn story(account: &Account, telling: &Telling<'_>) -> String {
    let mut text = String::new();
    cause(&mut text, account);
    facts(&mut text, account, telling.now);
    chain(&mut text, account);
    if let Some(group) = &account.group {
        alike(&mut text, group);
    }
    acts(&mut text, account);
    life(&mut text, &account.life, telling.command);
    cost(&mut text, &account.cost);
    changes(&mut text, account);
    for (name, url) in &account.links {
        let _ = writeln!(text, "{name:<14}{url}");
    }
    if account.links.is_empty() {
        let _ = writeln!(
            text,
            "logs          the lines with this job_id or trace_id; quarantine.links may lead there"
        );
    }
    record::standing(&mut text, account);
    if let Some(changes) = &account.edit_changes {
        let _ = writeln!(text, "\nwhat was edited\n{}", told::changes(changes).trim_end());
    }
    next(&mut text, account, telling);
    printable(&text)
}

fn cause(text: &mut String, account: &Account) {
    let entry = &account.letter.known.entry;
    let class = if entry.class.is_empty() { "of no known class" } else { &entry.class };
    let _ = writeln!(text, "{} ({class}): {}", entry.code, entry.message);
    if let Some(why) = why_of_class(account) {
        let _ = writeln!(text, "{why}");
    }
    let _ = writeln!(text);
    match (entry.code.parse::<Code>(), entry.writer) {
        (Ok(code), _) => _ = writeln!(text, "{}\n", code.page().trim()),
        (Err(unknown), Writer::Lazaret) => {
            let _ = writeln!(text, "{unknown}; it was written by another version of Lazaret\n");
        }
        (Err(_), Writer::Unknown) => {
            let _ = writeln!(text, "It is not known who wrote it: its headers say nothing of a failure.\n");
        }
        (Err(_), writer) => {
            let _ =
                writeln!(text, "It was written by {}: no page of Lazaret tells what to do.\n", name(writer));
        }
    }
}

/// Why the class is not that of the code.
fn why_of_class(account: &Account) -> Option<String> {
    let entry = &account.letter.known.entry;
    let own = entry.code.parse::<Code>().ok()?.class().to_string();
    if own == entry.class || entry.class.is_empty() {
        return None;
    }
    let reclassified = account.acts.iter().rev().find(|act| matches!(act.deed, Deed::Reclassified { .. }));
    let because = match reclassified {
        Some(act) => format!("'{}' reclassified it at {:.3}", act.by, act.at),
        None => format!(
            "a rule of the stage made it so (classify, of {} in the configuration)",
            stage(&entry.pipeline, &entry.stage)
        ),
    };
    Some(format!("Failures of this code are {own} by themselves; {because}."))
}

fn name(writer: Writer) -> &'static str {
    match writer {
        Writer::Lazaret => "Lazaret",
        Writer::Spring => "Spring",
        Writer::KafkaConnect => "Kafka Connect",
        Writer::KafkaStreams => "Kafka Streams",
        Writer::ShareGroup => "a share group",
        Writer::Karafka => "Karafka",
        Writer::SmallRye => "SmallRye",
        Writer::NServiceBus => "NServiceBus",
        Writer::Unknown => "somebody",
    }
}

fn facts(text: &mut String, account: &Account, now: Timestamp) {
    let (known, care) = (&account.letter.known, &account.letter.care);
    let entry = &known.entry;
    let seen = if known.looked_at { "somebody has looked at it" } else { "nobody has looked at it" };
    let revision = entry.revision.as_ref().map(|revision| format!(" (revision {revision})"));
    let time = |time: Timestamp| format!("{time:.3}");
    let origin = entry.origin.as_ref().map(|origin| match (origin.partition, origin.offset) {
        (Some(partition), Some(offset)) => format!("{}-{partition}@{offset}", origin.topic),
        _ => origin.topic.clone(),
    });
    let edited = known.edit.as_ref().map(|edit| {
        let sent = if edit.sent { "sent back so" } else { "it goes so when it is sent back" };
        let reason = edit.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("by {} at {}{reason}; {sent}", edit.by, time(edit.at))
    });
    let edit_of = account.edit_of.as_ref().map(|EditOf { letter, edit }| {
        format!(
            "dead letter {letter}, by {} at {}: the record is not what its producer wrote",
            edit.by,
            time(edit.at)
        )
    });
    let rows = [
        ("dead letter", Some(entry.id.clone())),
        ("state", Some(format!("{}; {seen}", known.state.as_str()))),
        ("edited", edited),
        ("edit of", edit_of),
        ("stands at", Some(entry.at.to_string())),
        ("stage", Some(format!("{}{}", stage(&entry.pipeline, &entry.stage), revision.unwrap_or_default()))),
        ("job", Some(entry.job.clone())),
        ("tenant", Some(entry.tenant.clone().unwrap_or_else(|| "none".into()))),
        ("resource", Some(entry.resource.clone().unwrap_or_else(|| "none".into()))),
        ("trace", entry.trace.clone()),
        ("producer", entry.producer.clone()),
        ("feature", entry.feature.clone()),
        ("model", entry.model.clone()),
        ("came from", origin),
        ("attempts", Some(entry.attempts.to_string())),
        ("first failure", Some(time(entry.first_failure))),
        ("last failure", Some(format!("{}, {} ago", time(entry.last_failure), age(entry.last_failure, now)))),
        ("redriven", Some(format!("{} before it died", times(entry.redrives)))),
        ("fingerprint", Some(entry.fingerprint.clone())),
        ("owner", care.owner.clone()),
        ("runbook", care.runbook.clone()),
        ("look by", care.look_by.map(time)),
        ("resolve by", care.resolve_by.map(time)),
        ("late", Some(late(care)).filter(|late| late != "-")),
        ("kept until", care.kept_until.map(|until| format!("{}, when Kafka may delete it", time(until)))),
        ("archived in", account.letter.known.archived.as_ref().map(|parcel| printable(&parcel.object))),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<14}{value}");
        }
    }
}

fn times(count: u32) -> String {
    match count {
        0 => "never".into(),
        1 => "once".into(),
        count => format!("{count} times"),
    }
}

fn chain(text: &mut String, account: &Account) {
    let chain = &account.letter.known.entry.chain;
    if !chain.is_empty() {
        let _ = writeln!(text, "\ncauses");
    }
    for cause in chain {
        let _ = writeln!(text, "  {cause}");
    }
}

fn alike(text: &mut String, group: &Group) {
    let states: Vec<String> =
        group.states.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    let _ = writeln!(
        text,
        "\ngroup         {}; letters: {}, of them {}",
        group.state().as_str(),
        group.count,
        states.join(", ")
    );
    let Remarks { note, owner, ticket } = &group.remarks;
    let said = [("assigned to", owner), ("ticket", ticket), ("note", note)];
    for (name, value) in said {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<14}{value}");
        }
    }
}

fn acts(text: &mut String, account: &Account) {
    for (heading, acts) in
        [("what was done with it", &account.acts), ("what was done with its group", &account.group_acts)]
    {
        if !acts.is_empty() {
            let _ = writeln!(text, "\n{heading}");
        }
        for act in acts {
            let reason = act.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let _ = writeln!(text, "  {:.3}  {}  {}{reason}", act.at, act.by, deed(act));
        }
    }
}

/// What was done, and with what: the fields of the deed as they stand in the act.
fn deed(act: &Act) -> String {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::to_value(&act.deed) else {
        return String::new();
    };
    let name = fields.remove("deed").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
    let words: Vec<String> = fields.values().filter_map(|value| value.as_str().map(str::to_owned)).collect();
    if words.is_empty() { name } else { format!("{name}: {}", words.join(", ")) }
}

fn life(text: &mut String, life: &Life, command: &str) {
    let _ = writeln!(text, "\nlife of the job");
    if let Some(why) = &life.unread {
        let _ = writeln!(text, "  not known: {why}");
        return;
    }
    if let Some(job) = &life.job {
        let _ = writeln!(
            text,
            "  now {} in its stage, attempt {}, redriven {}, since {:.3}",
            job.state,
            job.attempt,
            times(job.redrives),
            job.updated_at
        );
    }
    let (Some(first), events) = (life.events.first(), &life.events) else {
        let _ = writeln!(text, "  the ledger knows nothing of it");
        return;
    };
    let left_out = events.len().saturating_sub(EVENTS_MAX);
    if left_out > 0 {
        let _ = writeln!(text, "  … {left_out} earlier events");
    }
    for event in events.iter().skip(left_out) {
        let (at, detail) = (since(first.at, event.at), detail(event, command));
        let stage = format!("{}.{}", event.pipeline, event.stage);
        let _ = writeln!(text, "  {:.3}  {at:>10}  {stage}  {}  {detail}", event.at, event.kind);
    }
}

fn cost(text: &mut String, cost: &Cost) {
    let mut words: Vec<String> = Vec::new();
    words.extend(cost.attempts.map(|attempts| match attempts {
        1 => "1 attempt in all".to_owned(),
        attempts => format!("{attempts} attempts in all"),
    }));
    words.extend(cost.asked.iter().map(|asked| {
        format!(
            "{} of them at {}.{}, which asks {} for {}",
            asked.attempts, asked.pipeline, asked.stage, asked.provider, asked.model
        )
    }));
    words.push(match &cost.tokens {
        Some(spent) => {
            format!("{} tokens in and {} out, as providers counted them", spent.input, spent.output)
        }
        None => "tokens are not known".to_owned(),
    });
    words.extend(cost.price.as_ref().map(|price| format!("{} {}", price.amount, price.currency)));
    let _ = writeln!(text, "\ncost so far   {}", words.join("; "));
}

fn changes(text: &mut String, account: &Account) {
    let changes = &account.changes;
    let mut words: Vec<String> = Vec::new();
    words.push(match (&changes.revision_now, changes.revision_differs) {
        (Some(now), Some(true)) => format!("the stage's revision is {now} now"),
        (Some(_), Some(false)) => "the stage's revision is the same".to_owned(),
        (Some(now), None) => format!("the stage's revision is {now} now, and was not noted then"),
        (None, _) => "this configuration has no such stage".to_owned(),
    });
    words.extend(changes.resolved_at.map(|at| format!("its group was said to be resolved at {at:.3}")));
    let _ = writeln!(text, "changed since {}", words.join("; "));
}

fn next(text: &mut String, account: &Account, telling: &Telling<'_>) {
    let (entry, command) = (&account.letter.known.entry, telling.command);
    let _ = writeln!(text, "\nnext");
    let _ = writeln!(text, "  {command} dlq runbook {}", quoted(&entry.id));
    if !account.life.events.is_empty() {
        let _ = writeln!(text, "  {command} job {}", quoted(&entry.job));
    }
    if !telling.payload {
        let _ = writeln!(text, "  {command} dlq show {} --payload", quoted(&entry.id));
    }
    let group = quoted(&entry.fingerprint);
    let _ = writeln!(text, "  {command} dlq ls --group {group} --state all");
    if account.letter.known.state == State::Open && entry.writer == Writer::Lazaret {
        let _ = writeln!(text, "  {command} redrive plan --group {group}");
    }
}

#[cfg(test)]
mod tests;
