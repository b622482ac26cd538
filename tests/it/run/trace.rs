//! One dead letter: everything that is known of it, what to do about it, and who has to know.

use std::process::Command;

use lazaret::kafka::Producer;
use lazaret::message::OutRecord;
use lazaret::ops::quarantine::Acts;
use lazaret::quarantine::Deed;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::{EMBED, jobs};
use crate::rig::{Rig, eventually, record};

/// The pipeline with little patience: a job that fails dies after its second attempt, and is late at once.
async fn rig(test: &str) -> Option<Rig> {
    let pipeline = EMBED.replace("max_attempts: 50", "max_attempts: 2").replace(
        "    partitions: 3",
        "    partitions: 1\n    dlq_retention: 36500d\n    owner: team-search\n    sla: { look: 1ms, resolve: 1d }",
    );
    let rig = Rig::new(test, &pipeline, "").await?;
    let links = "links: { logs: 'https://logs.example/?q={job_id}&from={from_ms}', trace: 'https://t.example/{trace_id}' }";
    rig.reconfigure("quarantine: {", &format!("quarantine: {{ {links},"));
    rig.faults(json!({ "marked": "FAIL-ME" })).await;
    Some(rig)
}

/// A job that dies at the embed stage because the provider refuses it, whatever is done.
fn doomed(rig: &Rig, job: &str) -> OutRecord {
    let value = json!({
        "document": { "id": "doc-1", "tenant": "acme", "version": 1 },
        "part": 0, "parts": 1, "passages": [{ "ordinal": 0, "text": "FAIL-ME passage" }],
    });
    record(&rig.topic("in"), &[("job-id", job), ("tenant-id", "acme"), ("x-note", "s3cr3t")], &value)
}

async fn dead(rig: &Rig, count: u64) {
    eventually("they are dead", async || (rig.jobs("embed", "dead").await == count).then_some(())).await;
}

/// The id of the only dead letter.
async fn id(rig: &Rig) -> String {
    let listed = rig.ask(&["dlq", "ls", "-o", "json"]).await;
    let [letter] = listed["letters"].as_array().expect("letters").as_slice() else { panic!("{listed}") };
    letter["id"].as_str().expect("an id").to_owned()
}

async fn show(rig: &Rig, id: &str, more: &[&str]) -> Value {
    rig.ask(&[&["dlq", "show", id, "-o", "json"], more].concat()).await
}

