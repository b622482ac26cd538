//! Conditions on dead letters that no field of a filter can state, in CEL (<https://cel.dev>): `attempts > 3 && tenant in
//! ["acme", "globex"]`, `age > duration("2h")`. They are read once and tried on a letter that has everything, so that most of
//! what is wrong with them is found when they are written and not when they are needed. Anybody who may look for letters
//! may write one: macros, which could go on for ever, are left out, and what is nested too deep for a stack is refused.

mod types;

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cel::{Context, Env, Program, Value};
use jiff::Timestamp;

use super::suggest;
use super::text::as_text;

/// Bytes of an expression, brackets within brackets, and what joins or divides its parts, at most: parsing and evaluation
/// go as deep as they do.
const TEXT_MAX: usize = 2048;
const DEPTH_MAX: usize = 32;
const JOINTS_MAX: usize = 200;
const JOINTS: &str = "+-*/%.?:&|<>=!,([{";
/// Names that are types and no variables.
const TYPES: [&str; 12] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "uint",
];

/// What an expression can ask for.
pub const VARIABLES: [(&str, Type); 25] = [
    ("id", Type::Text),
    ("pipeline", Type::Text),
    ("stage", Type::Text),
    ("revision", Type::Text),
    ("code", Type::Text),
    ("class", Type::Text),
    ("message", Type::Text),
    ("group", Type::Text),
    ("job", Type::Text),
    ("tenant", Type::Text),
    ("resource", Type::Text),
    ("trace", Type::Text),
    ("producer", Type::Text),
    ("feature", Type::Text),
    ("model", Type::Text),
    ("topic", Type::Text),
    ("state", Type::Text),
    ("owner", Type::Text),
    ("ticket", Type::Text),
    ("attempts", Type::Number),
    ("redrives", Type::Number),
    ("size", Type::Number),
    ("first_failure", Type::Time),
    ("last_failure", Type::Time),
    ("age", Type::Span),
];

/// What a variable has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    /// A whole number.
    Number,
    Time,
    Span,
}

/// The value of a variable. A text that a letter does not have is empty.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Text(String),
    Number(i64),
    Time(Timestamp),
    Span(Duration),
}

impl Type {
    /// A value of this type.
    pub fn sample(self) -> Operand {
        match self {
            Type::Text => Operand::Text(String::new()),
            Type::Number => Operand::Number(1),
            Type::Time => Operand::Time(Timestamp::UNIX_EPOCH),
            Type::Span => Operand::Span(Duration::from_secs(1)),
        }
    }
}

impl From<Operand> for Value {
    fn from(operand: Operand) -> Self {
        match operand {
            Operand::Text(text) => text.into(),
            Operand::Number(number) => Value::Int(number),
            Operand::Time(time) => {
                let time = chrono::DateTime::from_timestamp_millis(time.as_millisecond());
                Value::Timestamp(time.unwrap_or_default().fixed_offset())
            }
            Operand::Span(span) => {
                Value::Duration(chrono::Duration::from_std(span).unwrap_or(chrono::Duration::MAX))
            }
        }
    }
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::default().with_stdlib()));

/// A condition. Two are the same when their texts are.
#[derive(Clone)]
pub struct Expression {
    text: String,
    program: Arc<Program>,
    /// Those of [`VARIABLES`] that it asks for.
    asks: Vec<&'static str>,
}

/// An expression that makes a value, of what a condition can ask for and of more.
#[derive(Clone)]
pub struct Calculation(Expression);

