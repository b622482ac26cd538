//! The text of the file before it becomes a `Config`: puts the variables in, and remembers on which line each
//! setting stands. Works on YAML events, so a comment is never taken for a value and the value of a variable
//! never for YAML. Reads nothing but the text it is given.

use std::collections::HashSet;
use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::problem::Problem;
use super::variables::{VariableError, fill, has_variables};

/// Deeper than any setting stands; guards the walk against a hostile file.
const DEPTH_MAX: usize = 32;
/// Longest excerpt of a line in a message, characters.
const EXCERPT_MAX: usize = 120;

/// The file's text with its variables filled in, and where everything stands.
#[derive(Debug)]
pub struct Source<'a> {
    /// As it stands in the file.
    original: &'a str,
    /// With the variables filled in; the lines are the same.
    pub text: String,
    nodes: Vec<Node>,
}

/// One setting.
#[derive(Debug)]
struct Node {
    path: String,
    /// 1-based line and column of its key, or of itself in a list.
    at: (usize, usize),
    /// 1-based line and column of its value.
    value_at: (usize, usize),
}

impl<'a> Source<'a> {
    /// Reads the text. The error lists everything this pass can see: a syntax error, all keys that stand twice
    /// and all variables that are missing.
    pub fn read(text: &'a str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Problem>> {
        let mut walk = Walk { env, ..Walk::new() };
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|e| vec![syntax_error(&e, text)])?;
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            walk.event(event, span);
            if walk.open.len() > DEPTH_MAX {
                let problem = Problem::error("", format!("nested more than {DEPTH_MAX} levels deep"));
                return Err(vec![Problem { line: Some(span.start.line()), ..problem }]);
            }
        }
        let source = Self { original: text, text: replace(text, &walk.replacements), nodes: walk.nodes };
        if walk.problems.is_empty() {
            return Ok(source);
        }
        Err(walk.problems.into_iter().map(|p| source.located(p)).collect())
    }

    /// The problem with its line and excerpt. A path that does not stand in the file (a default) gets the line of
    /// the nearest setting around it that does.
    pub fn located(&self, mut problem: Problem) -> Problem {
        problem.line = problem.line.or_else(|| self.line_of(&problem.path));
        if !tells_of_a_secret(&problem.path) {
            problem.excerpt = problem.line.and_then(|line| excerpt(self.original, line));
        }
        problem
    }

    fn line_of(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(node) = self.nodes.iter().find(|n| n.path == path) {
                return Some(node.at.0);
            }
            path = parent(path)?;
        }
    }

    /// The setting at or last before a place on the same line.
    pub fn path_at(&self, line: usize, column: usize) -> Option<&str> {
        let here = |n: &&Node| n.at.0 == line && n.at.1 <= column;
        self.nodes.iter().rfind(here).map(|n| n.path.as_str())
    }

    /// The mapping that lacks a key. The YAML reader reports it at its last key, or at its start when it has none.
    pub fn path_lacking(&self, line: usize, column: usize) -> Option<&str> {
        let last_key = |n: &&Node| n.at == (line, column) && n.value_at != n.at;
        match self.nodes.iter().rfind(last_key) {
            Some(node) => Some(parent(&node.path).unwrap_or_default()),
            None => self.nodes.iter().find(|n| n.value_at == (line, column)).map(|n| n.path.as_str()),
        }
    }
}

/// `a.b[1]` → `a.b` → `a` → nothing.
fn parent(path: &str) -> Option<&str> {
    path.rfind(['.', '[']).map(|cut| &path[..cut])
}

fn syntax_error(error: &serde_saphyr::granit_parser::ScanError, text: &str) -> Problem {
    let line = error.marker().line();
    let problem = Problem::error("", format!("this is not YAML: {}", error.kind()))
        .hint("look at indentation, quotes and brackets on this line and the one before");
    Problem { line: Some(line), excerpt: excerpt(text, line), ..problem }
}

/// The line, unless it may hold a secret that somebody wrote down.
fn excerpt(text: &str, line: usize) -> Option<String> {
    let line = text.lines().nth(line.checked_sub(1)?)?.trim();
    let silent = tells_of_a_secret(line) || (line.contains("://") && line.contains('@'));
    (!silent && !line.is_empty()).then(|| line.chars().take(EXCERPT_MAX).collect())
}

/// `tokens_max` and its like count tokens of text; a single token opens doors.
fn tells_of_a_secret(text: &str) -> bool {
    let text = text.to_lowercase().replace("tokens", "");
    ["password", "secret", "token", "api_key", "username", "postgres.url"]
        .iter()
        .any(|word| text.contains(word))
}

