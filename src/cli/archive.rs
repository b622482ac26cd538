//! `lazaret archive`: dead letters outside Kafka: put there, listed, checked, and brought back.

mod show;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::confirm::confirm;
use super::dlq::change::With;
use super::dlq::which::index;
use super::signals::Signals;
use super::words::NOBODY;
use super::{ExitCode, Failure, Format, Global, keeper, output};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::ops::archive::recall::{Prepared, Recall, To};
use crate::ops::archive::{self, ArchiveError, Pass, Verdict, Verified, pass, verify};
use crate::quarantine::Quarantine;
use crate::telemetry::http::Readiness;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Archive what is due and delete what is over, as `lazaret ops` does by itself; as often as the configuration says, until
    /// SIGTERM or Ctrl-C, or once, as a job.
    Run {
        /// One pass over everything.
        #[arg(long)]
        once: bool,
    },
    /// List the objects of the archive. Ends with 3 when there is none.
    Ls(show::Ls),
    /// Show an object, and where its letters are now.
    Show(show::Show),
    /// Read every object and compare it with its hash, its manifest and what was written down. Ends with 1 when one is damaged.
    Verify {
        /// Only this object.
        object: Option<String>,
    },
    /// Write dead letters back to their topic, to another one, or into a file, byte for byte.
    Restore(Box<Restore>),
}

#[derive(Debug, clap::Args)]
struct Restore {
    #[command(flatten)]
    with: With,
    /// Write them into this file instead, an Avro object container as in the archive.
    #[arg(long, value_name = "FILE", conflicts_with = "to_topic")]
    to: Option<PathBuf>,
    /// Write them to this topic instead of the one where they stood.
    #[arg(long, value_name = "TOPIC")]
    to_topic: Option<String>,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let now = Timestamp::now();
    match args.what {
        What::Run { once } => keep(once, now, global).await,
        What::Ls(ls) => show::ls(ls, now, global).await,
        What::Show(show) => show::show(show, now, global).await,
        What::Verify { object } => check(object, global).await,
        What::Restore(restore) => self::restore(*restore, now, global).await,
    }
}

async fn keep(once: bool, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    // Before anything else is asked.
    archive::open(&config)?;
    let index = index(&config, false).await?;
    let producer = Producer::new(&config.kafka, &Topology::derive(&config), "archive")?;
    if !once {
        return serve(&config, &index, &producer).await;
    }
    let done = pass(&config, &index, &producer, now).await?;
    match global.format() {
        Format::Json => output::json(&done)?,
        Format::Ndjson => output::ndjson(&done)?,
        Format::Table => output::to_stdout(&told(&done))?,
    }
    Ok(ExitCode::Done)
}

fn told(pass: &Pass) -> String {
    let Pass { kept, removed } = pass;
    let mut told = format!(
        "{} dead letters were archived in {} objects of {} bytes\n{} objects with {} dead letters were deleted\n",
        kept.letters, kept.objects, kept.bytes, removed.objects, removed.letters
    );
    for (count, what) in [
        (kept.lost, "open dead letters had been deleted by Kafka before they could be archived"),
        (removed.discarded, "of those that were deleted were open, and were given up"),
        (removed.held, "objects whose time is over are kept because of what is open in them"),
    ] {
        if count > 0 {
            told.push_str(&format!("{count} {what}\n"));
        }
    }
    told
}

async fn serve(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    producer: &Producer,
) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let stop = CancellationToken::new();
    // The index has to know what has died since.
    let following = keeper::follow(
        Arc::new(config.clone()),
        index.clone(),
        Readiness::new(),
        stop.clone(),
        CancellationToken::new(),
    );
    tokio::select! {
        () = following => {}
        () = archive::serve(config, index, producer, stop.clone()) => {}
        () = signals.next() => {}
    }
    Ok(ExitCode::Done)
}

