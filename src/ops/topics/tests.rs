//! What is found to differ, and what is left alone.

use super::*;
use crate::kafka::admin::Setting;

fn plan(purpose: Purpose) -> TopicPlan {
    TopicPlan {
        name: "p.s".into(),
        purpose,
        partitions: 6,
        replication: Some(3),
        retention: Some(Span::secs(60)),
        message_max: Size::kib(64),
    }
}

fn state(plan: &TopicPlan) -> TopicState {
    let setting = |(name, value): (&str, String)| (name.to_owned(), Setting { value, on_topic: true });
    TopicState {
        partitions: plan.partitions,
        replication: plan.replication.unwrap_or(1),
        configs: Some(plan.configs().into_iter().map(setting).collect()),
    }
}

fn changes(plan: &TopicPlan, state: Option<TopicState>) -> TopicDrift {
    let cluster = state.map(|s| (plan.name.clone(), s)).into_iter().collect();
    compare(std::slice::from_ref(plan), &cluster).remove(0)
}

#[test]
fn a_topic_that_is_as_planned_has_no_changes() {
    let plan = plan(Purpose::Stage);
    let drift = changes(&plan, Some(state(&plan)));
    assert!(drift.changes.is_empty() && !drift.is_drift());
}

#[test]
fn a_missing_topic_is_created_even_when_it_is_shared() {
    for purpose in [Purpose::Stage, Purpose::Input] {
        let drift = changes(&plan(purpose), None);
        assert!(matches!(drift.changes.as_slice(), [Change::Create { partitions: 6, .. }]));
        assert!(drift.is_drift());
    }
}

#[test]
fn a_setting_with_another_value_is_set() {
    let plan = plan(Purpose::Dlq);
    let mut state = state(&plan);
    if let Some(setting) = state.configs.as_mut().and_then(|c| c.get_mut("retention.ms")) {
        setting.value = "1000".into();
    }
    let drift = changes(&plan, Some(state));
    let wanted = Change::Set { name: "retention.ms".into(), from: Some("1000".into()), to: "60000".into() };
    assert_eq!(drift.changes, [wanted]);
}

#[test]
fn too_few_partitions_can_grow_and_too_many_cannot_shrink() {
    let plan = plan(Purpose::Rung);
    let few = changes(&plan, Some(TopicState { partitions: 2, ..state(&plan) }));
    assert_eq!(few.changes, [Change::Grow { from: 2, to: 6 }]);
    let many = changes(&plan, Some(TopicState { partitions: 9, ..state(&plan) }));
    assert!(matches!(many.changes.as_slice(), [Change::Leave { .. }]) && many.is_drift());
}

#[test]
fn a_shared_topic_that_differs_is_left_to_its_owner_and_is_no_drift() {
    let plan = plan(Purpose::Output);
    let state = TopicState { partitions: 1, replication: 1, configs: Some(BTreeMap::new()) };
    let drift = changes(&plan, Some(state));
    assert!(drift.changes.iter().all(|c| matches!(c, Change::Leave { .. })));
    assert!(drift.changes.len() >= 3 && !drift.is_drift());
}

#[test]
fn settings_that_cannot_be_read_are_said_to_be_so() {
    let plan = plan(Purpose::Stage);
    let drift = changes(&plan, Some(TopicState { configs: None, ..state(&plan) }));
    assert_eq!(drift.changes.len(), 1);
    assert!(drift.changes[0].to_string().contains("DescribeConfigs"));
}
