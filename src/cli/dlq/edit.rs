//! `lazaret dlq edit`: another payload, or other headers, for dead letters, with which they are sent back.

mod editor;
pub mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::change::With;
use super::send;
use super::which::index;
use crate::cli::confirm::confirm;
use crate::cli::{ExitCode, Failure, Format, Global, output};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::ops::advice::Advice;
use crate::ops::archive::find::FindError;
use crate::ops::dlq::edit::{
    EditError, FORMULAS_MAX, Formula, Payload, Prepared, Wanted, What, Wish, check, prepare,
};
use crate::ops::quarantine::selection::Target;
use crate::quarantine::{Quarantine, State};

/// Longest file that is read.
const FILE_MAX: u64 = 16 << 20;

#[derive(Debug, clap::Args)]
pub struct Edit {
    #[command(flatten)]
    with: With,
    /// A JSON Patch (RFC 6902) for the payload: a file, or JSON. Of Avro, for the JSON that `dlq show --payload` shows.
    #[arg(long, value_name = "FILE|JSON", conflicts_with_all = ["merge", "payload", "undo"])]
    patch: Option<String>,
    /// A JSON Merge Patch (RFC 7396) for the payload: a file, or JSON.
    #[arg(long, value_name = "FILE|JSON", conflicts_with_all = ["payload", "undo"])]
    merge: Option<String>,
    /// The whole payload, byte for byte as in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "undo")]
    payload: Option<PathBuf>,
    /// What stands at a place of the payload (a JSON Pointer) becomes what an expression in CEL says, which can ask for `payload`,
    /// `headers` and what conditions know of a letter: `--set '/question=payload.question.trim()'`. As often as you like, one
    /// after the other.
    #[arg(long, value_name = "POINTER=EXPRESSION", conflicts_with_all = ["patch", "merge", "payload", "undo"],
        value_parser = Formula::parse)]
    set: Vec<Formula>,
    /// A header that the record gets, in place of all of its name.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "undo", value_parser = pair)]
    set_header: Vec<(String, String)>,
    /// A header that the record loses.
    #[arg(long, value_name = "NAME", conflicts_with = "undo")]
    unset_header: Vec<String>,
    /// Headers that are secrets, or by which people tell whose a record is, are meant too.
    #[arg(long)]
    sensitive: bool,
    /// Take edits back that were not sent.
    #[arg(long)]
    undo: bool,
    /// Open the payload in the editor with what the configuration masks. It is written down on the topic of operations who saw
    /// it, and why.
    #[arg(long, conflicts_with_all = ["patch", "merge", "payload", "set", "undo"])]
    unmask: bool,
    /// Send them back at once, if their stage can read them now.
    #[arg(long, conflicts_with = "undo")]
    redrive: bool,
}

pub async fn edit(edit: Edit, now: Timestamp, global: &Global) -> Result<ExitCode, Failure> {
    let with = &edit.with;
    let target = with.letters(now, &[State::Open], "name ids, or conditions such as --group")?;
    let (by, reason) = (with.by.clone().unwrap_or_default(), with.reason.clone());
    if !with.dry_run {
        check(&by, reason.as_deref())?;
    }
    let config = global.load_config()?;
    let index = index(&config, with.which.no_refresh).await?;
    let Some(what) = edit.what(&config, &index, &target).await? else {
        output::to_stderr("nothing was changed in the editor, and so nothing was done\n");
        return Ok(ExitCode::Done);
    };
    let prepared = prepare(&config, &*index, &target, with.max(), what).await?;
    if prepared.letters.is_empty() {
        let message = "it makes no difference for any of the dead letters";
        return Err(Failure::new(ExitCode::NothingMatched, message)
            .hint("`lazaret dlq show --payload` shows what is there"));
    }
    if with.dry_run {
        match global.format() {
            Format::Json => output::json(&prepared)?,
            Format::Ndjson => output::ndjson(&prepared)?,
            Format::Table => {
                output::to_stdout(&told::samples(&prepared))?;
                let what = told::what(&prepared, edit.undo);
                output::to_stderr(&format!("nothing is done in a dry run; without it, {what}\n"));
            }
        }
        return Ok(ExitCode::Done);
    }
    if !with.yes {
        let what = told::what(&prepared, edit.undo);
        confirm(prepared.letters.len(), &what, &told::samples(&prepared))?;
    }
    carry_out(&edit, &config, &index, prepared, &by, &reason.unwrap_or_default(), global).await
}

