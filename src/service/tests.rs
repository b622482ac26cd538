use std::time::Duration;

use super::*;
use crate::config::Ordering;
use crate::stage::own::{Fault, Outputs, Record};

async fn nothing(_: Record) -> Result<Outputs, Fault> {
    Ok(Outputs::none())
}

fn builder() -> Builder {
    Service::builder("orders", "enrich").bootstrap("localhost:9092").input("orders").stage(nothing)
}

fn wrong(builder: Builder) -> Vec<String> {
    match builder.build() {
        Ok(_) => Vec::new(),
        Err(Error::Settings(settings)) => settings.into_iter().map(|setting| setting.place).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_service_shows_the_names_of_its_topics_and_a_sink_has_no_output() {
    let rungs = [Duration::from_secs(1), Duration::from_secs(60)];
    let service = builder().ladder(Ladder::rungs(rungs)).group("enrichers").build().unwrap();
    let topics = service.topics().unwrap();
    let rungs: Vec<&str> = topics.rungs.iter().map(|rung| rung.topic.as_str()).collect();
    assert_eq!((topics.group.as_str(), topics.next.as_deref()), ("enrichers", None));
    assert_eq!(rungs, ["orders.enrich.retry.1s", "orders.enrich.retry.1m"]);
    assert_eq!(topics.dlq, "orders.enrich.dlq");
}

#[test]
fn all_that_is_wrong_is_told_at_once_by_the_names_of_the_builders_methods() {
    let without = Service::builder("orders", "enrich").in_flight(0).static_membership();
    let places = wrong(without.property("acks", "1").ladder(Ladder::rungs([])));
    for place in
        ["stage", "bootstrap", "input", "in_flight", "static_membership", "property acks", "ladder.rungs"]
    {
        assert!(places.iter().any(|told| told == place), "{place} in {places:?}");
    }
    assert_eq!(wrong(builder().output("orders")), ["output"]);
    assert_eq!(wrong(builder().in_flight(1000)), [""; 0], "the window follows");
    assert_eq!(wrong(builder().in_flight(1000).window(10)), ["in_flight"]);
}

#[test]
fn an_order_needs_a_ledger() {
    assert_eq!(wrong(builder().ordering(Ordering::Key)), ["ordering"]);
    assert_eq!(wrong(builder().ordering(Ordering::Key).sqlite_ledger("/tmp/l.db")), [""; 0]);
}

#[test]
fn a_message_has_the_place_the_cause_and_the_remedy() {
    let error = builder().ordering(Ordering::Key).build().err().unwrap();
    let text = error.to_string();
    assert!(text.starts_with("ordering: ") && text.contains("sqlite_ledger(path)"), "{text}");
}
