//! What is asked for: conditions, where a page begins, how much of it.

use axum::extract::Query;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Problem, Scope};
use crate::config::expression::Expression;
use crate::ops::quarantine::export::Format;
use crate::quarantine::{By, Condition, Filter, State};

/// Of a page, when nobody says how much.
const LIMIT: u16 = 50;
const LIMIT_MAX: u16 = 1000;

/// Which dead letters are meant, those for which all of this holds, and which part of the answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ask {
    pub pipeline: Option<String>,
    pub stage: Option<String>,
    /// A failure code, or its area, such as `parse`.
    pub code: Option<String>,
    /// transient, permanent or systemic.
    pub class: Option<String>,
    /// The fingerprint of a group.
    pub group: Option<String>,
    pub tenant: Option<String>,
    /// A job id; its children count too.
    pub job: Option<String>,
    pub resource: Option<String>,
    /// A trace id, 32 hex digits.
    pub trace: Option<String>,
    /// Where they are now, several separated by commas, or `all`; `open,redriving` when absent.
    pub state: Option<String>,
    /// Only those that nobody has looked at.
    pub unseen: bool,
    /// Text in the message, in whatever case.
    pub text: Option<String>,
    /// Died at or after this time (RFC 3339).
    pub since: Option<Timestamp>,
    /// Died before this time (RFC 3339).
    pub until: Option<Timestamp>,
    /// A condition in CEL, such as `attempts > 3 && tenant in ["acme"]`.
    #[serde(rename = "where")]
    pub condition: Option<Expression>,
    /// At most this many, 1 to 1000; 50 when absent.
    pub limit: Option<u16>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// What they are counted by.
    pub by: Option<By>,
    /// Of a file: how it is written; as lines of JSON when absent.
    pub format: Option<Format>,
    /// Of a file: with key, headers and payload of each record.
    pub payload: bool,
}

impl Ask {
    /// Says only which ones are meant, and not how they are told.
    pub fn ensure_conditions(&self) -> Result<(), Problem> {
        let Self { limit, cursor, by, format, payload, .. } = self;
        if limit.is_some() || cursor.is_some() || by.is_some() || format.is_some() || *payload {
            let hint = "leave out limit, cursor, by, format and payload";
            return Err(Problem::wrong("a filter only says which ones are meant", hint));
        }
        Ok(())
    }

    /// Within what somebody may know of. `states` are those that count when none is named.
    pub fn filter(&self, scope: &Scope, states: &[State]) -> Result<Filter, Problem> {
        let filter = Filter {
            pipeline: self.pipeline.clone(),
            stage: self.stage.clone(),
            code: self.code.clone(),
            class: self.class.clone(),
            fingerprint: self.group.clone(),
            tenant: self.tenant.clone(),
            job: self.job.clone(),
            resource: self.resource.clone(),
            trace: self.trace.clone(),
            states: self.states(states)?,
            looked_at: self.unseen.then_some(false),
            text: self.text.clone(),
            since: self.since,
            until: self.until,
            condition: self
                .condition
                .clone()
                .map(|expression| Condition { expression, now: Timestamp::now() }),
            ..Filter::default()
        };
        scope.narrow(filter)
    }

    fn states(&self, otherwise: &[State]) -> Result<Vec<State>, Problem> {
        let Some(names) = &self.state else { return Ok(otherwise.to_vec()) };
        if names == "all" {
            return Ok(Vec::new());
        }
        let state = |name: &str| {
            State::parse(name).ok_or_else(|| {
                let all = State::ALL.map(State::as_str).join(", ");
                Problem::wrong(format!("there is no state '{name}'"), format!("write some of {all}, or all"))
            })
        };
        names.split(',').map(state).collect()
    }

    pub fn limit(&self) -> Result<usize, Problem> {
        limit(self.limit)
    }
}

/// What stands behind the question mark.
pub fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let parsed = Query::<T>::try_from_uri(uri).map(|Query(ask)| ask);
    parsed.map_err(|error| {
        let why = error.body_text();
        let why = why.rsplit_once("query string: ").map_or(why.as_str(), |(_, why)| why);
        Problem::wrong(
            format!("the question cannot be read: {why}"),
            "`/v1/openapi.json` lists what can be asked",
        )
    })
}

pub fn limit(limit: Option<u16>) -> Result<usize, Problem> {
    match limit.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit.into()),
        other => Err(Problem::wrong(format!("the limit is {other}"), "ask for 1 to 1000 at once")),
    }
}

/// Where the next page begins, as a word that means nothing to others.
pub fn cursor(number: i64, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{number} {id}"))
}

pub fn read_cursor(cursor: Option<&str>) -> Result<Option<(i64, String)>, Problem> {
    let Some(cursor) = cursor else { return Ok(None) };
    let read = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (number, id) = text.split_once(' ')?;
        Some((number.parse().ok()?, id.to_owned()))
    };
    let wrong = || Problem::wrong("the cursor is none", "take it from 'next' of the page before");
    read().map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Ask, Problem> {
        query(&format!("/v1/dlq{text}").parse().expect("an address"))
    }

    #[test]
    fn conditions_are_read_from_the_address_and_unknown_ones_are_refused() {
        let ask = of("?stage=parse&since=2026-01-31T12:00:00Z&limit=7&by=tenant").expect("read");
        assert_eq!((ask.stage.as_deref(), ask.limit, ask.by), (Some("parse"), Some(7), Some(By::Tenant)));
        let filter = ask.filter(&Scope::default(), &[State::Open]).expect("a filter");
        assert_eq!((filter.states, filter.since.is_some()), (vec![State::Open], true));
        for wrong in ["?tenent=acme", "?since=yesterday", "?limit=many", "?by=colour"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let states =
            |text: &str| of(text).expect("read").filter(&Scope::default(), &[]).map(|filter| filter.states);
        assert_eq!(states("?state=open,expired").expect("states"), [State::Open, State::Expired]);
        assert_eq!(states("?state=all").expect("states"), []);
        assert!(states("?state=gone").is_err());
        assert!(limit(Some(0)).is_err() && limit(Some(1001)).is_err());
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let word = cursor(-7, "id with spaces");
        assert_eq!(read_cursor(Some(&word)).expect("read"), Some((-7, "id with spaces".into())));
        assert_eq!(read_cursor(None).expect("read"), None);
        for wrong in ["", "!", "AAAA"] {
            assert!(read_cursor(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
