//! Systemic failures pause the stage and dead-letter nothing; it goes on by itself when the cause is gone.

use serde_json::json;

use super::{EMBED, jobs};
use crate::rig::{Rig, Worker, eventually};

async fn paused_for(worker: &Worker, code: &str) {
    eventually("the stage says that it is paused", async || {
        worker.readiness().await.to_string().contains(&format!("paused: {code}")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_pause_the_stage_until_they_are_accepted_again() {
    let Some(rig) = Rig::new("refused", EMBED, "").await else { return };
    rig.faults(json!({ "unauthorized": 1.0 })).await;
    let mut worker = rig.worker(&[]).await;
    rig.send(jobs(&rig.topic("in"), 30)).await;
    paused_for(&worker, "llm.unauthorized").await;
    let metrics = worker.metrics().await;
    let paused =
        metrics.lines().find(|l| l.starts_with("lazaret_stage_paused") && l.contains("unauthorized"));
    assert!(paused.is_some_and(|line| line.ends_with(" 1")), "{paused:?}");

    rig.faults(json!({ "unauthorized": 0.0 })).await;
    eventually("all jobs are indexed", async || (rig.jobs("index", "done").await == 30).then_some(())).await;
    worker.ready().await;
    for topic in ["embed.dlq", "embed.retry.200ms", "embed.retry.1s"] {
        assert_eq!(
            rig.records(topic).await.len(),
            0,
            "an outage uses up no attempt and kills nothing: {topic}"
        );
    }
    assert!(worker.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_pauses_the_stage_and_the_ladder_is_not_climbed_to_its_end() {
    let pipeline = EMBED.replace("max_attempts: 50", "max_attempts: 4");
    let Some(rig) = Rig::new("down", &pipeline, "").await else { return };
    rig.faults(json!({ "server_error": 1.0 })).await;
    let mut worker = rig.worker(&[]).await;
    rig.send(jobs(&rig.topic("in"), 200)).await;
    paused_for(&worker, "llm.unavailable").await;
    rig.faults(json!({ "server_error": 0.0 })).await;
    eventually("all jobs are indexed", async || (rig.jobs("index", "done").await == 200).then_some(())).await;
    assert_eq!(rig.records("embed.dlq").await.len(), 0);
    assert!(worker.terminate().await.success());
}
