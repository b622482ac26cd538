//! Which dead letters are meant. Plain data; the stores make conditions of it.

use std::fmt;

use jiff::Timestamp;

use super::{Kept, Known, State, operand};
use crate::config::expression::Expression;
use crate::flow::code::is_in_area;

/// Absent conditions let everything through; all that are there must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub pipeline: Option<String>,
    pub stage: Option<String>,
    /// A failure code, or its area (`llm`).
    pub code: Option<String>,
    pub class: Option<String>,
    pub fingerprint: Option<String>,
    pub tenant: Option<String>,
    /// A job id; its children count too.
    pub job: Option<String>,
    pub resource: Option<String>,
    pub trace: Option<String>,
    /// Any of these; all, when empty.
    pub states: Vec<State>,
    /// Any of these; wherever, when empty.
    pub kept: Vec<Kept>,
    /// Whether a person has done something with it, or with its group.
    pub looked_at: Option<bool>,
    /// Text that the message contains, whatever its case.
    pub text: Option<String>,
    /// Died at or after this time.
    pub since: Option<Timestamp>,
    /// Died before this time.
    pub until: Option<Timestamp>,
    /// Kafka counts its retention from a time before this one.
    pub logged_before: Option<Timestamp>,
    /// What no other field can state. Letters are held against it one by one.
    pub condition: Option<Condition>,
}

/// A condition, and the time that ages are counted up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub expression: Expression,
    pub now: Timestamp,
}

impl Condition {
    /// What nobody can tell does not hold.
    pub fn holds(&self, letter: &Known) -> bool {
        self.expression.holds(|name| operand(letter, name, self.now)).unwrap_or(false)
    }
}

impl Filter {
    /// What the stores' conditions mean.
    pub fn matches(&self, letter: &Known) -> bool {
        let entry = &letter.entry;
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        is(&self.pipeline, Some(&entry.pipeline))
            && is(&self.stage, Some(&entry.stage))
            && self.code.as_deref().is_none_or(|code| is_in_area(&entry.code, code))
            && is(&self.class, Some(&entry.class))
            && is(&self.fingerprint, Some(&entry.fingerprint))
            && is(&self.tenant, entry.tenant.as_deref())
            && self.job.as_deref().is_none_or(|job| is_of_job(&entry.job, job))
            && is(&self.resource, entry.resource.as_deref())
            && is(&self.trace, entry.trace.as_deref())
            && self.looked_at.is_none_or(|wanted| letter.looked_at == wanted)
            && (self.states.is_empty() || self.states.contains(&letter.state))
            && self.text.as_deref().is_none_or(|text| contains(&entry.message, text))
            && self.since.is_none_or(|since| entry.last_failure >= since)
            && self.until.is_none_or(|until| entry.last_failure < until)
            && self.condition.as_ref().is_none_or(|condition| condition.holds(letter))
            && (self.kept.is_empty() || self.kept.contains(&letter.kept))
            && self.logged_before.is_none_or(|before| entry.logged() < before.as_millisecond())
    }
}

/// As flags of the command line.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let states: Vec<&str> = self.states.iter().map(|state| state.as_str()).collect();
        let flags = [
            ("pipeline", self.pipeline.clone()),
            ("stage", self.stage.clone()),
            ("code", self.code.clone()),
            ("class", self.class.clone()),
            ("group", self.fingerprint.clone()),
            ("tenant", self.tenant.clone()),
            ("job", self.job.clone()),
            ("resource", self.resource.clone()),
            ("trace", self.trace.clone()),
            ("state", (!states.is_empty()).then(|| states.join(","))),
            ("text", self.text.as_ref().map(|text| format!("{text:?}"))),
            ("since", time(self.since)),
            ("until", time(self.until)),
            ("where", self.condition.as_ref().map(|condition| format!("'{}'", condition.expression))),
        ];
        let flags = flags.into_iter().filter_map(|(flag, value)| Some(format!("--{flag} {}", value?)));
        f.write_str(&flags.collect::<Vec<_>>().join(" "))
    }
}

/// Whether a job is this one, or a child of it.
pub fn is_of_job(job: &str, parent: &str) -> bool {
    job.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn contains(message: &str, text: &str) -> bool {
    message.to_lowercase().contains(&text.to_lowercase())
}

/// Where a page of a list ended. As text it is `<died>.<id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the last letter of the page died, milliseconds since 1970.
    pub died: i64,
    pub id: String,
}

impl Cursor {
    /// Behind this letter.
    pub fn behind(letter: &Known) -> Self {
        Self { died: letter.entry.last_failure.as_millisecond(), id: letter.entry.id.clone() }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.died, self.id)
    }
}

impl serde::Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The text was not given out by a list.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not where a page ends")]
pub struct NotACursor;

impl std::str::FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (died, id) = text.split_once('.').ok_or(NotACursor)?;
        Ok(Self { died: died.parse().map_err(|_| NotACursor)?, id: id.to_owned() })
    }
}

/// What dead letters are counted by.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    clap::ValueEnum,
    serde::Deserialize,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Tenant,
    Resource,
    Feature,
    Model,
    Producer,
    /// The stage's revision.
    Version,
    Code,
    Class,
    Stage,
    State,
}
