//! `/v1/redrives`: plans, their runs and how they get on. What is started here is run by this process, or by another one that
//! keeps the index.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::{Ask, limit};
use super::asked::{Asked, Sent, Told};
use super::letters::meant;
use super::{Api, Problem, Right, Route, Who};
use crate::config::{Amount, Span};
use crate::message::trail::is_id;
use crate::ops::quarantine::selection::Target;
use crate::ops::redrive::checks::{Check, Limits, Starting, check, in_the_way};
use crate::ops::redrive::control::{Command, command, count, find, known};
use crate::ops::redrive::plan::{Selection, Wish, freeze, propose};
use crate::quarantine::{InRun, Plan, Policy, Run, RunState, State as Standing};

/// Letters of a plan that does not allow more, and records that may wait in the stage's input.
const MOST: u64 = 10_000;
/// Between two events.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// The latest, the latest plan first.
#[derive(Serialize, JsonSchema)]
struct Redrives {
    redrives: Vec<Run>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskRedrives {
    /// At most this many, 1 to 1000; 50 when absent.
    limit: Option<u16>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskLetters {
    /// The place of the first, from 0.
    #[serde(default)]
    from: u64,
    /// At most this many, 1 to 1000; 50 when absent.
    limit: Option<u16>,
}

/// Letters of a plan, in its order.
#[derive(Serialize, JsonSchema)]
struct Letters {
    letters: Vec<InRun>,
}

/// What is to be planned. Exactly one of `letters` and `filter` says with what.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Order {
    /// What people call it.
    name: String,
    /// Ids, or as much of their beginning as tells them from the others.
    letters: Option<Vec<String>>,
    /// All open ones that pass.
    filter: Option<Ask>,
    /// Letters of the canaries; 1, 5 and 25 when absent.
    canary: Option<Vec<u32>>,
    /// Most letters a second after the canaries.
    rate: Option<u32>,
    /// Least share of those that ended that must have succeeded, percent.
    gate: Option<u8>,
    /// Most letters that are sent and not known to have ended.
    outstanding: Option<u32>,
    /// How long nothing may be heard of what was sent.
    patience: Option<Span>,
    /// What it may cost by its estimate.
    max_cost: Option<Amount>,
    /// Most letters; 10,000 when absent.
    max: Option<u64>,
    /// Only says what would be planned.
    dry_run: bool,
}

/// A plan, and what must hold before it is started.
#[derive(Serialize, JsonSchema)]
struct Planned {
    /// By which it is started; absent when nothing was written down.
    id: Option<String>,
    plan: Plan,
    checks: Vec<Check>,
}

/// Why something is done with a run.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Because {
    reason: Option<String>,
    /// Of a start: conditions that need not hold.
    overridden: Vec<String>,
    /// Of a start: most records that may wait in the stage's input; 10,000 when absent.
    max_lag: Option<u64>,
    /// Of a start: what it may cost by its estimate, beside what the plan says.
    max_cost: Option<Amount>,
}

pub fn routes() -> Vec<Route> {
    let change = |path, right, summary, what: fn(&Because) -> Command| {
        let handler = move |asked: Asked, Path(id): Path<String>, Sent(because): Sent<Because>| {
            let what = what(&because);
            change(asked, id, what, because)
        };
        Route::post(path, right, summary, handler).body::<Because>().answer::<Run>()
    };
    let run = Right::RedriveRun;
    vec![
        Route::get("/v1/redrives", Right::View, "List the latest redrives", list)
            .query::<AskRedrives>()
            .answer::<Redrives>(),
        Route::post("/v1/redrives", Right::RedrivePlan, "Plan a redrive; nothing is sent", plan)
            .body::<Order>()
            .answer::<Planned>(),
        Route::get("/v1/redrives/{id}", Right::View, "Show a redrive: plan, state, how far it is", one)
            .answer::<Run>(),
        Route::get("/v1/redrives/{id}/letters", Right::View, "Say what became of its letters", letters)
            .query::<AskLetters>()
            .answer::<Letters>(),
        Route::get(
            "/v1/redrives/{id}/events",
            Right::View,
            "Follow it: server-sent events until it rests",
            events,
        ),
        change(
            "/v1/redrives/{id}/approve",
            Right::RedriveApprove,
            "Agree, as another person, that a plan is started",
            |_| Command::Approve,
        ),
        change("/v1/redrives/{id}/start", run, "Run a plan", |because| Command::Start {
            overridden: because.overridden.clone(),
            detached: true,
        }),
        change("/v1/redrives/{id}/pause", run, "Send nothing more until it is resumed", |_| Command::Pause),
        change("/v1/redrives/{id}/resume", run, "Go on, with canaries first", |_| Command::Resume {
            detached: true,
        }),
        change("/v1/redrives/{id}/cancel", run, "End it; what was sent is not called back", |_| {
            Command::Cancel
        }),
    ]
}

/// Whether somebody may know of a run: all its letters are of his part.
fn may_know(who: &Who, plan: &Plan) -> bool {
    let is = |own: &Option<String>, of: &str| own.as_deref().is_none_or(|own| own == of);
    who.scope.tenant.is_none() && is(&who.scope.pipeline, &plan.pipeline) && is(&who.scope.stage, &plan.stage)
}

async fn list(asked: Asked) -> Told<Redrives> {
    let AskRedrives { limit: most } = asked.query()?;
    let mut redrives = asked.api.index.runs(limit(most)?).await?;
    redrives.retain(|run| may_know(&asked.who, &run.plan));
    Ok(Json(Redrives { redrives }))
}

