//! The life of a job through all stages, as the ledger has it, in words. Pure.

use jiff::Timestamp;

use super::advice::Advice;
use crate::ledger::{Event, LedgerError};

/// No such job, or the ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("{0}")]
    NotFound(Advice),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// The events of a job and its children, in time order; a job without any is not known.
pub fn life(job: &str, events: Vec<Event>) -> Result<Vec<Event>, JobError> {
    if events.is_empty() {
        return Err(JobError::NotFound(Advice::new(
            format!("the ledger knows no job '{job}'"),
            "it may be older than ledger.retention, or not have reached its first stage",
        )));
    }
    Ok(events)
}

/// What an event says beside its kind: why it failed, where the record went, who gave it up, when it is due. A
/// `command` to paste begins as `dlq::explain::command` says.
pub fn detail(event: &Event, command: &str) -> String {
    let mut parts = Vec::new();
    if let Some(fault) = &event.fault {
        parts.push(fault.to_string());
    }
    match (&event.went_to, event.kind.as_str()) {
        (Some(id), "dead") => parts.push(format!("{command} dlq show {id}")),
        (Some(topic), _) => parts.push(format!("to {topic}")),
        (None, _) => {}
    }
    parts.extend(event.remark.clone());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Code, Fault};
    use crate::ops::dlq::fixture;

    fn event(kind: &str, fault: Option<Fault>, went_to: Option<&str>, due: Option<Timestamp>) -> Event {
        Event { fault, went_to: went_to.map(str::to_owned), due, ..fixture::event(kind) }
    }

    #[test]
    fn a_waiting_attempt_says_why_where_and_until_when() {
        let due = Timestamp::from_millisecond(1_500).expect("a time");
        let fault = Fault::new(Code::LlmTimeout, "no answer in 60s");
        let text = detail(&event("waiting", Some(fault), Some("p.s.retry.5s"), Some(due)), "lazaret");
        assert_eq!(text, "llm.timeout: no answer in 60s; to p.s.retry.5s; due 1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn a_death_names_the_command_that_shows_it() {
        let command = "lazaret --config demo.yaml";
        let dead = event("dead", None, Some("abc"), None);
        assert_eq!(detail(&dead, command), "lazaret --config demo.yaml dlq show abc");
        assert_eq!(detail(&event("done", None, None, None), command), "");
    }

    #[test]
    fn a_job_that_was_parked_says_where_and_one_that_was_given_up_by_whom() {
        let parked = event("parked", None, Some("p.s.parking"), None);
        assert_eq!(detail(&parked, "lazaret"), "to p.s.parking");
        let remark = Some("ada: a test document".to_owned());
        let discarded = Event { remark, ..event("discarded", None, None, None) };
        assert_eq!(detail(&discarded, "lazaret"), "ada: a test document");
    }

    #[test]
    fn a_job_without_events_is_not_known() {
        assert!(matches!(life("j", Vec::new()), Err(JobError::NotFound(_))));
        let time = |ms| Timestamp::from_millisecond(ms).expect("a time");
        assert_eq!(since(time(1_000), time(2_204)), "+1.204s");
    }
}
