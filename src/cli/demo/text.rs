//! The report as text. Nothing from a document or an answer steers the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::output::table;
use crate::demo::account::Fate;
use crate::demo::report::{Answered, Conservation, Letter, Report};
use crate::demo::setup::Folder;
use crate::flow::Code;
use crate::message::payload::Citation;
use crate::ops::dlq::explain::printable;

/// Most dead letters of one stage and code told one by one.
const LETTERS: usize = 5;
/// Most answers told.
const ANSWERS: usize = 50;
/// Most names of missing inputs told.
const MISSING: usize = 5;

// Writing to a string cannot fail, so the results of `writeln!` are not looked at.

/// The whole report.
pub fn report(report: &Report, colour: bool) -> String {
    let mut text = String::new();
    let heading = |text: &mut String, words: &str| {
        let _ = match colour {
            true => writeln!(text, "\n\x1b[1m{words}\x1b[0m"),
            false => writeln!(text, "\n{words}"),
        };
    };
    if !report.answers.is_empty() {
        heading(&mut text, "Answers");
        answers(&mut text, report);
    }
    heading(&mut text, "Stages");
    text.push_str(&stages(report));
    if !report.dead_letters.is_empty() {
        heading(&mut text, "Dead letters");
        letters(&mut text, &report.dead_letters);
    }
    heading(&mut text, "Retry ladder: records waiting now, of those that ever waited");
    text.push_str(&rungs(report));
    heading(&mut text, "Account");
    account(&mut text, report);
    text
}

fn answers(text: &mut String, report: &Report) {
    for answer in report.answers.iter().take(ANSWERS) {
        let _ = writeln!(text, "{}  {}", plain(&answer.id), plain(&answer.question));
        match &answer.text {
            Some(said) => {
                let _ = writeln!(text, "     {}", plain(said));
            }
            None => {
                let _ = writeln!(text, "     {}", without_answer(answer));
            }
        }
        for citation in &answer.citations {
            let _ = writeln!(text, "     {}", cited(citation));
        }
    }
    if let Some(more) = report.answers.len().checked_sub(ANSWERS).filter(|more| *more > 0) {
        let _ = writeln!(text, "… and {more} more (--json has all)");
    }
    if let Some(score) = report.score {
        let _ = writeln!(
            text,
            "{} of {} questions were answered from the document that was expected",
            score.right, score.asked
        );
    }
}

fn without_answer(answer: &Answered) -> &'static str {
    match answer.fate {
        Fate::Dead => "no answer: see its dead letter below",
        _ => "no answer yet",
    }
}

/// `[1] leave-policy.md, p. 2, Annual leave > Days: "Full-time …"`
fn cited(citation: &Citation) -> String {
    let mut place = vec![citation.document.id.clone()];
    place.extend(citation.page.map(|page| format!("p. {page}")));
    place.extend(citation.heading.clone());
    plain(&format!("[{}] {}: “{}”", citation.mark, place.join(", "), citation.quote))
}

fn stages(report: &Report) -> String {
    let row = |stage: &crate::demo::report::Stage| {
        vec![
            format!("{}.{}", stage.pipeline, stage.stage),
            stage.read.to_string(),
            stage.sent.to_string(),
            by_code(&stage.retried),
            by_code(&stage.dead),
        ]
    };
    table(&["stage", "in", "out", "retried", "dead"], report.stages.iter().map(row).collect())
}

/// `3: 2 llm.timeout, 1 llm.malformed`
fn by_code(counts: &BTreeMap<Code, u64>) -> String {
    let sum: u64 = counts.values().sum();
    let parts: Vec<_> = counts.iter().map(|(code, n)| format!("{n} {code}")).collect();
    match parts.as_slice() {
        [] => "0".into(),
        parts => format!("{sum}: {}", parts.join(", ")),
    }
}

/// By stage and code: what it means, and who died of it.
fn letters(text: &mut String, letters: &[Letter]) {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&Letter>> = BTreeMap::new();
    for each in letters {
        let letter = &each.found.letter;
        groups.entry((&letter.pipeline, &letter.stage, &letter.code)).or_default().push(each);
    }
    for ((pipeline, stage, code), group) in groups {
        let place = plain(&format!("{pipeline}.{stage}"));
        let _ =
            writeln!(text, "{} in {place}: {}  (lazaret codes {})", plain(code), group.len(), plain(code));
        for Letter { found, .. } in group.iter().take(LETTERS) {
            let resource = found.letter.correlation.resource.as_deref().unwrap_or("a record without id");
            let _ = writeln!(text, "  {}: {}", plain(resource), plain(&found.letter.message));
        }
        if let Some(more) = group.len().checked_sub(LETTERS).filter(|more| *more > 0) {
            let _ = writeln!(text, "  … and {more} more (--json has all)");
        }
        if let Some(remedy) = group.first().and_then(|letter| letter.remedy.as_ref()) {
            let _ = writeln!(text, "  remedy: submit it again {}", plain(remedy));
        }
    }
}

