//! Who may ask what, and what is answered, over the real protocol; acts that are carried out are tested with a real Kafka.

use std::collections::BTreeMap;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::flow::Topology;
use crate::quarantine::contract::{act, letter};
use crate::quarantine::sqlite::SqliteQuarantine;
use crate::quarantine::{Batch, Deed, Entry};

/// What the least role may do that may do something: the table that a new route has to be written into.
const RIGHTS: [(&str, &str, Least); 38] = [
    ("GET", "/v1/dlq", Least::Role(Role::Viewer)),
    ("GET", "/v1/dlq/count", Least::Role(Role::Viewer)),
    ("GET", "/v1/dlq/trend", Least::Role(Role::Viewer)),
    ("GET", "/v1/dlq/{id}", Least::Role(Role::Viewer)),
    ("GET", "/v1/dlq/{id}/record", Least::Role(Role::Admin)),
    ("GET", "/v1/dlq/{id}/acts", Least::Role(Role::Viewer)),
    ("GET", "/v1/dlq/export", Least::Role(Role::Operator)),
    ("POST", "/v1/dlq/export/unmask", Least::Role(Role::Admin)),
    ("POST", "/v1/dlq/{id}/unmask", Least::Role(Role::Admin)),
    ("GET", "/v1/groups", Least::Role(Role::Viewer)),
    ("GET", "/v1/groups/{fingerprint}", Least::Role(Role::Viewer)),
    ("GET", "/v1/acts", Least::Role(Role::Viewer)),
    ("POST", "/v1/acts/restore", Least::Role(Role::Operator)),
    ("POST", "/v1/acts/reclassify", Least::Role(Role::Admin)),
    ("POST", "/v1/acts/note", Least::Role(Role::Operator)),
    ("POST", "/v1/acts/assign", Least::Role(Role::Operator)),
    ("POST", "/v1/acts/link", Least::Role(Role::Operator)),
    ("POST", "/v1/acts/resolve", Least::Role(Role::Operator)),
    ("GET", "/v1/archive", Least::Role(Role::Viewer)),
    ("POST", "/v1/archive/restore", Least::Role(Role::Operator)),
    ("GET", "/v1/dlq/{id}/edit", Least::Role(Role::Admin)),
    ("POST", "/v1/acts/edit", Least::Role(Role::Admin)),
    ("POST", "/v1/acts/unedit", Least::Role(Role::Admin)),
    ("GET", "/v1/redrives", Least::Role(Role::Viewer)),
    ("POST", "/v1/redrives", Least::Role(Role::Operator)),
    ("GET", "/v1/redrives/{id}", Least::Role(Role::Viewer)),
    ("GET", "/v1/redrives/{id}/letters", Least::Role(Role::Viewer)),
    ("GET", "/v1/redrives/{id}/events", Least::Role(Role::Viewer)),
    ("POST", "/v1/redrives/{id}/approve", Least::Role(Role::Admin)),
    ("POST", "/v1/redrives/{id}/start", Least::Role(Role::Operator)),
    ("POST", "/v1/redrives/{id}/pause", Least::Role(Role::Operator)),
    ("POST", "/v1/redrives/{id}/resume", Least::Role(Role::Operator)),
    ("POST", "/v1/redrives/{id}/cancel", Least::Role(Role::Operator)),
    ("GET", "/v1/rules", Least::Role(Role::Viewer)),
    ("POST", "/v1/rules/preview", Least::Role(Role::Admin)),
    ("POST", "/v1/rules/sweep", Least::Role(Role::Admin)),
    ("GET", "/v1/openapi.json", Least::Anybody),
    ("GET", "/v1/me", Least::Anybody),
];

#[derive(Clone, Copy)]
enum Least {
    Anybody,
    Role(Role),
}

impl Least {
    fn allows(self, role: Role) -> bool {
        match self {
            Least::Anybody => true,
            Least::Role(least) => role as u8 >= least as u8,
        }
    }
}

