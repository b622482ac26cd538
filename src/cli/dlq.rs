//! `lazaret dlq`: the dead letters of all stages, everything about one, and sending them back.

mod audit;
pub mod change;
mod edit;
mod export;
mod index;
mod runbook;
mod send;
mod show;
mod spark;
mod story;
pub mod which;

use clap::Subcommand;
use jiff::Timestamp;

use super::{ExitCode, Failure, Global};
use crate::config::Span;
use crate::ops::dlq::DlqError;
use crate::ops::dlq::care::{Care, Due};
use crate::ops::dlq::explain::{age, printable};

/// Longest message in the table, in characters.
const MESSAGE_MAX: usize = 60;
const TIME: &str = "write a time back from now, such as 2h, or a point in time, such as 2026-01-31T12:00:00Z";

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List dead letters, the latest death first. Ends with 3 when there is none.
    Ls(index::Ls),
    /// Show one: cause and remedy, who and where from, what was done with it, the life of its job, and what to do next.
    Show(show::Show),
    /// Print what to do about one, step by step, with the commands filled in.
    Runbook(runbook::Runbook),
    /// List what dead letters look alike, from the index: how many, since when, whose. Ends with 3 when there is none.
    Groups(index::Groups),
    /// Count dead letters from the index, by tenant, resource, code and the like if that is wanted.
    Count(index::Count),
    /// Send dead letters back to the stage where they died, to be run again. All or none; ends with 4 when one was
    /// sent back before or is not dead.
    Redrive(send::Redrive),
    /// Give dead letters another payload or other headers, with which they are sent back; the letters stay as they are. Opens an
    /// editor unless flags say what. All or none; ends with 7 when somebody else was first.
    Edit(Box<edit::Edit>),
    /// Give dead letters up for good, in somebody's name and for a reason.
    Discard(Box<send::Discard>),
    /// Take dead letters back that were given up.
    Restore(change::With),
    /// Give dead letters another code and class: in lists, groups and counts they have it from now on.
    Reclassify(change::Reclassify),
    /// Write a note on dead letters, or on a group as a whole.
    Note(change::Note),
    /// Say who looks after dead letters, or after a group as a whole.
    Assign(change::Assign),
    /// Say which ticket is about dead letters, or about a group as a whole.
    Link(change::Link),
    /// Say that the cause of a group is removed: when a letter of it dies later, it has come back.
    Resolve(change::With),
    /// Write dead letters into a file, with their records if that is wanted. Ends with 3 when there is none.
    Export(export::Export),
    /// Show who did what with dead letters, when and why, the latest first. Ends with 3 when there is nothing.
    Audit(audit::Audit),
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let now = Timestamp::now();
    match args.what {
        What::Ls(ls) => index::ls(ls, now, global).await,
        What::Show(show) => Box::pin(show::show(show, now, global)).await,
        What::Runbook(runbook) => Box::pin(runbook::runbook(runbook, now, global)).await,
        What::Groups(groups) => index::groups(groups, now, global).await,
        What::Count(count) => index::count(count, now, global).await,
        What::Redrive(redrive) => send::redrive(redrive, global).await,
        What::Edit(edit) => edit::edit(*edit, now, global).await,
        What::Discard(discard) => send::discard(*discard, now, global).await,
        What::Restore(with) => change::restore(with, now, global).await,
        What::Reclassify(reclassify) => change::reclassify(reclassify, now, global).await,
        What::Note(note) => change::note(note, now, global).await,
        What::Assign(assign) => change::assign(assign, now, global).await,
        What::Link(link) => change::link(link, now, global).await,
        What::Resolve(with) => change::resolve(with, now, global).await,
        What::Export(args) => export::run(args, now, global).await,
        What::Audit(audit) => audit::audit(audit, now, global).await,
    }
}

/// `pipeline.stage`; of what others wrote there may be neither.
fn stage(pipeline: &str, stage: &str) -> String {
    match (pipeline, stage) {
        ("", "") => "-".to_owned(),
        ("", stage) => printable(stage),
        (pipeline, stage) => printable(&format!("{pipeline}.{stage}")),
    }
}

/// What is late, in a word each.
fn late(care: &Care) -> String {
    let words: Vec<&str> = care.overdue.iter().map(|due: &Due| due.as_str()).collect();
    if words.is_empty() { "-".to_owned() } else { words.join("+") }
}

/// How long Kafka keeps it from now on.
fn headroom(care: &Care, now: Timestamp) -> String {
    match care.kept_until {
        None => "-".to_owned(),
        Some(until) if until <= now => "over".to_owned(),
        Some(until) => age(now, until),
    }
}

/// A message as it stands in a table.
fn shortened(message: &str) -> String {
    let mut short: String = printable(message).chars().take(MESSAGE_MAX).collect();
    if message.chars().nth(MESSAGE_MAX).is_some() {
        short.push('…');
    }
    short
}

/// Refuses what cannot be the id of a dead letter, or the beginning of one.
pub fn ensure_id(id: &str) -> Result<(), Failure> {
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        let message = format!("'{}' is not the id of a dead letter", printable(id));
        return Err(Failure::new(ExitCode::Usage, message).hint("`lazaret dlq ls` lists the ids"));
    }
    Ok(())
}

/// A span counts back from now; anything else is a point in time.
fn time(flag: &str, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let wrong = |why: String| Failure::new(ExitCode::Usage, format!("{flag}: {why}")).hint(TIME);
    let span = Span::parse(text).map_err(wrong)?;
    now.checked_sub(span.0).map_err(|_| wrong(format!("{text} is too long ago")))
}

impl From<DlqError> for Failure {
    fn from(error: DlqError) -> Self {
        match error {
            DlqError::NotFound(advice) => Failure::advised(ExitCode::NothingMatched, advice),
            DlqError::Kafka(problem) => Failure::from(problem),
            DlqError::Index(error) => Failure::from(error),
        }
    }
}
