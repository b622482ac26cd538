//! `/v1/acts/edit` and `/v1/acts/unedit`: another payload, or other headers, for dead letters; and what an edit has changed.
//! Whoever edits sees payloads, so that he needs the right to that too.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::acts::MAX;
use super::ask::Ask;
use super::asked::{Asked, Sent, Told};
use super::letters::{find, meant};
use super::{Api, Problem, Right, Route, Who};
use crate::ops::dlq::edit::{
    Change, Done, EditError, FORMULAS_MAX, Formula, Payload, Prepared, What, Wish, changes, check, prepare,
};
use crate::ops::quarantine::selection::Target;
use crate::quarantine::{Edition, State as Standing};

/// What is to be changed, of which letters. Exactly one of `letters` and `filter` says of which; at most one of `patch`, `merge`,
/// `set` and `payload` what the payload becomes.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Order {
    /// Ids, or as much of their beginning as tells them from the others.
    letters: Option<Vec<String>>,
    /// All open ones that pass.
    filter: Option<Ask>,
    /// A JSON Patch (RFC 6902); of Avro, for the JSON that `/v1/dlq/{id}/record` does not show and `dlq show` does.
    patch: Option<Value>,
    /// A JSON Merge Patch (RFC 7396).
    merge: Option<Value>,
    /// What places of it become, one after the other.
    set: Vec<Place>,
    /// The whole payload.
    payload: Option<Whole>,
    /// Headers that get this value, in place of all of their name, or, with null, go.
    headers: BTreeMap<String, Option<String>>,
    /// Headers that are secrets, or by which people tell whose a record is, are meant too.
    sensitive: bool,
    /// Why.
    reason: Option<String>,
    /// Only says what would be different.
    dry_run: bool,
    /// Touch at most this many; 1000 when absent.
    max: Option<u32>,
    /// Do it only if it is this many: what was seen before.
    count: Option<usize>,
}

/// A place of a payload, and what stands there afterwards.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Place {
    /// A JSON Pointer (RFC 6901).
    path: String,
    /// In CEL: it can ask for `payload`, `headers` and what conditions know of a letter.
    expression: String,
}

/// A payload: one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Whole {
    /// In the form that it had: JSON, or Avro with the schema that it was written with.
    Json(Value),
    Text(String),
    Base64(String),
}

/// What was done, or would be.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the answer, which is one of the two")]
enum Answer {
    Done(Done),
    Prepared(Prepared),
}

/// An edit that counts, and what it has changed, without what is masked.
#[derive(Serialize, JsonSchema)]
struct Edited {
    edit: Edition,
    /// Absent when Kafka no longer has the record.
    changes: Option<Vec<Change>>,
}

pub fn routes() -> Vec<Route> {
    let post = |route: Route| route.body::<Order>().answer::<Answer>();
    vec![
        Route::get("/v1/dlq/{id}/edit", Right::Payload, "Show what an edit has changed", one)
            .answer::<Edited>(),
        post(Route::post("/v1/acts/edit", Right::Edit, "Give another payload or other headers", edit)),
        post(Route::post("/v1/acts/unedit", Right::Edit, "Take back edits that were not sent", unedit)),
    ]
}

async fn one(Asked { api, who, .. }: Asked, Path(id): Path<String>) -> Told<Edited> {
    let letter = find(&api, &who, &id).await?;
    let none = || Problem::not_found("the dead letter is not edited", "`/v1/acts/edit` does it");
    let edit = letter.edit.clone().ok_or_else(none)?;
    Ok(Json(Edited { edit, changes: changes(&api.config, &letter).await? }))
}

async fn edit(Asked { api, who, .. }: Asked, Sent(mut order): Sent<Order>) -> Result<Response, Problem> {
    // Whoever edits sees payloads.
    who.need(Right::Payload)?;
    let what = What::Edit(Box::new(wish(&mut order)?));
    carry_out(&api, &who, order, what).await
}

async fn unedit(Asked { api, who, .. }: Asked, Sent(order): Sent<Order>) -> Result<Response, Problem> {
    // Whoever edits sees payloads.
    who.need(Right::Payload)?;
    let is_edit =
        !order.set.is_empty() || order.patch.is_some() || order.merge.is_some() || order.payload.is_some();
    if is_edit || !order.headers.is_empty() {
        return Err(Problem::wrong("the order has words of another deed", "leave them out"));
    }
    carry_out(&api, &who, order, What::Undo).await
}

