//! `lazaret redrive plan`, and what is asked before a plan is started.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::show::about;
use super::{Which, Who, index, words};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::config::{Amount, Config, Span};
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::ops::redrive::checks::{Check, Limits, Starting, check, in_the_way};
use crate::ops::redrive::control::Command;
use crate::ops::redrive::plan::{Proposal, Selection, Wish, freeze, propose};
use crate::quarantine::{Policy, Quarantine, Run, State};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Letters by id; all open ones that the flags select when there is none.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    /// What people call it; what is selected when absent.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Letters of the canaries, separated by commas; 0 for none.
    #[arg(long, value_name = "LETTERS", value_delimiter = ',', default_values_t = Policy::default().canary)]
    canary: Vec<u32>,
    /// Most letters a second after the canaries.
    #[arg(long, value_name = "LETTERS", default_value_t = Policy::default().rate,
        value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Least share of those that ended that must have succeeded, percent.
    #[arg(long, value_name = "PERCENT", default_value_t = Policy::default().gate,
        value_parser = clap::value_parser!(u8).range(0..=100))]
    gate: u8,
    /// Most letters that are sent and not known to have ended.
    #[arg(long, value_name = "LETTERS", default_value_t = Policy::default().outstanding,
        value_parser = clap::value_parser!(u32).range(1..))]
    outstanding: u32,
    /// How long nothing may be heard of what was sent.
    #[arg(long, value_name = "SPAN", default_value = "10m", value_parser = Span::parse)]
    patience: Span,
    /// What it may cost, in the currency of the configuration, by its estimate: it is not started when it may cost more.
    #[arg(long, value_name = "AMOUNT", value_parser = Amount::parse)]
    max_cost: Option<Amount>,
    /// Most letters of the plan.
    #[arg(long, value_name = "LETTERS", default_value_t = 10_000)]
    max: u64,
    /// Most records that may wait in the stage's input.
    #[arg(long, default_value_t = 10_000, value_name = "RECORDS")]
    max_lag: u64,
    /// Show the plan and do not freeze it.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    who: Who,
}

pub async fn run(args: Args, config: &Config, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let by = args.who.name()?;
    if let Some(name) = &args.name {
        words("--name", name)?;
    }
    if !args.which.state.is_empty() {
        let message = "--state: a plan takes open letters";
        return Err(Failure::new(ExitCode::Usage, message).hint("leave it out"));
    }
    if args.ids.is_empty() == args.which.is_empty() {
        let message = "it is not said which letters are meant, or twice";
        return Err(
            Failure::new(ExitCode::Usage, message).hint("give ids, or flags such as --stage and --group")
        );
    }
    let selection = match args.ids.is_empty() {
        true => Selection::Filter(Box::new(args.which.filter(now, &[State::Open])?)),
        false => Selection::Ids(args.ids),
    };
    let policy = Policy {
        canary: args.canary.into_iter().filter(|size| *size > 0).collect(),
        rate: args.rate,
        gate: args.gate,
        outstanding: args.outstanding,
        patience: args.patience,
        max_cost: args.max_cost,
    };
    let index = index(config, false).await?;
    let name = args.name.unwrap_or_default();
    let wish = Wish { name, selection, policy, most: args.max };
    let proposal = propose(config, &index, wish).await?;
    let plan = proposal.plan.clone();
    let checks = check(config, &index, &plan, None, Limits { lag: args.max_lag, cost: None }, now).await?;
    let id = match args.dry_run {
        true => None,
        false => Some(write(config, proposal, by).await?),
    };
    match global.format() {
        Format::Json => output::json(&json!({ "id": id, "plan": plan, "checks": checks }))?,
        Format::Ndjson => output::ndjson(&json!({ "id": id, "plan": plan, "checks": checks }))?,
        Format::Table => {
            let mut text = String::new();
            if let Some(id) = &id {
                text.push_str(&format!("{:<14}{id}\n", "plan"));
            }
            text.push_str(&about(&plan, now));
            text.push_str(&format!("\n{}", table(&checks)));
            output::to_stdout(&text)?;
            match &id {
                Some(id) => {
                    if plan.approval {
                        output::to_stderr(&format!(
                            "\nlet somebody else approve it with `lazaret redrive approve {id} --reason …`"
                        ));
                    }
                    output::to_stderr(&format!("\nstart it with `lazaret redrive start {id} --reason …`\n"));
                }
                None => output::to_stderr("\nnothing was written: this was a dry run\n"),
            }
        }
    }
    Ok(ExitCode::Done)
}

async fn write(config: &Config, proposal: Proposal, by: &str) -> Result<String, Failure> {
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "redrive")?;
    Ok(freeze(config, &producer, proposal, by, None).await?)
}

fn table(checks: &[Check]) -> String {
    let row = |check: &Check| {
        let holds = if check.holds { "yes" } else { "NO" };
        vec![check.name.to_owned(), holds.to_owned(), check.found.clone()]
    };
    output::table(&["condition", "holds", "found"], checks.iter().map(row).collect())
}

/// What must hold does, or is set aside by name.
pub async fn ensure_allowed(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    run: &Run,
    what: &Command,
    by: &str,
    limits: Limits,
) -> Result<(), Failure> {
    let Some(aside) = what.sets_aside(run)? else { return Ok(()) };
    let starting = Some(Starting { run, by });
    let checks = check(config, index, &run.plan, starting, limits, Timestamp::now()).await?;
    let failure = |check: Check| {
        let code = if check.name == "alone" { ExitCode::Conflict } else { ExitCode::Refused };
        let hint = check.hint();
        Failure::new(code, check.found).at(check.name).hint(hint)
    };
    let mut failures = in_the_way(checks, &aside).into_iter().map(failure);
    match failures.next() {
        None => Ok(()),
        Some(first) => Err(Failure { more: failures.collect(), ..first }),
    }
}
