//! Topics as code, against a real Kafka: what is planned, applied and found to have drifted.

use lazaret::flow::Topology;
use lazaret::kafka::admin::Admin;
use lazaret::ops::topics::{Change, Outcome, apply, drift};

use crate::rig::eventually;
use crate::support::{bootstrap, config, unique};

fn yaml(pipeline: &str, partitions: u32, dlq_retention: &str) -> String {
    format!(
        "version: 1
kafka: {{ bootstrap: '{{kafka}}' }}
pipelines:
  {pipeline}:
    input: {{ topic: {pipeline}-in }}
    output: {{ topic: {pipeline}-out }}
    partitions: {partitions}
    dlq_retention: {dlq_retention}
    retry: {{ rungs: [1s, 5s] }}
    stages:
      - {{ name: validate, kind: validate }}
      - {{ name: parse, kind: parse }}
"
    )
}

#[tokio::test]
async fn apply_makes_every_topic_and_then_there_is_no_drift() {
    let Some(kafka) = bootstrap() else { return };
    let config = config(&kafka, &yaml(&unique("apply"), 2, "30d"));
    let planned = drift(&config).await.expect("a plan");
    assert!(planned.iter().all(|t| matches!(t.changes.as_slice(), [Change::Create { .. }])));

    let applied = apply(&config, false).await.expect("applied");
    assert_eq!(applied.len(), Topology::derive(&config).topics.len());
    assert!(applied.iter().all(|a| a.outcome == Outcome::Done), "{applied:#?}");
    let left: Vec<_> = drift(&config).await.expect("a plan").into_iter().filter(|t| t.is_drift()).collect();
    assert_eq!(left, []);
}

#[tokio::test]
async fn a_changed_setting_is_set_and_the_settings_of_others_stay() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("alter");
    let before = config(&kafka, &yaml(&name, 1, "30d"));
    apply(&before, false).await.expect("applied");
    let dlq = format!("{name}.parse.dlq");
    let admin = Admin::new(&before.kafka, "test").expect("an admin client");
    admin.alter(&dlq, &[("segment.ms", "3600000")]).await.expect("a setting of somebody else");

    let after = config(&kafka, &yaml(&name, 1, "31d"));
    let applied = apply(&after, false).await.expect("applied");
    assert_eq!(applied.len(), 2, "one change for each dlq: {applied:#?}");
    assert!(applied.iter().all(|a| a.outcome == Outcome::Done));
    // A broker learns of it a moment after the controller has said that it is done.
    let settings = eventually("the change is seen", async || {
        let state = admin.describe(&[&dlq]).await.expect("described").remove(&dlq).expect("the topic");
        state.configs.filter(|settings| settings["retention.ms"].value == "2678400000")
    });
    let settings = settings.await;
    assert_eq!(settings["segment.ms"].value, "3600000");
    assert_eq!(settings["message.timestamp.type"].value, "CreateTime");
}

#[tokio::test]
async fn partitions_grow_only_when_that_is_asked_for() {
    let Some(kafka) = bootstrap() else { return };
    let name = unique("grow");
    apply(&config(&kafka, &yaml(&name, 1, "30d")), false).await.expect("applied");
    let more = config(&kafka, &yaml(&name, 3, "30d"));
    let partitions = async || {
        let admin = Admin::new(&more.kafka, "test").expect("an admin client");
        admin.list().await.expect("listed")[&format!("{name}.parse")].partitions
    };

    let skipped = apply(&more, false).await.expect("applied");
    let grow = skipped.iter().filter(|a| matches!(a.change, Change::Grow { .. }));
    assert!(grow.clone().count() > 0 && grow.clone().all(|a| matches!(a.outcome, Outcome::Skipped(_))));
    assert_eq!(partitions().await, 1);
    apply(&more, true).await.expect("applied");
    assert_eq!(partitions().await, 3);
}
