//! `lazaret dlq audit`: who did what with dead letters, when and why.

use jiff::Timestamp;
use serde_json::json;

use super::which::index;
use super::{ensure_id, shortened, time};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::ops::dlq::explain::{age, printable};
use crate::ops::quarantine::selection::{Target, letters};
use crate::quarantine::{Act, ActFilter, Deed};

/// Acts for which all of this holds.
#[derive(Debug, clap::Args)]
pub struct Audit {
    /// Acts on this dead letter: its id, or as much of its beginning as tells it from the others.
    id: Option<String>,
    /// Acts on this group as a whole.
    #[arg(long, value_name = "FINGERPRINT")]
    group: Option<String>,
    /// All acts of one operation: of a command, a run of redrive, a sweep.
    #[arg(long, value_name = "ID")]
    operation: Option<String>,
    /// What this person, or this rule (`rule:NAME`), did.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only what was done in this time, such as 2h, or since then, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<String>,
    /// Only what was done before.
    #[arg(long, value_name = "SPAN|TIME")]
    until: Option<String>,
    /// Ask the index as it is, without reading what has come since.
    #[arg(long)]
    no_refresh: bool,
    /// Show at most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub async fn audit(audit: Audit, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let at =
        |flag: &str, text: &Option<String>| text.as_deref().map(|text| time(flag, text, now)).transpose();
    let (since, until) = (at("--since", &audit.since)?, at("--until", &audit.until)?);
    audit.id.as_deref().map_or(Ok(()), ensure_id)?;
    let index = index(&global.load_config()?, audit.no_refresh).await?;
    let letter = match audit.id {
        Some(id) => letters(&*index, &Target::Letters(vec![id]), 1, |_| {}).await?.ids.pop(),
        None => None,
    };
    let filter =
        ActFilter { letter, group: audit.group, operation: audit.operation, by: audit.by, since, until };
    let page = index.audit(&filter, None, audit.limit.into()).await?;
    match global.format() {
        Format::Json => output::json(&json!({ "acts": page.acts, "complete": page.next.is_none() }))?,
        Format::Ndjson => page.acts.iter().try_for_each(output::ndjson)?,
        Format::Table if page.acts.is_empty() => output::to_stderr("nobody did anything of that kind\n"),
        Format::Table => {
            let heading = ["at", "age", "by", "deed", "on", "reason", "operation"];
            output::to_stdout(&output::table(&heading, page.acts.iter().map(|act| row(act, now)).collect()))?;
        }
    }
    if page.next.is_some() {
        output::to_stderr("there are more; --limit or --until shows them\n");
    }
    Ok(if page.acts.is_empty() { ExitCode::NothingMatched } else { ExitCode::Done })
}

fn row(act: &Act, now: Timestamp) -> Vec<String> {
    let on = match (&act.group, act.letters.as_slice()) {
        (Some(group), _) => format!("group {}", printable(group)),
        (None, [one]) => printable(one),
        (None, many) => format!("{} letters", many.len()),
    };
    vec![
        format!("{:.0}", act.at),
        age(act.at, now),
        printable(&act.by),
        shortened(&deed(&act.deed)),
        on,
        act.reason.as_deref().map_or_else(|| "-".into(), shortened),
        act.operation.clone(),
    ]
}

/// What was done, in a few words.
fn deed(deed: &Deed) -> String {
    match deed {
        Deed::Settled { outcome } => format!("settled: {}", outcome.as_str()),
        Deed::Reclassified { code, class } => format!("reclassified: {code} ({class})"),
        Deed::Edited { edit } => format!("edited: {} bytes", edit.bytes),
        Deed::Noted { text } => format!("noted: {text}"),
        Deed::Assigned { owner } => format!("assigned: {owner}"),
        Deed::Linked { ticket } => format!("linked: {ticket}"),
        Deed::Planned { plan } => format!("planned: a redrive of {} letters", plan.letters),
        Deed::Enlisted { from, .. } => format!("enlisted: letters of a plan from {from} on"),
        Deed::Archived { parcel } => format!("archived: {}", parcel.object),
        Deed::Unarchived { object } => format!("unarchived: {object}"),
        Deed::Recalled { to } => format!("recalled: to {to}"),
        Deed::Started { overridden, .. } if !overridden.is_empty() => {
            format!("started, whatever was found of: {}", overridden.join(", "))
        }
        other => other.name().into(),
    }
}
