//! Another value, or other headers, for dead letters, with which they are sent back. What would be changed is found out and
//! checked for all of them first; then it is written down on the topic of operations, and looked up whether it counts: of two
//! edits that come at once the first does. The dead letters stay as they are.
//!
//! ```text
//! desk   the records of letters, and what a wish makes of each
//! sheet  a record as people change it: payload by its schema, and back
//! class  which headers may be changed
//! check  whether the stage can read what comes of it
//! formula  places of a payload, and expressions that say what they become
//! diff   what is different, for people
//! write  the acts, and whether they count
//! ```

mod check;
mod class;
mod desk;
mod diff;
mod formula;
mod sheet;
mod write;

use serde::Serialize;
use serde_json::Value;

pub use self::class::Wanted;
pub use self::diff::Change;
pub use self::formula::{FORMULAS_MAX, Formula};
pub use self::sheet::{Form, Payload};
pub use self::write::{Done, Lost};

use self::desk::{Desk, Draft, read};
use self::sheet::Sheet;
use crate::config::Config;
use crate::kafka::{KafkaProblem, ProduceError};
use crate::ops::advice::Advice;
use crate::ops::archive::find::FindError;
use crate::ops::quarantine::change::{self, ChangeError};
use crate::ops::quarantine::selection::{SelectionError, Target, letters, one};
use crate::ops::quarantine::{Acts, FollowError, edits};
use crate::quarantine::{Deed, Edition, Known, Quarantine, QuarantineError, State, Writer};

/// Letters of which it is shown what would be different.
const SAMPLES: usize = 5;
/// Letters that are named of those with which it cannot be done.
const NAMED: usize = 10;
/// Letters that are edited together: each may come to half a megabyte.
const PAGE: usize = 50;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum What {
    Edit(Box<Wish>),
    /// Edits that were not sent are taken back.
    Undo,
}

/// What is to be changed.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub payload: Payload,
    /// What places of the payload become, if any: then it is not said otherwise.
    pub set: Vec<Formula>,
    pub headers: Vec<Wanted>,
    /// Sensitive headers are meant, too.
    pub sensitive: bool,
}

/// What would be done.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Prepared {
    #[serde(skip)]
    what: What,
    /// Their ids.
    pub letters: Vec<String>,
    /// Those for which it makes no difference.
    pub unchanged: u64,
    /// What would be different of the first of them.
    pub samples: Vec<Sample>,
}

/// What is different of one letter, without what is masked.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Sample {
    pub id: String,
    pub changes: Vec<Change>,
}

/// Nothing, or not everything, was done.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It makes no sense, whatever the letters are.
    #[error("{0}")]
    Wrong(Advice),
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// It cannot be done with these, and so it was with none.
    #[error("it cannot be done with {} of the dead letters", .0.len())]
    Refused(Vec<Advice>),
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    #[error(transparent)]
    Unread(#[from] FindError),
    #[error(transparent)]
    Index(#[from] FollowError),
    /// It cannot be seen whether it counts; it is written down.
    #[error("{0}")]
    Late(Advice),
    #[error("it cannot be written down who sees what is masked, and so nobody does: {0}")]
    Unnoted(ProduceError),
    /// It may have been written or not.
    #[error("it cannot be written down: {0}")]
    Unwritten(ProduceError),
    /// Something came between when some were written down already.
    #[error("only {written} of {all} are known to be written down, as operation {operation}: {why}")]
    Partial { operation: String, written: usize, all: usize, why: String },
}

impl EditError {
    /// What happened while it was written down.
    fn after(self, operation: &str, written: usize, all: usize) -> Self {
        if written == 0 {
            return self;
        }
        let why = match &self {
            Self::Refused(advice) => advice.first().map(ToString::to_string),
            _ => None,
        };
        let why = why.unwrap_or_else(|| self.to_string());
        Self::Partial { operation: operation.to_owned(), written, all, why }
    }
}

impl From<QuarantineError> for EditError {
    fn from(error: QuarantineError) -> Self {
        Self::Index(error.into())
    }
}

impl From<ChangeError> for EditError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Wrong(advice) => Self::Wrong(advice),
            ChangeError::Selection(error) => error.into(),
            ChangeError::Refused(all) => Self::Refused(all),
            ChangeError::Kafka(problem) => problem.into(),
            ChangeError::Unwritten { error, .. } => Self::Unwritten(error),
        }
    }
}

/// Refuses words that cannot be written down.
pub fn check(by: &str, reason: Option<&str>) -> Result<(), EditError> {
    let deed = Deed::Unedited { edit: String::new() };
    change::Change { deed, by: by.to_owned(), reason: reason.map(str::to_owned) }.check()?;
    Ok(())
}

