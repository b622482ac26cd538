//! What belongs to the life of a job, and what it has cost.

use super::*;
use crate::ops::dlq::fixture;

fn event(stage: &str, kind: &str) -> Event {
    Event { stage: stage.into(), ..fixture::event(kind) }
}

fn config() -> Config {
    let yaml = "version: 1
kafka: { bootstrap: 'localhost:9092' }
pipelines:
  rag:
    input: { topic: d }
    output: { topic: i }
    stages: [ { name: parse, kind: parse }, { name: embed, kind: { embed: { provider: local, model: small } } } ]
";
    serde_saphyr::from_str(yaml).expect("a valid configuration")
}

#[test]
fn a_life_is_that_of_the_job_of_those_it_comes_from_and_of_those_that_come_from_it() {
    for (job, expected) in [
        ("a", true),
        ("a/1", true),
        ("a/1/2", true),
        ("a/1/2/3", true),
        ("a/2", false),
        ("a/12", false),
        ("b", false),
    ] {
        assert_eq!(is_kin(job, "a/1/2"), expected, "{job}");
    }
}

#[test]
fn attempts_are_counted_and_those_at_stages_that_ask_a_provider_are_told_apart() {
    let events = [
        ("parse", "started"),
        ("parse", "done"),
        ("embed", "started"),
        ("embed", "waiting"),
        ("embed", "started"),
    ];
    let events = events.map(|(stage, kind)| event(stage, kind)).to_vec();
    let cost = Cost::of(&config(), &Life { events, ..Life::default() }, None);
    assert_eq!((cost.attempts, cost.tokens), (Some(3), None));
    let asked = Asked {
        pipeline: "rag".into(),
        stage: "embed".into(),
        provider: "local".into(),
        model: "small".into(),
        attempts: 2,
    };
    assert_eq!(cost.asked, [asked]);
}

#[test]
fn without_a_ledger_nothing_is_made_up() {
    let life = Life { unread: Some("there is none".into()), ..Life::default() };
    assert_eq!(Cost::of(&config(), &life, None), Cost::default());
}
