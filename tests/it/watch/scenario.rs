//! One run that is broken in several ways: whoever is to be called is called, every panel has something to show, and the runbook
//! leads to the end. One test, because what takes time in it is to get there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::servers::{Alertmanager, Called, Prometheus};
use super::{dashboards, runbooks};
use crate::rig::{Rig, Worker, eventually, record};
use crate::run::{EMBED, jobs};

/// What the stages and their letters need for everything to be told: times, room, an order, an archive, rules.
async fn rig() -> Option<Rig> {
    let pipeline = EMBED.replace("max_attempts: 50", "max_attempts: 2").replace(
        "    partitions: 3",
        "    partitions: 1\n    dlq_retention: 36500d\n    dlq_budget: 1GiB\n    sla: { look: 1ms, resolve: 1d }",
    );
    let pipeline = pipeline.replace("kind: index, ", "kind: index, ordering: key, ");
    let rig = Rig::new("watch", &pipeline, "").await?;
    rig.reconfigure("timeout: 2s }", "timeout: 2s, prices: { lazaret-embed: { input: 1000 } } }");
    let quarantine = "quarantine: { archive: { to: '{folder}/archive', after: 1s, every: 1s, before: 1h }, \
        sweep: { schedule: '* * * * *', rules: [{ name: leave, match: { class: permanent }, do: keep }] },";
    let folder = rig.folder.path().display().to_string();
    rig.reconfigure("quarantine: {", &quarantine.replace("{folder}", &folder));
    rig.reconfigure("http: {", "ops: { listen: '127.0.0.1:0' }\nhttp: {");
    Some(rig)
}

/// Five that the provider cannot stand, three that are none, and thirty that are well.
fn mixed(rig: &Rig) -> Vec<lazaret::message::OutRecord> {
    let passage = |n: usize| {
        let value = json!({
            "document": { "id": format!("bad-{n}"), "tenant": format!("tenant-{}", n % 2), "version": 1 },
            "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": "FAIL-ME passage" }],
        });
        record(&rig.topic("in"), &[("job-id", &format!("bad-{n}"))], &value)
    };
    let broken =
        |n: usize| record(&rig.topic("in"), &[("job-id", &format!("broken-{n}"))], &json!("no passages"));
    let mut all = jobs(&rig.topic("in"), 30);
    all.extend((0..5).map(passage));
    all.extend((0..3).map(broken));
    all
}

/// A group of this class: its fingerprint, one of its letters, and what that died of.
async fn group(rig: &Rig, class: &str) -> runbooks::Known {
    let listed = rig.ask(&["dlq", "ls", "--class", class, "-o", "json"]).await;
    let letter = &listed["letters"][0];
    let text = |key: &str| letter[key].as_str().unwrap_or_else(|| panic!("{key} in {letter}")).to_owned();
    let words = [
        ("PIPELINE", rig.name.clone()),
        ("STAGE", "embed".into()),
        ("FINGERPRINT", text("fingerprint")),
        ("ID", text("id")),
        ("CODE", text("code")),
        ("JOB", text("job")),
        ("NAME", "kim".into()),
        ("FILE", rig.path("letters.jsonl").display().to_string()),
    ];
    runbooks::Known(BTreeMap::from(words))
}

/// That somebody is called for it, and told what to do.
async fn is_called_for(called: &Called, rig: &Rig, alert: &str, labels: &[(&str, &str)]) {
    let pipeline = [("pipeline", rig.name.as_str()), ("stage", "embed")];
    let labels: Vec<_> = if labels.is_empty() { pipeline.to_vec() } else { labels.to_vec() };
    let told = called.hears(alert, "firing", &labels).await;
    let of = |key: &str| told["annotations"][key].as_str().unwrap_or_default();
    assert!(of("runbook_url").ends_with(&format!("docs/runbooks/{alert}.md")), "{told}");
    assert!(of("dashboard").starts_with("/d/lazaret-"), "{told}");
    assert!(told["labels"]["owner"].is_string() && told["labels"]["severity"].is_string(), "{told}");
    assert!(!of("summary").contains("<no value>") && !of("summary").is_empty(), "{told}");
}

