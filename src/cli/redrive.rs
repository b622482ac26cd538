//! `lazaret redrive`: many dead letters back to their stage, as a plan that is frozen and a run that can be watched, paused,
//! resumed and cancelled.

mod plan;
pub mod show;
mod watch;

use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;

use self::show::{report, runs, status};
use super::confirm::confirm;
use super::dlq::which::{Which, index};
use super::words::{NOBODY, words};
use super::{ExitCode, Failure, Global, output};
use crate::config::{Amount, Config};
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::ops::redrive::checks::Limits;
use crate::ops::redrive::control::{Command, command, find};
use crate::ops::redrive::send::SendError;
use crate::ops::redrive::{RunError, control};
use crate::quarantine::{Plan, Quarantine, Run};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Select letters of a stage, count them, ask what must hold, and freeze them under an id. Nothing is sent.
    Plan(Box<plan::Args>),
    /// Run a plan: canaries first, each judged by what became of it, then at the rate. Ctrl-C leaves it to whoever attaches
    /// to it, or to `lazaret ops`.
    Start(Start),
    /// Agree that a plan is started, as another person than the one who planned it and the one who starts it. Plans that need
    /// it are not started without it.
    Approve(Approve),
    /// List the latest redrives.
    Ls {
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Show one: its plan, its state and how far it is.
    Status { id: String },
    /// Watch one until it ends, and run it if nobody does.
    Attach {
        id: String,
        /// Run it here at once: whoever runs it now sends nothing more.
        #[arg(long)]
        take_over: bool,
    },
    /// Send nothing more until it is resumed.
    Pause(Change),
    /// Go on, with canaries first.
    Resume {
        #[command(flatten)]
        change: Change,
        /// Leave it to `lazaret ops` to run it.
        #[arg(long)]
        detach: bool,
    },
    /// End it. What was sent is not called back.
    Cancel(Change),
    /// What became of each letter.
    Report {
        id: String,
        /// Only letters of which this is so, several separated by commas: left, pending, succeeded, failed, skipped,
        /// expired, elsewhere.
        #[arg(long, value_name = "FATE", value_delimiter = ',')]
        only: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Start {
    /// The plan, or as much of the beginning of its id as tells it from the others.
    id: String,
    /// Why they are sent back: what has changed.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Conditions that need not hold, several separated by commas; the reason says why.
    #[arg(long = "override", value_name = "NAME", value_delimiter = ',')]
    overridden: Vec<String>,
    /// Most records that may wait in the stage's input.
    #[arg(long, default_value_t = 10_000, value_name = "RECORDS")]
    max_lag: u64,
    /// What it may cost, in the currency of the configuration, by the estimate of the plan, beside what that says itself.
    #[arg(long, value_name = "AMOUNT", value_parser = Amount::parse)]
    max_cost: Option<Amount>,
    /// Leave it to `lazaret ops` to run it.
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    who: Who,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
struct Approve {
    /// The plan, or as much of the beginning of its id as tells it from the others.
    id: String,
    /// What was looked at.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    who: Who,
    /// Show what would be approved, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
struct Change {
    /// The redrive, or as much of the beginning of its id as tells it from the others.
    id: String,
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Most records that may wait in the stage's input when it is resumed.
    #[arg(long, default_value_t = 10_000, value_name = "RECORDS")]
    max_lag: u64,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, clap::Args)]
struct Who {
    /// Who does it; the user of this shell when absent. It is written down on the topic of operations.
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
}

impl Who {
    fn name(&self) -> Result<&str, Failure> {
        words("--by", self.by.as_deref().unwrap_or(NOBODY))
    }
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    match args.what {
        What::Plan(args) => plan::run(*args, &config, Timestamp::now(), global).await,
        What::Start(start) => start_run(start, &config, global).await,
        What::Approve(approve) => approve_run(approve, &config, global).await,
        What::Ls { limit } => runs(&index(&config, false).await?, limit.into(), global).await,
        What::Status { id } => {
            let index = index(&config, true).await?;
            let mut run = find(&config, &index, &id).await?;
            run.tally = control::count(&index, &run).await?;
            status(&run, global)?;
            Ok(ExitCode::Done)
        }
        What::Attach { id, take_over } => {
            let index = index(&config, true).await?;
            let run = find(&config, &index, &id).await?;
            let here = take_over || run.unclaimed;
            watch::watch(&config, &index, run, here, global).await
        }
        What::Pause(change) => change_run(change, Command::Pause, &config, global).await,
        What::Cancel(change) => change_run(change, Command::Cancel, &config, global).await,
        What::Resume { change, detach } => {
            change_run(change, Command::Resume { detached: detach }, &config, global).await
        }
        What::Report { id, only } => {
            let index = index(&config, true).await?;
            let run = find(&config, &index, &id).await?;
            report(&index, &run, &only, global).await
        }
    }
}

async fn start_run(start: Start, config: &Config, global: &Global) -> Result<ExitCode, Failure> {
    let by = start.who.name()?;
    words("--reason", &start.reason)?;
    let index = index(config, true).await?;
    let run = find(config, &index, &start.id).await?;
    let what = Command::Start { overridden: start.overridden, detached: start.detach };
    let limits = Limits { lag: start.max_lag, cost: start.max_cost };
    plan::ensure_allowed(config, &index, &run, &what, by, limits).await?;
    let question = format!(
        "{} dead letters of {}.{} are sent back",
        run.plan.letters, run.plan.pipeline, run.plan.stage
    );
    if !start.yes {
        confirm(usize::try_from(run.plan.letters).unwrap_or(usize::MAX), &question, "")?;
    }
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "redrive")?;
    let run = command(config, &index, &producer, &run, &what, by, Some(&start.reason)).await?;
    go_on(config, &index, run, start.detach, global).await
}

async fn approve_run(approve: Approve, config: &Config, global: &Global) -> Result<ExitCode, Failure> {
    let by = approve.who.name()?;
    words("--reason", &approve.reason)?;
    let index = index(config, true).await?;
    let run = find(config, &index, &approve.id).await?;
    let Plan { letters, pipeline, stage, .. } = &run.plan;
    let question = format!("that {letters} dead letters of {pipeline}.{stage} are sent back is approved");
    if approve.dry_run {
        status(&run, global)?;
        output::to_stderr(&format!("nothing is done in a dry run; without it, {question}\n"));
        return Ok(ExitCode::Done);
    }
    if !approve.yes {
        let told = show::about(&run.plan, Timestamp::now());
        confirm(usize::try_from(*letters).unwrap_or(usize::MAX), &question, &told)?;
    }
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "redrive")?;
    let reason = Some(approve.reason.as_str());
    let run = command(config, &index, &producer, &run, &Command::Approve, by, reason).await?;
    status(&run, global)?;
    Ok(ExitCode::Done)
}

async fn change_run(
    change: Change,
    what: Command,
    config: &Config,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let by = change.who.name()?;
    let reason = change.reason.as_deref().map(|text| words("--reason", text)).transpose()?;
    let index = index(config, true).await?;
    let run = find(config, &index, &change.id).await?;
    let limits = Limits { lag: change.max_lag, cost: None };
    plan::ensure_allowed(config, &index, &run, &what, by, limits).await?;
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "redrive")?;
    let run = command(config, &index, &producer, &run, &what, by, reason).await?;
    match what {
        Command::Resume { detached } => go_on(config, &index, run, detached, global).await,
        _ => {
            status(&run, global)?;
            Ok(ExitCode::Done)
        }
    }
}

/// Runs it here, unless somebody else is to.
async fn go_on(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    run: Run,
    detached: bool,
    global: &Global,
) -> Result<ExitCode, Failure> {
    if !detached {
        return watch::watch(config, index, run, true, global).await;
    }
    status(&run, global)?;
    Ok(ExitCode::Done)
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NotFound(advice) => Failure::advised(ExitCode::NothingMatched, advice),
            RunError::Wrong(advice) => Failure::advised(ExitCode::Usage, advice),
            RunError::Late(advice) => Failure::advised(ExitCode::TimedOut, advice),
            RunError::Refused(advice) => Failure::advised(ExitCode::Refused, advice),
            RunError::Conflict(advice) => Failure::advised(ExitCode::Conflict, advice),
            RunError::Kafka(problem) => problem.into(),
            RunError::Index(error) => error.into(),
            RunError::Ledger(error) => Failure::new(ExitCode::Failed, error.to_string()).at("ledger"),
            RunError::Send(SendError::TakenOver(_)) => Failure::new(ExitCode::Conflict, error.to_string()),
            RunError::Send(_) | RunError::Unnoted(_) => Failure::new(ExitCode::Failed, error.to_string()),
        }
    }
}
