//! What is wrong with a configuration file: where, what, and how to put it right. Never holds a secret.

use std::fmt;

use serde::Serialize;

/// Whether a problem keeps the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Error,
    /// Allowed, and probably not meant.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub severity: Severity,
    /// Where in the file's structure, such as `pipelines.rag-ingest.stages[2].retry.rungs`; empty for the whole file.
    pub path: String,
    /// 1-based line; `None` when the problem has no place in the text.
    pub line: Option<usize>,
    /// What is wrong and why that matters. Lower case, without a full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The line as it stands in the file, before variables are put in; absent where it may hold a secret.
    pub excerpt: Option<String>,
}

impl Problem {
    /// A problem that keeps the file from being used.
    pub fn error(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.into(),
            line: None,
            message: message.into(),
            hint: None,
            excerpt: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// `lazaret.yaml:12, kafka.timeout`, as far as it is known.
    pub fn place(&self, file: &str) -> String {
        let mut place = file.to_owned();
        if let Some(line) = self.line {
            place.push_str(&format!(":{line}"));
        }
        if !self.path.is_empty() {
            place.push_str(&format!(", {}", self.path));
        }
        place
    }
}

/// The configuration cannot be used. Holds at least one error; warnings found on the way come along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The file's name as the user gave it.
    pub file: String,
    pub problems: Vec<Problem>,
}

impl ConfigErrors {
    pub fn one(file: &str, problem: Problem) -> Self {
        Self { file: file.to_owned(), problems: vec![problem] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", problem.place(&self.file), problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
