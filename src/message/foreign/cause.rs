//! Exceptions, their causes and their stack traces.

use super::EXCEPTION_MAX;
use crate::flow::fault::{CHAIN_MAX, MESSAGE_MAX, one_line};

/// What is said of an exception.
#[derive(Default)]
pub struct Said<'a> {
    pub exception: Option<String>,
    pub message: Option<String>,
    /// The class and the message of a cause.
    pub cause: Option<String>,
    pub cause_message: Option<String>,
    pub trace: Option<&'a str>,
}

/// What is kept of it.
pub struct Told {
    pub exception: Option<String>,
    pub message: String,
    pub chain: Vec<String>,
}

/// Exceptions that say nothing but that there was another one. Frameworks wrap all exceptions of a listener in one of
/// theirs: taken by their own name, all letters would look alike.
const WRAPPERS: &[&str] = &[
    "java.lang.reflect.InvocationTargetException",
    "java.lang.reflect.UndeclaredThrowableException",
    "java.util.concurrent.CompletionException",
    "java.util.concurrent.ExecutionException",
    "org.springframework.kafka.listener.BatchListenerFailedException",
    "org.springframework.kafka.listener.ListenerExecutionFailedException",
    "org.springframework.kafka.listener.TimestampedException",
    "org.springframework.messaging.MessageHandlingException",
    "reactor.core.Exceptions$ReactiveException",
    "System.AggregateException",
    "System.Reflection.TargetInvocationException",
];

/// How the cause of an exception begins in a trace: a line of this kind.
const CAUSES: [&str; 2] = ["\nCaused by: ", "\n ---> "];

impl Said<'_> {
    pub fn told(self) -> Told {
        let sections = self.trace.map(sections).unwrap_or_default();
        let is_telling = |class: &String| !wraps(class);
        let traced =
            || sections.iter().filter_map(|section| head(section)).find(|(class, _)| is_telling(class));
        let cause = self.cause.as_ref().filter(|class| is_telling(class));
        let (exception, message) = if self.exception.as_ref().is_some_and(is_telling) {
            (self.exception, self.message)
        } else if let Some((class, message)) = traced() {
            (Some(class), Some(message))
        } else if let Some(class) = cause {
            (Some(class.clone()), self.cause_message.clone().or(self.message))
        } else {
            (self.exception, self.message)
        };
        let chain = match (self.cause, self.cause_message) {
            (Some(cause), Some(message)) if sections.is_empty() => {
                vec![one_line(&format!("{cause}: {message}"), MESSAGE_MAX)]
            }
            (Some(cause), None) if sections.is_empty() => vec![cause],
            _ => sections.iter().map(|section| one_line(section, MESSAGE_MAX)).collect(),
        };
        Told { exception, message: message.unwrap_or_default(), chain }
    }
}

fn wraps(class: &str) -> bool {
    WRAPPERS.contains(&class)
}

/// The trace from one cause to the next, at most as many as a chain has places. None is empty.
fn sections(trace: &str) -> Vec<&str> {
    let mut sections = Vec::new();
    let mut rest = trace;
    while sections.len() < CHAIN_MAX {
        let next = CAUSES.iter().filter_map(|mark| Some((rest.find(mark)?, mark.len()))).min();
        let (section, after) = match next {
            Some((at, mark)) => (rest.get(..at), rest.get(at + mark..)),
            None => (Some(rest), None),
        };
        sections.extend(section.map(str::trim).filter(|section| !section.is_empty()));
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    sections
}

/// Class and message of the exception that a section of a trace begins with.
fn head(section: &str) -> Option<(String, String)> {
    // A message may have several lines; those of the frames are indented.
    let is_frame = |line: &str| line.starts_with([' ', '\t']) && line.trim_start().starts_with("at ");
    let frames =
        section.match_indices('\n').map(|(at, _)| at).find(|at| section.get(at + 1..).is_some_and(is_frame));
    let text = section.get(..frames.unwrap_or(section.len()))?;
    let (class, message) = text.split_once(": ").unwrap_or((text, ""));
    let class = class.trim();
    let is_class = !class.is_empty()
        && class.len() <= EXCEPTION_MAX
        && !class.contains(|c: char| c.is_whitespace() || c.is_control());
    is_class.then(|| (one_line(class, EXCEPTION_MAX), one_line(message, MESSAGE_MAX)))
}
