//! `lazaret dlq restore`, `reclassify`, `note`, `assign`, `link` and `resolve`: what people do with dead letters without
//! sending them back.

use jiff::Timestamp;

use super::which::{STANDING, Which, index};
use super::{ensure_id, shortened};
use crate::cli::confirm::confirm;
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::flow::{Code, Topology};
use crate::kafka::Producer;
use crate::ops::dlq::explain::{age, printable};
use crate::ops::quarantine::change::{Change, ChangeError, Prepared, operations_topic};
use crate::ops::quarantine::selection::{SelectionError, Target};
use crate::quarantine::{Deed, Group, Known, State};

/// With which dead letters it is done, in whose name and why.
#[derive(Debug, clap::Args)]
pub struct With {
    /// Ids, or as much of their beginning as tells them from the others; without any, all for which the conditions hold.
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    pub which: Which,
    /// Why. It is written down on the topic of operations.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who does it; the user of this shell when absent.
    #[arg(long, value_name = "NAME", env = "USER")]
    pub by: Option<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Do it without being asked.
    #[arg(long)]
    pub yes: bool,
    /// Touch at most this many.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max: u32,
}

#[derive(Debug, clap::Args)]
pub struct Note {
    #[command(flatten)]
    with: With,
    /// What is to be remembered; an empty text takes the note away.
    #[arg(short, long, value_name = "TEXT")]
    message: String,
}

#[derive(Debug, clap::Args)]
pub struct Assign {
    #[command(flatten)]
    with: With,
    /// Who looks after them; an empty name for nobody.
    #[arg(long, value_name = "NAME")]
    to: String,
}

#[derive(Debug, clap::Args)]
pub struct Link {
    #[command(flatten)]
    with: With,
    /// The name or address of the ticket; an empty one for none.
    #[arg(long, value_name = "TICKET")]
    to: String,
}

#[derive(Debug, clap::Args)]
pub struct Reclassify {
    #[command(flatten)]
    with: With,
    /// The code that they have from now on.
    #[arg(long, value_name = "CODE")]
    to: String,
    /// The class that they have from now on: transient, permanent or systemic. That of the code when absent.
    #[arg(long, value_name = "CLASS")]
    to_class: Option<String>,
}

pub async fn restore(with: With, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    change(with, Deed::Restored, now, global).await
}

pub async fn resolve(with: With, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    change(with, Deed::Resolved, now, global).await
}

pub async fn note(note: Note, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    change(note.with, Deed::Noted { text: note.message }, now, global).await
}

pub async fn assign(assign: Assign, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    change(assign.with, Deed::Assigned { owner: assign.to }, now, global).await
}

pub async fn link(link: Link, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    change(link.with, Deed::Linked { ticket: link.to }, now, global).await
}

pub async fn reclassify(
    reclassify: Reclassify,
    now: Timestamp,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let Reclassify { with, to: code, to_class } = reclassify;
    let class = match (to_class, code.parse::<Code>()) {
        (Some(class), _) => class,
        (None, Ok(code)) => code.class().to_string(),
        (None, Err(_)) => {
            let message =
                format!("'{}' is not a code of Lazaret, so that its class is not known", printable(&code));
            return Err(Failure::new(ExitCode::Usage, message)
                .hint("`lazaret codes` lists the codes; name the class of another with --to-class"));
        }
    };
    change(with, Deed::Reclassified { code, class }, now, global).await
}

async fn change(with: With, deed: Deed, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let target = with.target(&deed, now)?;
    let max = with.max();
    let With { by, reason, dry_run, yes, which, .. } = with;
    let change = Change { deed, by: by.unwrap_or_default(), reason };
    let config = global.load_config()?;
    let index = index(&config, which.no_refresh).await?;
    let prepared = change.prepare(&*index, &target, max).await?;
    if dry_run {
        match global.format() {
            Format::Json => output::json(&prepared)?,
            Format::Ndjson => output::ndjson(&prepared)?,
            Format::Table => {
                output::to_stdout(&told(&prepared, now))?;
                output::to_stderr(&format!(
                    "nothing is done in a dry run; without it, {}\n",
                    what(&prepared)
                ));
            }
        }
        return Ok(ExitCode::Done);
    }
    let topic = operations_topic(&config).await?;
    if !yes {
        confirm(prepared.count(), &what(&prepared), &told(&prepared, now))?;
    }
    let producer = Producer::new(&config.kafka, &Topology::derive(&config), "dlq")?;
    let said = what(&prepared);
    let done = prepared.carry_out(&producer, &topic).await?;
    match global.format() {
        Format::Json => output::json(&done)?,
        Format::Ndjson => output::ndjson(&done)?,
        Format::Table => {
            output::to_stdout(&format!("{said}\n"))?;
            output::to_stderr(&format!("`lazaret dlq audit --operation {}` shows it\n", done.operation));
        }
    }
    Ok(ExitCode::Done)
}

