//! Questions from arguments, files and standard input.

use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use super::{Item, Loaded, SubmitError, usage};
use crate::config::{Format, Size};
use crate::message::JobId;
use crate::message::payload::Question;
use crate::ops::advice::Advice;

/// Largest file of questions, and most that is read from standard input.
pub const FILE_MAX: Size = Size::mib(64);
/// Longest question in bytes; longer ones are a document by mistake.
pub const QUESTION_MAX: usize = 32 * 1024;
const FORM: &str = r#"write {"text": "…"}, with an "id" if you like, or the question as plain text"#;

/// A question to submit. Without an id of its own it is known by its job id.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default)]
    pub id: Option<String>,
    pub text: String,
    /// Id of the document that should answer it, for whoever checks the answers; it is not submitted.
    #[serde(default)]
    pub document: Option<String>,
}

/// The question of `--ask`.
pub fn ask(text: &str) -> Result<Asked, SubmitError> {
    checked(Asked { id: None, text: text.to_owned(), document: None }, "--ask")
}

/// All questions of a file, or of standard input when the path is `-`: JSON lines (`{"text": …, "id": …}`), or plain lines.
pub fn from_path(path: &Path) -> Result<Vec<Asked>, SubmitError> {
    let place =
        if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let read = |source: &mut dyn Read| {
        let mut text = String::new();
        source.take(FILE_MAX.0 + 1).read_to_string(&mut text).map(|_| text)
    };
    let text = if path.as_os_str() == "-" {
        read(&mut io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(|mut file| read(&mut file))
    };
    let text = text.map_err(|source| SubmitError::Read { place: place.clone(), source })?;
    if text.len() as u64 > FILE_MAX.0 {
        return Err(usage(format!("{place} has more than {FILE_MAX}"), "split it"));
    }
    parse(&text, &place)
}

/// One question per line that is not blank. A line that begins with `{` is JSON.
pub fn parse(text: &str, place: &str) -> Result<Vec<Asked>, SubmitError> {
    let mut questions = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let (line, place) =
            (line.trim().trim_start_matches('\u{feff}'), format!("{place}, line {}", number + 1));
        if line.is_empty() {
            continue;
        }
        let asked = if line.starts_with('{') {
            serde_json::from_str(line)
                .map_err(|error| usage(format!("{place} is not a question: {error}"), FORM))?
        } else {
            Asked { id: None, text: line.to_owned(), document: None }
        };
        questions.push(checked(asked, &place)?);
    }
    if questions.is_empty() {
        return Err(SubmitError::Nothing(Advice::new(
            format!("{place} has no questions"),
            "write one on each line",
        )));
    }
    Ok(questions)
}

fn checked(asked: Asked, place: &str) -> Result<Asked, SubmitError> {
    if asked.text.trim().is_empty() {
        return Err(usage(format!("{place}: the question is empty"), "write what you want to know"));
    }
    if asked.text.len() > QUESTION_MAX {
        let limit = Size(QUESTION_MAX as u64);
        let message = format!("{place}: the question is longer than {limit}");
        return Err(usage(message, "if it is a document: `lazaret submit documents`"));
    }
    if asked.id.as_ref().is_some_and(|id| id.trim().is_empty()) {
        return Err(usage(format!("{place}: the id is empty"), "leave it out or name one"));
    }
    Ok(asked)
}

impl Item for Asked {
    fn resource(&self) -> Option<String> {
        self.id.clone()
    }

    fn load(self, _: Format, tenant: &str, job: &JobId) -> Result<Loaded, SubmitError> {
        let id = self.id.unwrap_or_else(|| job.to_string());
        Loaded::payload(&Question { id, tenant: tenant.to_owned(), text: self.text })
    }
}
