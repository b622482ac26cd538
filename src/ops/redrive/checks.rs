//! What must hold before a plan is started. Each condition has a name, by which a person may set it aside for a reason.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::control::unchanged;
use super::{RunError, approval, estimate};
use crate::config::{Amount, Asks, Config, GroupProtocol, Kind, Span, Stage};
use crate::flow::Topology;
use crate::kafka::look::members;
use crate::llm::openai::Client;
use crate::llm::{Bill, ChatMessage, ChatRequest, Purpose};
use crate::ops::advice::Advice;
use crate::ops::dlq::explain::span;
use crate::ops::offsets;
use crate::quarantine::{Plan, Quarantine, Run};
use crate::worker::revision_of;

/// A letter that was sent back so often is not sent back again by itself: it would go in circles.
const REDRIVES_MAX: u32 = 3;
/// What one question to the cluster may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What must hold, and whether it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// By which it is set aside.
    pub name: &'static str,
    pub holds: bool,
    /// What was found.
    pub found: String,
}

/// That no other redrive is under way on the stage.
pub const ALONE: &str = "alone";
/// That another person has approved it, where that is wanted. Nobody can set it aside.
pub const APPROVED: &str = "approved";
/// What is looked at again when a run is resumed.
const AGAIN: [&str; 3] = ["provider", "running", "lag"];

/// What need not hold when a run is resumed: what was set aside when it was started, and what is a matter of its plan.
pub fn aside_when_resumed(run: &Run) -> Vec<String> {
    let of_plan = NAMES.into_iter().filter(|name| !AGAIN.contains(name)).map(str::to_owned);
    of_plan.chain(run.overridden.clone()).chain([APPROVED.to_owned()]).collect()
}

/// The names of those that a person, or a rule, may set aside.
pub use crate::config::CONDITIONS as NAMES;

/// Who starts which run.
#[derive(Clone, Copy, Debug)]
pub struct Starting<'a> {
    pub run: &'a Run,
    pub by: &'a str,
}

/// Most records that may wait in the stage's input, and what the plan may cost beside what it says itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub lag: u64,
    pub cost: Option<Amount>,
}

impl Check {
    /// What to do when it does not hold.
    pub fn hint(&self) -> String {
        match self.name {
            "changed" => {
                "change the stage, edit the records, or, if the cause lies elsewhere and is removed, override 'changed'"
                    .into()
            }
            "provider" => "wait until it answers".into(),
            "running" => "start the stage".into(),
            "alone" => "wait for it, or cancel it".into(),
            APPROVED => "ask somebody to look at it with `lazaret redrive status`, and to approve it with `lazaret redrive approve`".into(),
            name => format!("override '{name}' for the reason that you give"),
        }
    }
}

/// What a person sets aside are conditions, and not that of another person.
pub fn ensure_known(overridden: &[String]) -> Result<(), RunError> {
    let Some(unknown) = overridden.iter().find(|name| !NAMES.contains(&name.as_str())) else { return Ok(()) };
    let message = format!("there is no condition '{unknown}' that could be overridden");
    Err(RunError::Wrong(Advice::new(message, format!("the conditions are {}", NAMES.join(", ")))))
}

/// What stands in the way of a start: what does not hold and is not set aside.
pub fn in_the_way(checks: Vec<Check>, aside: &[String]) -> Vec<Check> {
    let is_set_aside = |check: &Check| aside.iter().any(|name| name == check.name);
    checks.into_iter().filter(|check| !check.holds && !is_set_aside(check)).collect()
}