async fn scraped(prometheus: &Prometheus, worker: &Worker, ops: &Worker) {
    eventually("both are scraped, and have something to tell", async || {
        let told = ["lazaret_records_read_total", "lazaret_dlq_groups_opened_total", "lazaret_lag_state"];
        for metric in told {
            if prometheus.numbers(metric).await.is_empty() {
                return None;
            }
        }
        Some(())
    })
    .await;
    assert_ne!(worker.url, ops.url);
}

async fn api_is_asked(ops: &Worker) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let reply = client.get(format!("{}/v1/dlq/count", ops.api().await)).send().await.expect("an answer");
    let told: Value = reply.json().await.expect("JSON");
    assert!(told["count"].is_number(), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_is_called_for_every_panel_shows_it_and_the_runbook_leads_to_the_end_of_it() {
    let (Some(rig), Some(prometheus), Some(alertmanager)) =
        (rig().await, Prometheus::program(), Alertmanager::program())
    else {
        return;
    };
    let called = Called::listen().await;
    let alertmanager = Alertmanager::start(&alertmanager, rig.folder.path(), &called).await;
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    let mut worker = rig.worker(&[]).await;
    let mut ops = rig.serve("ops", &[]).await;
    let targets = [worker.url.as_str(), ops.url.as_str()];
    let prometheus = Prometheus::start(&prometheus, rig.folder.path(), &targets, &alertmanager).await;
    scraped(&prometheus, &worker, &ops).await;
    api_is_asked(&ops).await;

    // Poison.
    rig.send(mixed(&rig)).await;
    for alert in ["LazaretDeadLettersOpen", "LazaretDeadLettersNewGroup", "LazaretDeadLettersLookOverdue"] {
        is_called_for(&called, &rig, alert, &[]).await;
    }
    eventually("all are dead", async || (rig.jobs("embed", "dead").await == 8).then_some(())).await;
    rig.faults(json!({ "marked": null })).await;
    let mut permanent = group(&rig, "permanent").await;
    runbooks::carry_out(&rig, group(&rig, "transient").await).await;
    let runs = rig.ask(&["redrive", "ls", "-o", "json"]).await;
    permanent.0.insert("PLAN", runs["redrives"][0]["id"].as_str().expect("an id").to_owned());
    runbooks::type_all(&rig, &permanent).await;
    api_is_asked(&ops).await;

    // Credentials.
    rig.faults(json!({ "unauthorized": 1.0 })).await;
    rig.send(jobs(&rig.topic("in"), 50).split_off(30)).await;
    let reason = [("pipeline", rig.name.as_str()), ("stage", "embed"), ("reason", "llm.unauthorized")];
    is_called_for(&called, &rig, "LazaretStagePaused", &reason).await;
    is_called_for(&called, &rig, "LazaretProviderCredentialsRejected", &[("provider", "local")]).await;
    rig.faults(json!({ "unauthorized": 0.0 })).await;
    called.hears("LazaretStagePaused", "resolved", &reason).await;
    dashboards::have_data(&prometheus).await;
    eventually("the index has taken all in", async || {
        (prometheus.numbers("lazaret_dlq_index_lag_records").await == [0.0]).then_some(())
    })
    .await;

    // Nobody runs the stages.
    assert!(worker.terminate().await.success());
    rig.send(jobs(&rig.topic("in"), 55).split_off(50)).await;
    is_called_for(&called, &rig, "LazaretStageNotRun", &[]).await;
    is_called_for(&called, &rig, "LazaretWorkersDown", &[("owner", "platform")]).await;
    let heard = called.names();
    for quiet in
        ["LazaretRecordsUnaccounted", "LazaretLedgerFailing", "LazaretAuditFailing", "LazaretRedriveStopped"]
    {
        assert!(!heard.iter().any(|name| name == quiet), "nobody was to be called for {quiet}: {heard:?}");
    }
    assert!(ops.terminate().await.success());
}
