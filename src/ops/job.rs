//! The life of a job through all stages, as the ledger has it. Reads only.

use jiff::Timestamp;

use crate::ledger::{Event, Ledger, LedgerError};

/// No such job, or the ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error(
        "the ledger knows no job '{0}'; it may be older than ledger.retention, or not have reached its first stage"
    )]
    NotFound(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Everything that happened to a job and its children, in time order; never empty.
pub async fn history(ledger: &dyn Ledger, job: &str) -> Result<Vec<Event>, JobError> {
    let events = ledger.history(job).await?;
    if events.is_empty() {
        return Err(JobError::NotFound(job.to_owned()));
    }
    Ok(events)
}

/// What an event says beside its kind: why it failed, where the record went, when it is due.
pub fn detail(event: &Event) -> String {
    let mut parts = Vec::new();
    if let Some(fault) = &event.fault {
        parts.push(fault.to_string());
    }
    match (&event.went_to, event.kind.as_str()) {
        (Some(id), "dead") => parts.push(format!("lazaret dlq show {id}")),
        (Some(topic), _) => parts.push(format!("to {topic}")),
        (None, _) => {}
    }
    if let Some(due) = event.due {
        parts.push(format!("due {due:.3}"));
    }
    parts.join("; ")
}

/// The time since the job's first event, in seconds with milliseconds: `+1.204s`.
pub fn since(first: Timestamp, at: Timestamp) -> String {
    let ms = at.as_millisecond().saturating_sub(first.as_millisecond());
    format!("+{}.{:03}s", ms / 1000, ms.rem_euclid(1000))
}
