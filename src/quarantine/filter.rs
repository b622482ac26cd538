//! Which dead letters are meant. Plain data; the stores make conditions of it.

use jiff::Timestamp;

use super::State;

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

/// Where a page of a list ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the last letter of the page died, milliseconds since 1970.
    pub died: i64,
    pub id: String,
}

/// What dead letters are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
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
