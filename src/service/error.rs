//! Why a service cannot be built, or cannot go on: the place, the cause, and what to do.

use std::fmt;

use crate::config::{Problem, Severity};
use crate::kafka::KafkaProblem;
use crate::ledger::LedgerError;
use crate::worker::{InstanceError, StartError};

/// See the module. `Display` says all of it in one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Settings that cannot be, all of them at once. Nobody was asked yet.
    #[error("{}", list(.0))]
    Settings(Vec<Setting>),
    /// The cluster cannot be reached, refuses the login, or refuses a request.
    #[error(transparent)]
    Kafka(#[from] KafkaProblem),
    /// These topics are missing, and the service was not to make them.
    #[error("these topics are missing: {}", .0.join(", "))]
    MissingTopics(Vec<String>),
    /// A topic could not be made.
    #[error("topic '{topic}' cannot be made: {cause}")]
    Topic { topic: String, cause: String },
    /// The ledger's file cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Another process uses the ledger under this name.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// What is left that keeps a stage from being started.
    #[error(transparent)]
    Start(StartError),
    /// The stage ended by itself; the log says why. Nothing is lost: start it again.
    #[error("the stage could not go on; the log says why, nothing is lost, start it again")]
    Broken,
}

/// One setting that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The builder's method, such as `in_flight`, or a place below it.
    pub place: String,
    /// What is wrong, and why that matters.
    pub cause: String,
    /// What to say instead; may be empty.
    pub remedy: String,
}

impl Error {
    /// What to do about it, where one can say more than the message does.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Error::Settings(settings) => settings.first().map(|setting| setting.remedy.clone()),
            Error::Kafka(problem) => problem.hint().map(str::to_owned),
            Error::MissingTopics(_) => {
                Some("make them, or let the service do it with create_topics(true)".to_owned())
            }
            Error::Topic { .. } => Some("make it yourself, or give this user the right to".to_owned()),
            _ => None,
        }
    }
}

impl Setting {
    pub(super) fn new(place: &str, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.to_owned(), cause: cause.into(), remedy: remedy.into() }
    }

    /// A problem of the configuration, in the builder's words. `None` for a mere warning.
    pub(super) fn of(problem: Problem) -> Option<Self> {
        const NAMES: [(&str, &str); 7] = [
            ("concurrency", "in_flight"),
            ("retry", "ladder"),
            ("kafka.bootstrap", "bootstrap"),
            ("kafka.properties.", "property "),
            ("kafka.security", "security"),
            ("kafka.membership", "group_protocol"),
            ("shutdown.drain", "drain"),
        ];
        if problem.severity == Severity::Warning {
            return None;
        }
        // `pipelines.<name>.stages[0].retry.rungs` is `ladder.rungs` here.
        let path = problem.path.as_str();
        let path = path.split_once(".stages[0].").map_or(path, |(_, rest)| rest);
        let path = match path.strip_prefix("pipelines.") {
            Some(rest) => [
                "input",
                "output",
                "partitions",
                "replication",
                "retention",
                "dlq_retention",
                "record_max",
                "retry",
            ]
            .iter()
            .find_map(|key| rest.rfind(&format!(".{key}")).and_then(|at| rest.get(at + 1..)))
            .unwrap_or("builder"),
            None => path,
        };
        let named = NAMES.iter().find_map(|(key, name)| Some(format!("{name}{}", path.strip_prefix(key)?)));
        let place = named.unwrap_or_else(|| path.trim_end_matches(".topic").to_owned());
        Some(Self { place, cause: problem.message, remedy: problem.hint.unwrap_or_default() })
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.cause)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Kafka(problem) => Self::Kafka(problem),
            StartError::MissingTopics(missing) => Self::MissingTopics(missing),
            other => Self::Start(other),
        }
    }
}

fn list(settings: &[Setting]) -> String {
    settings.iter().map(Setting::to_string).collect::<Vec<_>>().join("; ")
}