fn replace(text: &str, replacements: &[(Range<usize>, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut done = 0;
    for (range, value) in replacements {
        filled.push_str(text.get(done..range.start).unwrap_or_default());
        filled.push_str(value);
        // A scalar over several lines leaves as many behind, so that the lines below keep their numbers.
        let lines = text.get(range.clone()).unwrap_or_default().matches('\n').count();
        filled.extend(std::iter::repeat_n('\n', lines));
        done = range.end;
    }
    filled.push_str(text.get(done..).unwrap_or_default());
    filled
}

/// The walk over the events of one document.
struct Walk<'e> {
    env: &'e dyn Fn(&str) -> Option<String>,
    open: Vec<Open>,
    nodes: Vec<Node>,
    replacements: Vec<(Range<usize>, String)>,
    problems: Vec<Problem>,
}

/// A mapping or list that has begun and not ended.
enum Open {
    Mapping { path: String, key: Option<(String, (usize, usize))>, seen: HashSet<String> },
    List { path: String, next: usize },
}

impl Walk<'_> {
    fn new() -> Self {
        Self {
            env: &|_| None,
            open: Vec::new(),
            nodes: Vec::new(),
            replacements: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(text, style, ..) => {
                if self.is_key() {
                    self.key(text.into_owned(), span);
                } else {
                    let path = self.value(span);
                    self.scalar(&path, &text, style, span);
                }
            }
            Event::Alias(_) if self.is_key() => self.key("*".into(), span),
            Event::Alias(_) => {
                self.value(span);
            }
            Event::MappingStart(..) => {
                let path = self.value(span);
                self.open.push(Open::Mapping { path, key: None, seen: HashSet::new() });
            }
            Event::SequenceStart(..) => {
                let path = self.value(span);
                self.open.push(Open::List { path, next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            _ => {}
        }
    }

    fn is_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping { key: None, .. }))
    }

    fn key(&mut self, name: String, span: Span) {
        let Some(Open::Mapping { path, key, seen }) = self.open.last_mut() else { return };
        if !seen.insert(name.clone()) {
            let problem = Problem::error(join(path, &name), format!("the key '{name}' stands here twice"))
                .hint("keep one of the two");
            self.problems.push(Problem { line: Some(span.start.line()), ..problem });
        }
        *key = Some((name, start(&span)));
    }

    /// Enters a value into the list of nodes and returns its path.
    fn value(&mut self, span: Span) -> String {
        let value_at = start(&span);
        let (path, at) = match self.open.last_mut() {
            None => (String::new(), value_at),
            Some(Open::List { path, next }) => {
                *next += 1;
                (format!("{path}[{}]", *next - 1), value_at)
            }
            // A mapping as a key has no name of its own.
            Some(Open::Mapping { path, key, .. }) => {
                let (name, at) = key.take().unwrap_or_else(|| ("?".into(), value_at));
                (join(path, &name), at)
            }
        };
        self.nodes.push(Node { path: path.clone(), at, value_at });
        path
    }

    fn scalar(&mut self, path: &str, text: &str, style: ScalarStyle, span: Span) {
        if !has_variables(text) {
            return;
        }
        let problem = match (style, fill(text, self.env)) {
            (ScalarStyle::Literal | ScalarStyle::Folded, _) => {
                Problem::error(path, "variables are not put into block text")
                    .hint("write the value in quotes on one line")
            }
            (_, Ok(value)) => {
                if let Some(range) = span.byte_range() {
                    self.replacements.push((range, as_yaml(value, style)));
                }
                return;
            }
            (_, Err(VariableError::Missing(name))) => {
                Problem::error(path, format!("the environment variable {name} is not set"))
                    .hint(format!("set {name}, or give a default: ${{{name}:-…}}"))
            }
            (_, Err(VariableError::Malformed(reference))) => {
                Problem::error(path, format!("'{reference}' is not a variable"))
                    .hint("write ${NAME} or ${NAME:-default}, and $$ for a dollar sign")
            }
        };
        self.problems.push(Problem { line: Some(span.start.line()), ..problem });
    }
}

/// A number or truth value stays plain, so that `partitions: ${N}` works; everything else is quoted, so that
/// no variable can add keys. JSON strings are YAML strings (YAML 1.2, section 1.3).
fn as_yaml(value: String, style: ScalarStyle) -> String {
    let number = !value.is_empty() && value.parse::<f64>().is_ok_and(f64::is_finite);
    if style == ScalarStyle::Plain && (number || value == "true" || value == "false") {
        return value;
    }
    serde_json::Value::String(value).to_string()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// 1-based, as people count.
fn start(span: &Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

#[cfg(test)]
mod tests;
