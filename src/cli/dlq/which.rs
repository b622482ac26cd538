//! Which dead letters are meant, as flags of all verbs that ask the index of dead letters, and the index itself.

use std::sync::Arc;

use jiff::Timestamp;

use super::time;
use crate::cli::{ExitCode, Failure};
use crate::config::expression::Expression;
use crate::config::{Config, suggest};
use crate::flow::Code;
use crate::flow::code::is_in_area;
use crate::ops::dlq::explain::printable;
use crate::ops::quarantine;
use crate::quarantine::{Condition, Filter, Quarantine, State};

/// How many hex digits the fingerprint of a group has.
const FINGERPRINT: usize = 16;

/// Where letters are of which somebody has to think.
pub const STANDING: [State; 2] = [State::Open, State::Redriving];

/// Which dead letters are meant: those for which all of this holds.
#[derive(Debug, Default, clap::Args)]
pub struct Which {
    #[arg(long)]
    pub pipeline: Option<String>,
    #[arg(long)]
    pub stage: Option<String>,
    /// A failure code, or its area, such as `parse`; of letters of others the class of the exception.
    #[arg(long)]
    pub code: Option<String>,
    /// transient, permanent or systemic.
    #[arg(long)]
    pub class: Option<String>,
    /// The fingerprint of a group.
    #[arg(long)]
    pub group: Option<String>,
    #[arg(long)]
    pub tenant: Option<String>,
    /// A job id; its children count too.
    #[arg(long)]
    pub job: Option<String>,
    #[arg(long)]
    pub resource: Option<String>,
    /// A trace id, 32 hex digits.
    #[arg(long)]
    pub trace: Option<String>,
    /// Where they are now, several separated by commas; `all` for wherever they are. When absent, open and redriving; open where
    /// something is done with them.
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<String>,
    /// Only those that nobody has looked at: no person has done anything with them, or with their group.
    #[arg(long)]
    pub unseen: bool,
    /// Text in the message, in whatever case.
    #[arg(long)]
    pub text: Option<String>,
    /// Only those that died in this time, such as 2h, or since then, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "SPAN|TIME")]
    pub since: Option<String>,
    /// Only those that died before.
    #[arg(long, value_name = "SPAN|TIME")]
    pub until: Option<String>,
    /// A condition in CEL, such as 'attempts > 3 && tenant in ["acme"]'; docs/cli.md says what it can ask for.
    #[arg(long = "where", value_name = "CONDITION", value_parser = Expression::parse)]
    pub condition: Option<Expression>,
    /// Ask the index as it is, without reading what has come since.
    #[arg(long)]
    pub no_refresh: bool,
}

impl Which {
    /// `states` are those that count when none is named; none of them for all.
    pub fn filter(&self, now: Timestamp, states: &[State]) -> Result<Filter, Failure> {
        let at =
            |flag: &str, text: &Option<String>| text.as_deref().map(|text| time(flag, text, now)).transpose();
        Ok(Filter {
            pipeline: self.pipeline.clone(),
            stage: self.stage.clone(),
            code: self.code.clone(),
            class: self.class.clone(),
            fingerprint: self.group.clone(),
            tenant: self.tenant.clone(),
            job: self.job.clone(),
            resource: self.resource.clone(),
            trace: self.trace.clone(),
            states: if self.state.is_empty() { states.to_vec() } else { named(&self.state)? },
            looked_at: self.unseen.then_some(false),
            text: self.text.clone(),
            since: at("--since", &self.since)?,
            until: at("--until", &self.until)?,
            condition: self.condition.clone().map(|expression| Condition { expression, now }),
            ..Filter::default()
        })
    }

    /// What is said when there is none. What is misspelt looks like all is well, so it is said, too, as far as that can be seen.
    pub fn none(&self, config: &Config) -> String {
        let stages = config.pipelines.values().flat_map(|of| &of.stages).map(|stage| stage.name.as_str());
        let codes = Code::ALL.iter().map(|code| code.as_str());
        let classes = ["transient", "permanent", "systemic"];
        let notes = [
            unknown("--pipeline", &self.pipeline, config.pipelines.keys().map(String::as_str), |a, b| a == b),
            unknown("--stage", &self.stage, stages, |a, b| a == b),
            unknown("--code", &self.code, codes, is_in_area),
            unknown("--class", &self.class, classes.into_iter(), |a, b| a == b),
            self.group.as_ref().filter(|group| !is_fingerprint(group)).map(|group| {
                format!("--group: '{}' is not the whole fingerprint of a group", printable(group))
            }),
        ];
        let notes: String = notes.into_iter().flatten().map(|note| format!("note: {note}\n")).collect();
        format!("no dead letters\n{notes}")
    }

    /// No condition is given.
    pub fn is_empty(&self) -> bool {
        self.group.is_none() && self.is_group_alone()
    }

    /// No condition is given but, perhaps, a group.
    pub fn is_group_alone(&self) -> bool {
        let Self {
            pipeline,
            stage,
            code,
            class,
            tenant,
            job,
            resource,
            trace,
            state,
            text,
            since,
            until,
            unseen,
            condition,
            group: _,
            no_refresh: _,
        } = self;
        let words = [pipeline, stage, code, class, tenant, job, resource, trace, text, since, until];
        state.is_empty() && !unseen && condition.is_none() && words.into_iter().all(Option::is_none)
    }
}

/// That nothing known `is` what was asked for. Letters of others, or of stages that were, may be all the same.
fn unknown<'a>(
    flag: &str,
    word: &Option<String>,
    known: impl Iterator<Item = &'a str> + Clone,
    is: impl Fn(&str, &str) -> bool,
) -> Option<String> {
    let word = word.as_ref().filter(|word| !known.clone().any(|known| is(known, word)))?;
    let near = suggest::nearest(word, known).map(|near| format!("; did you mean '{near}'?"));
    Some(format!("{flag}: '{}' is not known here{}", printable(word), near.unwrap_or_default()))
}

fn is_fingerprint(text: &str) -> bool {
    text.len() == FINGERPRINT && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// None for all.
fn named(names: &[String]) -> Result<Vec<State>, Failure> {
    if names.iter().any(|name| name == "all") {
        return Ok(Vec::new());
    }
    let state = |name: &String| {
        State::parse(name).ok_or_else(|| {
            let all: Vec<_> = State::ALL.iter().map(|state| state.as_str()).collect();
            Failure::new(ExitCode::Usage, format!("--state: there is no state '{}'", printable(name)))
                .hint(format!("write one of {}, or all", all.join(", ")))
        })
    };
    names.iter().map(state).collect()
}

/// The index, up to date unless that is not wanted.
pub async fn index(config: &Config, as_it_is: bool) -> Result<Arc<dyn Quarantine>, Failure> {
    let index = quarantine::open(config).await?;
    if as_it_is {
        return Ok(index);
    }
    if let Some(late) = quarantine::refresh(config, &index).await? {
        return Err(Failure::new(ExitCode::TimedOut, late)
            .hint("what was read is kept: ask again, or with --no-refresh"));
    }
    Ok(index)
}
