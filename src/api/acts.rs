//! `/v1/acts`: what people and rules did, and what can be done with dead letters without sending them back.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ask::{Ask, cursor, limit, read_cursor};
use super::asked::{Asked, Sent, Told};
use super::letters::{STANDING, ids_of};
use super::{Api, Problem, Right, Route, Who};
use crate::flow::Code;
use crate::ops::quarantine::change::{Change, Done, Prepared, operations_topic};
use crate::ops::quarantine::selection::Target;
use crate::quarantine::{Act, ActCursor, ActFilter, Deed, State as Standing};

/// Letters, or groups, that one request touches unless it allows more.
pub const MAX: usize = 1000;

/// Which acts are meant: those for which all of this holds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskActs {
    /// Acts on this dead letter, by its whole id.
    letter: Option<String>,
    /// Acts on this group as a whole, by its fingerprint.
    group: Option<String>,
    operation: Option<String>,
    /// Who did it.
    by: Option<String>,
    /// Done at or after this time (RFC 3339).
    since: Option<Timestamp>,
    /// Done before this time (RFC 3339).
    until: Option<Timestamp>,
    /// At most this many, 1 to 1000; 50 when absent.
    limit: Option<u16>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Acts, the latest first.
#[derive(Serialize, JsonSchema)]
struct Acts {
    acts: Vec<Act>,
    /// The cursor of the next page; absent at the end.
    next: Option<String>,
}

/// What is to be done. Exactly one of `letters`, `group` and `filter` says with what.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Order {
    /// Ids, or as much of their beginning as tells them from the others.
    letters: Option<Vec<String>>,
    /// A group as a whole, by its fingerprint.
    group: Option<String>,
    /// All that pass. Without `state`, open and redriving ones; to restore, discarded ones.
    filter: Option<Ask>,
    /// Why.
    reason: Option<String>,
    /// Only says what would be done.
    dry_run: bool,
    /// Touch at most this many; 1000 when absent.
    max: Option<u32>,
    /// Do it only if it is this many: what was seen before.
    count: Option<usize>,
    /// The note, of `note`; empty for none.
    note: Option<String>,
    /// Who looks after them, of `assign`; empty for nobody.
    owner: Option<String>,
    /// The ticket, of `link`; empty for none.
    ticket: Option<String>,
    /// The code, of `reclassify`.
    code: Option<String>,
    /// The class, of `reclassify`; that of the code when absent.
    class: Option<String>,
}

/// What was done, or would be.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the answer, which is one of the two")]
enum Answer {
    Done(Done),
    Prepared(Prepared),
}

/// Takes the words of a deed out of the order.
type Words = fn(&mut Order) -> Result<Deed, Problem>;

pub fn routes() -> Vec<Route> {
    let deed = |path, right, summary, words: Words| {
        let handler = move |asked: Asked, Sent(order): Sent<Order>| carry_out(asked, order, words);
        Route::post(path, right, summary, handler).body::<Order>().answer::<Answer>()
    };
    let note = Right::Annotate;
    vec![
        Route::get("/v1/acts", Right::Audit, "Show who did what with dead letters, the latest first", list)
            .query::<AskActs>()
            .answer::<Acts>(),
        deed("/v1/acts/restore", Right::Restore, "Take back what was given up", |_| Ok(Deed::Restored)),
        deed("/v1/acts/reclassify", Right::Edit, "Give another code and class", reclassified),
        deed("/v1/acts/note", note, "Write a note", |order| {
            Ok(Deed::Noted { text: word(&mut order.note, "note")? })
        }),
        deed("/v1/acts/assign", note, "Say who looks after them", |order| {
            Ok(Deed::Assigned { owner: word(&mut order.owner, "owner")? })
        }),
        deed("/v1/acts/link", note, "Say which ticket is about them", |order| {
            Ok(Deed::Linked { ticket: word(&mut order.ticket, "ticket")? })
        }),
        deed(
            "/v1/acts/resolve",
            note,
            "Say that the cause is removed; of letters it means their groups",
            |_| Ok(Deed::Resolved),
        ),
    ]
}

