//! `lazaret submit`: documents and questions from files, arguments and standard input.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::Subject;
use crate::kafka::{KafkaProblem, ProduceError};
use crate::ops::advice::Advice;
use crate::ops::dlq::explain::printable;
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
        let hint = "give one with --ask, or many with --questions FILE (`-` for standard input)";
        return Err(SubmitError::Usage(Advice::new("there is no question", hint)));
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
    let total = items.len();
    let mut sent = Vec::new();
    let ended = submit(&config, pipeline, &target.tenant, items, |one| {
        bar.inc(1);
        sent.push(one.clone());
    })
    .await;
    bar.finish_and_clear();
    match ended {
        Err(error) if sent.is_empty() => return Err(error.into()),
        ended => {
            show(&sent, global)?;
            ended.map_err(|error| broken_off(sent.len(), total, error.into()))?;
        }
    }
    Ok(ExitCode::Done)
}

/// Some are on their way already: to submit all again would send these twice.
fn broken_off(sent: usize, total: usize, failure: Failure) -> Failure {
    let message = format!("{} ({sent} of {total} were submitted)", failure.message);
    Failure { code: ExitCode::Partial, message, ..failure }
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
                    printable(&s.resource),
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
        let failed = Failure::new(ExitCode::Failed, error.to_string());
        match error {
            SubmitError::Usage(advice) => Failure::advised(ExitCode::Usage, advice),
            SubmitError::Nothing(advice) => Failure::advised(ExitCode::NothingMatched, advice),
            SubmitError::Kafka(problem) => problem.into(),
            SubmitError::Produce { source: ProduceError::UnknownTopic(topic), .. } => {
                KafkaProblem::UnknownTopic(topic).into()
            }
            SubmitError::Encode { source, .. } => {
                failed.hint(format!("`lazaret codes {}` says what to look at", source.code))
            }
            SubmitError::Read { .. } => failed.hint("check the path, and that this user may read it"),
            SubmitError::Produce { .. } => failed,
        }
    }
}
