//! `/v1/archive`: what stands in the archive, and letters out of it back to their dead letter topic.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::{Ask, cursor, limit, read_cursor};
use super::asked::{Asked, Sent, Told};
use super::letters::meant;
use super::{Api, Problem, Right, Route, Who};
use crate::ops::archive::recall::{Prepared, Recall, Recalled, To};
use crate::ops::archive::{self, ArchiveError};
use crate::ops::quarantine::selection::Target;
use crate::quarantine::Parcel;

/// Letters that one request touches unless it allows more.
const MAX: usize = 1000;

/// Which part of the list.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskObjects {
    /// At most this many, 1 to 1000; 50 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Objects, by their names.
#[derive(Serialize, JsonSchema)]
struct Objects {
    objects: Vec<Parcel>,
    /// The cursor of the next page; absent at the end.
    next: Option<String>,
}

/// What is to be written back. One of `letters` and `filter` says what.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Order {
    /// Ids, or as much of their beginning as tells them from the others.
    letters: Option<Vec<String>>,
    /// All that pass, in whatever state when it names none.
    filter: Option<Ask>,
    /// Why.
    reason: Option<String>,
    /// Only says what would be done.
    dry_run: bool,
    /// Touch at most this many; 1000 when absent.
    max: Option<u32>,
    /// Do it only if it is this many: what was seen before.
    count: Option<usize>,
}

/// What was done, or would be.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the answer, which is one of the two")]
enum Answer {
    Done(Recalled),
    Prepared(Prepared),
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/archive", Right::View, "List the objects of the archive", list)
            .query::<AskObjects>()
            .answer::<Objects>(),
        Route::post(
            "/v1/archive/restore",
            Right::Restore,
            "Write archived dead letters back to their topic, byte for byte",
            restore,
        )
        .body::<Order>()
        .answer::<Answer>(),
    ]
}

async fn list(asked: Asked) -> Told<Objects> {
    if !asked.who.scope.is_all() {
        let detail = "this token is for a part of the dead letters, and an object may hold others";
        return Err(Problem::forbidden(detail, "`/v1/dlq/{id}` says whether one is archived"));
    }
    let ask: AskObjects = asked.query()?;
    let after = read_cursor(ask.cursor.as_deref())?.map(|(_, object)| object).unwrap_or_default();
    let limit = limit(ask.limit)?;
    // A full page may be the last one: the next is empty then.
    let objects = asked.api.index.parcels(&after, limit).await?;
    let next = objects.last().filter(|_| objects.len() == limit).map(|last| cursor(0, &last.object));
    Ok(Json(Objects { objects, next }))
}

async fn restore(Asked { api, who, .. }: Asked, Sent(order): Sent<Order>) -> Result<Response, Problem> {
    let target = target(&api, &who, &order).await?;
    let Order { reason, dry_run, max, count, .. } = order;
    let recall = Recall { to: To::Own, by: who.name.clone(), reason };
    let max = max.map_or(MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
    let mut vault = archive::open(&api.config)?;
    let prepared = recall.prepare(&api.config, &*api.index, &target, max).await?;
    if let Some(count) = count.filter(|count| *count != prepared.count()) {
        let detail = format!("it would be done with {}, not with {count}", prepared.count());
        return Err(Problem::new(StatusCode::CONFLICT, detail).hint("look again: some have come or gone"));
    }
    if dry_run {
        return Ok(Json(prepared).into_response());
    }
    Ok(Json(prepared.carry_out(&api.config, &mut vault).await?).into_response())
}

/// What is meant, within what whoever orders it may know of.
async fn target(api: &Api, who: &Who, order: &Order) -> Result<Target, Problem> {
    let target = meant(api, who, order.letters.as_deref(), order.filter.as_ref(), &[]).await?;
    target.ok_or_else(|| Problem::wrong("it is not said what", "give one of letters and filter"))
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Wrong(advice) => Self::wrong(advice.message, advice.hint),
            ArchiveError::NotFound(advice) => Self::not_found(advice.message, advice.hint),
            ArchiveError::Refused(advice) => {
                Self::new(StatusCode::CONFLICT, advice.message).hint(advice.hint)
            }
            error => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}
