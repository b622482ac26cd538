//! `lazaret dlq runbook`: what to do about one dead letter.

use jiff::Timestamp;

use super::{ensure_id, which};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::ops::dlq::account::{Told, account};
use crate::ops::dlq::explain::{command, printable};
use crate::ops::dlq::runbook as steps;

#[derive(Debug, clap::Args)]
pub struct Runbook {
    /// The id, or as much of its beginning as tells it from the others.
    id: String,
    /// Ask the index as it is, without reading what has come since.
    #[arg(long)]
    no_refresh: bool,
}

pub async fn runbook(args: Runbook, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    ensure_id(&args.id)?;
    let config = global.load_config()?;
    let index = which::index(&config, args.no_refresh).await?;
    let account = account(&config, &index, &args.id, Told::Nothing, now).await?;
    let runbook = steps::runbook(&account, &command(&global.config));
    match global.format() {
        Format::Json => output::json(&runbook)?,
        Format::Ndjson => runbook.steps.iter().try_for_each(output::ndjson)?,
        Format::Table => output::to_stdout(&text(&runbook))?,
    }
    Ok(ExitCode::Done)
}

fn text(runbook: &steps::Runbook) -> String {
    let mut text = format!("{}: dead letter {}, group {}\n", runbook.code, runbook.id, runbook.fingerprint);
    for (n, step) in (1..).zip(&runbook.steps) {
        text.push_str(&format!("\n{n}. {}\n", step.title));
        for line in step.text.lines() {
            text.push_str(format!("   {line}").trim_end());
            text.push('\n');
        }
        for command in &step.commands {
            text.push_str(&format!("   $ {command}\n"));
        }
    }
    printable(&text)
}