impl Calculation {
    /// `further`: what it can ask for beside [`VARIABLES`]. The error says what is wrong and what would be right.
    pub fn parse(text: &str, further: &[&'static str]) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("'{text}' is not an expression: {why}; write it like payload.question.trim()")
        };
        let read = Expression::read(text, further, wrong)?;
        // What people match in a payload can take longer than whoever waits for the answer.
        if read.program.references().has_function("matches") {
            return Err(wrong("'matches' is for conditions only; choose the letters with one"));
        }
        Ok(Self(read))
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    pub fn asks_for(&self, name: &str) -> bool {
        self.0.asks.contains(&name)
    }

    /// In which it is calculated: functions may be added to it.
    pub fn context(&self) -> Context<'static, 'static> {
        Context::with_env(ENV.clone())
    }

    /// What it makes of these values. The error says why nobody can tell.
    pub fn value(&self, context: Context<'_, '_>, value: impl Fn(&str) -> Value) -> Result<Value, String> {
        self.0.execute(context, value)
    }
}

impl fmt::Debug for Calculation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Expression {
    /// The error says what is wrong and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("'{text}' is not a condition: {why}; write it like attempts > 3 && tenant == \"acme\"")
        };
        let expression = Self::read(text, &[], wrong)?;
        let kind = |name: &str| VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let sample = |name: &str| kind(name).unwrap_or(Type::Text).sample();
        expression.holds(sample).map_err(|why| wrong(&why))?;
        Ok(expression)
    }

    fn read(text: &str, further: &[&'static str], wrong: impl Fn(&str) -> String) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err(wrong("it is empty"));
        }
        let joints = text.chars().filter(|c| JOINTS.contains(*c)).count();
        if text.len() > TEXT_MAX || depth(text) > DEPTH_MAX || joints > JOINTS_MAX {
            return Err(format!(
                "an expression of at most {TEXT_MAX} bytes, {JOINTS_MAX} operators, dots, commas and brackets, and \
                 {DEPTH_MAX} brackets within brackets can be read"
            ));
        }
        let program = ENV.compile(text).map_err(|errors| {
            let why = errors.errors.first().map_or_else(|| "it cannot be read".into(), |e| e.msg.clone());
            wrong(&why)
        })?;
        let references = program.references();
        let known = || VARIABLES.iter().map(|(name, _)| *name).chain(further.iter().copied());
        let is_known = |name: &str| TYPES.contains(&name) || known().any(|known| known == name);
        if let Some(name) = references.variables().into_iter().find(|name| !is_known(name)) {
            return Err(wrong(&unknown(name, known())));
        }
        if let Some(why) = types::mismatch(program.expression()) {
            return Err(wrong(&why));
        }
        let asks: Vec<&'static str> = known().filter(|name| references.has_variable(name)).collect();
        drop(references);
        Ok(Self { text: text.to_owned(), program: Arc::new(program), asks })
    }

    /// Whether it holds for what has these values. The error says why nobody can tell.
    pub fn holds(&self, value: impl Fn(&str) -> Operand) -> Result<bool, String> {
        match self.execute(Context::with_env(ENV.clone()), |name| value(name).into())? {
            Value::Bool(holds) => Ok(holds),
            _ => Err("it is neither true nor false".into()),
        }
    }

    fn execute(&self, mut context: Context<'_, '_>, value: impl Fn(&str) -> Value) -> Result<Value, String> {
        for name in &self.asks {
            context.add_variable_from_value(*name, value(name));
        }
        self.program.execute(&context).map_err(|error| match error {
            cel::ExecutionError::UndeclaredReference(name) => unknown(&name, self.asks.iter().copied()),
            error => error.to_string(),
        })
    }
}

fn unknown(name: &str, known: impl IntoIterator<Item = &'static str> + Clone) -> String {
    let hint = suggest::hint(name, "known are", known);
    format!("there is no '{name}' ({hint})")
}

/// How deep brackets lie within brackets, those in texts included.
fn depth(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' | '!' | '-' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

as_text!(
    Expression,
    "description": format!("A condition in CEL over {}", VARIABLES.map(|(name, _)| name).join(", "))
);

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let expression = Expression::parse(text).expect(text);
        let value = |name: &str| match name {
            "attempts" => Operand::Number(4),
            "code" => Operand::Text("llm.timeout".into()),
            "age" => Operand::Span(Duration::from_secs(3 * 3600)),
            "last_failure" => Operand::Time("2026-01-31T12:00:00Z".parse().expect("a time")),
            _ => Type::Text.sample(),
        };
        expression.holds(value).expect(text)
    }

    #[test]
    fn a_condition_asks_for_what_is_known_of_a_letter() {
        for (text, expected) in [
            ("attempts > 3", true),
            ("attempts > 3 && tenant == 'acme'", false),
            ("code.startsWith('llm.') || class == 'permanent'", true),
            ("code.matches('^llm[.]time')", true),
            ("code in ['llm.timeout', 'llm.connection']", true),
            ("age > duration('2h')", true),
            ("last_failure < timestamp('2026-01-31T00:00:00Z')", false),
            ("tenant == ''", true),
            ("size(message) == 0", true),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_can_never_be_told_is_refused_when_it_is_written() {
        for (text, why) in [
            ("", "it is empty"),
            ("attempts >", "is not a condition"),
            ("attempts", "neither true nor false"),
            ("atempts > 3", "there is no 'atempts'"),
            ("attempts > 'three'", "is not a condition"),
            ("code.foo() == 1", "is not a condition"),
            ("attempts > 3 && tennant == 'acme'", "there is no 'tennant'"),
            ("true || nobody", "there is no 'nobody'"),
            ("[1, 2].all(x, x > 0)", "there is no 'x'"),
        ] {
            let told = Expression::parse(text).expect_err(text);
            assert!(told.contains(why), "{text}: {told}");
        }
        let deep = format!("{}attempts > 1{}", "(".repeat(5000), ")".repeat(5000));
        let long = format!("code == '{}'", "x".repeat(5000));
        let sum = format!("0{} == 1", "+1".repeat(900));
        let dots = format!("code{} == 1", ".a".repeat(900));
        for text in [deep, long, sum, dots, "!".repeat(2000), "-".repeat(2000)] {
            assert!(Expression::parse(&text).expect_err("bounded").contains("brackets"));
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let expression = Expression::parse("attempts > 3").expect("a condition");
        assert_eq!(serde_json::to_string(&expression).expect("JSON"), "\"attempts > 3\"");
    }
}
