//! The records of dead letters, and what a wish makes of each: read, changed, checked, compared.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::check::Checks;
use super::diff::{Change, diff};
use super::formula::{self, Formula};
use super::sheet::{Payload, Sheet};
use super::{EditError, PAGE, Wish, class, gone};
use crate::config::Config;
use crate::flow::topology::OPERATION_MAX;
use crate::flow::{Class, Topology};
use crate::kafka::pick::Picker;
use crate::message::{DeadLetter, Headers, Record};
use crate::ops::advice::Advice;
use crate::ops::archive::find::{FindError, Finder};
use crate::ops::quarantine::content::portions;
use crate::quarantine::{Edit, Known, Mask, digest};
use crate::schema::Registry;

/// What an act has beside the value and the headers: names, times, a reason.
const ACT_ROOM: usize = 8 << 10;

/// What is needed to edit records. Holds one connection.
pub struct Desk<'a> {
    config: &'a Config,
    pub operations: Option<String>,
    pub mask: Mask,
    pub registry: Option<Arc<Registry>>,
    finder: Finder,
    /// Reads edits.
    pub picker: Picker,
    checks: Checks,
    now: Timestamp,
}

/// What is made of one letter.
pub struct Draft {
    pub edit: Edit,
    pub changes: Vec<Change>,
}

pub type Drafted = (Known, Result<Option<Draft>, Advice>);

impl<'a> Desk<'a> {
    pub fn new(config: &'a Config) -> Result<Self, EditError> {
        let topology = Topology::derive(config);
        let registry = Registry::of(config).map_err(|error| {
            EditError::Wrong(Advice::new(error.to_string(), "correct `registry` in the configuration"))
        })?;
        Ok(Self {
            config,
            mask: Mask::of(&config.quarantine.masking),
            registry,
            finder: Finder::new(config, "dlq"),
            picker: Picker::new(&config.kafka, "dlq", topology.message_max()),
            operations: topology.operations,
            checks: Checks::default(),
            now: Timestamp::now(),
        })
    }

    /// By the ids of the letters.
    pub async fn records(&mut self, letters: &[Known]) -> Result<HashMap<String, Record>, FindError> {
        self.finder.find(letters.iter().map(|letter| (&letter.entry, letter.archived.as_deref()))).await
    }

    /// What comes of each of these, by portions that memory has room for.
    pub async fn drafts(&mut self, letters: Vec<Known>, wish: &Wish) -> Result<Vec<Drafted>, EditError> {
        let mut drafts = Vec::with_capacity(letters.len());
        for letters in portions(letters, PAGE, |letter| letter.entry.size) {
            let found = self.records(&letters).await?;
            for letter in letters {
                let draft = self.draft(&letter, &found, wish).await;
                drafts.push((letter, draft));
            }
        }
        Ok(drafts)
    }

