//! Names and plans that follow from a configuration.

use proptest::prelude::*;

use super::*;

fn config(yaml: &str) -> Config {
    serde_saphyr::from_str(yaml).expect("a valid configuration")
}

fn two_stages() -> Config {
    config(
        "version: 1
kafka: { bootstrap: 'localhost:9092' }
pipelines:
  rag:
    input: { topic: documents, partitions: 3 }
    output: { topic: indexed }
    record_max: 2MiB
    retry: { rungs: [500ms, 90s, 1h] }
    stages:
      - { name: validate, kind: validate }
      - { name: parse, kind: parse, partitions: 12, retry: { rungs: [5s], max_elapsed: 30d } }
",
    )
}

fn setting(topology: &Topology, topic: &str, name: &str) -> Option<String> {
    let configs = topology.topic(topic).map(TopicPlan::configs).unwrap_or_default();
    configs.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
}

#[test]
fn the_first_stage_reads_the_input_and_the_last_writes_the_output() {
    let topology = Topology::derive(&two_stages());
    let [validate, parse] = topology.stages.as_slice() else { panic!("two stages") };
    assert_eq!((validate.input.as_str(), validate.next.as_deref()), ("documents", Some("rag.parse")));
    assert_eq!((parse.input.as_str(), parse.next.as_deref()), ("rag.parse", Some("indexed")));
    assert!(validate.input_is_shared && !validate.next_is_shared);
    assert!(!parse.input_is_shared && parse.next_is_shared);
}

#[test]
fn names_say_pipeline_stage_and_purpose() {
    let topology = Topology::derive(&two_stages());
    let stage = topology.stage("rag", "validate").expect("the stage");
    assert_eq!(stage.group, "lazaret.rag.validate");
    let rungs: Vec<_> = stage.rungs.iter().map(|r| (r.topic.as_str(), r.delay.as_millis())).collect();
    let expected = [
        ("rag.validate.retry.500ms", 500),
        ("rag.validate.retry.90s", 90_000),
        ("rag.validate.retry.1h", 3_600_000),
    ];
    assert_eq!(rungs, expected);
    assert_eq!(stage.redrive, "rag.validate.redrive");
    assert_eq!(stage.dlq, "rag.validate.dlq");
}

#[test]
fn one_consumer_serves_input_rungs_and_redrive_but_never_the_dlq() {
    let topology = Topology::derive(&two_stages());
    let parse = topology.stage("rag", "parse").expect("the stage");
    assert_eq!(parse.read(), ["rag.parse", "rag.parse.retry.5s", "rag.parse.redrive"]);
    assert!(parse.is_own("rag.parse.retry.5s") && parse.is_own("rag.parse.redrive"));
    assert!(!parse.is_own("rag.parse") && !parse.is_own("rag.validate.retry.1h"));
}

#[test]
fn partitions_come_from_the_nearest_place_that_names_them() {
    let topology = Topology::derive(&two_stages());
    let partitions = |name: &str| topology.topic(name).map(|t| t.partitions);
    assert_eq!(partitions("documents"), Some(3));
    assert_eq!(partitions("indexed"), Some(6));
    assert_eq!(partitions("rag.parse"), Some(12));
    assert_eq!(partitions("rag.parse.dlq"), Some(12));
    assert_eq!(partitions("rag.validate.retry.1h"), Some(3), "a record keeps its partition on its rung");
}

#[test]
fn a_dead_letter_topic_has_room_for_the_largest_record_and_its_error_headers() {
    let topology = Topology::derive(&two_stages());
    let size = |name: &str| topology.topic(name).map(|t| t.message_max.0).unwrap_or_default();
    assert_eq!(size("rag.parse"), 2 << 20);
    for name in ["rag.parse.dlq", "rag.parse.retry.5s", "rag.parse.redrive"] {
        assert_eq!(size(name), size("rag.parse") + HEADER_ROOM.0, "{name}");
    }
    assert_eq!(topology.message_max().0, size("rag.parse.dlq"));
    assert_eq!(topology.batch_max().0, size("rag.parse"));
}