async fn carry_out(
    edit: &Edit,
    config: &Config,
    index: &Arc<dyn Quarantine>,
    prepared: Prepared,
    by: &str,
    reason: &str,
    global: &Global,
) -> Result<ExitCode, Failure> {
    let producer = Producer::new(&config.kafka, &Topology::derive(config), "dlq")?;
    let samples = told::samples(&prepared);
    let done = prepared.carry_out(config, index, &producer, by, reason).await?;
    if done.letters.is_empty() {
        let lost = done.lost.into_iter().map(|lost| {
            let hint = format!("`lazaret dlq show {}` says what was done with it", lost.id);
            Failure::advised(ExitCode::Conflict, Advice::new(lost.why, hint))
        });
        let mut lost: Vec<Failure> = lost.collect();
        let none = || Failure::new(ExitCode::Conflict, "somebody else was first");
        let first = if lost.is_empty() { none() } else { lost.remove(0) };
        return Err(Failure { more: lost, ..first });
    }
    match (global.format(), edit.redrive) {
        (Format::Json, false) => output::json(&done)?,
        (Format::Ndjson, false) => output::ndjson(&done)?,
        (Format::Table, _) => output::to_stdout(&format!("{samples}{}", told::done(&done, edit.undo)))?,
        _ => {}
    }
    if edit.redrive {
        send::edited(config, &done.letters, by, reason, global).await?;
    }
    match done.lost.is_empty() {
        true => Ok(ExitCode::Done),
        false => Ok(ExitCode::Partial),
    }
}

impl Edit {
    /// What the flags say, or somebody in an editor. `None` when nothing was changed there.
    async fn what(
        &self,
        config: &Config,
        index: &Arc<dyn Quarantine>,
        target: &Target,
    ) -> Result<Option<What>, Failure> {
        if self.undo {
            return Ok(Some(What::Undo));
        }
        let set = self.set_header.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        let headers: Vec<Wanted> =
            set.chain(self.unset_header.iter().map(|name| (name.clone(), None))).collect();
        let payload = match (&self.patch, &self.merge, &self.payload) {
            (Some(patch), ..) => Payload::Patch(json("--patch", patch)?),
            (_, Some(merge), _) => Payload::Merge(json("--merge", merge)?),
            (.., Some(file)) => Payload::Bytes(Bytes::from(read("--payload", file)?)),
            _ if !self.set.is_empty() => Payload::AsItIs,
            _ if headers.is_empty() || self.unmask => match self.by_hand(config, index, target).await? {
                Some(payload) => payload,
                None => return Ok(None),
            },
            _ => Payload::AsItIs,
        };
        if self.set.len() > FORMULAS_MAX {
            let message = format!("--set: at most {FORMULAS_MAX} can be given");
            return Err(Failure::new(ExitCode::Usage, message).hint("write a merge patch"));
        }
        let (set, sensitive) = (self.set.clone(), self.sensitive);
        Ok(Some(What::Edit(Box::new(Wish { payload, set, headers, sensitive }))))
    }

    async fn by_hand(
        &self,
        config: &Config,
        index: &Arc<dyn Quarantine>,
        target: &Target,
    ) -> Result<Option<Payload>, Failure> {
        let Target::Letters(ids) = target else {
            let message = "it is not said what is to be changed";
            return Err(Failure::new(ExitCode::Usage, message)
                .hint("give --patch, --merge, --set, --payload or --set-header"));
        };
        let [id] = &ids[..] else {
            let message = "several dead letters cannot be changed in one editor";
            return Err(
                Failure::new(ExitCode::Usage, message).hint("give --patch, --merge or --set, or one id")
            );
        };
        let unmasked = (self.unmask, self.with.by.as_deref(), self.with.reason.as_deref());
        editor::edit(config, &**index, id, unmasked).await
    }
}

/// `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it like content-type=application/json")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// JSON as it stands there, or of a file.
fn json<T: DeserializeOwned>(flag: &str, text: &str) -> Result<T, Failure> {
    let bytes = match text.trim_start().starts_with(['{', '[']) {
        true => text.as_bytes().to_vec(),
        false => read(flag, Path::new(text))?,
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(ExitCode::Usage, format!("{flag}: {error}"))
            .hint("a JSON Patch is a list such as [{\"op\": \"replace\", \"path\": \"/a\", \"value\": 1}], a merge patch an object such as {\"a\": 1}")
    })
}

fn read(flag: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |why: String| Failure::new(ExitCode::Usage, format!("{flag}: {why}")).at(path.display().to_string());
    let length = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if length > FILE_MAX {
        return Err(failed(format!("the file has {length} bytes, more than the {FILE_MAX} that are read")));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Wrong(advice) => Failure::advised(ExitCode::Usage, advice),
            EditError::Selection(error) => error.into(),
            EditError::Refused(all) => Failure::refused(all),
            EditError::Kafka(problem) => problem.into(),
            EditError::Index(error) => error.into(),
            EditError::Late(advice) => Failure::advised(ExitCode::TimedOut, advice),
            EditError::Unread(FindError::Kafka(problem)) => problem.into(),
            EditError::Unread(_) | EditError::Unnoted(_) => Failure::new(ExitCode::Failed, error.to_string()),
            EditError::Unwritten(_) => Failure::new(ExitCode::Failed, error.to_string())
                .hint("`lazaret dlq show` says whether it was written; do it again if not"),
            EditError::Partial { .. } => Failure::new(ExitCode::Partial, error.to_string())
                .hint("those count: `lazaret dlq audit` lists them; do the others again"),
        }
    }
}