/// Looks at all of them. `starting` says who starts it, once it has an id.
pub async fn check(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    plan: &Plan,
    starting: Option<Starting<'_>>,
    limits: Limits,
    now: Timestamp,
) -> Result<Vec<Check>, RunError> {
    let stage = config.stage(&plan.pipeline, &plan.stage);
    let runs = index.active_runs().await?;
    Ok(vec![
        changed(config, index, plan, starting.map(|starting| starting.run.id.as_str())).await?,
        provider(config, stage).await,
        running(config, plan).await,
        lag(config, plan, limits).await,
        alone(plan, starting.map(|starting| starting.run.id.as_str()), &runs),
        in_circles(plan),
        ledger(config, plan),
        retention(config, plan, now),
        estimate::check(config, plan, limits),
        approval::approved(config, index, plan, starting).await?,
    ])
}

pub(super) fn holds(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, holds: true, found: found.into() }
}

pub(super) fn fails(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, holds: false, found: found.into() }
}

/// What failed for good fails again, unless the stage is another one now, or the record is.
async fn changed(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    plan: &Plan,
    run: Option<&str>,
) -> Result<Check, RunError> {
    const NAME: &str = "changed";
    let Some(revision) = revision_of(config, &plan.pipeline, &plan.stage) else {
        let (pipeline, stage) = (&plan.pipeline, &plan.stage);
        return Ok(fails(NAME, format!("the configuration has no stage {pipeline}.{stage}")));
    };
    let planned = plan.permanent.get(&revision).copied().unwrap_or_default();
    // What was edited since it was planned goes as it was edited, and what was taken back does not.
    let (same, edited) = match run.filter(|_| planned + plan.edited > 0) {
        Some(run) => unchanged(index, run, &revision).await?,
        None => (planned, plan.edited),
    };
    let permanent: u64 = plan.permanent.values().sum();
    Ok(match (same, edited) {
        (0, 0) if permanent == 0 => holds(NAME, "none of the letters failed for good"),
        (0, 0) => holds(NAME, format!("the stage has another revision now ({revision})")),
        (0, edited) => holds(NAME, format!("{edited} letters were edited")),
        (same, _) => fails(
            NAME,
            format!(
                "{same} letters failed for good and were not edited, and the stage has not changed since (revision \
                 {revision})"
            ),
        ),
    })
}

async fn provider(config: &Config, stage: Option<&Stage>) -> Check {
    const NAME: &str = "provider";
    match asked_provider(config, stage.map(|stage| &stage.kind)).await {
        None => holds(NAME, "the stage calls none"),
        Some(Ok(found)) => holds(NAME, found),
        Some(Err(found)) => fails(NAME, found),
    }
}

/// A real call to the provider that a stage of this kind calls, as small as there is one: what was found, well or not. `None`
/// when it calls none.
pub async fn asked_provider(config: &Config, kind: Option<&Kind>) -> Option<Result<String, String>> {
    Some(call(config, kind?.asks()?).await)
}

async fn call(config: &Config, Asks { provider, model, answer_max }: Asks<'_>) -> Result<String, String> {
    let settings = config.providers.get(provider);
    let settings = settings.ok_or_else(|| format!("the configuration has no provider '{provider}'"))?;
    let client = Client::new(provider, settings, &config.currency).map_err(|error| error.to_string())?;
    let (asked, bill) = (Instant::now(), Bill::new(Purpose::Probe));
    let answer = match answer_max {
        None => client.embed(&bill, model, &["ping".to_owned()]).await.map(|_| ()),
        Some(_) => {
            let messages = vec![ChatMessage { role: "user", content: "ping".into() }];
            let request = ChatRequest { model: model.to_owned(), messages, max_tokens: 1, temperature: 0.0 };
            client.chat(&bill, request).await.map(|_| ())
        }
    };
    let took = asked.elapsed().as_millis();
    answer.map_err(|fault| format!("'{provider}' does not answer: {fault}"))?;
    Ok(format!("'{provider}' answered a call to {model} in {took} ms"))
}