impl With {
    /// Letters, wherever nothing else can be meant: in these states when none is named. `hint` is what to do when it is not said
    /// with which.
    pub fn letters(&self, now: Timestamp, states: &[State], hint: &str) -> Result<Target, Failure> {
        let usage = |message: &str, hint: &str| Err(Failure::new(ExitCode::Usage, message).hint(hint));
        match (self.ids.is_empty(), self.which.is_empty()) {
            (false, false) => usage("ids and conditions are given", "give either of them"),
            (true, true) => usage("it is not said with which dead letters", hint),
            (false, true) => {
                self.ids.iter().try_for_each(|id| ensure_id(id))?;
                Ok(Target::Letters(self.ids.clone()))
            }
            (true, false) => Ok(Target::Those(Box::new(self.which.filter(now, states)?))),
        }
    }

    pub fn max(&self) -> usize {
        usize::try_from(self.max).unwrap_or(usize::MAX)
    }

    /// A group is meant as a whole where nothing else is said, and where that makes sense.
    fn target(&self, deed: &Deed, now: Timestamp) -> Result<Target, Failure> {
        let of_letters = matches!(deed, Deed::Restored | Deed::Reclassified { .. });
        match &self.which.group {
            Some(group) if self.ids.is_empty() && !of_letters && self.which.is_group_alone() => {
                Ok(Target::Group(group.clone()))
            }
            _ => {
                let states: &[State] = if *deed == Deed::Restored { &[State::Discarded] } else { &STANDING };
                let hint = "name ids, or conditions such as --stage; --state open for all that are open";
                self.letters(now, states, hint)
            }
        }
    }
}

/// What is done with how many, such as `3 dead letters are restored`.
fn what(prepared: &Prepared) -> String {
    let many = |count: usize, one: &str| match count {
        1 => format!("1 {one} is"),
        count => format!("{count} {one}s are"),
    };
    let who = match prepared.groups.len() {
        0 => many(prepared.letters.len(), "dead letter"),
        count => many(count, "group"),
    };
    let deed = match &prepared.change.deed {
        Deed::Reclassified { code, class } => format!("reclassified as {code} ({class})"),
        Deed::Noted { text } if text.is_empty() => "without a note".into(),
        Deed::Assigned { owner } if owner.is_empty() => "assigned to nobody".into(),
        Deed::Linked { ticket } if ticket.is_empty() => "linked to no ticket".into(),
        Deed::Noted { .. } => "noted".into(),
        Deed::Assigned { owner } => format!("assigned to {owner}"),
        Deed::Linked { ticket } => format!("linked to {ticket}"),
        other => other.name().into(),
    };
    format!("{who} {deed}")
}

/// With which it would be done; of many letters the first.
fn told(prepared: &Prepared, now: Timestamp) -> String {
    if !prepared.groups.is_empty() {
        let heading = ["group", "stage", "code", "letters", "last", "message"];
        return output::table(&heading, prepared.groups.iter().map(|group| group_row(group, now)).collect());
    }
    let heading = ["id", "stage", "code", "class", "state", "job", "age", "message"];
    let mut told = output::table(&heading, prepared.first.iter().map(|known| row(known, now)).collect());
    let more = prepared.letters.len() - prepared.first.len();
    if more > 0 {
        told.push_str(&format!("and {more} more\n"));
    }
    told
}

fn row(known: &Known, now: Timestamp) -> Vec<String> {
    let Known { entry, state, .. } = known;
    vec![
        entry.id.clone(),
        place(&entry.pipeline, &entry.stage),
        printable(&entry.code),
        printable(&entry.class),
        state.as_str().to_owned(),
        printable(&entry.job),
        age(entry.last_failure, now),
        shortened(&entry.message),
    ]
}

fn group_row(group: &Group, now: Timestamp) -> Vec<String> {
    vec![
        group.fingerprint.clone(),
        place(&group.pipeline, &group.stage),
        printable(&group.code),
        group.count.to_string(),
        age(group.last, now),
        shortened(&group.message),
    ]
}

/// The stage, which a letter of others may not have.
fn place(pipeline: &str, stage: &str) -> String {
    match (pipeline, stage) {
        ("", "") => "-".into(),
        ("", stage) => printable(stage),
        (pipeline, stage) => format!("{}.{}", printable(pipeline), printable(stage)),
    }
}

impl From<SelectionError> for Failure {
    fn from(error: SelectionError) -> Self {
        match error {
            SelectionError::NotFound(advice) => Failure::advised(ExitCode::NothingMatched, advice),
            SelectionError::TooMany(advice) => Failure::advised(ExitCode::Refused, advice),
            SelectionError::Index(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Wrong(advice) => Failure::advised(ExitCode::Usage, advice),
            ChangeError::Selection(error) => error.into(),
            ChangeError::Refused(all) => Failure::refused(all),
            ChangeError::Kafka(problem) => problem.into(),
            ChangeError::Unwritten { done, error } => {
                let code = if done.letters + done.groups == 0 { ExitCode::Failed } else { ExitCode::Partial };
                Failure::new(code, ChangeError::Unwritten { done, error }.to_string())
                    .hint("do it again: what is written down twice means the same")
            }
        }
    }
}
