//! Plans, runs and what became of letters, in words.

use std::fmt::Write as _;
use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde_json::json;

use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::config::{Size, Span};
use crate::ops::dlq::explain::{age, printable};
use crate::ops::quarantine::pages;
use crate::ops::redrive::successor;
use crate::quarantine::{Estimate, Fate, InRun, Plan, Quarantine, Run, Tally};

/// Letters that are read together.
const PAGE: usize = 1000;

/// A plan. Writing to a string cannot fail, so the results of `writeln!` are not looked at.
pub fn about(plan: &Plan, now: Timestamp) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<14}{value}");
    if !plan.name.is_empty() {
        line("name", printable(&plan.name));
    }
    line("stage", format!("{}.{}", plan.pipeline, plan.stage));
    line("selected by", printable(&plan.selection));
    let permanent: u64 = plan.permanent.values().sum();
    line("letters", format!("{}, of which {permanent} failed for good", plan.letters));
    if plan.edited > 0 {
        line(
            "edited",
            format!("{} go with another payload or other headers than they died with", plan.edited),
        );
    }
    line("of", format!("{} groups, {} tenants", plan.groups.len(), plan.tenants));
    line("bytes", Size(plan.bytes).to_string());
    if let Some(estimate) = &plan.estimate {
        line("cost", cost(estimate));
    }
    if plan.approval {
        line("approval", "another person has to approve it before it is started".to_owned());
    }
    if let Some(oldest) = plan.oldest {
        line("oldest", format!("{oldest:.0}, {} ago", age(oldest, now)));
    }
    if let Some(preview) = plan.preview {
        let mut parts = vec![format!("{} will run", preview.run)];
        for (count, what) in [
            (preview.done, "are done already and will be skipped"),
            (preview.under_way, "are under way already"),
            (preview.unknown, "it does not know"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        line("ledger", format!("of {}: {}", preview.asked, parts.join(", ")));
    }
    let policy = &plan.policy;
    let canaries: Vec<String> = policy.canary.iter().map(u32::to_string).collect();
    let canaries = if canaries.is_empty() { "none".to_owned() } else { canaries.join(", then ") };
    line("canaries", canaries);
    let takes = Span(policy.duration(plan.letters));
    line(
        "then",
        format!("{} a second, at most {} outstanding: about {takes}", policy.rate, policy.outstanding),
    );
    line("stops", format!("below {} % success, or when one dies of something new", policy.gate));
    text
}

/// What it will cost, and how that is known.
fn cost(estimate: &Estimate) -> String {
    let Estimate { provider, model, calls, input, output, measured, cost, currency } = estimate;
    let cost = match cost {
        Some(cost) => format!("at most {cost} {currency}"),
        None => "not known, since the configuration has no price".to_owned(),
    };
    let by = match measured {
        0 => "4 bytes of a record are taken for one".to_owned(),
        some => format!("the mean of {some} that it has counted"),
    };
    let (provider, model) = (printable(provider), printable(model));
    format!(
        "{cost}: {calls} calls to {model} of '{provider}', about {input} tokens in ({by}), at most {output} out"
    )
}

/// A run: where it is, then its plan.
pub fn status(run: &Run, global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Json => output::json(run),
        Format::Ndjson => output::ndjson(run),
        Format::Table => {
            let mut text = String::new();
            let mut line = |name: &str, value: String| _ = writeln!(text, "{name:<14}{value}");
            line("redrive", run.id.clone());
            let reason = run.reason.as_deref().map(|reason| format!(": {}", printable(reason)));
            line("state", format!("{}{}", run.state.as_str(), reason.unwrap_or_default()));
            line("planned", format!("{:.0} by {}", run.planned_at, printable(&run.by)));
            for approval in &run.approvals {
                let reason = approval.reason.as_deref().map(|reason| format!(": {}", printable(reason)));
                let (at, by) = (approval.at, printable(&approval.by));
                line("approved", format!("{at:.0} by {by}{}", reason.unwrap_or_default()));
            }
            if let Some(started) = run.started_at {
                line("started", format!("{started:.0}"));
            }
            if !run.overridden.is_empty() {
                line("overridden", run.overridden.join(", "));
            }
            line("so far", counts(&run.tally));
            text.push('\n');
            text.push_str(&about(&run.plan, Timestamp::now()));
            output::to_stdout(&text)
        }
    }
}

