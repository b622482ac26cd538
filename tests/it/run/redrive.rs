//! Redrives of many with the program alone: planned, started, judged by what became of it, stopped, resumed, killed.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::{Value, json};

use super::EMBED;
use crate::rig::{Rig, Worker, eventually, job, record};

/// What is dead at once, and does not make the stage pause.
const PERMANENT: &str = "classify: [{ code: llm.server_error, class: permanent }]";

/// A stage that fails what is marked, and many that were dead of it.
pub async fn dead(test: &str, letters: usize) -> Option<(Rig, Worker)> {
    let pipeline = EMBED.replacen("timeout: 10s", &format!("timeout: 10s, {PERMANENT}"), 1);
    let rig = Rig::new(test, &pipeline, "").await?;
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    rig.send((0..letters).map(|n| passage(&rig, n, "a FAIL-ME passage")).collect()).await;
    let worker = rig.worker(&[]).await;
    all_dead(&rig, letters as u64).await;
    Some((rig, worker))
}

pub fn passage(rig: &Rig, n: usize, text: &str) -> lazaret::message::OutRecord {
    let value = json!({
        "document": { "id": format!("doc-{n}"), "tenant": format!("tenant-{}", n % 3), "version": 1 },
        "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": text }],
    });
    record(&rig.topic("in"), &[("job-id", &format!("job-{n}"))], &value)
}

pub async fn all_dead(rig: &Rig, letters: u64) {
    let are_dead = async || (rig.jobs("embed", "dead").await == letters).then_some(());
    eventually("they are dead", are_dead).await;
}

async fn plan(rig: &Rig, flags: &[&str]) -> String {
    let stage = ["redrive", "plan", "--stage", "embed", "--by", "kim", "-o", "json"];
    let plan = rig.ask(&[&stage, flags].concat()).await;
    plan["id"].as_str().expect("an id").to_owned()
}

/// Starts a plan, since the provider is mended, and says with which code it ended.
async fn start(rig: &Rig, id: &str, flags: &[&str]) -> (i32, Value) {
    start_if(rig, id, &[&["--override", "changed"], flags].concat()).await
}

async fn start_if(rig: &Rig, id: &str, flags: &[&str]) -> (i32, Value) {
    let start =
        ["redrive", "start", id, "--by", "kim", "--reason", "the provider is mended", "--yes", "-o", "json"];
    told(rig, &[&start, flags].concat()).await
}

pub async fn told(rig: &Rig, args: &[&str]) -> (i32, Value) {
    let output = rig.output(args).await;
    let said = if output.stdout.is_empty() { &output.stderr } else { &output.stdout };
    // Log lines may come before what is said.
    let json = said.iter().position(|byte| *byte == b'{').map_or(&[][..], |at| &said[at..]);
    let value = serde_json::from_slice(json).unwrap_or(Value::String(String::from_utf8_lossy(said).into()));
    (output.status.code().unwrap_or(-1), value)
}

async fn status(rig: &Rig, id: &str) -> Value {
    rig.ask(&["redrive", "status", id, "-o", "json"]).await
}

