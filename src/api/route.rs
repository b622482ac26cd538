//! One row of the list of routes.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Api, Right};

/// Makes the schema of a type.
pub type Describe = fn(&mut SchemaGenerator) -> Schema;

pub struct Route {
    pub method: Method,
    pub path: &'static str,
    /// `None` for everybody who has a token.
    pub right: Option<Right>,
    /// What it does, in one sentence.
    pub summary: &'static str,
    pub query: Option<Describe>,
    pub body: Option<Describe>,
    pub answer: Option<Describe>,
    /// What the answer may be.
    pub kinds: &'static [&'static str],
    pub handler: MethodRouter<Api>,
}

impl Route {
    pub fn get<H, T>(path: &'static str, right: Right, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        Self::new(Method::GET, path, right, summary, get(handler))
    }

    pub fn post<H, T>(path: &'static str, right: Right, summary: &'static str, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        Self::new(Method::POST, path, right, summary, post(handler))
    }

    fn new(
        method: Method,
        path: &'static str,
        right: Right,
        summary: &'static str,
        handler: MethodRouter<Api>,
    ) -> Self {
        Self {
            method,
            path,
            right: Some(right),
            summary,
            query: None,
            body: None,
            answer: None,
            kinds: &["application/json"],
            handler,
        }
    }

    pub fn for_everybody(self) -> Self {
        Self { right: None, ..self }
    }

    pub fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(T::json_schema), ..self }
    }

    pub fn body<T: JsonSchema>(self) -> Self {
        Self { body: Some(|generator| generator.subschema_for::<T>()), ..self }
    }

    /// It answers with a file of one of these kinds.
    pub fn kinds(self, kinds: &'static [&'static str]) -> Self {
        Self { kinds, ..self }
    }

    pub fn answer<T: JsonSchema>(self) -> Self {
        Self { answer: Some(|generator| generator.subschema_for::<T>()), ..self }
    }
}
