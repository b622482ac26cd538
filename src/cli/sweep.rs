//! `lazaret sweep`: does with dead letters what the rules of the configuration say.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::dlq::which::index;
use super::redrive::show::counts;
use super::signals::Signals;
use super::{ExitCode, Failure, Format, Global, output};
use crate::config::Config;
use crate::ops::redrive::{Ended, RunError, execute};
use crate::ops::sweep::{self, How, Line, Outcome, Report};
use crate::quarantine::Quarantine;

/// Do with dead letters what the rules below quarantine.sweep say: every open one is held against them, and the first rule that
/// matches decides.
///
/// Rules are tried with --dry-run, also those of another file (`lazaret --config new.yaml sweep --dry-run`). Without --once it
/// sweeps whenever the schedule says so, as `lazaret ops` does, until SIGTERM or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Sweep now, and once: as a Kubernetes CronJob does. Redrives that rules start are run to their end.
    #[arg(long)]
    once: bool,
    /// Say what each rule would do now, and do nothing.
    #[arg(long, conflicts_with = "once")]
    dry_run: bool,
    /// Leave redrives that rules start to `lazaret ops`.
    #[arg(long, requires = "once")]
    detach: bool,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    if config.quarantine.sweep.rules.is_empty() {
        let message = "there are no rules";
        return Err(Failure::new(ExitCode::Usage, message)
            .at("quarantine.sweep.rules")
            .hint("write some; docs/cli.md has an example"));
    }
    let index = index(&config, true).await?;
    if !args.once && !args.dry_run {
        return serve(&config, &index).await;
    }
    let how = if args.dry_run { How::DryRun } else { How::Carry };
    let rules = &config.quarantine.sweep.rules;
    let mut signals = Signals::listen()?;
    let report = tokio::select! {
        report = sweep::sweep(&config, &index, rules, how, Timestamp::now()) => report?,
        () = signals.next() => return Ok(ExitCode::Interrupted),
    };
    show(&report, global)?;
    let is_well = report.lines.iter().all(|line| {
        matches!(
            line.outcome,
            Outcome::Kept | Outcome::Would | Outcome::Done | Outcome::Started { .. } | Outcome::Held { .. }
        )
    });
    let redriven = match args.detach || args.dry_run {
        true => true,
        false => to_their_end(&config, &index, &report, &mut signals, global).await?,
    };
    Ok(if is_well && redriven { ExitCode::Done } else { ExitCode::Partial })
}

async fn serve(config: &Config, index: &Arc<dyn Quarantine>) -> Result<ExitCode, Failure> {
    if config.quarantine.sweep.schedule.is_none() {
        return Err(Failure::new(ExitCode::Usage, "there is no schedule to sweep by")
            .at("quarantine.sweep.schedule")
            .hint("sweep now with --once, or see what would be done with --dry-run"));
    }
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    tokio::select! {
        () = sweep::serve(config, index, stop.clone()) => {}
        () = signals.next() => stop.cancel(),
    }
    Ok(ExitCode::Done)
}

/// Runs the redrives that were started, all at the same time: they are of different stages. Whether all ended well.
async fn to_their_end(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    report: &Report,
    signals: &mut Signals,
    global: &Global,
) -> Result<bool, Failure> {
    let started = |line: &Line| match &line.outcome {
        Outcome::Started { run } => Some(run.clone()),
        _ => None,
    };
    let stop = CancellationToken::new();
    let runs: Vec<String> = report.lines.iter().filter_map(started).collect();
    let running = runs.iter().map(|run| to_its_end(config, index, run, &stop, global));
    let mut running = Box::pin(futures::future::try_join_all(running));
    let ended = tokio::select! {
        ended = &mut running => ended,
        () = signals.next() => {
            stop.cancel();
            running.await
        }
    };
    Ok(ended?.into_iter().all(|is_well| is_well))
}

async fn to_its_end(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    run: &str,
    stop: &CancellationToken,
    global: &Global,
) -> Result<bool, RunError> {
    let is_shown = global.format() == Format::Table && !global.quiet;
    let say = |text: &str| {
        if is_shown {
            output::to_stderr(&format!("redrive {run}: {text}\n"));
        }
    };
    Ok(match Box::pin(execute(config, index, run, stop, |_, _| {})).await? {
        Ended::Run(ended) => {
            let reason = ended.reason.clone().map(|reason| format!(" ({reason})")).unwrap_or_default();
            say(&format!("{}, {}{reason}", ended.state.as_str(), counts(&ended.tally)));
            ended.ended_well()
        }
        Ended::TakenOver => {
            say("somebody else runs it");
            true
        }
        Ended::Left => {
            say("left as it is; `lazaret ops` goes on with it");
            false
        }
    })
}

fn show(report: &Report, global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Json => output::json(report),
        Format::Ndjson => report.lines.iter().try_for_each(output::ndjson),
        Format::Table => {
            output::to_stdout(&table(report))?;
            let nothing = if report.dry_run { "; nothing was done: this was a dry run" } else { "" };
            let (open, unmatched) = (report.open, report.unmatched);
            output::to_stderr(&format!(
                "\n{open} dead letters are open, of which {unmatched} match no rule{nothing}\n"
            ));
            for why in &report.untold {
                output::to_stderr(&format!("nobody can tell whether this holds: {why}\n"));
            }
            Ok(())
        }
    }
}

fn table(report: &Report) -> String {
    let row = |Line { found, outcome }: &Line| {
        let now = if found.now == 0 { "-".to_owned() } else { found.now.to_string() };
        vec![
            found.rule.clone(),
            format!("{}.{}", found.pipeline, found.stage),
            found.action.to_owned(),
            found.letters.to_string(),
            now,
            told(outcome),
        ]
    };
    let heading = ["rule", "stage", "does", "letters", "now", "outcome"];
    output::table(&heading, report.lines.iter().map(row).collect())
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Kept => "kept".into(),
        Outcome::Would => "would be done".into(),
        Outcome::Done => "done".into(),
        Outcome::Started { run } => format!("redrive {run}"),
        Outcome::Held { conditions } => {
            let found: Vec<_> = conditions.iter().map(|c| format!("{}: {}", c.name, c.found)).collect();
            format!("held back: {}", found.join("; "))
        }
        Outcome::Partly { done, refused, why } => format!("{done} done, {refused} not: {why}"),
        Outcome::Failed { why } => format!("failed: {why}"),
    }
}
