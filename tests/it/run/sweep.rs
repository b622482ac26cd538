//! The sweep: rules that send back, give up, hand over and leave, with the program alone.

use serde_json::{Value, json};

use super::EMBED;
use super::redrive::{all_dead, dead, of, passage, sent, told};
use crate::rig::{Rig, Worker, eventually};

/// Adds rules to the configuration.
fn rules(rig: &Rig, yaml: &str) {
    rig.reconfigure("quarantine: {", &format!("quarantine: {{ sweep: {{ {yaml} }}, "));
}

async fn sweep(rig: &Rig, flags: &[&str]) -> (i32, Value) {
    told(rig, &[&["sweep", "-o", "json"], flags].concat()).await
}

/// Of each rule what it is for, with how many something is done now, and the outcome.
fn lines(report: &Value) -> Vec<(String, u64, u64, String)> {
    let lines = report["lines"].as_array().unwrap_or_else(|| panic!("{report}")).iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    lines.map(|l| (text(&l["rule"]), number(&l["letters"]), number(&l["now"]), text(&l["outcome"]))).collect()
}

fn line(rule: &str, letters: u64, now: u64, outcome: &str) -> (String, u64, u64, String) {
    (rule.into(), letters, now, outcome.into())
}

/// Six of sixty die of what heals by itself.
async fn transient(test: &str) -> Option<(Rig, Worker)> {
    let pipeline = EMBED.replacen("max_attempts: 50", "max_attempts: 1", 1);
    let rig = Rig::new(test, &pipeline, "").await?;
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    let text = |n: usize| if n.is_multiple_of(10) { "a FAIL-ME passage" } else { "a passage" };
    rig.send((0..60).map(|n| passage(&rig, n, text(n))).collect()).await;
    let worker = rig.worker(&[]).await;
    all_dead(&rig, 6).await;
    Some((rig, worker))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_died_in_an_outage_goes_back_by_itself_when_the_provider_is_back() {
    let Some((rig, mut worker)) = transient("healed").await else { return };
    rules(
        &rig,
        "schedule: '* * * * *', rules: [{ name: provider is back, match: { class: transient, provider: up }, \
         do: { redrive: { canary: [1], rate: 100 } } }]",
    );
    rig.faults(json!({ "unauthorized": 1.0 })).await;
    let (code, report) = sweep(&rig, &["--once"]).await;
    assert_eq!((code, lines(&report), &report["unmatched"]), (0, vec![], &json!(6)), "{report}");

    rig.faults(json!({ "unauthorized": 0.0, "marked": null })).await;
    let mut ops = rig.serve("ops", &[]).await;
    eventually("nobody had to do anything", async || (rig.jobs("embed", "done").await == 60).then_some(()))
        .await;
    let open = async || (rig.ask(&["dlq", "ls", "--state", "all", "-o", "json"]).await).to_string();
    let resolved = async || (open().await.matches("\"state\":\"resolved\"").count() == 6).then_some(());
    eventually("they are resolved", resolved).await;
    let acts = rig.ask(&["dlq", "audit", "--by", "rule:provider is back", "-o", "json"]).await;
    let deeds = acts.to_string();
    for deed in ["swept", "planned", "started", "redriven"] {
        assert!(deeds.contains(&format!("\"deed\":\"{deed}\"")), "{deed}: {acts}");
    }
    assert!(ops.terminate().await.success());
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_rule_that_matches_decides_and_a_dry_run_says_so_before() {
    let Some((rig, mut worker)) = dead("rules", 12).await else { return };
    rules(
        &rig,
        "rules: [\
           { name: hopeless, match: { tenant: tenant-0, where: 'job == \"job-0\"' }, do: { discard: { reason: test data } } }, \
           { name: data team, match: { tenant: tenant-0 }, do: { assign: { owner: data } } }, \
           { name: known, match: { tenant: tenant-0 }, do: keep }, \
           { name: ours, match: { tenant: tenant-1 }, do: { reclassify: { code: stage.failed, class: permanent } } }, \
           { name: again, match: { class: permanent }, do: { redrive: { most: 3, canary: [1], rate: 100 } } }]",
    );
    let (code, dry) = sweep(&rig, &["--dry-run"]).await;
    assert_eq!(code, 0, "{dry}");
    let expected = vec![
        line("hopeless", 1, 1, "would"),
        line("data team", 3, 3, "would"),
        line("ours", 4, 4, "would"),
        line("again", 4, 3, "held"),
    ];
    assert_eq!(lines(&dry), expected, "{dry}");
    assert_eq!(dry["lines"][3]["conditions"][0]["name"], "changed", "nothing has: {dry}");
    assert_eq!(rig.ask(&["dlq", "count", "-o", "json"]).await["count"], 12, "nothing was done");

    let (code, done) = sweep(&rig, &["--once"]).await;
    assert_eq!(code, 0, "{done}");
    let outcomes: Vec<_> = lines(&done).into_iter().map(|(.., outcome)| outcome).collect();
    assert_eq!(outcomes, ["done", "done", "done", "held"], "{done}");
    eventually("one is given up", async || (rig.jobs("embed", "discarded").await == 1).then_some(())).await;
    let listed = rig.ask(&["dlq", "ls", "--tenant", "tenant-0", "-o", "json"]).await;
    let owners: Vec<_> =
        listed["letters"].as_array().expect("letters").iter().map(|l| &l["remarks"]["owner"]).collect();
    assert_eq!(owners, [&json!("data"); 3], "{listed}");
    assert_eq!(rig.ask(&["dlq", "count", "--code", "stage.failed", "-o", "json"]).await["count"], 4);

    // What is so already is left to the rules that follow.
    rig.reconfigure(
        "do: { redrive: { most: 3,",
        "do: { redrive: { override: [changed], reason: mended, most: 3,",
    );
    rig.faults(json!({ "marked": null })).await;
    let (code, again) = sweep(&rig, &["--once"]).await;
    assert_eq!(code, 0, "{again}");
    assert_eq!(lines(&again)[0], line("known", 3, 0, "kept"), "{again}");
    assert_eq!(lines(&again)[1], line("again", 8, 3, "started"), "{again}");
    let first = sent(&rig).await;
    // The discarded one stands there too.
    assert_eq!((first.len(), rig.jobs("embed", "done").await), (4, 3), "no more than the rule allows");
    let run = again["lines"][1]["run"].as_str().expect("a run");
    let run = rig.ask(&["redrive", "status", run, "-o", "json"]).await;
    assert_eq!((&run["state"], &run["by"]), (&json!("finished"), &json!("rule:again")), "{run}");
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_tries_again_with_one_letter_and_leaves_what_fails_again_to_a_person() {
    let Some((rig, mut worker)) = dead("circles", 3).await else { return };
    rules(
        &rig,
        "rules: [{ name: again, do: { redrive: { redrives: 2, canary: [1], override: [changed], reason: a try } } }]",
    );
    // Nothing is mended: the first of each run dies again, and the run stops itself.
    let (mut started, mut reports) = (Vec::new(), Vec::new());
    loop {
        let (code, report) = sweep(&rig, &["--once"]).await;
        let Some((_, letters, _, outcome)) = lines(&report).into_iter().next() else { break };
        reports.push(report);
        assert!(reports.len() < 20, "it goes in circles: {reports:?}");
        // What is held back, since the stage is not quite ready, comes with the next.
        if outcome == "started" {
            started.push((code, letters));
        }
    }
    // Three letters may be sent back twice each.
    assert_eq!(started, [(5, 3), (5, 3), (5, 2), (5, 2), (5, 1), (5, 1)], "{reports:?}");
    assert_eq!(sent(&rig).await, of([("job-0", 2), ("job-1", 2), ("job-2", 2)]));
    assert_eq!(rig.ask(&["dlq", "count", "-o", "json"]).await["count"], 3);
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_puts_into_the_archive_stays_open_and_is_put_there_once() {
    let Some((rig, mut worker)) = dead("sweep-archive", 4).await else { return };
    let folder = rig.path("archive").display().to_string();
    rules(&rig, "rules: [{ name: keep safe, match: { tenant: tenant-0 }, do: archive }]");
    let (code, none) = sweep(&rig, &["--once"]).await;
    let at = none["error"]["at"].as_str().unwrap_or_default();
    assert!(code == 2 && at.ends_with("quarantine.sweep.rules[0].do.archive"), "{none}");
    rig.reconfigure("quarantine: {", &format!("quarantine: {{ archive: {{ to: '{folder}' }}, "));
    let (code, done) = sweep(&rig, &["--once"]).await;
    assert_eq!((code, lines(&done)), (0, vec![line("keep safe", 2, 2, "done")]), "{done}");
    let (_, again) = sweep(&rig, &["--once"]).await;
    assert_eq!(lines(&again), vec![], "they are there: {again}");
    assert_eq!(rig.ask(&["dlq", "count", "-o", "json"]).await["count"], 4);
    let verified = rig.ask(&["archive", "verify", "-o", "json"]).await;
    assert!(verified.to_string().contains("\"letters\":2"), "{verified}");
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sweeps_at_the_same_time_one_does_what_the_rules_say() {
    let Some((rig, mut worker)) = dead("sweeps", 8).await else { return };
    rules(&rig, "rules: [{ name: old, do: { discard: { reason: test data } } }]");
    let both = tokio::join!(sweep(&rig, &["--once"]), sweep(&rig, &["--once"]));
    assert!(both.0.0 == 0 || both.1.0 == 0, "{both:?}");
    eventually("all are given up", async || (rig.jobs("embed", "discarded").await == 8).then_some(())).await;
    assert_eq!(sent(&rig).await.values().max(), Some(&1), "none twice: {both:?}");
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_tried_and_carried_out_over_http() {
    let Some((rig, mut worker)) = dead("rules-http", 4).await else { return };
    rules(&rig, "rules: [{ name: handed over, do: { assign: { owner: data } } }]");
    rig.reconfigure("http: {", "ops: { listen: '127.0.0.1:0' }\nhttp: {");
    let mut ops = rig.serve("ops", &[]).await;
    let url = ops.api().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let post = async |path: &str, body: Value| {
        let reply = client.post(format!("{url}{path}")).json(&body).send().await.expect("an answer");
        (reply.status().as_u16(), reply.json::<Value>().await.expect("JSON"))
    };
    let trial = json!({ "rules": [{ "name": "other", "match": { "tenant": "tenant-0" }, "do": "keep" }] });
    let (status, tried) = post("/v1/rules/preview", trial).await;
    assert_eq!((status, lines(&tried)), (200, vec![line("other", 2, 0, "kept")]), "{tried}");
    let (status, wrong) = post(
        "/v1/rules/preview",
        json!({ "rules": [{ "name": "x", "match": { "stage": "embd" }, "do": "keep" }] }),
    )
    .await;
    assert_eq!(status, 400, "{wrong}");
    assert!(wrong["detail"].as_str().is_some_and(|d| d.contains("no stage 'embd'")), "{wrong}");
    let (status, tried) = post("/v1/rules/preview", json!({})).await;
    assert_eq!((status, lines(&tried)), (200, vec![line("handed over", 4, 4, "would")]), "{tried}");
    let (status, done) = post("/v1/rules/sweep", json!({})).await;
    assert_eq!((status, lines(&done)), (200, vec![line("handed over", 4, 4, "done")]), "{done}");
    let (_, again) = post("/v1/rules/sweep", json!({})).await;
    assert_eq!(lines(&again), vec![], "they are: {again}");
    assert!(ops.metrics().await.contains("lazaret_sweep_records_total{"));
    assert!(ops.terminate().await.success());
    assert!(worker.terminate().await.success());
}
