//! `/v1/openapi.json`, made from the list of routes, and `/v1/me`.

use axum::Json;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::{Problem, Right, Route, Who, routes as all};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/openapi.json", Right::View, "Describe what can be asked (OpenAPI 3.1)", document)
            .for_everybody(),
        Route::get("/v1/me", Right::View, "Say who asks, and what that is allowed to do", me)
            .for_everybody()
            .answer::<Who>(),
    ]
}

async fn me(asked: Asked) -> Json<Who> {
    Json(Who::clone(&asked.who))
}

async fn document() -> Json<Value> {
    Json(describe())
}

fn describe() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>();
    let mut paths = Map::new();
    for route in all() {
        let method = route.method.as_str().to_lowercase();
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[method] = operation(&route, &mut generator, &json!(problem));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lazaret quarantine",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Dead letters: listed, counted, grouped, and what is done with them.",
        },
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{ "token": [] }],
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Value) -> Value {
    let of_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = of_path
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    if let Some(query) = route.query {
        let query = json!(query(generator));
        for (name, schema) in query["properties"].as_object().into_iter().flatten() {
            parameters.push(json!({ "name": name, "in": "query", "schema": schema }));
        }
    }
    let answer = route.answer.map_or_else(|| json!({}), |answer| json!(answer(generator)));
    let content = |kind: &str, schema: &Value| json!({ kind: { "schema": schema } });
    let answers: Map<String, Value> =
        route.kinds.iter().map(|kind| ((*kind).to_owned(), json!({ "schema": answer }))).collect();
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "done", "content": answers },
            "default": { "description": "not done", "content": content("application/problem+json", problem) },
        },
    });
    if let Some(right) = route.right {
        operation["description"] = json!(format!("Needs the right `{}`.", right.as_str()));
    }
    if let Some(body) = route.body {
        let body = json!(body(generator));
        operation["requestBody"] = json!({ "required": true, "content": content("application/json", &body) });
    }
    operation
}
