//! `lazaret job`: what happened to one job, stage by stage, as the ledger has it.

use serde_json::json;

use super::{ExitCode, Failure, Format, Global, output};
use crate::ledger::{Event, LedgerReader};
use crate::ops::dlq::explain::{command, printable};
use crate::ops::job::{JobError, detail, life, since};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job id, as in the header `job-id`, in log lines and in dead letters. Its children are shown with it.
    id: String,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let reader = LedgerReader::open(&config.ledger).map_err(JobError::from)?;
    let events = reader.history(&args.id).await.map_err(JobError::from)?;
    let events = life(&args.id, events)?;
    match global.format() {
        Format::Json => output::json(&json!({ "job": args.id, "events": events }))?,
        Format::Ndjson => events.iter().try_for_each(output::ndjson)?,
        Format::Table => output::to_stdout(&table(&events, &command(&global.config)))?,
    }
    Ok(ExitCode::Done)
}

fn table(events: &[Event], command: &str) -> String {
    let first = events.first().map(|e| e.at).unwrap_or_default();
    let row = |event: &Event| {
        vec![
            format!("{:.3}", event.at),
            since(first, event.at),
            printable(&event.job),
            format!("{}.{}", event.pipeline, event.stage),
            event.kind.clone(),
            event.attempt.to_string(),
            event.record.clone().unwrap_or_default(),
            printable(&detail(event, command)),
        ]
    };
    let heading = ["time", "after", "job", "stage", "what", "attempt", "record", "detail"];
    output::table(&heading, events.iter().map(row).collect())
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match error {
            JobError::NotFound(advice) => Failure::advised(ExitCode::NothingMatched, advice),
            // The message names the file and what to do about it.
            JobError::Ledger(error) => Failure::new(ExitCode::Failed, error.to_string()).at("ledger"),
        }
    }
}
