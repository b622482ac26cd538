//! `lazaret dlq ls`, `groups` and `count`: questions to the index of dead letters.

use clap::ValueEnum as _;
use jiff::Timestamp;
use serde_json::json;

use super::spark::sparkline;
use super::which::{STANDING, Which, index};
use super::{headroom, late, shortened, stage};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::ops::dlq::explain::{age, printable};
use crate::ops::dlq::list::{self, Heap, Letter};
use crate::ops::dlq::price::{Money, Priced};
use crate::ops::quarantine::FollowError;
use crate::quarantine::{By, Cursor, QuarantineError, Share, Tokens};

#[derive(Debug, clap::Args)]
pub struct Ls {
    #[command(flatten)]
    which: Which,
    /// Show at most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Begin where another page ended, as it says.
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    after: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Groups {
    #[command(flatten)]
    which: Which,
    /// Show at most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

#[derive(Debug, clap::Args)]
pub struct Count {
    #[command(flatten)]
    which: Which,
    /// Who or what is hit: the count of each value, the greatest first.
    #[arg(long)]
    by: Option<By>,
    /// Show at most this many values.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

pub async fn ls(ls: Ls, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let filter = ls.which.filter(now, &STANDING)?;
    let after = ls.after.as_deref().map(str::parse::<Cursor>).transpose().map_err(|error| {
        Failure::new(ExitCode::Usage, format!("--after: {error}"))
            .hint("write what the page before says, the field `next` in JSON")
    })?;
    let config = global.load_config()?;
    let index = index(&config, ls.which.no_refresh).await?;
    let listing = list::letters(&config, &index, &filter, after.as_ref(), ls.limit.into(), now).await?;
    match global.format() {
        Format::Json => output::json(&listing)?,
        Format::Ndjson => listing.letters.iter().try_for_each(output::ndjson)?,
        Format::Table if listing.letters.is_empty() => output::to_stderr(&ls.which.none(&config)),
        Format::Table => {
            let heading = [
                "id", "state", "stage", "code", "class", "tenant", "resource", "job", "age", "attempts",
                "late", "message",
            ];
            let rows = listing.letters.iter().map(|letter| letter_row(letter, now)).collect();
            output::to_stdout(&output::table(&heading, rows))?;
        }
    }
    if let Some(next) = &listing.next {
        let shown = listing.letters.len();
        output::to_stderr(&format!("{shown} of {} dead letters; --after {next} shows more\n", listing.count));
    }
    Ok(if listing.letters.is_empty() { ExitCode::NothingMatched } else { ExitCode::Done })
}

fn letter_row(Letter { known, care, .. }: &Letter, now: Timestamp) -> Vec<String> {
    let entry = &known.entry;
    vec![
        entry.id.clone(),
        known.state.as_str().to_owned(),
        stage(&entry.pipeline, &entry.stage),
        printable(&entry.code),
        or_none(&entry.class),
        or_none(entry.tenant.as_deref().unwrap_or_default()),
        or_none(entry.resource.as_deref().unwrap_or_default()),
        printable(&entry.job),
        age(entry.last_failure, now),
        entry.attempts.to_string(),
        late(care),
        shortened(&entry.message),
    ]
}

fn or_none(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { printable(text) }
}

pub async fn groups(groups: Groups, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let filter = groups.which.filter(now, &STANDING)?;
    let config = global.load_config()?;
    let index = index(&config, groups.which.no_refresh).await?;
    let found = list::groups(&config, &index, &filter, groups.limit.into(), now).await?;
    match global.format() {
        Format::Json => output::json(&found)?,
        Format::Ndjson => found.groups.iter().try_for_each(output::ndjson)?,
        Format::Table if found.groups.is_empty() => output::to_stderr(&groups.which.none(&config)),
        Format::Table => {
            let heading = [
                "group",
                "state",
                "stage",
                "code",
                "class",
                "letters",
                "trend",
                "tenants",
                "resources",
                "first",
                "last",
                "kept",
                "late",
                "owner",
            ];
            let costs: Vec<Spent<'_>> =
                found.groups.iter().map(|heap| (heap.group.tokens, heap.cost.as_ref())).collect();
            let rows = found.groups.iter().map(|heap| row(heap, now));
            let (heading, mut rows) = with_costs(&heading, rows, &costs);
            rows.iter_mut()
                .zip(&found.groups)
                .for_each(|(row, heap)| row.push(shortened(&heap.group.message)));
            output::to_stdout(&output::table(&[&heading[..], &["message"]].concat(), rows))?;
        }
    }
    Ok(if found.groups.is_empty() { ExitCode::NothingMatched } else { ExitCode::Done })
}

pub async fn count(count: Count, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let filter = count.which.filter(now, &STANDING)?;
    let config = global.load_config()?;
    let index = index(&config, count.which.no_refresh).await?;
    let all = index.count(&filter).await?;
    let shares = match count.by {
        Some(by) => index.shares(&filter, by, count.limit.into()).await?,
        None => Vec::new(),
    };
    let shares: Vec<Priced<Share>> = shares.into_iter().map(|share| Priced::new(&config, share)).collect();
    match (global.format(), count.by) {
        (Format::Json, None) => output::json(&json!({ "count": all }))?,
        (Format::Json, Some(by)) => {
            output::json(&json!({ "count": all, "by": name(by), "shares": shares }))?;
        }
        (Format::Ndjson, None) => output::ndjson(&json!({ "count": all }))?,
        (Format::Ndjson, Some(_)) => shares.iter().try_for_each(output::ndjson)?,
        (Format::Table, None) => {
            output::to_stdout(&format!("{all}\n"))?;
            if all == 0 {
                output::to_stderr(&count.which.none(&config));
            }
        }
        (Format::Table, Some(by)) => {
            let name = name(by);
            let heading = [name.as_str(), "letters", "share", "first", "last"];
            let costs: Vec<Spent<'_>> =
                shares.iter().map(|share| (share.of.tokens, share.cost.as_ref())).collect();
            let rows = shares.iter().map(|share| share_row(&share.of, all, now));
            let (heading, rows) = with_costs(&heading, rows, &costs);
            output::to_stdout(&output::table(&heading, rows))?;
        }
    }
    Ok(if all == 0 { ExitCode::NothingMatched } else { ExitCode::Done })
}

fn row(heap: &Heap, now: Timestamp) -> Vec<String> {
    let Heap { group, state, trend, care, .. } = heap;
    vec![
        group.fingerprint.clone(),
        state.as_str().to_owned(),
        stage(&group.pipeline, &group.stage),
        printable(&group.code),
        or_none(&group.class),
        group.count.to_string(),
        sparkline(trend),
        group.tenants.to_string(),
        group.resources.to_string(),
        age(group.first, now),
        age(group.last, now),
        headroom(care, now),
        late(care),
        or_none(group.remarks.owner.as_deref().unwrap_or_default()),
    ]
}

fn share_row(share: &Share, all: u64, now: Timestamp) -> Vec<String> {
    vec![
        share.value.as_deref().map_or_else(|| "-".to_owned(), printable),
        share.count.to_string(),
        format!("{:.1} %", share.count as f64 * 100.0 / all.max(1) as f64),
        age(share.first, now),
        age(share.last, now),
    ]
}

/// Tokens, and what they cost, as far as that is known.
type Spent<'a> = (Option<Tokens>, Option<&'a Money>);

/// The table with columns of tokens and costs, where any are known.
fn with_costs<'a>(
    heading: &[&'a str],
    rows: impl Iterator<Item = Vec<String>>,
    costs: &[Spent<'_>],
) -> (Vec<&'a str>, Vec<Vec<String>>) {
    if costs.iter().all(|(tokens, _)| tokens.is_none()) {
        return (heading.to_vec(), rows.collect());
    }
    let none = || "-".to_owned();
    let with = |(mut row, (tokens, cost)): (Vec<String>, &Spent<'_>)| {
        row.push(tokens.map_or_else(none, |tokens| tokens.input.saturating_add(tokens.output).to_string()));
        row.push(cost.map_or_else(none, |cost| format!("{} {}", cost.amount, cost.currency)));
        row
    };
    ([heading, &["tokens", "cost"]].concat(), rows.zip(costs).map(with).collect())
}

fn name(by: By) -> String {
    by.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

impl From<QuarantineError> for Failure {
    fn from(error: QuarantineError) -> Self {
        Failure::new(ExitCode::Failed, error.to_string()).at("quarantine")
    }
}

impl From<FollowError> for Failure {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Kafka(problem) => problem.into(),
            FollowError::Index(error) => error.into(),
            error @ (FollowError::Archive(_) | FollowError::Anew(_)) => {
                Failure::new(ExitCode::Failed, error.to_string())
            }
        }
    }
}