async fn check(object: Option<String>, global: &Global) -> Result<ExitCode, Failure> {
    let config = global.load_config()?;
    let vault = archive::open(&config)?;
    let index = index(&config, false).await?;
    let ndjson = global.format() == Format::Ndjson;
    let mut unshown = None;
    let found = verify(&index, &vault, object.as_deref(), |checked| {
        if ndjson && unshown.is_none() {
            unshown = output::ndjson(checked).err();
        }
    })
    .await?;
    if let Some(failure) = unshown {
        return Err(failure);
    }
    match global.format() {
        Format::Json => output::json(&found)?,
        Format::Ndjson => {}
        Format::Table => output::to_stdout(&verified(&found))?,
    }
    if found.strays > 0 {
        let first = found.stray_objects.first().cloned().unwrap_or_default();
        output::to_stderr(&format!(
            "{} objects stand in the archive that nothing names, such as {first}: whoever wrote them did not come to the \
             end; nothing reads them\n",
            found.strays
        ));
    }
    Ok(if found.damaged.is_empty() { ExitCode::Done } else { ExitCode::Failed })
}

fn verified(found: &Verified) -> String {
    let good = found.objects - found.damaged.len() as u64;
    let mut told = format!(
        "{good} of {} objects are what they were, with {} dead letters in all\n",
        found.objects, found.letters
    );
    for one in &found.damaged {
        if let Verdict::Damaged { why } = &one.verdict {
            told.push_str(&format!("damaged: {}: {why}\n", one.parcel.object));
        }
    }
    told
}

async fn restore(restore: Restore, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let Restore { with, to, to_topic } = restore;
    let hint = "name ids, or conditions such as --stage; --state all for whatever there is";
    let (target, max) = (with.letters(now, &[], hint)?, with.max());
    let With { which, reason, by, dry_run, yes, .. } = with;
    let config = global.load_config()?;
    let mut vault = archive::open(&config)?;
    let to = match (to, to_topic) {
        (Some(file), _) => To::File(file),
        (None, Some(topic)) => To::Topic(topic),
        (None, None) => To::Own,
    };
    let recall = Recall { to, by: by.unwrap_or_else(|| NOBODY.into()), reason };
    let index = index(&config, which.no_refresh).await?;
    let prepared = recall.prepare(&config, &*index, &target, max).await?;
    let what = format!("{} dead letters are read out of the archive", prepared.count());
    if dry_run {
        match global.format() {
            Format::Json => output::json(&prepared)?,
            Format::Ndjson => output::ndjson(&prepared)?,
            Format::Table => {
                output::to_stdout(&show::letters(prepared.first(), now))?;
                output::to_stderr(&format!("nothing is done in a dry run; without it, {what}\n"));
            }
        }
        return Ok(ExitCode::Done);
    }
    if !yes {
        confirm(prepared.count(), &what, &show::letters(prepared.first(), now))?;
    }
    let Prepared { still_there, not_archived, .. } = prepared;
    let done = prepared.carry_out(&config, &mut vault).await?;
    match global.format() {
        Format::Json => output::json(&json!({
            "operation": done.operation, "letters": done.letters, "to": done.to,
            "still_there": still_there, "not_archived": not_archived,
        }))?,
        Format::Ndjson => output::ndjson(&done)?,
        Format::Table => {
            output::to_stdout(&format!("{} dead letters were written to {}\n", done.letters, done.to))?;
            output::to_stderr(&format!("`lazaret dlq audit --operation {}` shows it\n", done.operation));
        }
    }
    Ok(ExitCode::Done)
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Wrong(advice) => Failure::advised(ExitCode::Usage, advice),
            ArchiveError::Refused(advice) => Failure::advised(ExitCode::Refused, advice),
            ArchiveError::NotFound(advice) => Failure::advised(ExitCode::NothingMatched, advice),
            ArchiveError::Index(error) => error.into(),
            ArchiveError::Kafka(problem) => problem.into(),
            error @ (ArchiveError::Vault(_)
            | ArchiveError::Unnoted(_)
            | ArchiveError::Send(_)
            | ArchiveError::File { .. }) => Failure::new(ExitCode::Failed, error.to_string()),
        }
    }
}