async fn running(config: &Config, plan: &Plan) -> Check {
    const NAME: &str = "running";
    let topology = Topology::derive(config);
    let Some(topics) = topology.stage(&plan.pipeline, &plan.stage) else {
        return fails(NAME, "the configuration has no such stage");
    };
    if config.kafka.membership.protocol == GroupProtocol::Consumer {
        return holds(NAME, "of a group of the protocol `consumer` it is not known; the canaries will tell");
    }
    match members(&config.kafka, &topics.group, Instant::now() + PATIENCE).await {
        Ok(0) => fails(NAME, format!("nobody runs the stage: group '{}' has no members", topics.group)),
        Ok(some) => holds(NAME, format!("{some} of group '{}' run the stage", topics.group)),
        Err(problem) => fails(NAME, problem.to_string()),
    }
}

async fn lag(config: &Config, plan: &Plan, limits: Limits) -> Check {
    const NAME: &str = "lag";
    let mut topology = Topology::derive(config);
    topology.stages.retain(|stage| stage.pipeline == plan.pipeline && stage.stage == plan.stage);
    let Some(input) = topology.stages.first().map(|stage| stage.input.clone()) else {
        return fails(NAME, "the configuration has no such stage");
    };
    match offsets::look(&config.kafka, &topology).await {
        Ok(read) => {
            let left =
                read.iter().filter(|read| read.topic == input).map(|read| read.left.max(0)).sum::<i64>();
            let found = format!("{left} records wait on '{input}'; at most {} may", limits.lag);
            if left.unsigned_abs() <= limits.lag { holds(NAME, found) } else { fails(NAME, found) }
        }
        Err(problem) => fails(NAME, problem.to_string()),
    }
}

fn alone(plan: &Plan, run: Option<&str>, runs: &[Run]) -> Check {
    const NAME: &str = ALONE;
    let is_other = |other: &&Run| other.holds_stage_of(plan) && Some(other.id.as_str()) != run;
    let other = runs.iter().find(is_other);
    match other {
        None => holds(NAME, "no other redrive is under way on the stage"),
        Some(other) => {
            let state = other.state.as_str();
            fails(NAME, format!("redrive {} ('{}') on the stage is {state}", other.id, other.plan.name))
        }
    }
}

fn in_circles(plan: &Plan) -> Check {
    const NAME: &str = "loop";
    let most = plan.most_redriven;
    match most < REDRIVES_MAX {
        true => holds(NAME, format!("none was sent back more than {most} times")),
        false => fails(NAME, format!("one was sent back {most} times and died again each time")),
    }
}

fn ledger(config: &Config, plan: &Plan) -> Check {
    const NAME: &str = "ledger";
    match plan.preview {
        None => fails(
            NAME,
            format!(
                "there is no ledger at {}: what becomes of what is sent could not be seen",
                config.ledger.path.display()
            ),
        ),
        Some(preview) if preview.unknown > 0 => fails(
            NAME,
            format!(
                "of {} jobs the ledger does not know {}: is it the stage's?",
                preview.asked, preview.unknown
            ),
        ),
        Some(preview) => {
            holds(NAME, format!("it knows all of the {} jobs that it was asked for", preview.asked))
        }
    }
}

/// The oldest letter must still be there when its turn comes.
fn retention(config: &Config, plan: &Plan, now: Timestamp) -> Check {
    const NAME: &str = "retention";
    let keeps = config.retention(&plan.pipeline, &plan.stage).keep;
    let (Some(Span(keeps)), Some(oldest)) = (keeps, plan.oldest) else {
        return holds(NAME, "dead letters are kept for ever, or archived");
    };
    let age = Duration::try_from(now.duration_since(oldest)).unwrap_or_default();
    let left = keeps.saturating_sub(age);
    let takes = plan.policy.duration(plan.letters);
    let found =
        format!("the oldest letter is deleted in {}; the run takes about {}", about(left), about(takes));
    if left > takes { holds(NAME, found) } else { fails(NAME, found) }
}

/// In the largest unit that says something of it.
fn about(time: Duration) -> String {
    span(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
