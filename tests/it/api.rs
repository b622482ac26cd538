//! The HTTP API of the quarantine, served by the program over a real Kafka: who is known, what is told, what is done.

use lazaret::flow::Code;
use serde_json::{Value, json};

use crate::acts::scene;
use crate::rig::{Rig, Worker, eventually};

/// Makes a token by the program, and says it and its line.
async fn token(rig: &Rig, args: &[&str]) -> (String, String) {
    let minted = rig.ask(&[&["ops", "token", "-o", "json"], args].concat()).await;
    let text = |name: &str| minted[name].as_str().expect("text").to_owned();
    (text("token"), text("line"))
}

struct Caller {
    url: String,
    client: reqwest::Client,
}

impl Caller {
    async fn of(ops: &Worker) -> Self {
        let url = eventually("the API is served", async || {
            let log = ops.log();
            let line = log.lines().find_map(|line| line.split_once("the API is at "))?;
            Some(line.1.split_once("/v1")?.0.to_owned())
        })
        .await;
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
    std::fs::write(rig.path("tokens"), format!("# people\n{kims}\n{bens}\n")).expect("written");
    let file = rig.path("tokens");
    let ops = format!("ops: {{ listen: '127.0.0.1:0', tokens: {{ file: '{}' }} }}\nhttp: {{", file.display());
    rig.reconfigure("http: {", &ops);
    let mut ops = rig.serve("ops", &[]).await;
    let caller = Caller::of(&ops).await;
    eventually("the index has the letters", async || {
        (caller.get(&kim, "/v1/dlq/count").await.1["count"] == 3).then_some(())
    })
    .await;

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

#[tokio::test(flavor = "multi_thread")]
async fn programs_edit_dead_letters_when_they_may_and_the_stage_can_read_what_comes_of_it() {
    let Some((rig, ids)) = scene("apiedit", &[(Code::ParseCorrupt, 2)]).await else { return };
    let (kim, kims) =
        token(&rig, &["kim", "--role", "operator", "--with", "dlq:payload", "--with", "dlq:edit"]).await;
    std::fs::write(rig.path("tokens"), format!("{kims}\n")).expect("written");
    let file = rig.path("tokens");
    let ops = format!("ops: {{ listen: '127.0.0.1:0', tokens: {{ file: '{}' }} }}\nhttp: {{", file.display());
    rig.reconfigure("http: {", &ops);
    let mut ops = rig.serve("ops", &[]).await;
    let caller = Caller::of(&ops).await;
    eventually("the index has the letters", async || {
        (caller.get(&kim, "/v1/dlq/count").await.1["count"] == 2).then_some(())
    })
    .await;
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