    /// `None` when it makes no difference.
    async fn draft(
        &mut self,
        letter: &Known,
        found: &HashMap<String, Record>,
        wish: &Wish,
    ) -> Result<Option<Draft>, Advice> {
        let (dead, headers, record) = read(letter, found).ok_or_else(|| gone(letter))?;
        class::allow_for(&wish.headers, &dead.correlation)?;
        let registry = self.registry.clone();
        let before = Sheet::of(registry.as_ref(), record.value.clone(), headers).await;
        if wish.payload.may_tell() && before.is_masked(&self.mask) {
            let message =
                "something of its payload is masked, and a patch that copies, moves or tests could tell what";
            return Err(Advice::new(message, "write it with add, remove and replace, or as a merge patch"));
        }
        let mut after = match wish.set.is_empty() {
            true => before.with(registry.as_ref(), &wish.payload).await?,
            false => {
                self.ensure_told_nothing(&before, &wish.set)?;
                let view = formula::carried_out(&wish.set, letter, &before, self.now)?;
                before.with(registry.as_ref(), &Payload::Json(view)).await?
            }
        };
        after.headers = class::apply(&before.headers, &wish.headers);
        let was = digest(before.value.as_ref(), &before.headers);
        let edit = Edit::new(was, after.value.as_ref(), &after.headers);
        // That a guess at what is masked makes no difference would tell it.
        let is_masked = before.is_masked(&self.mask)
            || before.masked_headers(&self.mask) != before.masked_headers(&Mask::default());
        if edit.is == edit.was && !is_masked {
            return Ok(None);
        }
        let length = serde_json::to_vec(&edit).map_or(usize::MAX, |json| json.len());
        let most = usize::try_from(OPERATION_MAX.0).unwrap_or(usize::MAX).saturating_sub(ACT_ROOM);
        if length > most {
            let message = format!(
                "what would come of it has {} bytes, more than the topic of operations takes of an edit",
                edit.bytes
            );
            let hint = format!("up to about {} bytes can be edited; send another record", most / 4 * 3);
            return Err(Advice::new(message, hint));
        }
        let sealed = Record { value: after.value.clone(), headers: after.headers.clone(), ..record };
        if let Err(fault) = self.checks.of(self.config, registry.as_ref(), &dead, sealed).await {
            // What is wrong with a value may quote it.
            let why = match after.is_masked(&self.mask) {
                true => String::new(),
                false => format!(": {}", self.mask.error(&fault.message)),
            };
            let message = format!("its stage could not read it: {}{why}", fault.code.as_str());
            let hint = match fault.class {
                Class::Permanent => "change more of it; `lazaret codes` says what the code means",
                Class::Transient | Class::Systemic => "do it again when that is mended",
            };
            return Err(Advice::new(message, hint));
        }
        Ok(Some(Draft { edit, changes: self.changes(&before, &after) }))
    }

    /// An expression that asks for what is masked could tell it.
    fn ensure_told_nothing(&self, before: &Sheet, set: &[Formula]) -> Result<(), Advice> {
        let (payload, headers) = formula::reads(set);
        let hides_headers = || before.masked_headers(&self.mask) != before.masked_headers(&Mask::default());
        let what = match () {
            () if payload && before.is_masked(&self.mask) => "payload",
            () if headers && hides_headers() => "headers",
            () => return Ok(()),
        };
        let message = format!(
            "something of its {what} is masked, and an expression that asks for '{what}' could tell what"
        );
        Err(Advice::new(
            message,
            "write what it is to be without asking for it, or as a patch or a merge patch",
        ))
    }

    pub fn changes(&self, before: &Sheet, after: &Sheet) -> Vec<Change> {
        let mut changes = Vec::new();
        let (old, new) = (before.masked(&self.mask), after.masked(&self.mask));
        diff("payload", Some(&old), Some(&new), &mut changes);
        // Different only in what is hidden, or in how it is written.
        let not_shown = |at: &str| {
            let words = || Some(Value::String("(not shown)".into()));
            Change { at: at.to_owned(), before: words(), after: words() }
        };
        if changes.is_empty() && (before.value != after.value || before.is_masked(&self.mask)) {
            changes.push(not_shown("payload"));
        }
        let (old, new) = (before.masked_headers(&self.mask), after.masked_headers(&self.mask));
        let told = changes.len();
        diff("headers", Some(&old), Some(&new), &mut changes);
        if changes.len() == told && before.headers != after.headers {
            changes.push(not_shown("headers"));
        }
        changes
    }
}

/// The letter, the headers that the record had, and the record; `None` when another one stands there, or none.
pub fn read(letter: &Known, found: &HashMap<String, Record>) -> Option<(DeadLetter, Headers, Record)> {
    let record = found.get(&letter.entry.id)?;
    let (dead, headers) = DeadLetter::read(record).ok().filter(|(dead, _)| dead.id == letter.entry.id)?;
    Some((dead, headers, record.clone()))
}
