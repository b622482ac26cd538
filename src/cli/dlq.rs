//! `lazaret dlq`: the dead letters of all stages, everything about one, and sending them back.

mod audit;
mod change;
mod export;
mod index;
mod send;
mod which;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{ExitCode, Failure, Format, Global, output};
use crate::config::{Config, Span};
use crate::ops::dlq::care::Care;
use crate::ops::dlq::explain::{Telling, age, command, explain, payload_text, printable};
use crate::ops::dlq::{self, DlqError, Filter, Found, Opened};

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
    /// List dead letters, the latest first. Ends with 3 when there is none.
    Ls(Ls),
    /// Show one: cause and remedy, who and where from, attempts, and what to do next.
    Show {
        /// The id, or as much of its beginning as tells it from the others.
        id: String,
        /// Show the payload, the key and the values of the record's own headers too.
        #[arg(long)]
        payload: bool,
    },
    /// List what dead letters look alike, from the index: how many, since when, whose. Ends with 3 when there is none.
    Groups(index::Groups),
    /// Count dead letters from the index, by tenant, resource, code and the like if that is wanted.
    Count(index::Count),
    /// Send dead letters back to the stage where they died, to be run again. All or none; ends with 4 when one was
    /// sent back before or is not dead.
    Redrive(send::Redrive),
    /// Give dead letters up for good, in somebody's name and for a reason.
    Discard(send::Discard),
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

#[derive(Debug, clap::Args)]
struct Ls {
    #[arg(long)]
    pipeline: Option<String>,
    #[arg(long)]
    stage: Option<String>,
    /// A failure code, or its area, such as `parse`.
    #[arg(long)]
    code: Option<String>,
    #[arg(long)]
    tenant: Option<String>,
    /// A job id; its children count too.
    #[arg(long)]
    job: Option<String>,
    /// Only those that died in this time, such as 2h, or since then, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<String>,
    /// Show at most this many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    limit: u16,
}

pub async fn run(args: Args, global: &Global) -> Result<ExitCode, Failure> {
    let now = Timestamp::now();
    match args.what {
        What::Ls(ls) => list(ls, now, global).await,
        What::Show { id, payload } => show(&id, payload, now, global).await,
        What::Groups(groups) => index::groups(groups, now, global).await,
        What::Count(count) => index::count(count, now, global).await,
        What::Redrive(redrive) => send::redrive(redrive, global).await,
        What::Discard(discard) => send::discard(discard, global).await,
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

async fn list(ls: Ls, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let since = ls.since.as_deref().map(|text| time("--since", text, now)).transpose()?;
    let Ls { pipeline, stage, code, tenant, job, limit, .. } = ls;
    let filter = Filter { pipeline, stage, code, tenant, job, since };
    let config = global.load_config()?;
    let listing = dlq::list(&config, filter, usize::from(limit)).await?;
    let mut letters = listing.letters.iter().map(|found| CaredFor::by(&config, found));
    match global.format() {
        Format::Json => output::json(&json!({
            "letters": letters.collect::<Vec<_>>(),
            "matched": listing.matched,
            "foreign": listing.foreign,
            "complete": listing.complete,
        }))?,
        Format::Ndjson => letters.try_for_each(|letter| output::ndjson(&letter))?,
        Format::Table if listing.letters.is_empty() => output::to_stderr("no dead letters\n"),
        Format::Table => {
            let heading = ["id", "stage", "code", "class", "tenant", "job", "age", "attempts", "message"];
            let rows = listing.letters.iter().map(|found| row(found, now)).collect();
            output::to_stdout(&output::table(&heading, rows))?;
        }
    }
    let shown = listing.letters.len() as u64;
    if shown < listing.matched {
        output::to_stderr(&format!("{shown} of {} dead letters; --limit shows more\n", listing.matched));
    }
    if listing.foreign > 0 {
        output::to_stderr(&format!("{} records there are not dead letters of Lazaret\n", listing.foreign));
    }
    if !listing.complete {
        output::to_stderr("the time was up before all topics were read; name a --stage to read less\n");
        return Ok(ExitCode::TimedOut);
    }
    Ok(if shown == 0 { ExitCode::NothingMatched } else { ExitCode::Done })
}

fn row(found: &Found, now: Timestamp) -> Vec<String> {
    let letter = &found.letter;
    vec![
        letter.id.clone(),
        format!("{}.{}", letter.pipeline, letter.stage),
        letter.code.clone(),
        letter.class.clone(),
        printable(letter.correlation.tenant.as_deref().unwrap_or("-")),
        printable(&letter.correlation.job.0),
        age(letter.last_failure, now),
        letter.attempts.to_string(),
        shortened(&letter.message),
    ]
}

/// A message as it stands in a table.
fn shortened(message: &str) -> String {
    let mut short: String = printable(message).chars().take(MESSAGE_MAX).collect();
    if message.chars().nth(MESSAGE_MAX).is_some() {
        short.push('…');
    }
    short
}

async fn show(id: &str, payload: bool, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    ensure_id(id)?;
    let config = global.load_config()?;
    let opened = dlq::show(&config, id).await?;
    let letter = CaredFor::by(&config, &opened.found);
    match global.format() {
        Format::Table => {
            let command = command(&global.config);
            let telling = Telling { payload, now, care: &letter.care, command: &command };
            output::to_stdout(&explain(&opened, &telling))?;
        }
        Format::Json => output::json(&as_json(&opened, &letter, payload))?,
        Format::Ndjson => output::ndjson(&as_json(&opened, &letter, payload))?,
    }
    Ok(ExitCode::Done)
}

/// Refuses what cannot be the id of a dead letter, or the beginning of one.
fn ensure_id(id: &str) -> Result<(), Failure> {
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        let message = format!("'{}' is not the id of a dead letter", printable(id));
        return Err(Failure::new(ExitCode::Usage, message).hint("`lazaret dlq ls` lists the ids"));
    }
    Ok(())
}

/// A dead letter and who looks after it, as one JSON document.
#[derive(Serialize)]
struct CaredFor<'a> {
    #[serde(flatten)]
    found: &'a Found,
    #[serde(flatten)]
    care: Care,
}

impl<'a> CaredFor<'a> {
    fn by(config: &Config, found: &'a Found) -> Self {
        Self { found, care: Care::of(config, &found.letter) }
    }
}

fn as_json(opened: &Opened, letter: &CaredFor<'_>, payload: bool) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut value = json!({ "dead_letter": letter });
    if payload {
        let header = |(name, value): (&str, Option<&[u8]>)| json!({ "name": name, "value": value.map(text) });
        value["key"] = json!(opened.key.as_deref().map(text));
        value["headers"] = opened.original.iter().map(header).collect();
        value["payload"] = json!(opened.value.as_deref().map(payload_text));
    }
    value
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
        }
    }
}