fn wish(order: &mut Order) -> Result<Wish, Problem> {
    let set = formulas(std::mem::take(&mut order.set))?;
    let given = (order.patch.take(), order.merge.take(), order.payload.take());
    let payload = match given {
        (None, None, None) => Payload::AsItIs,
        _ if !set.is_empty() => return Err(twice()),
        (Some(patch), None, None) => {
            let patch = serde_json::from_value(patch);
            let wrong =
                |error| Problem::wrong(format!("'patch' is no JSON Patch: {error}"), "RFC 6902 says how");
            Payload::Patch(patch.map_err(wrong)?)
        }
        (None, Some(merge), None) => Payload::Merge(merge),
        (None, None, Some(Whole::Json(view))) => Payload::Json(view),
        (None, None, Some(Whole::Text(text))) => Payload::Bytes(text.into_bytes().into()),
        (None, None, Some(Whole::Base64(text))) => {
            let bytes = STANDARD.decode(text);
            let wrong =
                |error| Problem::wrong(format!("'base64' cannot be read: {error}"), "RFC 4648 says how");
            Payload::Bytes(bytes.map_err(wrong)?.into())
        }
        _ => return Err(twice()),
    };
    let headers = std::mem::take(&mut order.headers).into_iter().collect::<Vec<_>>();
    if matches!(payload, Payload::AsItIs) && set.is_empty() && headers.is_empty() {
        return Err(Problem::wrong(
            "it is not said what is to be changed",
            "give patch, merge, set, payload or headers",
        ));
    }
    Ok(Wish { payload, set, headers, sensitive: order.sensitive })
}

fn twice() -> Problem {
    Problem::wrong("it is said twice what the payload becomes", "give one of patch, merge, set and payload")
}

fn formulas(places: Vec<Place>) -> Result<Vec<Formula>, Problem> {
    if places.len() > FORMULAS_MAX {
        return Err(Problem::wrong(
            format!("'set' has more than {FORMULAS_MAX} places"),
            "give a merge patch",
        ));
    }
    let wrong =
        |why: String| Problem::wrong(format!("'set': {why}"), "`lazaret dlq edit --help` has an example");
    places.iter().map(|place| Formula::new(&place.path, &place.expression).map_err(wrong)).collect()
}

async fn carry_out(api: &Api, who: &Who, order: Order, what: What) -> Result<Response, Problem> {
    if !order.dry_run {
        check(&who.name, order.reason.as_deref())?;
    }
    let target = target(api, who, &order).await?;
    let max = order.max.map_or(MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
    let prepared = prepare(&api.config, &*api.index, &target, max, what).await?;
    let found = prepared.letters.len();
    if let Some(count) = order.count.filter(|count| *count != found) {
        let detail = format!("it would be done with {found}, not with {count}");
        return Err(Problem::new(StatusCode::CONFLICT, detail).hint("look again: some have come or gone"));
    }
    if order.dry_run {
        return Ok(Json(prepared).into_response());
    }
    let reason = order.reason.unwrap_or_default();
    let done = prepared.carry_out(&api.config, &api.index, &api.producer, &who.name, &reason).await?;
    let lost = done.lost.first().filter(|_| done.letters.is_empty());
    match lost {
        None => Ok(Json(done).into_response()),
        Some(lost) => {
            let problem = Problem::new(StatusCode::CONFLICT, lost.why.clone());
            Err(problem.hint("`/v1/dlq/{id}/acts` shows what was done with it"))
        }
    }
}

async fn target(api: &Api, who: &Who, order: &Order) -> Result<Target, Problem> {
    let Order { letters, filter, .. } = order;
    let target = meant(api, who, letters.as_deref(), filter.as_ref(), &[Standing::Open]).await?;
    target.ok_or_else(|| Problem::wrong("it is not said with what", "give one of letters and filter"))
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Wrong(advice) => Self::advised(StatusCode::BAD_REQUEST, advice),
            EditError::Selection(error) => error.into(),
            EditError::Refused(all) => Self::conflicts(all),
            EditError::Late(advice) => Self::advised(StatusCode::SERVICE_UNAVAILABLE, advice),
            EditError::Kafka(_)
            | EditError::Unread(_)
            | EditError::Index(_)
            | EditError::Unnoted(_)
            | EditError::Unwritten(_)
            | EditError::Partial { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}
