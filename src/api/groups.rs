//! `/v1/groups`: what dead letters look alike.

use axum::Json;
use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Ask;
use super::asked::{Asked, Told};
use super::letters::STANDING;
use super::{Problem, Right, Route};
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

async fn list(asked: Asked) -> Told<Groups> {
    let ask: Ask = asked.query()?;
    let filter = ask.filter(&asked.who.scope, &STANDING)?;
    Ok(Json(Groups { groups: asked.api.index.groups(&filter, ask.limit()?).await? }))
}

async fn one(asked: Asked, Path(fingerprint): Path<String>) -> Told<Group> {
    let filter = Filter { fingerprint: Some(fingerprint.clone()), ..Filter::default() };
    let group = asked.api.index.groups(&asked.who.scope.narrow(filter)?, 1).await?.pop();
    let none = || Problem::not_found(format!("there is no group '{fingerprint}'"), "`/v1/groups` lists them");
    group.map(Json).ok_or_else(none)
}