/// Those of which there are any.
pub fn counts(tally: &Tally) -> String {
    let all = [
        (tally.succeeded, "succeeded"),
        (tally.failed, "failed again"),
        (tally.skipped, "skipped as done"),
        (tally.expired, "expired"),
        (tally.elsewhere, "done elsewhere"),
        (tally.pending, "pending"),
        (tally.left, "left"),
    ];
    let some = all.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let some: Vec<String> = some.collect();
    if some.is_empty() { "nothing".to_owned() } else { some.join(", ") }
}

pub async fn runs(index: &Arc<dyn Quarantine>, limit: usize, global: &Global) -> Result<ExitCode, Failure> {
    let runs = index.runs(limit).await?;
    match global.format() {
        Format::Json => output::json(&json!({ "redrives": runs }))?,
        Format::Ndjson => runs.iter().try_for_each(output::ndjson)?,
        Format::Table if runs.is_empty() => output::to_stderr("no redrives\n"),
        Format::Table => {
            let now = Timestamp::now();
            let row = |run: &Run| {
                vec![
                    run.id.clone(),
                    run.state.as_str().to_owned(),
                    format!("{}.{}", run.plan.pipeline, run.plan.stage),
                    printable(&run.plan.name),
                    run.plan.letters.to_string(),
                    counts(&run.tally),
                    age(run.planned_at, now),
                    printable(&run.by),
                ]
            };
            let heading = ["id", "state", "stage", "name", "letters", "so far", "age", "by"];
            output::to_stdout(&output::table(&heading, runs.iter().map(row).collect()))?;
        }
    }
    Ok(if runs.is_empty() { ExitCode::NothingMatched } else { ExitCode::Done })
}

/// What became of each letter, in the order of the plan.
pub async fn report(
    index: &Arc<dyn Quarantine>,
    run: &Run,
    only: &[String],
    global: &Global,
) -> Result<ExitCode, Failure> {
    let fates = fates(only)?;
    let (mut tally, mut shown) = (Tally::default(), Vec::new());
    let mut pages = pages::in_run(&**index, &run.id, PAGE);
    while let Some(letters) = pages.try_next().await? {
        for letter in letters {
            tally.add(letter.fate);
            if !fates.is_empty() && !fates.contains(&letter.fate) {
                continue;
            }
            let line = line(index, letter).await?;
            match global.format() {
                Format::Ndjson => output::ndjson(&line)?,
                Format::Json | Format::Table => shown.push(line),
            }
        }
    }
    match global.format() {
        Format::Ndjson => {}
        Format::Json => output::json(&json!({ "redrive": run, "tally": tally, "letters": shown }))?,
        Format::Table => {
            let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or("-").to_owned();
            let row = |line: &serde_json::Value| {
                ["id", "job", "tenant", "fate", "again_as", "again_of"]
                    .map(|key| printable(&text(line, key)))
                    .to_vec()
            };
            let heading = ["id", "job", "tenant", "fate", "again as", "again of"];
            output::to_stdout(&output::table(&heading, shown.iter().map(row).collect()))?;
            output::to_stderr(&format!("{}: {}\n", run.state.as_str(), counts(&tally)));
        }
    }
    Ok(ExitCode::Done)
}

async fn line(index: &Arc<dyn Quarantine>, letter: InRun) -> Result<serde_json::Value, Failure> {
    let entry = letter.letter.map(|known| known.entry);
    let again = match (&entry, letter.fate) {
        (Some(entry), Fate::Failed) => successor(index, entry).await?,
        _ => None,
    };
    Ok(json!({
        "place": letter.place,
        "id": letter.id,
        "fate": letter.fate,
        "job": entry.as_ref().map(|entry| &entry.job),
        "tenant": entry.as_ref().and_then(|entry| entry.tenant.as_ref()),
        "resource": entry.as_ref().and_then(|entry| entry.resource.as_ref()),
        "again_as": again.as_ref().map(|entry| &entry.id),
        "again_of": again.as_ref().map(|entry| &entry.code),
        "again_spent": again.as_ref().and_then(|entry| entry.spent),
    }))
}

fn fates(names: &[String]) -> Result<Vec<Fate>, Failure> {
    let fate = |name: &String| {
        Fate::ALL.into_iter().find(|fate| fate.as_str() == name).ok_or_else(|| {
            let all = Fate::ALL.map(Fate::as_str).join(", ");
            Failure::new(ExitCode::Usage, format!("--only: '{}' is none of {all}", printable(name)))
        })
    };
    names.iter().map(fate).collect()
}
