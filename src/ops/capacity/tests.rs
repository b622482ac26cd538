//! Examples that were computed by hand.

use std::collections::BTreeMap;

use super::*;
use crate::config::Config;
use crate::flow::Code;

fn work() -> Work {
    Work {
        rate: 50.0,
        time: 2.0,
        failing: 0.0,
        dying: 0.0,
        record: 4 << 10,
        backlog: 0,
        within: None,
        busy: 0.7,
        provider: Provider::default(),
    }
}

fn set() -> Set {
    Set {
        concurrency: 32,
        window: 1024,
        held: 80 << 20,
        partitions: 6,
        replication: 3,
        retention: Some(7.0 * DAY),
        waiting_retention: Some(7.0 * DAY),
        dlq_retention: None,
        code: None,
        waits: vec![1.0, 10.0, 60.0],
        others: BTreeMap::new(),
    }
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-6 * one.abs().max(other.abs()).max(1.0)
}

#[test]
fn fifty_a_second_of_two_seconds_each_are_a_hundred_in_flight() {
    let capacity = plan(&work(), &set(), None);
    assert!(near(capacity.in_flight, 100.0));
    // 100 / 0.7 = 142.86; 143 / 32 = 4.47, and five do not share six partitions evenly; 143 / 6 = 23.8.
    assert_eq!((capacity.places, capacity.replicas, capacity.partitions, capacity.window), (143, 6, 6, 24));
    // 6 × 32 / 2.
    assert!(near(capacity.rate_max, 96.0));
    assert_eq!(capacity.advice, Vec::<String>::new());
}

#[test]
fn partitions_are_whole_so_that_five_processes_do_as_much_of_six_as_three() {
    let five = plan(&work(), &set(), Some(5));
    // One has two of the six: 3 × 32 / 2 s.
    assert!(near(five.rate_max, 48.0) && five.drain == Some(0.0));
    assert!(five.advice.iter().any(|line| line.contains("6 processes are needed")), "{:?}", five.advice);
    assert!(near(plan(&work(), &set(), Some(3)).rate_max, 48.0));
    assert!(near(plan(&work(), &set(), Some(7)).rate_max, 96.0), "one has none");
}

#[test]
fn what_is_planned_to_the_last_place_needs_no_more_than_little_says() {
    let capacity = plan(&Work { busy: 1.0, rate: 48.0, ..work() }, &set(), None);
    assert_eq!((capacity.places, capacity.replicas), (96, 3));
}

#[test]
fn failures_cost_attempts_until_the_ladder_ends() {
    // Of three waits: 1 + 0.5 + 0.25 + 0.125 attempts, and 0.5⁴ give up.
    let capacity = plan(&Work { failing: 0.5, ..work() }, &set(), None);
    assert!(near(capacity.attempts, 1.875));
    assert!(near(capacity.dead, 0.0625));
    assert!(near(capacity.in_flight, 187.5));
    // 50 × (0.5 × 1 + 0.25 × 10 + 0.125 × 60).
    assert!(near(capacity.waiting, 525.0));
    // 0.1 of each of 1.875 attempts dies at once, besides.
    let dying = plan(&Work { failing: 0.5, dying: 0.1, ..work() }, &set(), None);
    assert!(near(dying.dead, 0.25));
    assert!(near(dying.dead_per_day, 50.0 * 0.25 * 86_400.0));
}

#[test]
fn whatever_becomes_of_a_record_adds_up_to_one() {
    for (failing, dying) in [(0.0, 0.0), (0.2, 0.1), (0.9, 0.1), (0.5, 0.5)] {
        let capacity = plan(&Work { failing, dying, ..work() }, &set(), None);
        let done = (1.0 - failing - dying) * capacity.attempts;
        assert!(near(done + capacity.dead, 1.0), "{failing} {dying}");
    }
}

#[test]
fn the_least_of_a_providers_limits_counts() {
    // 600 / 60 = 10; 90,000 / 60 / 1,000 = 1.5; 8 / 2 s = 4.
    let provider = Provider {
        calls_per_minute: Some(600.0),
        tokens_per_minute: Some(90_000.0),
        tokens: Some(1_000.0),
        calls_at_once: Some(8),
    };
    let capacity = plan(&Work { provider, ..work() }, &set(), None);
    assert_eq!(capacity.ceiling, Some(1.5));
    assert!(near(capacity.rate_max, 1.5));
    assert!(
        capacity.advice[0].contains("1.50 calls a second through and 50.00 are wanted"),
        "{:?}",
        capacity.advice
    );
    let at_once = Provider { calls_at_once: Some(8), ..Provider::default() };
    assert_eq!(plan(&Work { provider: at_once, ..work() }, &set(), None).ceiling, Some(4.0));
}

#[test]
fn a_backlog_is_drained_by_what_new_records_leave() {
    // 6 processes do 96 a second, 50 come: 46 are left for 82,800 records.
    let capacity = plan(&Work { backlog: 82_800, ..work() }, &set(), None);
    assert!(near(capacity.drain.unwrap(), 1_800.0));
    // In ten minutes: 54,000 / 600 s = 90 more, 140 × 2 s = 280 in flight, 400 places.
    let hurried = plan(&Work { backlog: 54_000, within: Some(600.0), ..work() }, &set(), None);
    assert!(near(hurried.in_flight, 280.0));
    assert_eq!((hurried.places, hurried.replicas), (400, 13));
    assert!(hurried.advice.iter().any(|line| line.contains("raise `partitions` of the input to 13")));
    // Six of thirteen have partitions: 6 × 32 / 2 s = 96.
    assert!(near(hurried.rate_max, 96.0));
    let never = plan(&Work { backlog: 1, ..work() }, &set(), Some(3));
    assert_eq!(never.drain, None);
    assert!(never.advice.iter().any(|line| line.contains("6 processes are needed")), "{:?}", never.advice);
    assert!(never.advice.iter().any(|line| line.contains("never becomes less")), "{:?}", never.advice);
    assert_eq!(plan(&work(), &set(), Some(3)).drain, Some(0.0), "there is none");
}

