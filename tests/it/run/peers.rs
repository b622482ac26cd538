//! The shipped pipelines on the real Kafka, seen through other people's tools.

use std::process::Command;

use lazaret::demo::corpus;
use lazaret::message::payload::{Answer, AnswerStatus};

use crate::rig::{Rig, eventually, succeed};

/// The shipped configuration's pipelines under names of their own, with short rungs and formats as given.
pub fn pipelines(format: &str) -> String {
    let shipped = include_str!("../../../lazaret.yaml");
    let (_, pipelines) = shipped.split_once("\npipelines:\n").expect("pipelines");
    pipelines
        .replace("rag-", "{p}-rag-")
        .replace(
            "topic: documents.indexed, format: json",
            &format!("topic: '{{p}}.indexed', format: {format}"),
        )
        .replace("topic: documents, format: json", &format!("topic: '{{p}}.documents', format: {format}"))
        .replace("topic: questions, format: json", &format!("topic: '{{p}}.questions', format: {format}"))
        .replace("topic: answers, format: json", &format!("topic: '{{p}}.answers', format: {format}"))
        .replace(
            "    owner: search-team\n    runbook",
            &format!("    partitions: 2\n    between: {format}\n    runbook"),
        )
        .replace("rungs: [1s, 5s, 30s, 2m, 10m]", "rungs: [1s, 5s]")
        .replace("rungs: [1s, 5s, 30s, 2m]", "rungs: [1s, 5s]")
        .replace("time_max: 20s", "time_max: 5s")
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_become_answers_with_citations_and_other_tools_can_read_what_we_write() {
    let Some(rig) = Rig::new("rag", &pipelines("json"), "").await else { return };
    let documents = rig.path("documents");
    corpus::write(&documents).expect("the corpus can be written");
    std::fs::remove_dir_all(documents.join("broken")).expect("the broken ones are the demo's");
    std::fs::write(documents.join("empty.txt"), "").expect("an empty document");
    let mut worker = rig.worker(&[]).await;
    let ingest = format!("{}-rag-ingest", rig.name);
    let answer = format!("{}-rag-answer", rig.name);
    let folder = documents.to_str().expect("a path in UTF-8");
    rig.lazaret(&["submit", "documents", "--tenant", "acme", "--pipeline", &ingest, folder]);
    eventually("all documents have ended", async || {
        (rig.jobs("index", "done").await == 24 && rig.jobs("validate", "dead").await == 1).then_some(())
    })
    .await;

    let ask = |tenant: &str, question: &str| {
        rig.lazaret(&["submit", "questions", "--tenant", tenant, "--pipeline", &answer, "--ask", question]);
    };
    ask("acme", "What does the VPN error TK-419 mean?");
    ask("nobody", "休暇は何日ですか");
    eventually("both questions are answered", async || (rig.jobs("ground", "done").await == 2).then_some(()))
        .await;
    let answers: Vec<Answer> = rig
        .records("answers")
        .await
        .iter()
        .map(|r| serde_json::from_slice(r.value.as_deref().unwrap_or_default()).expect("an answer"))
        .collect();
    let of = |tenant: &str| answers.iter().find(|a| a.question.tenant == tenant).expect("an answer");
    assert!(of("acme").citations.iter().any(|c| c.document.id == "vpn-access.html"), "{:#?}", of("acme"));
    assert_eq!(of("nobody").status, AnswerStatus::Unanswerable, "no tenant sees another one's documents");

    headers_are_text_to_the_console_consumer(&rig, &format!("{ingest}.validate.dlq"));
    let metrics = rig.path("metrics");
    std::fs::write(&metrics, worker.metrics().await).expect("metrics");
    if let Ok(promtool) = std::env::var("LAZARET_TEST_PROMTOOL") {
        succeed(
            Command::new(promtool)
                .args(["check", "metrics"])
                .stdin(std::fs::File::open(metrics).expect("metrics")),
        );
    }
    let listed = rig.lazaret(&["dlq", "ls", "--output", "json"]);
    assert!(listed.contains("document.empty"), "{listed}");
    assert!(worker.terminate().await.success());
}

fn headers_are_text_to_the_console_consumer(rig: &Rig, topic: &str) {
    let Ok(tools) = std::env::var("LAZARET_TEST_KAFKA_TOOLS") else { return };
    let java = std::env::var("LAZARET_TEST_JAVA").unwrap_or_else(|_| "java".into());
    let shown = succeed(
        Command::new(java)
            .args(["-Xmx128m", "-cp", &tools, "org.apache.kafka.tools.consumer.ConsoleConsumer"])
            .args(["--bootstrap-server", &rig.config.kafka.bootstrap, "--topic", topic, "--from-beginning"])
            .args(["--max-messages", "1", "--timeout-ms", "30000"])
            .args(["--formatter-property", "print.headers=true"]),
    );
    for part in ["dlq.error.code:document.empty", "dlq.error.class:permanent", "tenant-id:acme", "job-id:"] {
        assert!(shown.contains(part), "{part} is missing in {shown}");
    }
}
