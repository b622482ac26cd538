//! `lazaret dlq groups` and `lazaret dlq count`: questions to the index of dead letters.

use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum as _;
use jiff::Timestamp;
use serde_json::json;

use super::{shortened, time};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::config::{Config, Span};
use crate::ops::dlq::explain::{age, printable};
use crate::ops::quarantine::{self, FollowError};
use crate::quarantine::{By, Filter, Group, Quarantine, QuarantineError, Share, State};

/// How long the index may take to become up to date before it is asked.
const REFRESH: Duration = Duration::from_secs(600);

/// Which dead letters are meant: those for which all of this holds.
#[derive(Debug, clap::Args)]
struct Which {
    #[arg(long)]
    pipeline: Option<String>,
    #[arg(long)]
    stage: Option<String>,
    /// A failure code, or its area, such as `parse`; of letters of others the class of the exception.
    #[arg(long)]
    code: Option<String>,
    /// transient, permanent or systemic.
    #[arg(long)]
    class: Option<String>,
    /// The fingerprint of a group.
    #[arg(long)]
    group: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// A job id; its children count too.
    #[arg(long)]
    job: Option<String>,
    #[arg(long)]
    resource: Option<String>,
    /// A trace id, 32 hex digits.
    #[arg(long)]
    trace: Option<String>,
    /// Where they are now, several separated by commas; `all` for wherever they are.
    #[arg(long, value_name = "STATE", value_delimiter = ',', default_value = "open,redriving")]
    state: Vec<String>,
    /// Text in the message, in whatever case.
    #[arg(long)]
    text: Option<String>,
    /// Only those that died in this time, such as 2h, or since then, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<String>,
    /// Only those that died before.
    #[arg(long, value_name = "SPAN|TIME")]
    until: Option<String>,
    /// Ask the index as it is, without reading what has come since.
    #[arg(long)]
    no_refresh: bool,
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

pub async fn groups(groups: Groups, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let filter = groups.which.filter(now)?;
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
    let filter = count.which.filter(now)?;
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

/// The index, up to date unless that is not wanted.
async fn index(config: &Config, as_it_is: bool) -> Result<Arc<dyn Quarantine>, Failure> {
    let index = quarantine::open(config).await?;
    if !as_it_is && !quarantine::catch_up(config, &index, REFRESH).await?.complete {
        let message = format!("the index of dead letters was not up to date within {}", Span(REFRESH));
        return Err(Failure::new(ExitCode::TimedOut, message)
            .hint("what was read is kept: ask again, or with --no-refresh"));
    }
    Ok(index)
}

impl Which {
    fn filter(&self, now: Timestamp) -> Result<Filter, Failure> {
        let at =
            |flag: &str, text: &Option<String>| text.as_deref().map(|text| time(flag, text, now)).transpose();
        Ok(Filter {
            pipeline: self.pipeline.clone(),
            stage: self.stage.clone(),
            code: self.code.clone(),
            class: self.class.clone(),
            fingerprint: self.group.clone(),
            tenant: self.tenant.clone(),
            job: self.job.clone(),
            resource: self.resource.clone(),
            trace: self.trace.clone(),
            states: states(&self.state)?,
            text: self.text.clone(),
            since: at("--since", &self.since)?,
            until: at("--until", &self.until)?,
        })
    }
}

/// None for all.
fn states(names: &[String]) -> Result<Vec<State>, Failure> {
    if names.iter().any(|name| name == "all") {
        return Ok(Vec::new());
    }
    let state = |name: &String| {
        State::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| {
            let all: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
            Failure::new(ExitCode::Usage, format!("--state: there is no state '{}'", printable(name)))
                .hint(format!("write one of {}, or all", all.join(", ")))
        })
    };
    names.iter().map(state).collect()
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
