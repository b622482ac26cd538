//! From dead letters to the proof that it is over: what they have in common, sent back once the cause is gone, done.

use serde_json::{Value, json};

use super::EMBED;
use crate::rig::{Rig, eventually, record};

/// How many letters are in this state.
async fn count(rig: &Rig, state: &str) -> u64 {
    let output = rig.output(&["dlq", "count", "--state", state, "-o", "json"]).await;
    let counted: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    counted["count"].as_u64().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_alike_is_one_group_and_is_resolved_when_it_was_sent_back_and_is_done() {
    let pipeline = EMBED.replace("max_attempts: 50", "max_attempts: 2");
    let Some(rig) = Rig::new("ops", &pipeline, "").await else { return };
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    let passages = |n: usize, text: &str| {
        json!({
            "document": { "id": format!("doc-{n}"), "tenant": format!("tenant-{}", n % 2), "version": 1 },
            "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": text }],
        })
    };
    let send = |n: usize| {
        let text = if n < 3 { "FAIL-ME passage" } else { "a passage" };
        record(&rig.topic("in"), &[("job-id", &format!("job-{n}"))], &passages(n, text))
    };
    rig.send((0..5).map(send).collect()).await;
    let mut worker = rig.worker(&[]).await;
    eventually("three are dead", async || (rig.jobs("embed", "dead").await == 3).then_some(())).await;

    let groups = rig.ask(&["dlq", "groups", "-o", "json"]).await;
    let [group] = groups["groups"].as_array().expect("groups").as_slice() else { panic!("{groups}") };
    assert_eq!((&group["count"], &group["tenants"]), (&json!(3), &json!(2)), "{group}");
    let fingerprint = group["fingerprint"].as_str().expect("a fingerprint");
    let hit = rig.ask(&["dlq", "count", "--group", fingerprint, "--by", "tenant", "-o", "json"]).await;
    let shares = hit["shares"].as_array().expect("shares").iter();
    let shares: Vec<_> = shares.map(|share| (share["value"].as_str(), share["count"].as_u64())).collect();
    assert_eq!(shares, [(Some("tenant-0"), Some(2)), (Some("tenant-1"), Some(1))]);

    rig.faults(json!({ "marked": null })).await;
    let listed = rig.ask(&["dlq", "ls", "-o", "json"]).await;
    let letters = listed["letters"].as_array().expect("letters").iter();
    let ids: Vec<&str> = letters.map(|letter| letter["id"].as_str().expect("an id")).collect();
    let mut redrive = vec!["dlq", "redrive", "--by", "kim", "--reason", "the provider is mended"];
    redrive.extend(&ids);
    assert!(rig.tell(&redrive).await);
    assert_eq!(count(&rig, "open").await, 0);
    let mut ops = rig.serve("ops", &[]).await;
    eventually("all are resolved", async || (count(&rig, "resolved").await == 3).then_some(())).await;
    let metrics = eventually("the metrics say it", async || {
        let text = ops.metrics().await;
        text.contains("lazaret_dlq_open_records{").then_some(text)
    })
    .await;
    let open = metrics.lines().filter(|line| line.starts_with("lazaret_dlq_open_records{"));
    assert_eq!(open.map(|line| line.rsplit_once(' ').map(|(_, n)| n)).collect::<Vec<_>>(), [Some("0"); 8]);
    assert!(ops.terminate().await.success());
    assert!(worker.terminate().await.success());

    let before = rig.ask(&["dlq", "groups", "--state", "all", "-o", "json"]).await;
    let built = rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    assert_eq!(built["complete"], true, "{built}");
    let after = rig.ask(&["dlq", "groups", "--state", "all", "--no-refresh", "-o", "json"]).await;
    assert_eq!(before, after, "built anew it is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_is_enough_to_run_the_stages_keep_the_index_redrive_and_serve_the_api() {
    let pipeline = EMBED.replace("max_attempts: 50", "max_attempts: 2");
    let Some(rig) = Rig::new("inside", &pipeline, "").await else { return };
    rig.reconfigure("http: {", "ops: { inside_run: true, listen: '127.0.0.1:0' }\nhttp: {");
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    let value = json!({
        "document": { "id": "doc", "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": "FAIL-ME passage" }],
    });
    rig.send(vec![record(&rig.topic("in"), &[("job-id", "job-1")], &value)]).await;
    let mut worker = rig.worker(&[]).await;
    // The port of the probes is that of the API.
    let url = worker.url.clone();
    let get = async |path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let reply = client.get(format!("{url}{path}")).send().await.expect("an answer");
        reply.json::<Value>().await.expect("JSON")
    };
    eventually("the letter is known", async || (get("/v1/dlq/count").await["count"] == 1).then_some(()))
        .await;
    rig.faults(json!({ "marked": null })).await;
    let plan = rig.ask(&["redrive", "plan", "--stage", "embed", "--by", "kim", "-o", "json"]).await;
    let id = plan["id"].as_str().expect("an id");
    let started = [
        "redrive",
        "start",
        id,
        "--by",
        "kim",
        "--reason",
        "mended",
        "--override",
        "changed",
        "--detach",
        "--yes",
    ];
    assert!(rig.tell(&started).await);
    eventually("it was run by the same process", async || {
        (get(&format!("/v1/redrives/{id}")).await["state"] == "finished").then_some(())
    })
    .await;
    assert!(worker.metrics().await.contains("lazaret_dlq_open_records{"));
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_runs_a_part_of_the_stages_leaves_the_index_to_others() {
    let Some(rig) = Rig::new("part", EMBED, "").await else { return };
    rig.reconfigure("http: {", "ops: { inside_run: true, listen: '127.0.0.1:0' }\nhttp: {");
    let mut worker = rig.worker(&["--pipeline", &rig.name]).await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let reply = client.get(format!("{}/v1/me", worker.url)).send().await.expect("an answer");
    assert_eq!(reply.status().as_u16(), 404);
    assert!(worker.terminate().await.success());
}
