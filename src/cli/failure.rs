//! A verb that did not do what it was asked: what went wrong, where, and what to do. Shown on stderr, once.

use serde_json::{Value, json};

use super::exit::ExitCode;
use super::global::{Format, Global};
use super::output;
use crate::config::{ConfigErrors, Problem, Severity};
use crate::kafka::KafkaProblem;
use crate::ops::advice::Advice;

/// Why a verb failed. Texts are one line, lower case, without a full stop; never a secret.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: ExitCode,
    pub message: String,
    /// File and line, topic, address: whatever the user can look at.
    pub place: Option<String>,
    pub hint: Option<String>,
    /// The line of the file, when the place is one.
    pub excerpt: Option<Box<str>>,
    /// `warning` for something that would not have failed alone.
    pub severity: Severity,
    /// What else is wrong.
    pub more: Vec<Failure>,
}

impl Failure {
    pub fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            place: None,
            hint: None,
            excerpt: None,
            severity: Severity::Error,
            more: Vec::new(),
        }
    }

    pub fn advised(code: ExitCode, advice: Advice) -> Self {
        Self::new(code, advice.message).hint(advice.hint)
    }

    /// Nothing was changed, for these reasons.
    pub fn refused(all: Vec<Advice>) -> Self {
        let mut all = all.into_iter().map(|advice| Self::advised(ExitCode::Refused, advice));
        let first = all.next().unwrap_or_else(|| Self::new(ExitCode::Refused, "nothing was changed"));
        Self { more: all.collect(), ..first }
    }

    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// One problem of a configuration file.
    pub fn of_problem(problem: &Problem, file: &str) -> Self {
        Self {
            place: Some(problem.place(file)),
            hint: problem.hint.clone(),
            excerpt: problem.excerpt.as_deref().map(Box::from),
            severity: problem.severity,
            ..Self::new(ExitCode::Usage, problem.message.clone())
        }
    }

    /// Nobody reads our output any more (`| head`). Nothing is shown, and it counts as done.
    pub fn reader_gone() -> Self {
        Self::new(ExitCode::Done, "")
    }

    /// Writes it to stderr, as text or as JSON, and returns its exit code.
    pub fn show(&self, global: &Global) -> ExitCode {
        if self.code == ExitCode::Done {
            return self.code;
        }
        let shown = match global.format() {
            Format::Table => self.text(global.colour_stderr()),
            Format::Json | Format::Ndjson => format!("{}\n", json!({ "error": self.json() })),
        };
        output::to_stderr(&shown);
        self.code
    }

    /// `error: …`, `  at: …`, `  hint: …`, for this and all it brings along.
    pub fn text(&self, colour: bool) -> String {
        let (word, paint) = match self.severity {
            Severity::Error => ("error", "\x1b[1;31m"),
            Severity::Warning => ("warning", "\x1b[1;33m"),
        };
        let mut text = match colour {
            true => format!("{paint}{word}\x1b[0m: {}\n", self.message),
            false => format!("{word}: {}\n", self.message),
        };
        let details = [
            ("at", self.place.as_deref()),
            ("line", self.excerpt.as_deref()),
            ("hint", self.hint.as_deref()),
        ];
        for (label, value) in details {
            if let Some(value) = value {
                text.push_str(&format!("  {label}: {value}\n"));
            }
        }
        for other in &self.more {
            text.push_str(&other.text(colour));
        }
        text
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "exit_code": self.code.number(),
            "severity": self.severity,
            "message": self.message,
            "at": self.place,
            "hint": self.hint,
        });
        if !self.more.is_empty() {
            value["more"] = self.more.iter().map(Failure::json).collect();
        }
        value
    }
}

impl From<KafkaProblem> for Failure {
    fn from(problem: KafkaProblem) -> Self {
        let code = match &problem {
            KafkaProblem::Config { .. } => ExitCode::Usage,
            KafkaProblem::Unreachable { .. } | KafkaProblem::TimedOut { .. } => ExitCode::TimedOut,
            KafkaProblem::UnknownTopic(_) => ExitCode::Refused,
            _ => ExitCode::Failed,
        };
        let hint = problem.hint().map(str::to_owned);
        Self { place: problem.place(), hint, ..Self::new(code, problem.message()) }
    }
}

impl From<ConfigErrors> for Failure {
    /// All problems of the file; the first error leads, so that the first line says why nothing happened.
    fn from(errors: ConfigErrors) -> Self {
        let mut all: Vec<Failure> =
            errors.problems.iter().map(|p| Failure::of_problem(p, &errors.file)).collect();
        all.sort_by_key(|f| f.severity == Severity::Warning);
        let mut all = all.into_iter();
        let first = all.next().unwrap_or_else(|| {
            Failure::new(ExitCode::Usage, "the configuration cannot be used").at(errors.file.clone())
        });
        Self { more: all.collect(), ..first }
    }
}
