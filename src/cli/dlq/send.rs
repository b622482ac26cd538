//! `lazaret dlq redrive` and `lazaret dlq discard`: dead letters back to their stage, to be run again or given up.

use jiff::Timestamp;
use serde_json::json;

use super::shortened;
use super::which::{Which, index};
use crate::cli::confirm::confirm;
use crate::cli::words::{NOBODY, words};
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::config::Config;
use crate::ops::dlq::explain::printable;
use crate::ops::dlq::redrive::{Aside, Order, RedriveError, SentBack, What, send_back};
use crate::ops::quarantine::selection::{Target, letters};
use crate::ops::redrive::send::SendError;
use crate::quarantine::{Known, State};

#[derive(Debug, clap::Args)]
struct How {
    /// Do it whatever the ledger says of their jobs, and whether or not anything has changed.
    #[arg(long)]
    force: bool,
    /// Who does it; the user of this shell when absent. It is written down on the topic of operations.
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct Redrive {
    /// Ids, or as much of their beginning as tells them from the others.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    how: How,
    /// Why they are sent back: what has changed.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Send back what failed for good although its stage has not changed: the reason says what else has.
    #[arg(long, requires = "reason")]
    unchanged: bool,
}

#[derive(Debug, clap::Args)]
pub struct Discard {
    /// Ids, or as much of their beginning as tells them from the others; without any, all open ones for which the conditions
    /// hold.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    how: How,
    /// Why they are given up.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do it without being asked. Nobody is asked about ids.
    #[arg(long)]
    yes: bool,
    /// Give up at most this many that are chosen by conditions.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max: u32,
}

pub async fn redrive(redrive: Redrive, global: &Global) -> Result<ExitCode, Failure> {
    let aside = if redrive.unchanged { Aside::Unchanged } else { Aside::Nothing };
    send(redrive.ids, redrive.how, What::Redrive, redrive.reason, aside, global).await
}

pub async fn discard(discard: Discard, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    if discard.ids.is_empty() == discard.which.is_empty() {
        let message = "it is not said which dead letters are meant, or twice";
        return Err(
            Failure::new(ExitCode::Usage, message).hint("give ids, or flags such as --code and --group")
        );
    }
    let ids = match (discard.which.is_empty(), discard.dry_run) {
        (true, false) => discard.ids,
        _ => match chosen(&discard, now, global).await? {
            Some(ids) => ids,
            None => return Ok(ExitCode::Done),
        },
    };
    send(ids, discard.how, What::Discard, Some(discard.reason), Aside::Nothing, global).await
}

/// The letters that are meant, once somebody has seen how many they are. `None` when that was all that was wanted.
async fn chosen(discard: &Discard, now: Timestamp, global: &Global) -> Result<Option<Vec<String>>, Failure> {
    let config = global.load_config()?;
    let index = index(&config, discard.which.no_refresh).await?;
    let target = match discard.ids.is_empty() {
        true => Target::Those(Box::new(discard.which.filter(now, &[State::Open])?)),
        false => Target::Letters(discard.ids.clone()),
    };
    let max = usize::try_from(discard.max).unwrap_or(usize::MAX);
    let chosen = letters(&*index, &target, max, |_| {}).await?;
    let row = |known: &Known| {
        let entry = &known.entry;
        let stage = format!("{}.{}", entry.pipeline, entry.stage);
        vec![entry.id.clone(), stage, entry.code.clone(), printable(&entry.job), shortened(&entry.message)]
    };
    let first = chosen.first.iter().map(row).collect();
    let told = output::table(&["id", "stage", "code", "job", "message"], first);
    let count = chosen.ids.len();
    let what = format!("{count} dead letters are given up for good");
    if discard.dry_run {
        match global.format() {
            Format::Json => output::json(&json!({ "dry_run": true, "letters": chosen.ids }))?,
            Format::Ndjson => output::ndjson(&json!({ "dry_run": true, "letters": chosen.ids }))?,
            Format::Table => {
                output::to_stdout(&told)?;
                output::to_stderr(&format!("nothing is done in a dry run; without it, {what}\n"));
            }
        }
        return Ok(None);
    }
    if !discard.yes {
        confirm(count, &what, &told)?;
    }
    Ok(Some(chosen.ids))
}

async fn send(
    ids: Vec<String>,
    how: How,
    what: What,
    reason: Option<String>,
    aside: Aside,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let by = match (how.by, what) {
        (Some(by), _) => by,
        (None, What::Redrive) => NOBODY.to_owned(),
        (None, What::Discard) => {
            let nobody = Failure::new(ExitCode::Usage, "nobody is named who discards");
            return Err(nobody.hint("name somebody with --by"));
        }
    };
    words("--by", &by)?;
    reason.as_deref().map(|reason| words("--reason", reason)).transpose()?;
    let config = global.load_config()?;
    for id in &ids {
        super::ensure_id(id)?;
    }
    let order = Order { what, by, reason };
    let aside = if how.force { Aside::All } else { aside };
    match send_back(&config, &ids, &order, aside).await {
        Ok(sent) => {
            show(&sent, what, global)?;
            Ok(ExitCode::Done)
        }
        Err(RedriveError::Unwritten { sent, left, errors }) => {
            show(&sent, what, global)?;
            Err(unsent(&sent, left, &errors))
        }
        Err(error) => Err(error.into()),
    }
}

/// That only some were sent back, and why the others were not.
fn unsent(sent: &[SentBack], left: usize, errors: &[SendError]) -> Failure {
    let code = if sent.is_empty() { ExitCode::Failed } else { ExitCode::Partial };
    let why = errors.first().map(ToString::to_string).unwrap_or_default();
    let message = format!("{left} of {} dead letters were not sent back: {why}", sent.len() + left);
    let others = errors.iter().skip(1).map(|error| Failure::new(code, error.to_string()));
    let failure =
        Failure::new(code, message).hint("those that are listed were; look at the others by themselves");
    Failure { more: others.collect(), ..failure }
}

/// Sends letters back that were edited just now.
pub async fn edited(
    config: &Config,
    ids: &[String],
    by: &str,
    reason: &str,
    global: &Global,
) -> Result<(), Failure> {
    let order = Order { what: What::Redrive, by: by.to_owned(), reason: Some(reason.to_owned()) };
    let sent = send_back(config, ids, &order, Aside::Nothing).await;
    if let Err(RedriveError::Unwritten { sent, left, errors }) = &sent {
        show(sent, What::Redrive, global)?;
        return Err(unsent(sent, *left, errors));
    }
    let sent = sent.map_err(|error| {
        let failure = Failure::from(error);
        let hint = "they are edited all the same: send them back with `lazaret dlq redrive`";
        Failure { hint: failure.hint.or(Some(hint.into())), ..failure }
    })?;
    show(&sent, What::Redrive, global)
}

fn show(sent: &[SentBack], what: What, global: &Global) -> Result<(), Failure> {
    match global.format() {
        Format::Json => output::json(&json!({ "sent": sent })),
        Format::Ndjson => sent.iter().try_for_each(output::ndjson),
        Format::Table if what == What::Discard => {
            let row =
                |s: &SentBack| vec![s.id.clone(), format!("{}.{}", s.pipeline, s.stage), printable(&s.job)];
            output::to_stdout(&output::table(&["discarded", "stage", "job"], sent.iter().map(row).collect()))
        }
        Format::Table => {
            let row = |s: &SentBack| {
                let stage = format!("{}.{}", s.pipeline, s.stage);
                let edited = if s.edited { "yes" } else { "no" }.to_owned();
                vec![s.id.clone(), stage, printable(&s.job), s.redrives.to_string(), edited, s.at.clone()]
            };
            let heading = ["id", "stage", "job", "redrives", "edited", "to"];
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