/// An API on loopback over an index with twenty letters, and tokens for whoever is named.
struct Scene {
    url: String,
    client: reqwest::Client,
    tokens: BTreeMap<&'static str, String>,
    _stop: tokio_util::sync::DropGuard,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(people: &[(&'static str, Role, &[Right], Scope)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let index = SqliteQuarantine::open(&folder.path().join("quarantine.db")).expect("an index");
        let mut entries: Vec<Entry> = (0..20).map(letter).collect();
        entries[7].tenant = Some("beta".into());
        let acts = vec![act(1, &["id-0003", "id-0007"], Deed::Discarded)];
        index.apply(Batch { entries, acts, ..Batch::default() }).await.expect("applied");
        let config = Config::blank();
        let producer = Producer::new(&config.kafka, &Topology::derive(&config), "test").expect("a producer");
        let minted: Vec<_> = people
            .iter()
            .map(|(name, role, more, scope)| {
                (*name, Minted::new(name, *role, more, scope, None).expect("made"))
            })
            .collect();
        let lines: Vec<&str> = minted.iter().map(|(_, minted)| minted.line.as_str()).collect();
        let tokens = (!lines.is_empty()).then(|| Tokens::parse(&lines.join("\n")).expect("tokens"));
        let people = People { tokens, oidc: None };
        let stop = CancellationToken::new();
        let api = Api::new(Parts { config, index: Arc::new(index), producer, people });
        let address = api.serve("127.0.0.1:0", stop.clone()).await.expect("served");
        Self {
            url: format!("http://{address}"),
            client: reqwest::Client::builder().no_proxy().build().expect("a client"),
            tokens: minted.into_iter().map(|(name, minted)| (name, minted.token)).collect(),
            _stop: stop.drop_guard(),
            _folder: folder,
        }
    }

    async fn roles() -> Self {
        Self::new(&[
            ("viewer", Role::Viewer, &[], Scope::default()),
            ("operator", Role::Operator, &[], Scope::default()),
            ("admin", Role::Admin, &[], Scope::default()),
        ])
        .await
    }

    async fn send(
        &self,
        who: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, HeaderMap, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(token) = self.tokens.get(who) {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.expect("an answer");
        let (status, headers) = (reply.status().as_u16(), reply.headers().clone());
        (status, headers, reply.json().await.unwrap_or_default())
    }

    async fn get(&self, who: &str, path: &str) -> (u16, Value) {
        let (status, _, body) = self.send(who, "GET", path, None).await;
        (status, body)
    }

    async fn post(&self, who: &str, path: &str, body: Value) -> (u16, Value) {
        let (status, _, body) = self.send(who, "POST", path, Some(body)).await;
        (status, body)
    }
}

#[tokio::test]
async fn every_route_is_for_those_whom_the_table_says_and_for_nobody_else() {
    let known: Vec<(String, &str)> =
        routes().iter().map(|route| (route.method.to_string(), route.path)).collect();
    let told: Vec<(String, &str)> =
        RIGHTS.iter().map(|(method, path, _)| ((*method).to_owned(), *path)).collect();
    assert_eq!(known, told, "a route is in the table of rights");
    let scene = Scene::roles().await;
    for (method, path, least) in RIGHTS {
        let asked = path.replace("{id}", "nobody").replace("{fingerprint}", "nobody");
        let body = (method == "POST").then(|| json!({}));
        for (who, role) in [("viewer", Role::Viewer), ("operator", Role::Operator), ("admin", Role::Admin)] {
            let (status, _, answer) = scene.send(who, method, &asked, body.clone()).await;
            let is_allowed = !matches!(status, 401 | 403);
            assert_eq!(is_allowed, least.allows(role), "{who} {method} {path}: {status} {answer}");
        }
        for stranger in ["nobody", ""] {
            assert_eq!(scene.send(stranger, method, &asked, body.clone()).await.0, 401, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn lists_are_told_page_by_page() {
    let scene = Scene::roles().await;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = scene.get("viewer", &format!("/v1/dlq?limit=7{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let letters = page["letters"].as_array().expect("letters");
        ids.extend(letters.iter().map(|letter| letter["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(ids.len(), 18, "two were discarded");
    assert_eq!((ids[0].as_str(), ids[17].as_str()), ("id-0019", "id-0000"));
}

#[tokio::test]
async fn counts_groups_trends_letters_and_acts_are_told() {
    let scene = Scene::roles().await;
    let get = async |path: &str| {
        let (status, body) = scene.get("viewer", path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    let counted = get("/v1/dlq/count?state=all&by=tenant").await;
    assert_eq!((&counted["count"], &counted["shares"][0]["count"]), (&json!(20), &json!(19)));
    assert_eq!(get("/v1/dlq/count?tenant=beta").await, json!({ "count": 0, "shares": null }));
    assert_eq!(get("/v1/groups").await["groups"][0]["count"], 18);
    assert_eq!(get("/v1/groups/f1").await["count"], 20);
    assert_eq!(get("/v1/dlq/trend?state=all").await["hours"][0]["count"], 20);
    assert_eq!(get("/v1/dlq/id-0003").await["state"], "discarded");
    assert_eq!(get("/v1/dlq/id-0003/acts").await["acts"][0]["letters"], json!(["id-0003", "id-0007"]));
    assert_eq!(get("/v1/acts?by=ada").await["acts"][0]["deed"], "discarded");
    assert_eq!(get("/v1/me").await["rights"], json!(["dlq:view", "audit:view"]));
}

#[tokio::test]
async fn a_file_holds_what_passes_for_those_who_may_have_it() {
    let part = Scope { tenant: Some("acme".into()), ..Scope::default() };
    let people: [(&'static str, Role, &[Right], Scope); 3] = [
        ("operator", Role::Operator, &[], Scope::default()),
        ("part", Role::Operator, &[], part),
        ("boss", Role::Admin, &[], Scope::default()),
    ];
    let scene = Scene::new(&people).await;
    let file = async |who: &str, query: &str| {
        let request =
            scene.client.get(format!("{}/v1/dlq/export{query}", scene.url)).bearer_auth(&scene.tokens[who]);
        let reply = request.send().await.expect("an answer");
        (reply.status().as_u16(), reply.headers().clone(), reply.text().await.expect("text"))
    };
    let (status, headers, lines) = file("operator", "?state=all").await;
    assert_eq!((status, lines.lines().count()), (200, 20));
    assert_eq!(headers["content-type"], "application/x-ndjson");
    assert!(headers["content-disposition"].to_str().is_ok_and(|text| text.contains("dead-letters.jsonl")));
    assert_eq!(file("part", "?state=all").await.2.lines().count(), 19, "the others are not there for it");
    let (_, headers, table) = file("operator", "?format=csv&stage=embed").await;
    assert_eq!((headers["content-type"].as_bytes(), table.lines().count()), (&b"text/csv"[..], 19));
    assert_eq!(file("operator", "?tenant=nobody").await.2, "");
    for (who, query, status) in [
        ("operator", "?payload=true", 403),
        ("part", "?tenant=beta", 403),
        ("operator", "?format=xml", 400),
        ("operator", "?limit=5", 400),
        ("operator", "?colour=red", 400),
    ] {
        assert_eq!(file(who, query).await.0, status, "{query}");
    }
    for (path, order) in
        [("/v1/dlq/id-0001/unmask", json!({})), ("/v1/dlq/export/unmask", json!({ "reason": "" }))]
    {
        let (status, problem) = scene.post("boss", path, order).await;
        assert_eq!(status, 400, "nobody answers for it: {problem}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_as_a_problem_with_a_remedy() {
    let scene = Scene::roles().await;
    for (path, status, words) in [
        ("/v1/nowhere", 404, "no such page"),
        ("/v1/dlq/nobody", 404, "no dead letter 'nobody'"),
        ("/v1/dlq/id-000", 404, "several dead letters"),
        ("/v1/groups/nobody", 404, "no group"),
        ("/v1/dlq?tenent=acme", 400, "tenent"),
        ("/v1/dlq?limit=0", 400, "limit"),
        ("/v1/dlq?cursor=x", 400, "cursor"),
        ("/v1/acts?colour=red", 400, "colour"),
    ] {
        let (got, headers, problem) = scene.send("admin", "GET", path, None).await;
        assert_eq!(got, status, "{path}: {problem}");
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains(words)), "{problem}");
        assert!(problem["hint"].is_string() && problem["status"] == status, "{problem}");
    }
    assert_eq!(scene.send("admin", "DELETE", "/v1/dlq", None).await.0, 405);
}

#[tokio::test]
async fn orders_are_checked_before_anything_is_done() {
    let scene = Scene::roles().await;
    let post = async |path: &str, body: Value| scene.post("admin", path, body).await;
    let note = |more: Value| {
        let mut order = json!({ "note": "hm", "dry_run": true });
        order.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        order
    };
    let (status, prepared) = post("/v1/acts/note", note(json!({ "letters": ["id-0001"] }))).await;
    assert_eq!((status, &prepared["letters"], &prepared["by"]), (200, &json!(["id-0001"]), &json!("admin")));
    let (_, prepared) = post("/v1/acts/note", note(json!({ "group": "f1" }))).await;
    assert_eq!(prepared["groups"][0]["count"], 20, "{prepared}");
    let restore = json!({ "filter": { "stage": "embed" }, "reason": "x", "dry_run": true, "count": 2 });
    assert_eq!(post("/v1/acts/restore", restore).await.1["letters"], json!(["id-0007", "id-0003"]));
    for (path, order, status) in [
        ("/v1/acts/note", note(json!({})), 400),
        ("/v1/acts/note", note(json!({ "letters": ["id-0001"], "group": "f1" })), 400),
        ("/v1/acts/note", note(json!({ "letters": ["id-0001"], "owner": "ben" })), 400),
        ("/v1/acts/note", note(json!({ "letters": ["id-0001"], "dryrun": true })), 400),
        ("/v1/acts/note", note(json!({ "filter": { "limit": 5 } })), 400),
        ("/v1/acts/note", note(json!({ "letters": ["id-0001"], "count": 2 })), 409),
        ("/v1/acts/note", note(json!({ "filter": {}, "max": 5 })), 409),
        ("/v1/acts/note", note(json!({ "letters": ["nobody"] })), 404),
        ("/v1/acts/note", json!({ "letters": ["id-0001"] }), 400),
        ("/v1/acts/restore", json!({ "letters": ["id-0001"], "reason": "x" }), 409),
        ("/v1/acts/restore", json!({ "letters": ["id-0003"] }), 400),
        ("/v1/acts/reclassify", json!({ "letters": ["id-0001"], "code": "my.own", "reason": "x" }), 400),
    ] {
        let (got, problem) = post(path, order.clone()).await;
        assert_eq!(got, status, "{path} {order}: {problem}");
    }
    let long = "x".repeat(BODY_MAX + 1);
    let (status, problem) = post("/v1/acts/note", json!({ "note": long })).await;
    assert_eq!((status, &problem["status"]), (413, &json!(413)), "{problem}");
}

#[tokio::test]
async fn whoever_edits_may_see_payloads_and_says_what_is_to_be_changed() {
    let scene = Scene::new(&[
        ("editor", Role::Operator, &[Right::Edit], Scope::default()),
        ("admin", Role::Admin, &[], Scope::default()),
    ])
    .await;
    let header = json!({ "letters": ["id-0001"], "headers": { "a": "1" }, "reason": "x", "dry_run": true });
    for path in ["/v1/acts/edit", "/v1/acts/unedit"] {
        let (status, problem) = scene.post("editor", path, header.clone()).await;
        assert_eq!(status, 403, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains("dlq:payload")), "{problem}");
    }
    for (path, order, status, words) in [
        ("/v1/acts/edit", json!({ "letters": ["id-0001"] }), 400, "what is to be changed"),
        ("/v1/acts/edit", json!({ "letters": ["id-0001"], "merge": {}, "patch": [] }), 400, "twice"),
        ("/v1/acts/edit", json!({ "letters": ["id-0001"], "patch": {} }), 400, "no JSON Patch"),
        (
            "/v1/acts/edit",
            json!({ "letters": ["id-0001"], "set": [{ "path": "/a", "expression": "paylod.b" }] }),
            400,
            "there is no 'paylod'",
        ),
        (
            "/v1/acts/edit",
            json!({ "letters": ["id-0001"], "merge": {}, "set": [{ "path": "/a", "expression": "1" }] }),
            400,
            "twice",
        ),
        ("/v1/acts/edit", json!({ "letters": ["id-0001"], "payload": { "base64": "!" } }), 400, "base64"),
        ("/v1/acts/edit", json!({ "letters": ["id-0001"], "merge": {} }), 400, "no reason"),
        ("/v1/acts/edit", json!({ "merge": {}, "reason": "x" }), 400, "with what"),
        (
            "/v1/acts/edit",
            json!({ "filter": { "limit": 1 }, "merge": {}, "reason": "x" }),
            400,
            "only says which",
        ),
        (
            "/v1/acts/edit",
            json!({ "filter": {}, "max": 5, "merge": {}, "reason": "x" }),
            409,
            "5 may be touched",
        ),
        (
            "/v1/acts/edit",
            json!({ "letters": ["id-0001"], "headers": { "dlq.id": "x" }, "reason": "x" }),
            400,
            "is locked",
        ),
        (
            "/v1/acts/edit",
            json!({ "letters": ["id-0001"], "headers": { "model": "x" }, "reason": "x" }),
            400,
            "is sensitive",
        ),
        (
            "/v1/acts/edit",
            json!({ "letters": ["id-0003"], "merge": {}, "reason": "x" }),
            409,
            "is discarded, not open",
        ),
        ("/v1/acts/unedit", json!({ "letters": ["id-0001"], "reason": "x" }), 409, "is not edited"),
        (
            "/v1/acts/unedit",
            json!({ "letters": ["id-0001"], "merge": {}, "reason": "x" }),
            400,
            "another deed",
        ),
    ] {
        let (got, problem) = scene.post("admin", path, order.clone()).await;
        assert_eq!(got, status, "{path} {order}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains(words)), "{order}: {problem}");
    }
    let (status, problem) = scene.get("admin", "/v1/dlq/id-0001/edit").await;
    assert_eq!(status, 404, "{problem}");
}

#[tokio::test]
async fn a_token_for_a_part_knows_nothing_of_the_rest() {
    let scope = || Scope { tenant: Some("acme".into()), ..Scope::default() };
    let scene = Scene::new(&[("kim", Role::Admin, &[], scope())]).await;
    let get = async |path: &str| scene.get("kim", path).await;
    assert_eq!(get("/v1/dlq/count?state=all").await.1["count"], 19);
    assert_eq!(get("/v1/groups/f1").await.1["count"], 19);
    assert_eq!(get("/v1/dlq/count?tenant=beta").await.0, 403);
    for path in ["/v1/dlq/id-0007", "/v1/dlq/id-0007/record", "/v1/dlq/id-0007/edit", "/v1/dlq/id-0007/acts"]
    {
        assert_eq!(get(path).await.0, 404, "{path}");
    }
    assert_eq!(get("/v1/dlq/id-0003/acts").await.1["acts"][0]["letters"], json!(["id-0003"]));
    assert_eq!(get("/v1/acts").await.0, 403);
    let post = async |path: &str, body: Value| scene.post("kim", path, body).await;
    let dry = |target: Value| json!({ "note": "hm", "dry_run": true, "letters": target });
    assert_eq!(post("/v1/acts/note", dry(json!(["id-0001"]))).await.0, 200);
    assert_eq!(post("/v1/acts/note", dry(json!(["id-0001", "id-0007"]))).await.0, 404);
    let edit = json!({ "letters": ["id-0007"], "merge": {}, "reason": "x" });
    assert_eq!(post("/v1/acts/edit", edit).await.0, 404);
    assert_eq!(post("/v1/acts/note", json!({ "note": "hm", "group": "f1" })).await.0, 403);
    assert_eq!(post("/v1/acts/resolve", json!({ "reason": "x", "letters": ["id-0001"] })).await.0, 403);
    let all = json!({ "reason": "x", "dry_run": true, "filter": { "state": "discarded" } });
    assert_eq!(post("/v1/acts/restore", all).await.1["letters"], json!(["id-0003"]));
}

#[tokio::test]
async fn pages_of_other_sites_cannot_act_and_nothing_is_kept_or_guessed() {
    let scene = Scene::roles().await;
    let send = async |name: &str, value: &str| {
        let request =
            scene.client.post(format!("{}/v1/acts/note", scene.url)).bearer_auth(&scene.tokens["admin"]);
        let order = json!({ "note": "hm", "letters": ["id-0001"], "dry_run": true });
        request.header(name, value).json(&order).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(send("sec-fetch-site", "cross-site").await, 403);
    assert_eq!(send("sec-fetch-site", "same-site").await, 403);
    assert_eq!(send("sec-fetch-site", "same-origin").await, 200);
    assert_eq!(send("origin", "https://evil.example").await, 403);
    assert_eq!(send("origin", "null").await, 403);
    assert_eq!(send("origin", &scene.url).await, 200);
    let text = scene.client.post(format!("{}/v1/acts/note", scene.url)).bearer_auth(&scene.tokens["admin"]);
    let text = text.header("content-type", "text/plain").body("{}").send().await.expect("an answer");
    assert_eq!(text.status().as_u16(), 415);
    for path in ["/v1/dlq", "/v1/nowhere"] {
        let (_, headers, _) = scene.send("viewer", "GET", path, None).await;
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
    let (_, headers, _) = scene.send("nobody", "GET", "/v1/dlq", None).await;
    assert_eq!(headers["www-authenticate"], "Bearer");
    let wrong = scene
        .client
        .get(format!("{}/v1/dlq", scene.url))
        .bearer_auth("lzt_wrong")
        .send()
        .await
        .expect("an answer");
    let challenge = wrong.headers()["www-authenticate"].to_str().expect("text");
    assert!(challenge.starts_with("Bearer error=\"invalid_token\""), "{challenge}");
}

#[tokio::test]
async fn without_tokens_it_answers_to_names_of_this_machine_only() {
    let scene = Scene::new(&[]).await;
    assert_eq!(scene.get("", "/v1/dlq").await.0, 200);
    assert_eq!(scene.get("", "/v1/me").await.1["name"], "local");
    let named = async |host: &str| {
        let request = scene.client.get(format!("{}/v1/dlq", scene.url)).header("host", host);
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(named("localhost:9465").await, 200);
    assert_eq!(named("[::1]:9465").await, 200);
    assert_eq!(named("rebound.example:9465").await, 403);
}

#[tokio::test]
async fn the_document_describes_every_route_and_holds_every_type_that_it_names() {
    let scene = Scene::roles().await;
    let (_, document) = scene.get("viewer", "/v1/openapi.json").await;
    for route in routes() {
        let method = route.method.as_str().to_lowercase();
        let operation = &document["paths"][route.path][&method];
        assert!(operation["summary"].is_string(), "{method} {}", route.path);
        assert_eq!(operation["requestBody"].is_object(), route.method == "POST");
    }
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let text = document.to_string();
    let named = text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split_once('"'));
    let mut count = 0;
    for (name, _) in named {
        assert!(schemas.contains_key(name), "{name}");
        count += 1;
    }
    assert!(count > 10, "{count}");
    let list = &document["paths"]["/v1/dlq"]["get"]["parameters"];
    let names: Vec<&str> =
        list.as_array().expect("parameters").iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(names.contains(&"tenant") && names.contains(&"cursor"), "{names:?}");
}
