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
    let cost = Cost::of(&config(), &Life { events, ..Life::default() }, &[]);
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
    assert_eq!(Cost::of(&config(), &life, &[]), Cost::default());
}

#[test]
fn what_was_taken_each_time_that_it_died_adds_up_and_costs_what_each_stage_does() {
    let price =
        "  local:\n    prices: { lazaret-extract: { input: 1, output: 2 }, lazaret-embed: { input: 3 } }\n";
    let text = include_str!("../../../../lazaret.yaml").replace("  local:\n", price);
    let config = Config::parse(&text, "lazaret.yaml").expect("a configuration");
    let death = |stage: &str, spent| {
        let mut death = fixture::known(60);
        (death.entry.pipeline, death.entry.stage, death.entry.spent) =
            ("rag-answer".into(), stage.into(), spent);
        death
    };
    let took = |input, output| Some(Spent { input, output, calls: 1 });
    let mut deaths = vec![
        death("generate", took(1_000_000, 500_000)),
        death("generate", None),
        death("retrieve", took(1_000_000, 0)),
    ];
    let cost = Cost::of(&config, &Life::default(), &deaths);
    assert_eq!(cost.tokens, Some(Spent { input: 2_000_000, output: 500_000, calls: 2 }));
    assert_eq!(cost.price.expect("known").amount.to_string(), "5.00");
    deaths.push(death("validate", took(1, 1)));
    assert_eq!(
        Cost::of(&config, &Life::default(), &deaths).price,
        None,
        "nobody knows what that was paid to"
    );
}