#[test]
fn a_rung_outlives_the_longest_wait_by_far() {
    let topology = Topology::derive(&two_stages());
    let retention = |name: &str| topology.topic(name).and_then(|t| t.retention);
    assert_eq!(retention("rag.validate.retry.1h"), Some(WAITING_RETENTION_MIN));
    assert_eq!(retention("rag.parse.retry.5s"), Some(Span::secs(60 * 86_400)));
}

#[test]
fn a_waiting_record_is_kept_from_the_time_it_arrives() {
    let topology = Topology::derive(&two_stages());
    for name in ["rag.parse.retry.5s", "rag.parse.redrive"] {
        assert_eq!(
            setting(&topology, name, "message.timestamp.type").as_deref(),
            Some("LogAppendTime"),
            "{name}"
        );
    }
    for name in ["documents", "rag.parse", "indexed"] {
        assert_eq!(setting(&topology, name, "message.timestamp.type"), None, "{name}");
    }
}

#[test]
fn a_dead_letter_has_its_own_time_and_is_kept_for_ever_unless_the_configuration_says_otherwise() {
    let mut config = two_stages();
    let of_dlq = |config: &Config, name| setting(&Topology::derive(config), "rag.parse.dlq", name);
    assert_eq!(of_dlq(&config, "message.timestamp.type").as_deref(), Some("CreateTime"));
    assert_eq!(of_dlq(&config, "retention.ms").as_deref(), Some("-1"));
    config.pipelines.get_mut("rag").expect("the pipeline").dlq_retention = Some(Span::secs(86_400));
    assert_eq!(of_dlq(&config, "retention.ms").as_deref(), Some("86400000"));
}

#[test]
fn a_topic_that_two_pipelines_share_gets_the_larger_demand_of_each() {
    let mut first = two_stages();
    let mut second = first.pipelines["rag"].clone();
    second.input.topic = "indexed".into();
    second.output.as_mut().unwrap().topic = "done".into();
    second.record_max = Size::mib(5);
    second.partitions = 2;
    first.pipelines.insert("after".into(), second);
    let topology = Topology::derive(&first);
    let shared = topology.topic("indexed").expect("the shared topic");
    assert_eq!((shared.partitions, shared.message_max), (6, Size::mib(5)));
    assert!(shared.is_shared());
}

#[test]
fn names_that_kafka_refuses_are_told() {
    assert_eq!(name_problem("rag-ingest.parse_1.retry.5s"), None);
    for bad in ["", ".", "..", "a b", "日本", &"x".repeat(250)] {
        assert!(name_problem(bad).is_some(), "{bad}");
    }
}

proptest! {
    #[test]
    fn every_topic_of_a_stage_is_planned_exactly_once(
        stages in prop::collection::btree_set("[a-z]{1,8}", 1..6),
        rungs in prop::collection::btree_set(1u64..100_000, 0..6),
    ) {
        let mut config = two_stages();
        let pipeline = config.pipelines.get_mut("rag").expect("the pipeline");
        let template = pipeline.stages[0].clone();
        pipeline.stages = stages.iter().map(|name| Stage { name: name.clone(), ..template.clone() }).collect();
        pipeline.retry.rungs = rungs.iter().map(|ms| Span::millis(*ms)).collect();
        let topology = Topology::derive(&config);

        // Input, output and operations; the inputs of later stages; rungs, redrive and dead letters of each.
        prop_assert_eq!(topology.topics.len(), 3 + (stages.len() - 1) + stages.len() * (rungs.len() + 2));
        for stage in &topology.stages {
            for name in stage.read().into_iter().chain([stage.dlq.as_str()]).chain(stage.next.as_deref()) {
                prop_assert_eq!(topology.topics.iter().filter(|t| t.name == name).count(), 1, "{}", name);
                prop_assert_eq!(name_problem(name), None);
            }
            prop_assert!(stage.rungs.is_sorted_by_key(|r| r.delay));
        }
        for (stage, next) in topology.stages.iter().zip(topology.stages.iter().skip(1)) {
            prop_assert_eq!(stage.next.as_ref(), Some(&next.input));
        }
        for rung in topology.topics.iter().filter(|t| t.purpose == Purpose::Rung) {
            prop_assert!(rung.retention >= Some(WAITING_RETENTION_MIN));
        }
    }
}
