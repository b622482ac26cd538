//! `/v1/rules`: what is done with dead letters by rule, what rules would do now, and a sweep by them.

use axum::Json;
use axum::http::StatusCode;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::{Asked, Sent, Told};
use super::{Problem, Right, Route, Who};
use crate::config::check_rules;
use crate::config::schedule::Schedule;
use crate::config::sweep::Rule;
use crate::ops::sweep::{How, Report, sweep};

/// In their order: the first that matches decides.
#[derive(Serialize, JsonSchema)]
struct Rules {
    schedule: Option<Schedule>,
    rules: Vec<Rule>,
}

/// What is to be tried.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Trial {
    /// Other rules than those of the configuration.
    rules: Option<Vec<Rule>>,
}

/// Nothing has to be said.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Nothing {}

pub fn routes() -> Vec<Route> {
    let rules = Right::Rules;
    vec![
        Route::get("/v1/rules", Right::View, "List the rules of the sweep", list).answer::<Rules>(),
        Route::post("/v1/rules/preview", rules, "Say what rules would do now; nothing is done", preview)
            .body::<Trial>()
            .answer::<Report>(),
        Route::post("/v1/rules/sweep", rules, "Do what the rules of the configuration say", now)
            .body::<Nothing>()
            .answer::<Report>(),
    ]
}

async fn list(Asked { api, who, .. }: Asked) -> Told<Rules> {
    ensure_whole(&who)?;
    let sweep = &api.config.quarantine.sweep;
    Ok(Json(Rules { schedule: sweep.schedule.clone(), rules: sweep.rules.clone() }))
}

async fn preview(Asked { api, who, .. }: Asked, Sent(trial): Sent<Trial>) -> Told<Report> {
    ensure_whole(&who)?;
    let rules = match trial.rules {
        None => api.config.quarantine.sweep.rules.clone(),
        Some(rules) => {
            if let Some(wrong) = check_rules(&api.config, &rules).into_iter().next() {
                let hint = wrong.hint.unwrap_or_default();
                return Err(Problem::wrong(format!("{}: {}", wrong.path, wrong.message), hint));
            }
            rules
        }
    };
    Ok(Json(sweep(&api.config, &api.index, &rules, How::DryRun, Timestamp::now()).await?))
}

async fn now(Asked { api, who, .. }: Asked, Sent(Nothing {}): Sent<Nothing>) -> Told<Report> {
    ensure_whole(&who)?;
    // It goes on when nobody waits for the answer any more.
    let sweeping = tokio::spawn(async move {
        let rules = &api.config.quarantine.sweep.rules;
        sweep(&api.config, &api.index, rules, How::Carry, Timestamp::now()).await
    });
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the sweep was broken off");
    Ok(Json(sweeping.await.map_err(broken)??))
}

/// Rules are for all dead letters.
fn ensure_whole(who: &Who) -> Result<(), Problem> {
    if who.scope.is_all() {
        return Ok(());
    }
    let detail = "rules are for all dead letters, and this token is for a part of them";
    Err(Problem::forbidden(detail, "ask somebody whose token is for all"))
}
