//! The HTTP API of the quarantine, served by the program over a real Kafka: who is known, what is told, what is done.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lazaret::flow::Code;
use openssl::pkey::{PKey, Private};
use openssl::sign::Signer;
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

/// A token that is signed with this key, for whom these groups are told.
fn vouched(key: &PKey<Private>, name: &str, groups: &[&str]) -> String {
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({
        "iss": "https://id.example", "aud": "lazaret", "exp": now + 600, "sub": name, "groups": groups,
    });
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"EdDSA"}"#),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature =
        Signer::new_without_digest(key).and_then(|mut signer| signer.sign_oneshot_to_vec(text.as_bytes()));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.expect("signed")))
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