#[test]
fn kafka_keeps_what_came_for_its_time_in_every_replica() {
    let half = Work { failing: 0.5, ..work() };
    let disk = plan(&half, &set(), None).disk;
    // 50 × 4 KiB × 3 × 7 days.
    assert!(near(disk.input.unwrap(), 50.0 * 4096.0 * 3.0 * 7.0 * 86_400.0));
    // 0.875 waits of a record, of 5 KiB each.
    assert!(near(disk.rungs.unwrap(), 50.0 * 0.875 * 5120.0 * 3.0 * 7.0 * 86_400.0));
    // 0.0625 of them dead, of 14 KiB each.
    assert!(near(disk.dead_per_day, 50.0 * 0.0625 * 14_336.0 * 3.0 * 86_400.0));
    assert_eq!(disk.dead, None);
    let bounded = plan(&half, &Set { dlq_retention: Some(30.0 * DAY), ..set() }, None).disk;
    assert!(near(bounded.dead.unwrap(), bounded.dead_per_day * 30.0));
}

#[test]
fn memory_is_bounded_by_windows_or_by_bytes() {
    // Two partitions of 1,024 records of 4 KiB are 8 MiB; fetched 1 MiB; running 32 × 4 KiB × 2.
    let small = plan(&work(), &set(), Some(3)).memory;
    assert_eq!(small, (120 << 20) + (8 << 20) + (1 << 20) + (256 << 10));
    // Of 1 MiB each they would be 2 GiB, and 80 MiB may be held; running 64 MiB.
    let large = plan(&Work { record: 1 << 20, ..work() }, &set(), Some(3));
    assert_eq!(large.memory, (120 << 20) + (80 << 20) + (1 << 20) + (64 << 20));
}

#[test]
fn the_configuration_says_the_rest() {
    let text = "version: 1\nkafka: { bootstrap: 'localhost:9092' }\nproviders: { p: { base_url: 'http://127.0.0.1/v1' } }\n\
                pipelines:\n  a:\n    input: { topic: in, partitions: 12 }\n    output: { topic: out }\n    retention: 2d\n    \
                replication: 2\n    dlq_retention: 30d\n    \
                retry: { max_attempts: 4, base: 1s, factor: 3, cap: 10m, max_elapsed: 1h, rungs: [1s, 5s, 1m] }\n    \
                stages:\n      - { name: embed, kind: { embed: { provider: p, model: m } }, concurrency: 8, window: 100 }\n      \
                - { name: index, kind: index }\n";
    let config = Config::parse(text, "lazaret.yaml").expect("a configuration");
    let set = set_of(&config);
    assert_eq!((set.concurrency, set.window, set.partitions, set.replication), (8, 100, 12, 2));
    assert_eq!(set.waits, [1.0, 3.0, 9.0], "four attempts have three waits between them");
    assert_eq!(
        (set.retention, set.waiting_retention, set.dlq_retention),
        (Some(2.0 * DAY), Some(7.0 * DAY), Some(30.0 * DAY))
    );
    assert_eq!(super::set(&config, "a", "no-such", None), None);
}

#[test]
fn what_fails_with_a_code_that_has_limits_of_its_own_waits_by_these() {
    let text = "version: 1\nkafka: { bootstrap: 'localhost:9092' }\nproviders: { p: { base_url: 'http://127.0.0.1/v1' } }\n\
                pipelines:\n  a:\n    input: { topic: in }\n    output: { topic: out }\n    \
                retry: { max_attempts: 4, base: 1s, factor: 3, rungs: [1s, 5s, 1m], \
                overrides: { llm.server_error: { max_attempts: 2 } } }\n    \
                stages:\n      - { name: embed, kind: { embed: { provider: p, model: m } } }\n";
    let config = Config::parse(text, "lazaret.yaml").expect("a configuration");
    let all = set_of(&config);
    assert_eq!(all.waits, [1.0, 3.0, 9.0]);
    assert_eq!(all.others, BTreeMap::from([(Code::LlmServerError, 1)]));
    let one = super::set(&config, "a", "embed", Some(Code::LlmServerError)).expect("a stage");
    assert_eq!(one.waits, [1.0]);
    let failing = Work { failing: 0.1, ..work() };
    let is_said = |set: &Set| {
        plan(&failing, set, None).advice.iter().any(|line| line.contains("llm.server_error (up to 1"))
    };
    assert!(is_said(&all) && !is_said(&one));
}

#[test]
fn what_is_kept_for_ever_has_no_bound_and_is_not_nothing() {
    let for_ever = plan(&work(), &Set { retention: None, ..set() }, None);
    assert_eq!(for_ever.disk.input, None);
    assert!(for_ever.advice.iter().any(|line| line.contains("kept for ever")), "{:?}", for_ever.advice);
}

fn set_of(config: &Config) -> Set {
    super::set(config, "a", "embed", None).expect("a stage")
}