fn rungs(report: &Report) -> String {
    let mut delays: Vec<&str> = Vec::new();
    let mut rows: Vec<(String, BTreeMap<&str, String>)> = Vec::new();
    for read in &report.rungs {
        let Some(delay) = read.rung.as_deref() else { continue };
        if !delays.contains(&delay) {
            delays.push(delay);
        }
        let name = format!("{}.{}", read.pipeline, read.stage);
        if rows.last().is_none_or(|(last, _)| *last != name) {
            rows.push((name, BTreeMap::new()));
        }
        if let Some((_, row)) = rows.last_mut() {
            row.insert(delay, format!("{} of {}", read.left, read.written));
        }
    }
    let heading: Vec<&str> = ["stage"].into_iter().chain(delays.iter().copied()).collect();
    let row = |(name, mut cells): (String, BTreeMap<&str, String>)| {
        let cells = delays.iter().map(|delay| cells.remove(delay).unwrap_or_default());
        [name].into_iter().chain(cells).collect()
    };
    table(&heading, rows.into_iter().map(row).collect())
}

fn account(text: &mut String, report: &Report) {
    let Conservation { balance, partitions, .. } = &report.conservation;
    let _ = write!(
        text,
        "{} submitted = {} indexed + {} answered + {} dead",
        balance.submitted, balance.indexed, balance.answered, balance.dead
    );
    if balance.partly_dead > 0 {
        let _ = write!(text, " + {} partly dead", balance.partly_dead);
    }
    if balance.open > 0 {
        let _ = write!(text, " + {} not ended", balance.open);
    }
    let _ = writeln!(text, "  (read from the output and dead letter topics)");
    if report.conservation.holds {
        let _ = writeln!(
            text,
            "every input has ended exactly once, nothing waits on a rung, all {partitions} partitions are read and committed to their end"
        );
    } else {
        let why = report.stopped.as_ref().map(|why| format!("stopped before the end ({}): ", plain(why)));
        let why = why.unwrap_or_else(|| "it does not add up: ".into());
        let _ = writeln!(text, "{why}{}", imbalance(&report.conservation));
    }
    let calls: Vec<_> = report.provider_calls.iter().map(|(what, n)| format!("{n} × {what}")).collect();
    let _ = writeln!(text, "calls to the provider: {}", calls.join(", "));
    let _ = writeln!(text, "took {:.1} s", report.took_ms as f64 / 1000.0);
}

/// What is wrong with the account.
pub fn imbalance(conservation: &Conservation) -> String {
    let balance = conservation.balance;
    let mut wrong = Vec::new();
    if balance.open > 0 {
        let named = conservation.missing.iter().take(MISSING).map(|name| plain(name));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = if conservation.missing.len() > MISSING { ", …" } else { "" };
        wrong.push(format!("{} have not ended ({named}{more})", balance.open));
    }
    if balance.doubled > 0 {
        wrong.push(format!("{} ended more than once", balance.doubled));
    }
    if balance.strangers > 0 {
        wrong.push(format!("{} records belong to nothing that was submitted", balance.strangers));
    }
    if conservation.on_rungs > 0 {
        wrong.push(format!("{} records wait on rungs", conservation.on_rungs));
    }
    if conservation.uncommitted > conservation.on_rungs {
        let others = conservation.uncommitted - conservation.on_rungs;
        wrong.push(format!("{others} records of other topics are not committed"));
    }
    wrong.join("; ")
}

/// What can be done from a second terminal.
pub fn kept(report: &Report, folder: &Folder, address: &str) -> String {
    let config = quoted(&folder.config().display().to_string());
    let mut text = String::from("\nEverything is left running until Ctrl-C. From a second terminal:\n");
    let _ = writeln!(text, "  lazaret dlq ls --config {config}");
    if let Some(letter) = report.dead_letters.first().map(|letter| &letter.found.letter) {
        let _ = writeln!(text, "  lazaret dlq show {} --config {config}", plain(&letter.id));
        let _ = writeln!(text, "  lazaret job {} --config {config}", plain(&letter.correlation.job.0));
    }
    let _ = writeln!(text, "  lazaret submit documents PATH --tenant demo --config {config}");
    let _ = writeln!(text, "  curl {address}/metrics");
    text.push_str(&traced(report, folder));
    text
}

/// What can still be done when everything has ended.
pub fn afterwards(report: &Report, folder: &Folder) -> String {
    let mut text = String::from("\nThe log and the ledger stay, to trace a record with:\n");
    if let Some(letter) = report.dead_letters.first().map(|letter| &letter.found.letter) {
        let config = quoted(&folder.config().display().to_string());
        let _ = writeln!(text, "  lazaret job {} --config {config}", plain(&letter.correlation.job.0));
    }
    text.push_str(&traced(report, folder));
    let _ = writeln!(text, "Away with it all: rm -r {}", quoted(&folder.path().display().to_string()));
    text
}

fn traced(report: &Report, folder: &Folder) -> String {
    let log = quoted(&folder.log().display().to_string());
    let letter = report.dead_letters.first();
    let job = letter.map_or("JOB", |letter| letter.found.letter.correlation.job.0.as_str());
    format!("  grep {} {log}\n", plain(job))
}

/// On one line and without control characters.
fn plain(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Ready to be pasted into a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+,".contains(c);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests;