/// Has Kafka delete what stands in the partition.
async fn delete(rig: &Rig, topic: &str) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", &rig.config.kafka.bootstrap).create().expect("a client");
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(topic, 0, Offset::End).expect("an offset");
    admin.delete_records(&all, &AdminOptions::new()).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_tells_its_cause_the_life_of_its_job_its_cost_and_what_has_changed() {
    let Some(rig) = rig("trace").await else { return };
    rig.send(vec![doomed(&rig, "import-1/7")]).await;
    let mut worker = rig.worker(&[]).await;
    dead(&rig, 1).await;
    assert!(worker.terminate().await.success());
    let id = id(&rig).await;

    let told = show(&rig, &id[..8], &[]).await;
    assert_eq!(
        (&told["id"], &told["state"], &told["looked_at"]),
        (&json!(id), &json!("open"), &json!(false))
    );
    let events = told["life"]["events"].as_array().expect("events");
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["started", "waiting", "started", "condemned", "dead"], "{told}");
    assert!(events[1]["fault"]["message"].as_str().is_some_and(|why| !why.is_empty()), "{told}");
    assert_eq!(told["life"]["job"]["state"], "dead");
    assert_eq!((&told["cost"]["attempts"], &told["cost"]["asked"][0]["attempts"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&told["cost"]["asked"][0]["model"], &told["cost"]["tokens"]),
        (&json!("lazaret-embed"), &Value::Null)
    );
    assert_eq!(told["changes"]["revision_differs"], false);
    let logs = told["links"]["logs"].as_str().expect("a link");
    assert!(logs.starts_with("https://logs.example/?q=import-1%2F7&from=1"), "{logs}");
    assert_eq!(
        told["links"]["trace"],
        format!("https://t.example/{}", told["trace"].as_str().expect("a trace"))
    );
    assert_eq!((&told["care"]["owner"], &told["care"]["overdue"]), (&json!("team-search"), &json!(["look"])));
    assert!(told["care"]["kept_until"].is_string() && told["group"]["count"] == 1, "{told}");
    assert_eq!((&told["record"], &told["payload"]["format"]), (&json!("there"), &Value::Null));
    assert!(!told.to_string().contains("s3cr3t") && !told.to_string().contains("FAIL-ME passage"), "{told}");
    let whole = show(&rig, &id, &["--payload"]).await;
    assert_eq!(whole["payload"]["value"]["passages"][0]["text"], "FAIL-ME passage");
    assert!(whole["headers"].to_string().contains("s3cr3t"), "{whole}");

    let producer = Producer::new(&rig.config.kafka, &rig.topology, "test").expect("a producer");
    let topic = rig.topology.operations.clone().expect("a topic");
    let acts = Acts::new(&producer, &topic, "kim", Some("a test"));
    acts.note(std::slice::from_ref(&id), &Deed::Noted { text: "page 3".into() }).await.expect("noted");
    rig.reconfigure("model: lazaret-embed", "model: other");
    let told = show(&rig, &id, &[]).await;
    assert_eq!((&told["looked_at"], &told["care"]["overdue"]), (&json!(true), &json!([])));
    assert_eq!((&told["acts"][0]["by"], &told["acts"][0]["text"]), (&json!("kim"), &json!("page 3")));
    assert_eq!(told["changes"]["revision_differs"], true);
    let unseen = rig.output(&["dlq", "ls", "--unseen"]).await;
    assert_eq!(unseen.status.code(), Some(3), "kim has looked at it");

    let there = format!("bootstrap: '{}'", rig.config.kafka.bootstrap);
    let away = "timeout: 1s, bootstrap: '127.0.0.1:1'";
    rig.reconfigure(&there, away);
    let told = show(&rig, &id, &["--no-refresh"]).await;
    assert_eq!((&told["record"], &told["life"]["job"]["state"]), (&json!("unread"), &json!("dead")));
    rig.reconfigure(away, &there);

    // What the index and the ledger know is told when Kafka has the record no longer, and when there is no ledger.
    delete(&rig, &rig.topic("embed.dlq")).await;
    std::fs::remove_file(rig.path("ledger.db")).expect("removed");
    let told = show(&rig, &id, &[]).await;
    assert_eq!(
        (&told["record"], &told["state"], &told["code"]),
        (&json!("gone"), &json!("expired"), &whole["code"])
    );
    assert!(told["life"]["unread"].as_str().is_some_and(|why| why.contains("ledger.db")), "{told}");
    assert_eq!(told["cost"]["attempts"], Value::Null);
    let text = String::from_utf8(rig.output(&["dlq", "show", &id]).await.stdout).expect("text");
    assert!(
        text.contains("Kafka has deleted the record") && text.contains("not known: there is no ledger"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_a_runbook_works_as_it_is_printed() {
    let Some(rig) = rig("runbook").await else { return };
    rig.send(vec![doomed(&rig, "job 'one'")]).await;
    let mut worker = rig.worker(&[]).await;
    dead(&rig, 1).await;
    assert!(worker.terminate().await.success());
    let id = id(&rig).await;
    let runbook = rig.ask(&["dlq", "runbook", &id, "-o", "json"]).await;
    let steps = runbook["steps"].as_array().expect("steps");
    let commands: Vec<&str> = steps
        .iter()
        .flat_map(|step| step["commands"].as_array().expect("commands"))
        .map(|command| command.as_str().expect("a command"))
        .collect();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_lazaret")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut ran = 0;
    // Runs of redrive have names that only they give.
    for command in commands.iter().filter(|command| !command.contains(" redrive ")) {
        // Nobody can be asked here whether that is meant, nor who it is.
        let sure = if command.contains(" resolve ") { " --yes --by kim" } else { "" };
        let mut shell = tokio::process::Command::new("sh");
        let output = shell
            .args(["-c", &format!("{command}{sure}")])
            .env("PATH", &path)
            .output()
            .await
            .expect("a shell");
        let (code, told) = (output.status.code(), String::from_utf8_lossy(&output.stderr));
        assert_eq!(code, Some(0), "{command}: {told}");
        assert!(!output.stdout.is_empty(), "{command}");
        ran += 1;
    }
    assert!(ran >= 12, "{commands:?}");
    let text = rig.lazaret(&["dlq", "runbook", &id]);
    for step in steps {
        assert!(text.contains(step["title"].as_str().expect("a title")), "{text}");
    }
    assert!(commands.iter().all(|command| text.contains(command)), "{text}");
    // The word of a page that stands for the letter is replaced by it.
    assert!(!text.contains(" ID`") && !text.contains(" JOB`"), "{text}");
    let help = Command::new(env!("CARGO_BIN_EXE_lazaret")).args(["dlq", "--help"]).output().expect("help");
    assert!(String::from_utf8_lossy(&help.stdout).contains("runbook"));
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_grow_visibly_and_metrics_say_what_is_late_until_somebody_looks() {
    let Some(rig) = rig("late").await else { return };
    let mut records = jobs(&rig.topic("in"), 2);
    // Not by the provider's fault: so many at once would make the stage pause.
    let broken = |n: usize| {
        let headers = [
            ("job-id", format!("broken-{n}")),
            ("tenant-id", "acme".into()),
            ("resource-id", "a.pdf".into()),
        ];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        record(&rig.topic("in"), &headers, &json!("no passages"))
    };
    records.extend((0..5).map(broken));
    rig.send(records).await;
    let mut worker = rig.worker(&[]).await;
    dead(&rig, 5).await;
    assert!(worker.terminate().await.success());

    let told = rig.ask(&["dlq", "groups", "-o", "json"]).await;
    let [group] = told["groups"].as_array().expect("groups").as_slice() else { panic!("{told}") };
    let trend: Vec<u64> = serde_json::from_value(group["trend"].clone()).expect("numbers");
    assert_eq!((trend.len(), trend.iter().sum::<u64>()), (24, 5), "{group}");
    assert_eq!(
        (&group["state"], &group["resources"], &group["tenants"]),
        (&json!("open"), &json!(1), &json!(1))
    );
    assert_eq!((&group["care"]["overdue"], &group["owner"]), (&json!(["look"]), &Value::Null));
    assert!(group["care"]["kept_until"].is_string(), "{group}");
    let table = rig.lazaret(&["dlq", "groups"]);
    assert!(table.contains('█') && table.contains("look"), "{table}");

    let mut ids = Vec::new();
    let mut after = String::new();
    loop {
        let mut args = vec!["dlq", "ls", "--limit", "2", "--no-refresh", "-o", "json"];
        if !after.is_empty() {
            args.extend(["--after", &after]);
        }
        let page = rig.ask(&args).await;
        assert_eq!(page["count"], 5);
        let letters = page["letters"].as_array().expect("letters").iter();
        ids.extend(letters.map(|letter| letter["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        after = next.to_owned();
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "pages bring every letter once");

    let mut ops = rig.serve("ops", &[]).await;
    let gauge = async |ops: &crate::rig::Worker, name: &str, labels: &[&str]| -> Option<f64> {
        let text = ops.metrics().await;
        let is_it = |line: &&str| line.starts_with(name) && labels.iter().all(|label| line.contains(label));
        text.lines().find(is_it)?.rsplit_once(' ')?.1.parse().ok()
    };
    let late = ["stage=\"embed\"", "sla=\"look\""];
    eventually("all are late", async || {
        (gauge(&ops, "lazaret_dlq_sla_breaches{", &late).await == Some(5.0)).then_some(())
    })
    .await;
    let resolve = gauge(&ops, "lazaret_dlq_sla_breaches{", &["stage=\"embed\"", "sla=\"resolve\""]).await;
    assert_eq!(resolve, Some(0.0));
    let headroom = gauge(&ops, "lazaret_dlq_retention_headroom_seconds{", &["stage=\"embed\""]).await;
    let all = 36500.0 * 86_400.0;
    assert!(headroom.is_some_and(|seconds| seconds < all && seconds > all - 3600.0), "{headroom:?}");

    let producer = Producer::new(&rig.config.kafka, &rig.topology, "test").expect("a producer");
    let topic = rig.topology.operations.clone().expect("a topic");
    let acts = Acts::new(&producer, &topic, "kim", None);
    acts.note(&ids[..2], &Deed::Noted { text: "I look".into() }).await.expect("noted");
    eventually("two are looked at", async || {
        (gauge(&ops, "lazaret_dlq_sla_breaches{", &late).await == Some(3.0)).then_some(())
    })
    .await;
    assert!(ops.terminate().await.success());
}
