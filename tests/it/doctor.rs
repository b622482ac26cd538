//! `lazaret doctor` on a real Kafka: what is well is said to be so, and what is not is named with what to do about it.

use serde_json::{Value, json};

use crate::rig::Rig;
use crate::run::EMBED;

/// What was found of this kind.
fn of(report: &Value, what: &str) -> Vec<(String, String)> {
    let findings = report["findings"].as_array().expect("findings").iter();
    let of = findings.filter(|finding| finding["what"] == what);
    let told = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_owned();
    of.map(|finding| (told(finding, "health"), told(finding, "found"))).collect()
}

async fn report(rig: &Rig, ends_with: i32) -> Value {
    let output = rig.output(&["doctor", "-o", "json"]).await;
    assert_eq!(output.status.code(), Some(ends_with), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_or_is_not_there_is_named() {
    let Some(rig) = Rig::new("doctor", EMBED, "").await else { return };
    let well = report(&rig, 0).await;
    for what in ["kafka", "topics", "provider", "ledger", "disk", "clock"] {
        let found = of(&well, what);
        assert!(!found.is_empty() && found.iter().all(|(health, _)| health == "ok"), "{what}: {well}");
    }
    let groups = of(&well, "groups");
    assert_eq!(groups.len(), 2);
    assert!(groups.iter().all(|(health, found)| health == "warning" && found.starts_with("nobody runs")));
    assert_eq!(well["health"], "warning");

    let mut worker = rig.worker(&[]).await;
    assert!(of(&report(&rig, 0).await, "groups").iter().all(|(health, _)| health == "ok"));
    assert!(worker.terminate().await.success());

    rig.faults(json!({ "unauthorized": 1.0 })).await;
    let refused = of(&report(&rig, 1).await, "provider");
    assert_eq!(refused[0].0, "failed");
    assert!(refused[0].1.contains("llm.unauthorized"), "{refused:?}");
    let unasked = rig.ask(&["doctor", "--no-calls", "-o", "json"]).await;
    assert!(of(&unasked, "provider").is_empty());

    rig.reconfigure("rungs: [200ms, 1s]", "rungs: [200ms, 1s, 7s]");
    let missing = of(&report(&rig, 1).await, "topics");
    assert_eq!(missing[0].0, "failed");
    assert!(missing[0].1.starts_with("2 are not there") && missing[0].1.contains("retry.7s"), "{missing:?}");
}