/// Finds out what would be done with at most `max` letters, and that it can be done with all of them.
pub async fn prepare(
    config: &Config,
    index: &dyn Quarantine,
    target: &Target,
    max: usize,
    what: What,
) -> Result<Prepared, EditError> {
    let mut desk = Desk::new(config)?;
    if let What::Edit(wish) = &what {
        class::allow(&wish.headers, wish.sensitive, &desk.mask).map_err(EditError::Wrong)?;
    }
    let mut refused = Vec::new();
    let chosen = letters(index, target, max, |letter| {
        if refused.len() < NAMED {
            refused.extend(objection(letter, &what));
        }
    });
    let ids = chosen.await?.ids;
    if !refused.is_empty() {
        return Err(EditError::Refused(refused));
    }
    let What::Edit(wish) = &what else {
        return Ok(Prepared { what, letters: ids, unchanged: 0, samples: Vec::new() });
    };
    let mut prepared =
        Prepared { what: what.clone(), letters: Vec::new(), unchanged: 0, samples: Vec::new() };
    for ids in ids.chunks(PAGE) {
        for (letter, draft) in desk.drafts(index.get(ids).await?, wish).await? {
            match draft {
                Err(advice) if refused.len() < NAMED => refused.push(about(&letter, advice)),
                Err(_) => {}
                Ok(None) => prepared.unchanged += 1,
                Ok(Some(Draft { changes, .. })) => {
                    if prepared.samples.len() < SAMPLES {
                        prepared.samples.push(Sample { id: letter.entry.id.clone(), changes });
                    }
                    prepared.letters.push(letter.entry.id);
                }
            }
        }
    }
    match refused.is_empty() {
        true => Ok(prepared),
        false => Err(EditError::Refused(refused)),
    }
}

/// A letter's payload for an editor.
#[derive(Clone, Debug)]
pub struct Open {
    pub id: String,
    pub form: Form,
    pub view: Value,
}

/// The payload of a letter that can be edited. What is masked is opened only in the name of whoever sees it, which is
/// written down before.
pub async fn open(
    config: &Config,
    index: &dyn Quarantine,
    id: &str,
    unmasked: Option<Acts<'_>>,
) -> Result<Open, EditError> {
    let letter = one(index, id, "`lazaret dlq ls` lists the ids; it may be past its retention").await?;
    let id = letter.entry.id.clone();
    if let Some(advice) = objection(&letter, &What::Edit(Box::default())) {
        return Err(EditError::Refused(vec![advice]));
    }
    if let Some(acts) = &unmasked {
        acts.note(std::slice::from_ref(&id), &Deed::Unmasked).await.map_err(EditError::Unnoted)?;
    }
    let mut desk = Desk::new(config)?;
    let found = desk.records(std::slice::from_ref(&letter)).await?;
    let Some((_, headers, record)) = read(&letter, &found) else {
        return Err(EditError::Refused(vec![gone(&letter)]));
    };
    let sheet = Sheet::of(desk.registry.as_ref(), record.value, headers).await;
    if unmasked.is_none() && sheet.is_masked(&desk.mask) {
        let message =
            format!("something of dead letter {id} is masked, and would be written over by what hides it");
        let hint = "use --patch or --merge, or see all of it with --unmask, of which a note is taken";
        return Err(EditError::Refused(vec![Advice::new(message, hint)]));
    }
    Ok(Open { id, form: sheet.form, view: sheet.view })
}

/// What an edit that counts has changed, without what is masked. `None` when the letter is not edited, or Kafka no longer has
/// both.
pub async fn changes(config: &Config, letter: &Known) -> Result<Option<Vec<Change>>, EditError> {
    let mut desk = Desk::new(config)?;
    let Some((edition, operations)) = letter.edit.as_ref().zip(desk.operations.clone()) else {
        return Ok(None);
    };
    let Some(place) = edits::place(&operations, edition) else { return Ok(None) };
    let found = desk.records(std::slice::from_ref(letter)).await?;
    let edited = desk.picker.pick([place.clone()]).await?;
    let edited = edited.get(&place).and_then(|record| edits::content(record, edition));
    let Some(((_, headers, record), (value, edited))) = read(letter, &found).zip(edited) else {
        return Ok(None);
    };
    let before = Sheet::of(desk.registry.as_ref(), record.value, headers).await;
    let after = Sheet::of(desk.registry.as_ref(), value, edited).await;
    Ok(Some(desk.changes(&before, &after)))
}

/// Why it cannot be done with this letter. Pure.
fn objection(letter: &Known, what: &What) -> Option<Advice> {
    let id = &letter.entry.id;
    let undo = |edition: &Edition| match edition.sent {
        false => format!("`lazaret dlq edit --undo {id}` takes it back"),
        true => format!("`lazaret dlq show {id}` says what became of it; if it dies again, edit that letter"),
    };
    let (message, hint) = match (what, &letter.edit, letter.state) {
        (What::Edit(_), ..) if letter.entry.writer != Writer::Lazaret => (
            format!(
                "dead letter {id} was written by somebody else, whose stage does not read what Lazaret sends back"
            ),
            "correct it with the means of whoever wrote it".to_owned(),
        ),
        (What::Edit(_), Some(edition), _) => (edited_by(id, edition), undo(edition)),
        (What::Edit(_), None, State::Open) => return None,
        (What::Undo, Some(edition), State::Open) if !edition.sent => return None,
        (What::Undo, None, _) => (
            format!("dead letter {id} is not edited"),
            "`lazaret dlq show` says what was done with it".to_owned(),
        ),
        (_, _, state) => (
            format!("dead letter {id} is {}, not open", state.as_str()),
            format!("`lazaret dlq show {id}` says what was done with it"),
        ),
    };
    Some(Advice::new(message, hint))
}

/// Who was first.
fn edited_by(id: &str, edition: &Edition) -> String {
    let sent = if edition.sent { ", and was sent back so" } else { "" };
    format!("dead letter {id} was edited by {} at {:.3}{sent}", edition.by, edition.at)
}

fn about(letter: &Known, advice: Advice) -> Advice {
    Advice { message: format!("dead letter {}: {}", letter.entry.id, advice.message), ..advice }
}

fn gone(letter: &Known) -> Advice {
    let message = format!("neither Kafka nor the archive has the record of dead letter {}", letter.entry.id);
    Advice::new(message, "what is known of the letter is all there is")
}
