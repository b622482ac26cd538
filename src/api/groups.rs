//! `/v1/groups`: what dead letters look alike.

use axum::Json;
use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Ask;
use super::asked::{Asked, Told};
use super::letters::STANDING;
use super::{Problem, Right, Route};
use crate::ops::dlq::price::Priced;
use crate::quarantine::{Filter, Group};

/// Groups of dead letters, that with the latest death first.
#[derive(Serialize, JsonSchema)]
struct Groups {
    groups: Vec<Priced<Group>>,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/groups", Right::View, "List what dead letters look alike", list)
            .query::<Ask>()
            .answer::<Groups>(),
        Route::get("/v1/groups/{fingerprint}", Right::View, "Show a group, wherever its letters are", one)
            .answer::<Priced<Group>>(),
    ]
}

async fn list(asked: Asked) -> Told<Groups> {
    let ask: Ask = asked.query()?;
    let filter = ask.filter(&asked.who.scope, &STANDING)?;
    let groups = asked.api.index.groups(&filter, ask.limit()?).await?;
    let priced = |group| Priced::new(&asked.api.config, group);
    Ok(Json(Groups { groups: groups.into_iter().map(priced).collect() }))
}

async fn one(asked: Asked, Path(fingerprint): Path<String>) -> Told<Priced<Group>> {
    let filter = Filter { fingerprint: Some(fingerprint.clone()), ..Filter::default() };
    let group = asked.api.index.groups(&asked.who.scope.narrow(filter)?, 1).await?.pop();
    let none = || Problem::not_found(format!("there is no group '{fingerprint}'"), "`/v1/groups` lists them");
    group.map(|group| Json(Priced::new(&asked.api.config, group))).ok_or_else(none)
}