/// How many letters of a run ended how.
async fn fates(rig: &Rig, id: &str) -> BTreeMap<String, u64> {
    let report = rig.ask(&["redrive", "report", id, "-o", "json"]).await;
    let tally = report["tally"].as_object().expect("a tally").iter();
    tally
        .filter_map(|(fate, count)| Some((fate.clone(), count.as_u64()?)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

pub fn of<const N: usize>(fates: [(&str, u64); N]) -> BTreeMap<String, u64> {
    fates.into_iter().map(|(fate, count)| (fate.to_owned(), count)).collect()
}

/// How often each job stands on the redrive topic.
pub async fn sent(rig: &Rig) -> BTreeMap<String, u64> {
    let mut sent = BTreeMap::new();
    for record in rig.records("embed.redrive").await {
        *sent.entry(job(&record)).or_default() += 1;
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_frozen_and_its_run_begins_with_canaries_and_ends_with_all_succeeded() {
    let Some((rig, mut worker)) = dead("redrive", 40).await else { return };
    let dry = rig.ask(&["redrive", "plan", "--stage", "embed", "--dry-run", "-o", "json"]).await;
    assert_eq!((&dry["id"], &dry["plan"]["letters"]), (&Value::Null, &json!(40)), "{dry}");
    let (code, _) = told(&rig, &["redrive", "ls", "-o", "json"]).await;
    assert_eq!(code, 3, "a dry run leaves nothing behind");

    let id = plan(&rig, &["--name", "after the outage", "--canary", "1,5", "--rate", "100"]).await;
    let planned = status(&rig, &id).await;
    assert_eq!(planned["state"], "planned");
    assert_eq!(planned["plan"]["preview"]["run"], 40, "{planned}");
    assert_eq!(
        (&planned["plan"]["tenants"], &planned["plan"]["groups"]),
        (&json!(3), &planned["plan"]["groups"])
    );
    assert!(sent(&rig).await.is_empty(), "nothing was sent");

    // One that dies after the plan is not in it.
    rig.send(vec![passage(&rig, 99, "a FAIL-ME passage")]).await;
    all_dead(&rig, 41).await;
    rig.faults(json!({ "unauthorized": 1.0 })).await;
    let (code, refused) = start(&rig, &id, &[]).await;
    assert_eq!((code, &refused["error"]["at"]), (4, &json!("provider")), "{refused}");

    rig.faults(json!({ "marked": null, "unauthorized": 0.0 })).await;
    let (code, ended) = start(&rig, &id, &[]).await;
    assert_eq!((code, &ended["state"]), (0, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &id).await, of([("succeeded", 40)]));
    let sent = sent(&rig).await;
    assert_eq!((sent.len(), sent.values().max()), (40, Some(&1)), "each was sent once");
    assert!(!sent.contains_key("job-99"));
    assert_eq!(rig.jobs("embed", "done").await, 40);

    let (code, refused) = start(&rig, &id, &[]).await;
    assert_eq!(code, 7, "{refused}");
    let before = status(&rig, &id).await;
    rig.ask(&["ops", "rebuild", "-o", "json"]).await;
    assert_eq!(status(&rig, &id).await, before, "all of it stands on Kafka");
    assert_eq!(fates(&rig, &id).await, of([("succeeded", 40)]));
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_whose_cause_is_still_there_stops_after_its_canary_and_goes_on_when_it_is_removed() {
    let Some((rig, mut worker)) = dead("canary", 12).await else { return };
    let id = plan(&rig, &["--rate", "100"]).await;
    let (code, stopped) = start(&rig, &id, &[]).await;
    assert_eq!((code, &stopped["state"]), (5, &json!("stopped")), "{stopped}");
    assert!(stopped["reason"].as_str().is_some_and(|why| why.contains("1 of the last 1")), "{stopped}");
    assert_eq!(fates(&rig, &id).await, of([("failed", 1), ("left", 11)]));
    let report = rig.ask(&["redrive", "report", &id, "--only", "failed", "-o", "json"]).await;
    assert!(report["letters"][0]["again_as"].is_string(), "it says as what it died again: {report}");

    let other = plan(&rig, &[]).await;
    let (code, refused) = start(&rig, &other, &[]).await;
    assert_eq!((code, &refused["error"]["at"]), (7, &json!("alone")), "{refused}");

    rig.faults(json!({ "marked": null })).await;
    let (code, ended) = told(&rig, &["redrive", "resume", &id, "--by", "kim", "-o", "json"]).await;
    // One had failed, and that is not forgotten.
    assert_eq!((code, &ended["state"]), (5, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &id).await, of([("failed", 1), ("succeeded", 11)]));
    assert_eq!(sent(&rig).await.values().sum::<u64>(), 12);

    // The other plan has the letter of the second death, and eleven that are elsewhere now.
    let (code, ended) = start(&rig, &other, &[]).await;
    assert_eq!((code, &ended["state"]), (0, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &other).await, of([("succeeded", 1), ("elsewhere", 11)]));
    assert_eq!(rig.jobs("embed", "done").await, 12);
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_for_good_is_not_sent_back_before_something_has_changed() {
    let Some((rig, mut worker)) = dead("changed", 3).await else { return };
    rig.faults(json!({ "marked": null })).await;

    let id = plan(&rig, &[]).await;
    let (code, refused) = start_if(&rig, &id, &[]).await;
    assert_eq!((code, &refused["error"]["at"]), (4, &json!("changed")), "{refused}");
    let listed = rig.ask(&["dlq", "ls", "-o", "json"]).await;
    let one = listed["letters"][0]["id"].as_str().expect("an id");
    let (code, refused) = told(&rig, &["dlq", "redrive", one, "--by", "kim", "-o", "json"]).await;
    assert_eq!(code, 4, "{refused}");
    let (code, unknown) = start_if(&rig, &id, &["--override", "changes"]).await;
    assert_eq!(code, 2, "{unknown}");
    assert!(sent(&rig).await.is_empty());

    assert!(worker.terminate().await.success());
    rig.reconfigure(&format!(", {PERMANENT}"), "");
    let mut worker = rig.worker(&[]).await;
    let (code, ended) = start_if(&rig, &id, &[]).await;
    assert_eq!((code, &ended["state"]), (0, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &id).await, of([("succeeded", 3)]));
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_it_is_killed_no_letter_is_sent_twice_and_none_is_forgotten() {
    let Some((rig, mut worker)) = dead("killed", 120).await else { return };
    rig.faults(json!({ "marked": null })).await;
    let id = plan(&rig, &["--canary", "1", "--rate", "40"]).await;
    let (code, _) = start(&rig, &id, &["--detach"]).await;
    assert_eq!(code, 0);
    for goal in [1, 10, 20, 45, 70, 90] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_lazaret"));
        command.arg("--config").arg(rig.path("lazaret.yaml"));
        command.args(["redrive", "attach", &id, "--take-over", "-o", "json"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut running = command.spawn().expect("lazaret runs");
        eventually("some more were sent", async || (sent(&rig).await.len() >= goal).then_some(())).await;
        running.kill().await.expect("it can be killed");
    }
    let (code, ended) = told(&rig, &["redrive", "attach", &id, "--take-over", "-o", "json"]).await;
    assert_eq!((code, &ended["state"]), (0, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &id).await, of([("succeeded", 120)]));
    let sent = sent(&rig).await;
    assert_eq!((sent.len(), sent.values().max()), (120, Some(&1)));
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_started_for_the_service_is_run_by_it_and_can_be_paused_resumed_and_cancelled() {
    let Some((rig, mut worker)) = dead("service", 60).await else { return };
    rig.faults(json!({ "marked": null })).await;
    let mut ops = rig.serve("ops", &[]).await;
    let id = plan(&rig, &["--canary", "0", "--rate", "5"]).await;
    assert_eq!(start(&rig, &id, &["--detach"]).await.0, 0);
    eventually("the service sends some", async || (sent(&rig).await.len() >= 5).then_some(())).await;
    let (code, paused) =
        told(&rig, &["redrive", "pause", &id, "--by", "kim", "--reason", "lunch", "-o", "json"]).await;
    assert_eq!(
        (code, &paused["state"], &paused["reason"]),
        (0, &json!("paused"), &json!("lunch")),
        "{paused}"
    );
    let rests = async || (status(&rig, &id).await["tally"]["pending"] == 0).then_some(());
    eventually("what was sent has ended", rests).await;
    let (code, again) = told(&rig, &["redrive", "pause", &id, "--by", "kim", "-o", "json"]).await;
    assert_eq!(code, 7, "{again}");
    let so_far = sent(&rig).await.len();
    assert!(so_far < 60);

    assert_eq!(told(&rig, &["redrive", "resume", &id, "--detach", "--by", "kim", "-o", "json"]).await.0, 0);
    eventually("it goes on", async || (sent(&rig).await.len() > so_far).then_some(())).await;
    let (code, cancelled) = told(&rig, &["redrive", "cancel", &id, "--by", "kim", "-o", "json"]).await;
    assert_eq!((code, &cancelled["state"]), (0, &json!("cancelled")), "{cancelled}");
    let metrics = eventually("the metrics say it", async || {
        let text = ops.metrics().await;
        text.lines().any(|line| line == "lazaret_redrive_runs{state=\"cancelled\"} 1").then_some(text)
    })
    .await;
    assert!(metrics.contains("lazaret_redrive_records_total{"), "{metrics}");
    let fates = fates(&rig, &id).await;
    assert!(fates["left"] > 0 && fates.values().sum::<u64>() == 60, "{fates:?}");
    assert!(ops.terminate().await.success());
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_plan_start_and_follow_a_redrive_over_http() {
    let Some((rig, mut worker)) = dead("http", 12).await else { return };
    rig.reconfigure("http: {", "ops: { listen: '127.0.0.1:0' }\nhttp: {");
    let mut ops = rig.serve("ops", &[]).await;
    let url = ops.api().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let post = async |path: &str, body: Value| {
        let reply = client.post(format!("{url}{path}")).json(&body).send().await.expect("an answer");
        (reply.status().as_u16(), reply.json::<Value>().await.expect("JSON"))
    };
    let get = async |path: &str| {
        let reply = client.get(format!("{url}{path}")).send().await.expect("an answer");
        (reply.status().as_u16(), reply.text().await.expect("text"))
    };
    let all_known = async || get("/v1/dlq/count").await.1.contains("\"count\":12").then_some(());
    eventually("the index has them", all_known).await;

    let order = json!({ "filter": { "stage": "embed" }, "name": "over HTTP", "canary": [2], "rate": 100 });
    let (status, planned) = post("/v1/redrives", order).await;
    assert_eq!((status, &planned["plan"]["letters"]), (200, &json!(12)), "{planned}");
    let changed =
        planned["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "changed");
    assert_eq!(changed.expect("a check")["holds"], false, "{planned}");
    let id = planned["id"].as_str().expect("an id");
    let (status, refused) = post(&format!("/v1/redrives/{id}/start"), json!({ "reason": "mended" })).await;
    assert_eq!(status, 409, "{refused}");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.starts_with("changed")), "{refused}");

    rig.faults(json!({ "marked": null })).await;
    let because = json!({ "reason": "the provider is mended", "overridden": ["changed"] });
    let (status, started) = post(&format!("/v1/redrives/{id}/start"), because).await;
    assert_eq!((status, &started["state"]), (200, &json!("running")), "{started}");
    let (status, events) = get(&format!("/v1/redrives/{id}/events")).await;
    assert_eq!(status, 200);
    let last = events.lines().filter_map(|line| line.strip_prefix("data:")).next_back().expect("an event");
    let last: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!((&last["state"], &last["tally"]["succeeded"]), (&json!("finished"), &json!(12)), "{last}");
    let (_, letters) = get(&format!("/v1/redrives/{id}/letters?limit=100")).await;
    assert_eq!(letters.matches("\"fate\":\"succeeded\"").count(), 12, "{letters}");
    assert_eq!(sent(&rig).await.values().sum::<u64>(), 12);
    let (status, conflict) = post(&format!("/v1/redrives/{id}/pause"), json!({})).await;
    assert_eq!(status, 409, "{conflict}");
    assert!(ops.terminate().await.success());
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_gives_up_meanwhile_is_passed_over_and_no_other_letter_is_forgotten() {
    let Some((rig, mut worker)) = dead("meanwhile", 12).await else { return };
    let id = plan(&rig, &["--rate", "100"]).await;
    let report = rig.ask(&["redrive", "report", &id, "-o", "json"]).await;
    let ids = report["letters"].as_array().expect("letters").iter();
    let ids: Vec<&str> = ids.map(|letter| letter["id"].as_str().expect("an id")).collect();
    let discard = ["dlq", "discard", "--by", "kim", "--reason", "hopeless"];
    assert!(rig.tell(&[&discard, &ids[1..5]].concat()).await);
    rig.faults(json!({ "marked": null })).await;
    let (code, ended) = start(&rig, &id, &[]).await;
    assert_eq!((code, &ended["state"]), (0, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &id).await, of([("succeeded", 8), ("elsewhere", 4)]));

    // What is restored goes once more, although the stage has given it up.
    assert!(
        rig.tell(&[&["dlq", "restore", "--yes", "--by", "kim", "--reason", "not so"], &ids[1..5]].concat())
            .await
    );
    let again = plan(&rig, &[]).await;
    let (code, ended) = start(&rig, &again, &[]).await;
    assert_eq!((code, &ended["state"]), (0, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &again).await, of([("succeeded", 4)]));
    assert_eq!(rig.jobs("embed", "done").await, 12);
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hopeless_is_given_up_by_what_it_has_in_common() {
    let Some((rig, mut worker)) = dead("hopeless", 5).await else { return };
    let discard = ["dlq", "discard", "--by", "kim", "--reason", "hopeless", "-o", "json"];
    let (code, dry) = told(&rig, &[&discard[..], &["--tenant", "tenant-0", "--dry-run"]].concat()).await;
    assert_eq!((code, dry["letters"].as_array().map(Vec::len)), (0, Some(2)), "{dry}");
    assert_eq!(told(&rig, &discard).await.0, 2, "it has to be said which");
    assert_eq!(
        told(&rig, &[&discard[..], &["--tenant", "tenant-0"]].concat()).await.0,
        2,
        "nobody can be asked"
    );
    let (code, refused) =
        told(&rig, &[&discard[..], &["--stage", "embed", "--max", "4", "--yes"]].concat()).await;
    assert_eq!(code, 4, "{refused}");
    assert!(sent(&rig).await.is_empty());
    let (code, done) = told(&rig, &[&discard[..], &["--tenant", "tenant-0", "--yes"]].concat()).await;
    assert_eq!((code, done["sent"].as_array().map(Vec::len)), (0, Some(2)), "{done}");
    eventually("they are given up", async || (rig.jobs("embed", "discarded").await == 2).then_some(())).await;
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_plan_is_started_only_when_another_person_has_approved_it() {
    let Some((rig, mut worker)) = dead("eyes", 3).await else { return };
    rig.reconfigure("quarantine: { ", "quarantine: { four_eyes: { letters: 2 }, ");
    rig.faults(json!({ "marked": null })).await;
    let listed = rig.ask(&["dlq", "ls", "-o", "json"]).await;
    let ids: Vec<&str> = listed["letters"]
        .as_array()
        .expect("letters")
        .iter()
        .filter_map(|letter| letter["id"].as_str())
        .collect();
    let alone = ["dlq", "redrive", "--by", "kim", "--reason", "x", "--unchanged", "-o", "json"];
    let (code, refused) = told(&rig, &[&alone, &ids[..]].concat()).await;
    assert_eq!(code, 4, "three at once are a plan: {refused}");

    let id = plan(&rig, &[]).await;
    assert_eq!(status(&rig, &id).await["plan"]["approval"], true);
    let (code, refused) = start(&rig, &id, &[]).await;
    assert_eq!((code, &refused["error"]["at"]), (4, &json!("approved")), "{refused}");
    let (code, _) = start_if(&rig, &id, &["--override", "changed,approved"]).await;
    assert_eq!(code, 2, "it cannot be set aside");
    let approve = async |by: &str, flags: &[&str]| {
        let approve =
            ["redrive", "approve", &id, "--by", by, "--reason", "looked at all three", "-o", "json"];
        told(&rig, &[&approve, flags].concat()).await
    };
    let (code, refused) = approve("kim", &["--yes"]).await;
    assert_eq!(code, 4, "who planned it does not approve it: {refused}");
    assert_eq!(approve("ada", &[]).await.0, 2, "nobody can be asked");
    assert_eq!(approve("ada", &["--dry-run"]).await.1["approvals"], json!([]));
    assert_eq!(start(&rig, &id, &[]).await.0, 4);
    let (code, approved) = approve("ada", &["--yes"]).await;
    assert_eq!(
        (code, &approved["approvals"][0]["by"], &approved["state"]),
        (0, &json!("ada"), &json!("planned"))
    );
    let (code, refused) = told(
        &rig,
        &[
            "redrive",
            "start",
            &id,
            "--by",
            "ada",
            "--reason",
            "x",
            "--override",
            "changed",
            "--yes",
            "-o",
            "json",
        ],
    )
    .await;
    assert_eq!((code, &refused["error"]["at"]), (4, &json!("approved")), "who approved it does not start it");
    assert_eq!(rig.ask(&["ops", "rebuild", "-o", "json"]).await["complete"], true);
    // The condition holds after a rebuild, and whatever the configuration says by now.
    rig.reconfigure("four_eyes: { letters: 2 }, ", "");
    let (code, ended) = start(&rig, &id, &[]).await;
    assert_eq!((code, &ended["state"]), (0, &json!("finished")), "{ended}");
    assert_eq!(fates(&rig, &id).await, of([("succeeded", 3)]));
    assert!(worker.terminate().await.success());
}