async fn list(asked: Asked) -> Told<Acts> {
    if !asked.who.scope.is_all() {
        return Err(Problem::forbidden(
            "this token is for a part of the dead letters",
            "ask `/v1/dlq/{id}/acts`",
        ));
    }
    let ask: AskActs = asked.query()?;
    let after = read_cursor(ask.cursor.as_deref())?.map(|(offset, id)| ActCursor { offset, id });
    let AskActs { letter, group, operation, by, since, until, .. } = ask;
    let filter = ActFilter { letter, group, operation, by, since, until };
    let page = asked.api.index.audit(&filter, after.as_ref(), limit(ask.limit)?).await?;
    let next = page.next.map(|next| cursor(next.offset, &next.id));
    Ok(Json(Acts { acts: page.acts, next }))
}

fn reclassified(order: &mut Order) -> Result<Deed, Problem> {
    let code = word(&mut order.code, "code")?;
    let known = || code.parse::<Code>().ok().map(|code| code.class().to_string());
    let class = order.class.take().or_else(known);
    let unknown = || Problem::wrong("the class of this code is not known", "name it with 'class'");
    Ok(Deed::Reclassified { class: class.ok_or_else(unknown)?, code })
}

fn word(word: &mut Option<String>, name: &str) -> Result<String, Problem> {
    word.take().ok_or_else(|| Problem::wrong(format!("'{name}' is missing"), "an empty text takes it away"))
}

async fn carry_out(
    Asked { api, who, .. }: Asked,
    mut order: Order,
    words: Words,
) -> Result<Response, Problem> {
    let deed = words(&mut order)?;
    let target = target(&api, &who, &order, &deed).await?;
    let Order { reason, dry_run, max, count, note, owner, ticket, code, class, .. } = order;
    if [note, owner, ticket, code, class].iter().any(Option::is_some) {
        return Err(Problem::wrong("the order has words of another deed", "leave them out"));
    }
    let change = Change { deed, by: who.name.clone(), reason };
    let max = max.map_or(MAX, |max| usize::try_from(max).unwrap_or(usize::MAX));
    let prepared = change.prepare(&*api.index, &target, max).await?;
    if let Some(count) = count.filter(|count| *count != prepared.count()) {
        let detail = format!("it would be done with {}, not with {count}", prepared.count());
        return Err(Problem::new(StatusCode::CONFLICT, detail).hint("look again: some have come or gone"));
    }
    if dry_run {
        return Ok(Json(prepared).into_response());
    }
    let topic = operations_topic(&api.config).await?;
    Ok(Json(prepared.carry_out(&api.producer, &topic).await?).into_response())
}

/// With what it is done, within what whoever orders it may know of.
async fn target(api: &Api, who: &Who, order: &Order, deed: &Deed) -> Result<Target, Problem> {
    let is_part = !who.scope.is_all();
    if is_part && (order.group.is_some() || *deed == Deed::Resolved) {
        let detail = "this token is for a part of the dead letters, and a group as a whole may be more";
        return Err(Problem::forbidden(detail, "name letters, or a filter"));
    }
    match (&order.letters, &order.group, &order.filter) {
        (Some(letters), None, None) if is_part => Ok(Target::Letters(ids_of(api, who, letters).await?)),
        (Some(letters), None, None) => Ok(Target::Letters(letters.clone())),
        (None, Some(group), None) => Ok(Target::Group(group.clone())),
        (None, None, Some(ask)) => {
            ask.ensure_conditions()?;
            let states: &[Standing] =
                if *deed == Deed::Restored { &[Standing::Discarded] } else { &STANDING };
            Ok(Target::Those(Box::new(ask.filter(&who.scope, states)?)))
        }
        _ => Err(Problem::wrong("it is not said with what", "give one of letters, group and filter")),
    }
}
