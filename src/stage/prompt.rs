//! What a model is asked: a template, and passages that cannot pretend to be part of it. No I/O but the
//! reading of the template at start.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::BuildError;
use super::marks;
use crate::flow::fault::one_line;
use crate::flow::{Code, Fault};
use crate::llm::ChatMessage;
use crate::message::payload::{DocumentRef, Evidence, Question, Retrieved};

const SYSTEM: &str = include_str!("prompts/system.md");
const SHIPPED: &str = include_str!("prompts/answer.md.j2");
const NAME: &str = "answer.md.j2";
/// Largest template of a user, bytes.
const TEMPLATE_MAX: u64 = 256 * 1024;
/// Longest title shown to the model, bytes.
const TITLE_MAX: usize = 200;
/// Before every line of a passage but its first: no line of a passage starts where the template's lines do.
const INDENT: &str = "    ";
/// What some reader takes for the end of a line (Unicode Standard Annex #14, mandatory breaks).
const LINE_BREAKS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Renders the messages for a question and its evidence.
pub struct Prompt {
    templates: Environment<'static>,
}

impl Prompt {
    /// Reads and tries the template: a mistake in it shows at start.
    pub fn new(file: Option<&Path>) -> Result<Self, BuildError> {
        let source = file.map(read).transpose()?.unwrap_or_else(|| SHIPPED.to_owned());
        let place = file.map_or(NAME.to_owned(), |path| path.display().to_string());
        let wrong = |e: minijinja::Error| BuildError::Prompt { place: place.clone(), cause: e.to_string() };
        let mut templates = Environment::new();
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.add_template_owned(NAME, source).map_err(wrong)?;
        let prompt = Self { templates };
        prompt.render(&sample()).map_err(wrong)?;
        Ok(prompt)
    }

    /// System and user message.
    pub fn messages(&self, retrieved: &Retrieved) -> Result<Vec<ChatMessage>, Fault> {
        let user = self.render(retrieved).map_err(|e| {
            Fault::new(Code::RecordSchemaViolation, "the prompt template fails on this record").caused_by(&e)
        })?;
        Ok(vec![
            ChatMessage { role: "system", content: SYSTEM.trim_end().to_owned() },
            ChatMessage { role: "user", content: user },
        ])
    }

    fn render(&self, retrieved: &Retrieved) -> Result<String, minijinja::Error> {
        let evidence: Vec<Value> =
            retrieved.evidence.iter().zip(1..).map(|(e, mark)| shown(e, mark)).collect();
        let id = retrieved.question.id.as_str();
        let text = one_line(&retrieved.question.text, usize::MAX);
        self.templates.get_template(NAME)?.render(context! { question => context! { id, text }, evidence })
    }
}

fn read(path: &Path) -> Result<String, BuildError> {
    let wrong = |cause: String| BuildError::Prompt { place: path.display().to_string(), cause };
    let mut source = String::new();
    let file = File::open(path).map_err(|e| wrong(e.to_string()))?;
    file.take(TEMPLATE_MAX + 1).read_to_string(&mut source).map_err(|e| wrong(e.to_string()))?;
    if source.len() as u64 > TEMPLATE_MAX {
        return Err(wrong(format!("it is larger than {TEMPLATE_MAX} bytes")));
    }
    Ok(source)
}

/// A passage as the template sees it; `mark` is the 1-based number to cite it by.
fn shown(evidence: &Evidence, mark: usize) -> Value {
    let DocumentRef { id, title, .. } = &evidence.document;
    context! {
        mark,
        title => without_marks(&one_line(title.as_deref().unwrap_or(id), TITLE_MAX)),
        heading => evidence.heading.as_deref().map(without_marks),
        page => evidence.page,
        text => quoted(&evidence.text),
    }
}

/// A passage is data. Its lines are indented, so that none can pass for the template's `[2] …` or
/// `Question: …`, and its own footnote marks get round brackets, so that none can be cited.
fn quoted(text: &str) -> String {
    let text = without_marks(text.trim());
    let lines: Vec<&str> =
        text.split(LINE_BREAKS).map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.join(&format!("\n{INDENT}"))
}

/// `[3]` becomes `(3)`, unless it follows a letter or a digit of ASCII: `argv[3]` is code.
fn without_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for mark in marks::find(text) {
        let before = text.get(from..mark.start).unwrap_or_default();
        out.push_str(before);
        from = mark.end;
        if out.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            out.push_str(text.get(mark.start..mark.end).unwrap_or_default());
        } else {
            let numbers: Vec<String> = mark.numbers.iter().map(u32::to_string).collect();
            out.push_str(&format!("({})", numbers.join(", ")));
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// What a template must be able to render.
fn sample() -> Retrieved {
    let document = DocumentRef { id: "a".into(), tenant: "t".into(), ..DocumentRef::default() };
    Retrieved {
        question: Question { id: "q".into(), tenant: "t".into(), text: "Why?".into() },
        evidence: vec![Evidence { document, text: "Because.".into(), ..Evidence::default() }],
    }
}

#[cfg(test)]
mod tests;
