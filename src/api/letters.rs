//! `/v1/dlq`: dead letters, their counts, their records and what was done with one.

use axum::Json;
use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::{Ask, cursor, read_cursor};
use super::asked::{Asked, Told};
use super::{Api, Problem, Right, Route, Who};
use crate::ops::dlq::price::Priced;
use crate::ops::quarantine::content::{Content, Contents};
use crate::ops::quarantine::selection::{self, Target};
use crate::quarantine::{Act, Bucket, Cursor, Known, Share, State as Standing};

/// Where letters are of which somebody has to think.
pub const STANDING: [Standing; 2] = [Standing::Open, Standing::Redriving];

/// Dead letters, the latest death first.
#[derive(Serialize, JsonSchema)]
struct Letters {
    letters: Vec<Priced<Known>>,
    /// The cursor of the next page; absent at the end.
    next: Option<String>,
}

/// How many there are, and how many of each value.
#[derive(Serialize, JsonSchema)]
struct Counted {
    count: u64,
    /// Where `by` is asked for: the greatest first.
    shares: Option<Vec<Priced<Share>>>,
}

/// Deaths by hour, for the hours that have any.
#[derive(Serialize, JsonSchema)]
struct Trend {
    hours: Vec<Bucket>,
}

/// What was done with one, in order.
#[derive(Serialize, JsonSchema)]
struct History {
    acts: Vec<Act>,
}

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/dlq", Right::View, "List dead letters, the latest death first", list)
            .query::<Ask>()
            .answer::<Letters>(),
        Route::get("/v1/dlq/count", Right::View, "Count dead letters, by a value if that is wanted", count)
            .query::<Ask>()
            .answer::<Counted>(),
        Route::get("/v1/dlq/trend", Right::View, "Count deaths by hour", trend)
            .query::<Ask>()
            .answer::<Trend>(),
        Route::get("/v1/dlq/{id}", Right::View, "Show what is known of a dead letter", one)
            .answer::<Priced<Known>>(),
        Route::get(
            "/v1/dlq/{id}/record",
            Right::Payload,
            "Read key, headers and payload of its record, without what is masked",
            record,
        )
        .answer::<Content>(),
        Route::get("/v1/dlq/{id}/acts", Right::Audit, "Show what people and rules did with it", acts)
            .answer::<History>(),
    ]
}

async fn list(asked: Asked) -> Told<Letters> {
    let ask: Ask = asked.query()?;
    let after = read_cursor(ask.cursor.as_deref())?.map(|(died, id)| Cursor { died, id });
    let filter = ask.filter(&asked.who.scope, &STANDING)?;
    let page = asked.api.index.list(&filter, after.as_ref(), ask.limit()?).await?;
    let next = page.next.map(|next| cursor(next.died, &next.id));
    let priced = |letter| Priced::new(&asked.api.config, letter);
    Ok(Json(Letters { letters: page.letters.into_iter().map(priced).collect(), next }))
}

async fn count(asked: Asked) -> Told<Counted> {
    let ask: Ask = asked.query()?;
    let filter = ask.filter(&asked.who.scope, &STANDING)?;
    let count = asked.api.index.count(&filter).await?;
    let shares = match ask.by {
        Some(by) => asked.api.index.shares(&filter, by, ask.limit()?).await?,
        None => Vec::new(),
    };
    let priced = |share| Priced::new(&asked.api.config, share);
    let shares = ask.by.map(|_| shares.into_iter().map(priced).collect());
    Ok(Json(Counted { count, shares }))
}

async fn trend(asked: Asked) -> Told<Trend> {
    let filter = asked.query::<Ask>()?.filter(&asked.who.scope, &STANDING)?;
    Ok(Json(Trend { hours: asked.api.index.trend(&filter).await? }))
}

async fn one(Asked { api, who, .. }: Asked, Path(id): Path<String>) -> Told<Priced<Known>> {
    Ok(Json(Priced::new(&api.config, find(&api, &who, &id).await?)))
}

async fn record(Asked { api, who, .. }: Asked, Path(id): Path<String>) -> Told<Content> {
    let letter = find(&api, &who, &id).await?;
    let mut found = Contents::new(&api.config, "api").of(vec![letter]).await?;
    found.pop().and_then(|(_, content)| content).map(Json).ok_or_else(gone)
}

async fn acts(Asked { api, who, .. }: Asked, Path(id): Path<String>) -> Told<History> {
    let id = find(&api, &who, &id).await?.entry.id;
    let mut acts = api.index.acts(&id).await?;
    if !who.scope.is_all() {
        // The others may be of others.
        acts.iter_mut().for_each(|act| act.letters = vec![id.clone()]);
    }
    Ok(Json(History { acts }))
}

pub fn gone() -> Problem {
    Problem::not_found("Kafka no longer has the record", "what is known of the letter is all there is")
}

/// Which letters are meant, within what somebody may know of: those that are named, or all that pass, in these states when none is
/// named. `None` when it is not said, or twice.
pub async fn meant(
    api: &Api,
    who: &Who,
    letters: Option<&[String]>,
    filter: Option<&Ask>,
    states: &[Standing],
) -> Result<Option<Target>, Problem> {
    match (letters, filter) {
        (Some(letters), None) => Ok(Some(Target::Letters(ids_of(api, who, letters).await?))),
        (None, Some(ask)) => {
            ask.ensure_conditions()?;
            Ok(Some(Target::Those(Box::new(ask.filter(&who.scope, states)?))))
        }
        _ => Ok(None),
    }
}

/// The whole ids of these letters, all of which somebody may know of.
pub async fn ids_of(api: &Api, who: &Who, letters: &[String]) -> Result<Vec<String>, Problem> {
    let mut ids = Vec::with_capacity(letters.len());
    for id in letters {
        ids.push(find(api, who, id).await?.entry.id);
    }
    Ok(ids)
}

/// The letter of this id, or of one that begins so. One that somebody may not know of is not there.
pub async fn find(api: &Api, who: &Who, id: &str) -> Result<Known, Problem> {
    const ELSEWHERE: &str = "`/v1/dlq` lists them";
    let letter = selection::one(&*api.index, id, ELSEWHERE).await?;
    let hidden = || Problem::not_found(format!("there is no dead letter '{id}'"), ELSEWHERE);
    Some(letter).filter(|letter| who.scope.has(&letter.entry)).ok_or_else(hidden)
}
