//! `lazaret dlq groups` and `lazaret dlq count`: questions to the index of dead letters.

use clap::ValueEnum as _;
use jiff::Timestamp;
use serde_json::json;

use super::shortened;
use super::which::{STANDING, Which, index};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::ops::dlq::explain::{age, printable};
use crate::ops::quarantine::FollowError;
use crate::quarantine::{By, Group, QuarantineError, Share};

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

pub async fn groups(groups: Groups, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let filter = groups.which.filter(now, &STANDING)?;
    let index = index(&global.load_config()?, groups.which.no_refresh).await?;
    let found = index.groups(&filter, groups.limit.into()).await?;
    match global.format() {
        Format::Json => output::json(&json!({ "groups": found }))?,
        Format::Ndjson => found.iter().try_for_each(output::ndjson)?,
        Format::Table if found.is_empty() => output::to_stderr("no dead letters\n"),
        Format::Table => {
            let heading = [
                "group", "stage", "code", "class", "letters", "tenants", "first", "last", "owner", "message",
            ];
            output::to_stdout(&output::table(&heading, found.iter().map(|group| row(group, now)).collect()))?;
        }
    }
    Ok(if found.is_empty() { ExitCode::NothingMatched } else { ExitCode::Done })
}

pub async fn count(count: Count, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let filter = count.which.filter(now, &STANDING)?;
    let index = index(&global.load_config()?, count.which.no_refresh).await?;
    let all = index.count(&filter).await?;
    let shares = match count.by {
        Some(by) => index.shares(&filter, by, count.limit.into()).await?,
        None => Vec::new(),
    };
    match (global.format(), count.by) {
        (Format::Json, None) => output::json(&json!({ "count": all }))?,
        (Format::Json, Some(by)) => {
            output::json(&json!({ "count": all, "by": name(by), "shares": shares }))?;
        }
        (Format::Ndjson, None) => output::ndjson(&json!({ "count": all }))?,
        (Format::Ndjson, Some(_)) => shares.iter().try_for_each(output::ndjson)?,
        (Format::Table, None) => output::to_stdout(&format!("{all}\n"))?,
        (Format::Table, Some(by)) => {
            let name = name(by);
            let heading = [name.as_str(), "letters", "share", "first", "last"];
            let rows = shares.iter().map(|share| share_row(share, all, now)).collect();
            output::to_stdout(&output::table(&heading, rows))?;
        }
    }
    Ok(if all == 0 { ExitCode::NothingMatched } else { ExitCode::Done })
}

fn row(group: &Group, now: Timestamp) -> Vec<String> {
    let stage = match group.pipeline.is_empty() {
        true => group.stage.clone(),
        false => format!("{}.{}", group.pipeline, group.stage),
    };
    let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { printable(&text) };
    vec![
        group.fingerprint.clone(),
        or_none(stage),
        printable(&group.code),
        or_none(group.class.clone()),
        group.count.to_string(),
        group.tenants.to_string(),
        age(group.first, now),
        age(group.last, now),
        or_none(group.remarks.owner.clone().unwrap_or_default()),
        shortened(&group.message),
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
        }
    }
}
