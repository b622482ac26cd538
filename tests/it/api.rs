//! The HTTP API of the quarantine, served by the program over a real Kafka: who is known, what is told, what is done.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lazaret::flow::Code;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
use serde_json::{Value, json};

use crate::acts::scene;
use crate::dlq::dead;
use crate::rig::{Rig, Worker, eventually, jwt};

/// Makes a token by the program, and says it and its line.
async fn token(rig: &Rig, args: &[&str]) -> (String, String) {
    let minted = rig.ask(&[&["ops", "token", "-o", "json"], args].concat()).await;
    let text = |name: &str| minted[name].as_str().expect("text").to_owned();
    (text("token"), text("line"))
}

/// Serves the API to those whose tokens these are, and waits until one of them sees so many letters.
async fn served(rig: &Rig, lines: &[&str], token: &str, letters: u64) -> (Worker, Caller) {
    std::fs::write(rig.path("tokens"), lines.join("\n") + "\n").expect("written");
    let file = rig.path("tokens");
    let ops = format!("ops: {{ listen: '127.0.0.1:0', tokens: {{ file: '{}' }} }}\nhttp: {{", file.display());
    rig.reconfigure("http: {", &ops);
    let ops = rig.serve("ops", &[]).await;
    let caller = Caller::of(&ops).await;
    eventually("the index has the letters", async || {
        (caller.get(token, "/v1/dlq/count").await.1["count"] == letters).then_some(())
    })
    .await;
    (ops, caller)
}

struct Caller {
    url: String,
    client: reqwest::Client,
}

