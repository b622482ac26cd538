//! `lazaret dlq redrive` and `lazaret dlq discard`: dead letters back to their stage, to be run again or given up.

use serde_json::json;

use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::message::trail::is_id;
use crate::ops::dlq::explain::printable;
use crate::ops::dlq::redrive::{Aside, Order, RedriveError, SentBack, What, send_back};

/// Stands for who sends letters back where the shell does not know.
const NOBODY: &str = "unknown";

#[derive(Debug, clap::Args)]
pub struct Which {
    /// Ids, or as much of their beginning as tells them from the others.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Send them back whatever the ledger says of their jobs, and whether or not anything has changed.
    #[arg(long)]
    force: bool,
    /// Who does it; the user of this shell when absent. It is written down on the topic of operations.
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Redrive {
    #[command(flatten)]
    which: Which,
    /// Why they are sent back: what has changed.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Send back what failed for good although its stage has not changed: the reason says what else has.
    #[arg(long, requires = "reason")]
    unchanged: bool,
}

#[derive(Debug, clap::Args)]
pub struct Discard {
    #[command(flatten)]
    which: Which,
    /// Why they are given up.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub async fn redrive(redrive: Redrive, global: &Global) -> Result<ExitCode, Failure> {
    let aside = if redrive.unchanged { Aside::Unchanged } else { Aside::Nothing };
    send(redrive.which, What::Redrive, redrive.reason, aside, global).await
}

pub async fn discard(discard: Discard, global: &Global) -> Result<ExitCode, Failure> {
    send(discard.which, What::Discard, Some(discard.reason), Aside::Nothing, global).await
}

async fn send(
    which: Which,
    what: What,
    reason: Option<String>,
    aside: Aside,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let by = match (which.by, what) {
        (Some(by), _) => by,
        (None, What::Redrive) => NOBODY.to_owned(),
        (None, What::Discard) => {
            let nobody = Failure::new(ExitCode::Usage, "nobody is named who discards");
            return Err(nobody.hint("name somebody with --by"));
        }
    };
    for (flag, text) in [("--by", Some(&by)), ("--reason", reason.as_ref())] {
        if text.is_some_and(|text| !is_id(text)) {
            let message = format!("{flag} is empty, longer than 512 bytes, or has control characters");
            return Err(Failure::new(ExitCode::Usage, message));
        }
    }
    let config = global.load_config()?;
    for id in &which.ids {
        super::ensure_id(id)?;
    }
    let order = Order { what, by, reason };
    let aside = if which.force { Aside::All } else { aside };
    match send_back(&config, &which.ids, &order, aside).await {
        Ok(sent) => {
            show(&sent, global)?;
            Ok(ExitCode::Done)
        }
        Err(RedriveError::Unwritten { sent, left, error }) => {
            show(&sent, global)?;
            let code = if sent.is_empty() { ExitCode::Failed } else { ExitCode::Partial };
            let message = format!("{left} of {} dead letters were not sent back: {error}", sent.len() + left);
            Err(Failure::new(code, message).hint("those that are listed were; send the others again"))
        }
        Err(error) => Err(error.into()),
    }
}

fn show(sent: &[SentBack], global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Json => output::json(&json!({ "sent": sent })),
        Format::Ndjson => sent.iter().try_for_each(output::ndjson),
        Format::Table => {
            let row = |s: &SentBack| {
                let stage = format!("{}.{}", s.pipeline, s.stage);
                vec![s.id.clone(), stage, printable(&s.job), s.redrives.to_string(), s.at.clone()]
            };
            let heading = ["id", "stage", "job", "redrives", "to"];
            output::to_stdout(&output::table(&heading, sent.iter().map(row).collect()))
        }
    }
}

impl From<RedriveError> for Failure {
    fn from(error: RedriveError) -> Self {
        match error {
            RedriveError::Dlq(error) => Failure::from(error),
            RedriveError::Kafka(problem) => Failure::from(problem),
            RedriveError::Index(error) => Failure::from(error),
            RedriveError::Refused(all) => {
                let mut all = all.into_iter().map(|advice| Failure::advised(ExitCode::Refused, advice));
                let first =
                    all.next().unwrap_or_else(|| Failure::new(ExitCode::Refused, "nothing was sent back"));
                Failure { more: all.collect(), ..first }
            }
            RedriveError::Ledger(_) | RedriveError::Unwritten { .. } => {
                Failure::new(ExitCode::Failed, error.to_string())
            }
        }
    }
}
