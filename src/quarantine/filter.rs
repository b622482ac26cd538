//! Which dead letters are meant. Plain data; the stores make conditions of it.

use jiff::Timestamp;

use super::{Known, State};

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
    /// Text that the message contains, whatever its case.
    pub text: Option<String>,
    /// Died at or after this time.
    pub since: Option<Timestamp>,
    /// Died before this time.
    pub until: Option<Timestamp>,
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
            && (self.states.is_empty() || self.states.contains(&letter.state))
            && self.text.as_deref().is_none_or(|text| contains(&entry.message, text))
            && self.since.is_none_or(|since| entry.last_failure >= since)
            && self.until.is_none_or(|until| entry.last_failure < until)
    }
}

/// Whether a code is this one, or one of this area.
pub fn is_in_area(code: &str, area: &str) -> bool {
    code.strip_prefix(area).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether a job is this one, or a child of it.
pub fn is_of_job(job: &str, parent: &str) -> bool {
    job.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn contains(message: &str, text: &str) -> bool {
    message.to_lowercase().contains(&text.to_lowercase())
}

/// Where a page of a list ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the last letter of the page died, milliseconds since 1970.
    pub died: i64,
    pub id: String,
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