impl Caller {
    async fn of(ops: &Worker) -> Self {
        let url = ops.api().await;
        Self { url, client: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(token);
        let reply = request.send().await.expect("an answer");
        (reply.status().as_u16(), reply.json().await.expect("JSON"))
    }

    async fn post(&self, token: &str, path: &str, order: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(token).json(&order);
        let reply = request.send().await.expect("an answer");
        (reply.status().as_u16(), reply.json().await.expect("JSON"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_see_and_do_what_their_tokens_allow_and_it_is_written_down_in_their_names() {
    let Some((rig, ids)) = scene("api", &[(Code::ParseCorrupt, 3)]).await else { return };
    let (kim, kims) = token(&rig, &["kim", "--role", "operator"]).await;
    let (ben, bens) =
        token(&rig, &["ben", "--role", "viewer", "--with", "dlq:payload", "--expires", "1h"]).await;
    let (mut ops, caller) = served(&rig, &["# people", &kims, &bens], &kim, 3).await;

    let (_, page) = caller.get(&kim, "/v1/dlq?limit=2").await;
    assert_eq!(page["letters"].as_array().map(Vec::len), Some(2));
    let record = format!("/v1/dlq/{}/record", ids[0]);
    assert_eq!(caller.get(&kim, &record).await.0, 403, "to see payloads is a right of its own");
    let (status, content) = caller.get(&ben, &record).await;
    assert_eq!(
        (status, &content["key"], &content["payload"]),
        (200, &json!("job-0"), &json!("\0\u{1}payload"))
    );

    let order = json!({ "filter": { "stage": "parse" }, "note": "the scanner", "count": 3 });
    let (status, _) = caller.post(&ben, "/v1/acts/note", order.clone()).await;
    assert_eq!(status, 403);
    let (status, done) = caller.post(&kim, "/v1/acts/note", order).await;
    assert_eq!((status, &done["letters"]), (200, &json!(3)), "{done}");
    let operation = done["operation"].as_str().expect("an operation");
    let acts = eventually("the index knows of it", async || {
        let (_, acts) = caller.get(&ben, &format!("/v1/acts?operation={operation}")).await;
        (acts["acts"].as_array().map(Vec::len) == Some(1)).then_some(acts)
    })
    .await;
    assert_eq!((&acts["acts"][0]["by"], &acts["acts"][0]["text"]), (&json!("kim"), &json!("the scanner")));
    let (_, letter) = caller.get(&kim, &format!("/v1/dlq/{}", ids[1])).await;
    assert_eq!(letter["remarks"]["note"], "the scanner");
    assert_eq!(caller.get("lzt_none", "/v1/dlq").await.0, 401);
    assert!(ops.terminate().await.success());
}

/// A token that is signed with this key, for whom these groups are told.
fn vouched(key: &PKey<Private>, name: &str, groups: &[&str]) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": "https://id.example", "aud": "lazaret", "exp": now + 600, "sub": name, "groups": groups,
    });
    jwt(&json!({ "alg": "EdDSA" }), &claims, |text| {
        Signer::new_without_digest(key)?.sign_oneshot_to_vec(text)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_an_issuer_vouches_for_acts_in_that_name_beside_those_who_have_tokens() {
    let Some((rig, ids)) = scene("oidc", &[(Code::ParseCorrupt, 1)]).await else { return };
    let key = PKey::generate_ed25519().expect("a key");
    let public = URL_SAFE_NO_PAD.encode(key.raw_public_key().expect("its public half"));
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": public }] });
    std::fs::write(rig.path("jwks.json"), jwks.to_string()).expect("written");
    let (ben, line) = token(&rig, &["ben", "--role", "viewer"]).await;
    std::fs::write(rig.path("tokens"), line).expect("written");
    let ops = format!(
        "ops: {{ listen: '127.0.0.1:0', tokens: {{ file: '{}' }}, oidc: {{ issuer: 'https://id.example', audience: lazaret, \
         jwks: {{ file: '{}' }}, grants: [ {{ claim: groups, has: oncall, role: operator }} ] }} }}\nhttp: {{",
        rig.path("tokens").display(),
        rig.path("jwks.json").display()
    );
    rig.reconfigure("http: {", &ops);
    let mut ops = rig.serve("ops", &[]).await;
    let caller = Caller::of(&ops).await;
    let ada = vouched(&key, "ada", &["oncall"]);
    eventually("the index has the letter", async || {
        (caller.get(&ada, "/v1/dlq/count").await.1["count"] == 1).then_some(())
    })
    .await;
    assert_eq!(caller.get(&ben, "/v1/me").await.1["name"], "ben");
    let order = json!({ "letters": [ids[0]], "note": "seen" });
    assert_eq!(caller.post(&ben, "/v1/acts/note", order.clone()).await.0, 403);
    let (status, done) = caller.post(&ada, "/v1/acts/note", order).await;
    assert_eq!((status, &done["by"]), (200, &json!("ada")), "{done}");
    let stranger = PKey::generate_ed25519().expect("a key");
    let (status, problem) = caller.get(&vouched(&stranger, "ada", &["oncall"]), "/v1/dlq").await;
    assert_eq!((status, &problem["detail"]), (401, &json!("the signature of the token is not right")));
    let (status, problem) = caller.get(&vouched(&key, "cy", &[]), "/v1/dlq").await;
    assert_eq!(status, 403, "{problem}");
    assert!(ops.terminate().await.success());
}

/// Everything about a response whose body is no JSON.
async fn text(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let reply = request.send().await.expect("an answer");
    let kind = reply.headers()["content-type"].to_str().expect("text").to_owned();
    (reply.status().as_u16(), kind, reply.text().await.expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_masked_and_who_sees_what_is_masked_is_written_down_before() {
    let Some((rig, ids)) = scene("files", &[(Code::ParseCorrupt, 3), (Code::LlmTimeout, 1)]).await else {
        return;
    };
    let (kim, kims) = token(&rig, &["kim", "--role", "operator", "--with", "dlq:payload"]).await;
    let (boss, line) = token(&rig, &["boss", "--role", "admin"]).await;
    rig.reconfigure("quarantine: { ", "quarantine: { masking: { patterns: [payload], quotes: true }, ");
    let (mut ops, caller) = served(&rig, &[&kims, &line], &kim, 4).await;
    let get = async |who: &str, path: &str| {
        text(caller.client.get(format!("{}{path}", caller.url)).bearer_auth(who)).await
    };
    let post = async |who: &str, path: &str, order: Value| {
        text(caller.client.post(format!("{}{path}", caller.url)).bearer_auth(who).json(&order)).await
    };

    let (status, kind, csv) = get(&kim, "/v1/dlq/export?format=csv&code=parse").await;
    assert_eq!((status, kind.as_str(), csv.lines().count()), (200, "text/csv", 4), "{csv}");
    let (_, _, lines) = get(&kim, "/v1/dlq/export?payload=true").await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let payloads: Vec<_> = lines.iter().filter_map(|line| line["record"]["payload"].as_str()).collect();
    assert_eq!(payloads, ["\0\u{1}***"; 4], "what is masked is so for everybody");
    let client = caller.client.get(format!("{}/v1/dlq/export?format=parquet", caller.url)).bearer_auth(&kim);
    let parquet = client.send().await.expect("an answer").bytes().await.expect("a file");
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));

    let one = format!("/v1/dlq/{}/unmask", ids[0]);
    let because = json!({ "reason": "the customer asks" });
    assert_eq!(
        post(&kim, &one, because.clone()).await.0,
        403,
        "to see payloads is not to see what is masked"
    );
    assert_eq!(post(&boss, &one, json!({})).await.0, 400, "somebody has to answer for it");
    let (status, _, shown) = post(&boss, &one, because).await;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(
        (status, &shown["record"]["payload"], &shown["id"]),
        (200, &json!("\0\u{1}payload"), &json!(ids[0]))
    );
    let all = json!({ "filter": { "code": "parse" }, "reason": "an audit" });
    let (status, _, lines) = post(&boss, "/v1/dlq/export/unmask", all).await;
    assert_eq!((status, lines.matches("\\u0001payload").count()), (200, 3), "{lines}");
    let acts = eventually("the index knows of it", async || {
        let (_, acts) = caller.get(&boss, "/v1/acts?by=boss").await;
        (acts["acts"].as_array().map(Vec::len) == Some(2)).then_some(acts)
    })
    .await;
    let told = |n: usize| (acts["acts"][n]["deed"].clone(), acts["acts"][n]["reason"].clone());
    assert_eq!(told(1), (json!("unmasked"), json!("the customer asks")));
    assert_eq!(told(0), (json!("unmasked"), json!("an audit")));
    assert_eq!(acts["acts"][0]["letters"].as_array().map(Vec::len), Some(3));
    assert!(ops.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_approved_over_http_and_what_is_asked_done_and_new_is_counted() {
    let Some((rig, ids)) = scene("counted", &[(Code::ParseCorrupt, 2)]).await else { return };
    let (kim, kims) = token(&rig, &["kim", "--role", "operator"]).await;
    let (boss, line) = token(&rig, &["boss", "--role", "admin"]).await;
    rig.reconfigure("quarantine: { ", "quarantine: { four_eyes: { letters: 1 }, ");
    let (mut ops, caller) = served(&rig, &[&kims, &line], &kim, 2).await;
    let metric = async |series: &str, value: &str| {
        eventually(series, async || {
            ops.metrics().await.contains(&format!("{series} {value}\n")).then_some(())
        })
        .await;
    };
    let opened = format!("lazaret_dlq_groups_opened_total{{pipeline=\"{}\",stage=\"parse\"}}", rig.name);
    metric(&opened, "0").await;

    let (status, planned) = caller.post(&kim, "/v1/redrives", json!({ "letters": ids })).await;
    assert_eq!((status, &planned["plan"]["approval"]), (200, &json!(true)), "{planned}");
    let id = planned["id"].as_str().expect("an id");
    let overridden = ["changed", "provider", "running", "lag", "loop", "ledger", "retention"];
    let start = json!({ "reason": "mended", "overridden": overridden });
    let (status, problem) = caller.post(&kim, &format!("/v1/redrives/{id}/start"), start).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|text| text.starts_with("approved: ")), "{problem}");
    let approve = format!("/v1/redrives/{id}/approve");
    let because = json!({ "reason": "looked at both" });
    assert_eq!(caller.post(&kim, &approve, because.clone()).await.0, 403);
    assert_eq!(caller.post(&boss, &approve, json!({})).await.0, 400, "without a reason");
    let (status, run) = caller.post(&boss, &approve, because).await;
    assert_eq!((status, &run["approvals"][0]["by"]), (200, &json!("boss")), "{run}");

    metric("lazaret_acts_total{deed=\"approved\"}", "1").await;
    let asked =
        "lazaret_api_requests_total{route=\"/v1/redrives/{id}/approve\",method=\"POST\",status=\"403\"}";
    metric(asked, "1").await;
    // Another way to die is another group.
    rig.send(vec![dead(&rig.name, "job-9", Code::LlmTimeout).1]).await;
    metric(&opened, "1").await;
    assert!(ops.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_edit_dead_letters_when_they_may_and_the_stage_can_read_what_comes_of_it() {
    let Some((rig, ids)) = scene("apiedit", &[(Code::ParseCorrupt, 2)]).await else { return };
    let (kim, kims) =
        token(&rig, &["kim", "--role", "operator", "--with", "dlq:payload", "--with", "dlq:edit"]).await;
    let (mut ops, caller) = served(&rig, &[&kims], &kim, 2).await;
    let document = json!({ "id": "a.md", "tenant": "acme", "text": "# What was lost" });
    let order = |more: Value| {
        let mut order = json!({ "letters": [ids[0]], "reason": "the scanner lost it" });
        order.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        order
    };
    let (status, problem) =
        caller.post(&kim, "/v1/acts/edit", order(json!({ "headers": { "a": "1" } }))).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("could not read it")), "{problem}");
    let edit = json!({ "payload": { "text": document.to_string() }, "headers": { "a": "1" } });
    let mut dry = order(edit.clone());
    dry["dry_run"] = json!(true);
    let (status, prepared) = caller.post(&kim, "/v1/acts/edit", dry).await;
    assert_eq!((status, &prepared["letters"]), (200, &json!([ids[0]])), "{prepared}");
    let changes = &prepared["samples"][0]["changes"];
    assert_eq!((&changes[0]["after"], &changes[1]["at"]), (&document, &json!("headers/a")), "{prepared}");
    assert_eq!(caller.get(&kim, &format!("/v1/dlq/{}/edit", ids[0])).await.0, 404, "nothing was done");

    let (status, done) = caller.post(&kim, "/v1/acts/edit", order(edit.clone())).await;
    assert_eq!((status, &done["letters"], &done["lost"]), (200, &json!([ids[0]]), &json!([])), "{done}");
    let (status, problem) = caller.post(&kim, "/v1/acts/edit", order(edit)).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|text| text.contains("was edited by kim")), "{problem}");
    let (_, shown) = caller.get(&kim, &format!("/v1/dlq/{}/edit", ids[0])).await;
    assert_eq!((&shown["edit"]["by"], &shown["changes"][0]["after"]), (&json!("kim"), &document), "{shown}");
    let (_, letter) = caller.get(&kim, &format!("/v1/dlq/{}", ids[0])).await;
    assert_eq!(letter["edit"]["sent"], false, "{letter}");
    let (status, _) = caller.post(&kim, "/v1/acts/unedit", order(json!({}))).await;
    assert_eq!(status, 200);
    let (_, letter) = caller.get(&kim, &format!("/v1/dlq/{}", ids[0])).await;
    assert_eq!(letter["edit"], Value::Null);
    assert!(ops.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_served_open_to_other_machines() {
    let Some((rig, _)) = scene("open", &[]).await else { return };
    rig.reconfigure("http: {", "ops: { listen: '0.0.0.0:0' }\nhttp: {");
    let output = rig.output(&["ops"]).await;
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("can be reached from other machines") && told.contains("lazaret ops token"),
        "{told}"
    );
}
