//! How far stages are behind, as the program tells it, beside what was sent and done.

use serde_json::{Value, json};

use super::{EMBED, jobs};
use crate::rig::{Rig, eventually};

async fn parts(rig: &Rig) -> Vec<Value> {
    let told = rig.ask(&["lag", "--stage", "embed", "-o", "json"]).await;
    told["stages"][0]["parts"].as_array().unwrap_or_else(|| panic!("{told}")).clone()
}

/// Records that are left in the lane.
fn left(parts: &[Value], lane: &str) -> u64 {
    parts.iter().filter(|part| part["lane"] == lane).filter_map(|part| part["lag"].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_is_known_when_nobody_runs_the_stage_and_waiting_records_are_told_apart() {
    let pipeline = EMBED.replacen("base: 200ms, factor: 2, cap: 1s", "base: 5m, factor: 2, cap: 5m", 1);
    let pipeline = pipeline.replacen("rungs: [200ms, 1s]", "rungs: [5m]", 1).replacen(
        "max_elapsed: 5m",
        "max_elapsed: 6h",
        1,
    );
    let Some(rig) = Rig::new("lag", &pipeline, "").await else { return };
    rig.send(jobs(&rig.topic("in"), 12)).await;
    let stage = rig.ask(&["lag", "--stage", "embed", "-o", "json"]).await["stages"][0].clone();
    assert_eq!(
        (&stage["members"], left(stage["parts"].as_array().expect("parts"), "input")),
        (&json!(0), 12)
    );
    let oldest =
        stage["parts"].as_array().expect("parts").iter().find(|part| part["lag"] != 0).expect("a part");
    assert!(oldest["oldest"].is_string(), "{oldest}");

    let mut worker = rig.worker(&[]).await;
    let done = async || (left(&parts(&rig).await, "input") == 0).then_some(());
    eventually("nothing is left, marks of transactions do not count", done).await;

    rig.faults(json!({ "marked": "quarantine" })).await;
    let more = (12..15).map(|n| {
        let value = json!({
            "document": { "id": format!("doc-{n}"), "tenant": "acme", "version": 1 }, "part": 0, "parts": 1,
            "passages": [{ "ordinal": 0, "text": format!("Passage {n} speaks of quarantine.") }],
        });
        crate::rig::record(&rig.topic("in"), &[("job-id", &format!("job-{n}"))], &value)
    });
    rig.send(more.collect()).await;
    let waits = async || {
        let parts = parts(&rig).await;
        (left(&parts, "rung") == 3 && left(&parts, "input") == 0).then_some(parts)
    };
    let waiting = eventually("they wait on their rung", waits).await;
    let due = waiting.iter().find(|part| part["lane"] == "rung" && part["lag"] != 0).expect("a part");
    assert!(due["due"].as_str() > due["oldest"].as_str(), "{due}");
    assert_eq!(due["rung"], "5m");

    rig.reconfigure("http: {", "ops: { listen: '127.0.0.1:0' }\nhttp: {");
    let mut ops = rig.serve("ops", &[]).await;
    eventually("the metrics say it", async || {
        let text = ops.metrics().await;
        let waiting: f64 = text
            .lines()
            .filter(|line| line.starts_with("lazaret_lag_records{") && line.contains("lane=\"rung\""))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum();
        let is_ok = text.lines().any(|line| {
            line.starts_with("lazaret_lag_state{")
                && line.contains("stage=\"embed\",state=\"ok\"")
                && line.ends_with(" 1")
        });
        (waiting == 3.0 && is_ok).then_some(())
    })
    .await;
    assert!(ops.terminate().await.success());
    assert!(worker.terminate().await.success());
}