/// The run, if somebody may know of it; as the index has it, which this process keeps up to date.
async fn allowed(api: &Api, who: &Who, id: &str) -> Result<Run, Problem> {
    let run = known(&api.index, id).await?;
    let hidden = || Problem::not_found(format!("there is no redrive '{id}'"), "`/v1/redrives` lists them");
    Some(run).filter(|run| may_know(who, &run.plan)).ok_or_else(hidden)
}

async fn one(Asked { api, who, .. }: Asked, Path(id): Path<String>) -> Told<Run> {
    let mut run = allowed(&api, &who, &id).await?;
    run.tally = count(&api.index, &run).await?;
    Ok(Json(run))
}

async fn letters(asked: Asked, Path(id): Path<String>) -> Told<Letters> {
    let AskLetters { from, limit: most } = asked.query()?;
    let Asked { api, who, .. } = asked;
    let run = allowed(&api, &who, &id).await?;
    Ok(Json(Letters { letters: api.index.in_run(&run.id, from, limit(most)?).await? }))
}

/// The run whenever something is heard of it, until it no longer runs.
async fn events(
    Asked { api, who, .. }: Asked,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let first = allowed(&api, &who, &id).await?;
    let following = stream::unfold((api, Some(first), None), |(api, run, told)| async move {
        let mut run: Run = run?;
        while told == Some(run.last) {
            tokio::time::sleep(EVENT_EVERY).await;
            run = known(&api.index, &run.id).await.ok()?;
        }
        let event = Event::default().event("redrive").json_data(&run).ok()?;
        let last = run.last;
        let next = (run.state == RunState::Running).then_some(run);
        Some((Ok(event), (api, next, Some(last))))
    });
    Ok(Sse::new(following).keep_alive(KeepAlive::default()))
}

async fn plan(Asked { api, who, .. }: Asked, Sent(order): Sent<Order>) -> Told<Planned> {
    if who.scope.tenant.is_some() {
        let detail = "this token is for one tenant, and a redrive is seen by all who may see its stage";
        return Err(Problem::forbidden(detail, "ask somebody whose token is for the stage"));
    }
    if !order.name.is_empty() && !is_id(&order.name) {
        let detail = "the name is longer than 512 bytes, or has control characters";
        return Err(Problem::wrong(detail, "write a shorter one"));
    }
    let selection = selection(&api, &who, &order).await?;
    let usual = Policy::default();
    let policy = Policy {
        canary: order.canary.unwrap_or(usual.canary).into_iter().filter(|size| *size > 0).collect(),
        rate: order.rate.unwrap_or(usual.rate),
        gate: order.gate.unwrap_or(usual.gate),
        outstanding: order.outstanding.unwrap_or(usual.outstanding),
        patience: order.patience.unwrap_or(usual.patience),
        max_cost: order.max_cost,
    };
    if policy.rate == 0 || policy.outstanding == 0 || policy.gate > 100 {
        let detail = "rate and outstanding are at least 1, gate is 0 to 100";
        return Err(Problem::wrong(detail, "leave them out for what is usual"));
    }
    let wish = Wish { name: order.name, selection, policy, most: order.max.unwrap_or(MOST) };
    let proposal = propose(&api.config, &api.index, wish).await?;
    let plan = proposal.plan.clone();
    let limits = Limits { lag: MOST, cost: None };
    let checks = check(&api.config, &api.index, &plan, None, limits, Timestamp::now()).await?;
    let id = match order.dry_run {
        true => None,
        false => {
            let id = freeze(&api.config, &api.producer, proposal, &who.name, None).await?;
            // Who asks for it next is to find it.
            Some(find(&api.config, &api.index, &id).await?.id)
        }
    };
    Ok(Json(Planned { id, plan, checks }))
}

/// Within what somebody may know of.
async fn selection(api: &Api, who: &Who, order: &Order) -> Result<Selection, Problem> {
    let Order { letters, filter, .. } = order;
    match meant(api, who, letters.as_deref(), filter.as_ref(), &[Standing::Open]).await? {
        Some(Target::Letters(ids)) => Ok(Selection::Ids(ids)),
        Some(Target::Those(filter)) => Ok(Selection::Filter(filter)),
        _ => Err(Problem::wrong("it is not said with what", "give one of letters and filter")),
    }
}

async fn change(Asked { api, who, .. }: Asked, id: String, what: Command, because: Because) -> Told<Run> {
    let reason = because.reason.as_deref();
    if reason.is_some_and(|reason| !is_id(reason)) {
        let detail = "the reason is empty, longer than 512 bytes, or has control characters";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    if reason.is_none() && what.needs_reason() {
        return Err(Problem::wrong(
            "'reason' is missing",
            "say what has changed, or what you have looked at",
        ));
    }
    let run = allowed(&api, &who, &id).await?;
    ensure(&api, &run, &what, &who.name, &because).await?;
    Ok(Json(command(&api.config, &api.index, &api.producer, &run, &what, &who.name, reason).await?))
}

/// What must hold does, or is set aside.
async fn ensure(api: &Api, run: &Run, what: &Command, by: &str, because: &Because) -> Result<(), Problem> {
    let Some(aside) = what.sets_aside(run)? else { return Ok(()) };
    let limits = Limits { lag: because.max_lag.unwrap_or(MOST), cost: because.max_cost };
    let starting = Some(Starting { run, by });
    let checks = check(&api.config, &api.index, &run.plan, starting, limits, Timestamp::now()).await?;
    let in_the_way = in_the_way(checks, &aside);
    if in_the_way.is_empty() { Ok(()) } else { Err(Problem::refused(in_the_way)) }
}
