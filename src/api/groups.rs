//! `/v1/groups`: what dead letters look alike.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Ask;
use super::letters::STANDING;
use super::{Api, Problem, Right, Route, Who};
use crate::quarantine::{Filter, Group};

/// Groups of dead letters, that with the latest death first.
#[derive(Serialize, JsonSchema)]
struct Groups {
    groups: Vec<Group>,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/groups", Right::View, "List what dead letters look alike", list)
            .query::<Ask>()
            .answer::<Groups>(),
        Route::get("/v1/groups/{fingerprint}", Right::View, "Show a group, wherever its letters are", one)
            .answer::<Group>(),
    ]
}

async fn list(State(api): State<Api>, who: Extension<Arc<Who>>, uri: Uri) -> Result<Json<Groups>, Problem> {
    let ask = Ask::of(&uri)?;
    let filter = ask.filter(&who.scope, &STANDING)?;
    Ok(Json(Groups { groups: api.index.groups(&filter, ask.limit()?).await? }))
}

async fn one(
    State(api): State<Api>,
    who: Extension<Arc<Who>>,
    Path(fingerprint): Path<String>,
) -> Result<Json<Group>, Problem> {
    let filter = Filter { fingerprint: Some(fingerprint.clone()), ..Filter::default() };
    let group = api.index.groups(&who.scope.narrow(filter)?, 1).await?.pop();
    let none = || Problem::not_found(format!("there is no group '{fingerprint}'"), "`/v1/groups` lists them");
    group.map(Json).ok_or_else(none)
}
