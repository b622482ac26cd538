//! `lazaret submit`: documents and questions from files, arguments and standard input.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::Subject;
use crate::ops::submit::questions::Asked;
use crate::ops::submit::{Item, SubmitError, Submitted, documents, pipeline, questions, submit};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Submit files, and all files of folders below them. A document's id is its path below the folder named.
    Documents {
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// A later version replaces the passages of an earlier one; the time of submission when absent.
        #[arg(long, value_name = "N")]
        version: Option<i64>,
        #[command(flatten)]
        target: Target,
    },
    /// Submit questions.
    Questions {
        /// A question; may be given several times.
        #[arg(long, value_name = "TEXT")]
        ask: Vec<String>,
        /// A file with a question per line, plain or as JSON with `text` and `id`; `-` for standard input.
        #[arg(long, value_name = "FILE")]
        questions: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, clap::Args)]
struct Target {
    /// The tenant they belong to.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The pipeline to submit to, where several take such records.
    #[arg(long)]
    pipeline: Option<String>,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    match args.what {
        What::Documents { paths, version, target } => {
            let files = documents::find(&paths, version)?;
            send(global, target, Subject::Document, files).await
        }
        What::Questions { ask, questions, target } => {
            let asked = gather(&ask, questions)?;
            send(global, target, Subject::Question, asked).await
        }
    }
}

fn gather(ask: &[String], file: Option<PathBuf>) -> Result<Vec<Asked>, SubmitError> {
    let mut asked = ask.iter().map(|text| questions::ask(text)).collect::<Result<Vec<_>, _>>()?;
    if let Some(file) = file {
        asked.extend(questions::from_path(&file)?);
    }
    if asked.is_empty() {
        let message = "there is no question; give one with --ask, or many with --questions FILE (`-` for standard input)";
        return Err(SubmitError::Usage(message.into()));
    }
    Ok(asked)
}

async fn send<I: Item>(
    global: &Global,
    target: Target,
    subject: Subject,
    items: Vec<I>,
) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let (_, pipeline) = pipeline(&config, target.pipeline.as_deref(), subject)?;
    let bar = progress(items.len(), global);
    let sent = submit(&config, pipeline, &target.tenant, items, |_| bar.inc(1)).await;
    let done = bar.position();
    bar.finish_and_clear();
    let sent = sent.map_err(|error| {
        let failure = Failure::from(error);
        if done == 0 { failure } else { failure.hint(format!("{done} were submitted before it")) }
    })?;
    show(&sent, global)?;
    Ok(ExitCode::Done)
}

fn progress(items: usize, global: &Global) -> ProgressBar {
    if global.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(items as u64);
    match ProgressStyle::with_template("submitting {wide_bar} {pos}/{len}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn show(sent: &[Submitted], global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Json => output::json(&json!({ "submitted": sent })),
        Format::Ndjson => sent.iter().try_for_each(output::ndjson),
        Format::Table => {
            let row = |s: &Submitted| {
                vec![
                    s.job.to_string(),
                    s.resource.clone(),
                    s.topic.clone(),
                    s.partition.to_string(),
                    s.offset.to_string(),
                ]
            };
            let heading = ["job", "resource", "topic", "partition", "offset"];
            output::to_stdout(&output::table(&heading, sent.iter().map(row).collect()))
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        let code = match &error {
            SubmitError::Usage(_) => ExitCode::Usage,
            SubmitError::Nothing(_) => ExitCode::NothingMatched,
            SubmitError::Kafka(problem) => return Failure::from(problem.clone()),
            SubmitError::Encode { source, .. } => {
                let hint = format!("`lazaret codes {}` says what to look at", source.code);
                return Failure::new(ExitCode::Failed, error.to_string()).hint(hint);
            }
            SubmitError::Read { .. } | SubmitError::Produce { .. } => ExitCode::Failed,
        };
        Failure::new(code, error.to_string())
    }
}
