//! Followers of failing records: which are parked and when, when they begin, and how the parking topic is turned over.

use super::driver::*;
use super::order::{back, keys, ordered, park, parked, redrive};
use crate::flow::Code;
use crate::flow::engine::*;
use crate::flow::offsets::Committed;

#[test]
fn a_parked_record_has_no_turn_before_the_input_was_read_beyond_it() {
    let mut d = ordered(true, false);
    assert_eq!(starts(&back(&mut d, park(0), 0, 1, 2)), [0; 0]);
    assert_eq!(keys(&mut d, 0, &[1]), [1]);
    assert_eq!(starts(&d.done(1)), [0; 0], "another one of its key may stand at offset 1");
    assert_eq!(keys(&mut d, 1, &[1]), [2]);
    assert_eq!(starts(&d.done(2)), [0; 0]);
    assert_eq!(keys(&mut d, 3, &[2]), [0, 3]);
}

#[test]
fn a_parked_record_waits_for_no_input_that_there_is_not() {
    let mut d = ordered(true, false);
    back(&mut d, park(0), 0, 1, 7);
    back(&mut d, park(0), 1, 2, 1_000);
    let effects = d.tell(Event::CaughtUp(input(0), 5));
    assert_eq!(starts(&effects), [0, 1], "their origins may be of an input that was cut or made anew");
}

/// A stage with a record of key 1 on its rung, and one of key 2 that Kafka does not take.
fn ordered_and_stuck() -> Driver {
    let mut d = ordered(true, false);
    keys(&mut d, 0, &[2, 1]);
    d.ran(0, Ran::Output);
    d.refused(0, Code::OutputUnwritable);
    d.fails(1, Code::LlmTimeout);
    d.published(1);
    d
}

#[test]
fn while_kafka_does_not_take_what_it_is_given_no_follower_is_parked() {
    let mut d = ordered_and_stuck();
    for offset in 2..6 {
        assert_eq!(back(&mut d, input(0), offset, 1, offset), []);
    }
    let effects = d.pass(SECOND);
    assert_eq!((effects.last(), parked(&effects)), (Some(&output(0)), vec![]), "one record tries");
    assert_eq!(parked(&d.published(0)), [5, 4], "now they are");
}

#[test]
fn while_kafka_does_not_take_what_it_is_given_no_parking_partition_is_turned_over() {
    let mut d = ordered_and_stuck();
    for n in 0..16 {
        back(&mut d, park(0), n, 1, n + 2);
    }
    assert_eq!(parked(&d.pass(SECOND * 60)), [0; 0]);
    assert_eq!(parked(&d.published(0))[..1], [2], "it is long due");
}

#[test]
fn a_stage_that_stops_parks_nothing() {
    let mut d = ordered(true, false);
    keys(&mut d, 0, &[1, 1, 1, 1]);
    d.tell(Event::Stop);
    d.fails(0, Code::LlmTimeout);
    assert_eq!(parked(&d.published(0)), [0; 0]);
}

/// Input partition 1, committed below this offset, with these records of the family outstanding.
fn assign(d: &mut Driver, below: i64, outstanding: Vec<(OrderKey, i64)>) {
    let (partition, committed) = (input(1), Some(Committed::bare(below)));
    let assigned = Assigned { partition, lane: Lane::Input, family: 1, committed, outstanding };
    d.tell(Event::Assigned(vec![assigned]));
}

#[test]
fn a_parked_record_that_the_input_was_committed_beyond_begins_at_once() {
    let mut d = ordered(true, false);
    d.assign(park(1), Lane::Park);
    assign(&mut d, 10, vec![]);
    assert_eq!(starts(&back(&mut d, park(1), 0, 1, 9)), [0]);
    assert_eq!(starts(&back(&mut d, park(1), 1, 2, 10)), [0; 0], "that of offset 10 was not read yet");
}

#[test]
fn what_had_begun_before_is_read_however_many_are_elsewhere() {
    let mut d = ordered(true, false);
    assign(&mut d, 0, (0..100).map(|n| (OrderKey(7), n)).collect());
    assert_eq!(d.engine.load().outstanding, 100);
    assert!(d.engine.wants(&input(1)), "they may wait for what stands in the input");
    d.poll(input(1), 98);
    assert!(d.engine.wants(&input(1)), "the last of them has offset 99");
    d.poll(input(1), 99);
    assert!(!d.engine.wants(&input(1)));
}

#[test]
fn what_had_begun_is_forgotten_with_its_partition() {
    let mut d = ordered(true, true);
    assign(&mut d, 0, (0..200).map(|n| (OrderKey(7), n)).collect());
    d.tell(Event::Lost(vec![input(1)]));
    assert_eq!(d.engine.load().outstanding, 0);
    assign(&mut d, 0, vec![]);
    for n in 0..100 {
        let effects = d.arrive(input(1), n, |a| a.order = Some(OrderKey(n.unsigned_abs())));
        d.fails(starts(&effects)[0], Code::ParseCorrupt);
        d.published(starts(&effects)[0]);
    }
    assert!(!d.engine.wants(&input(1)), "as many are elsewhere as may be");
}

#[test]
fn half_of_what_a_partition_may_hold_may_be_followers() {
    let mut d = Driver::new(|spec| {
        spec.ordering = Some(Ordering { wait: true, hold: false });
        spec.followers = 100;
    });
    keys(&mut d, 0, &[1; 7]);
    d.fails(0, Code::LlmTimeout);
    assert_eq!(parked(&d.published(0)), [6, 5], "eight may be held");
}

#[test]
fn where_the_bytes_are_used_up_every_follower_is_parked() {
    let mut d = Driver::new(|spec| {
        spec.ordering = Some(Ordering { wait: true, hold: false });
        spec.bytes = 200;
    });
    d.assign(rung(0), Lane::Rung);
    keys(&mut d, 0, &[1, 1, 1]);
    d.fails(0, Code::LlmTimeout);
    assert_eq!(parked(&d.published(0)), [2, 1]);
}

#[test]
fn followers_of_a_record_that_waits_here_are_followers_of_a_failing_one() {
    let mut d = ordered(true, false);
    let due = d.after(SECOND * 60);
    d.arrive(rung(0), 0, |a| (a.order, a.origin, a.due) = (Some(OrderKey(1)), 0, Some(due)));
    let effects: Vec<_> =
        (1..5).flat_map(|n| d.arrive(input(0), n, |a| a.order = Some(OrderKey(1)))).collect();
    assert_eq!((starts(&effects), parked(&effects)), (vec![], vec![3, 4]));
}

#[test]
fn a_parked_record_is_written_anew_after_an_hour_where_there_is_room() {
    let mut d = ordered(true, true);
    keys(&mut d, 0, &[1]);
    d.fails(0, Code::ParseCorrupt);
    d.published(0);
    back(&mut d, park(0), 0, 1, 1);
    assert_eq!(parked(&d.pass(SECOND * 3599)), [0; 0]);
    assert_eq!(parked(&d.pass(SECOND)), [1], "before Kafka deletes it");
    d.published(1);
    assert_eq!(d.engine.next_wake().filter(|at| *at > d.after(SECOND)), None, "nothing else is blocked");
}

#[test]
fn an_input_full_of_followers_is_not_turned_over() {
    let mut d = ordered(true, true);
    keys(&mut d, 0, &[1; 16]);
    assert!(!d.engine.wants(&input(0)));
    assert_eq!(d.pass(SECOND * 7200), [], "they wait for a record that runs, and keep their places");
}

#[test]
fn a_parking_partition_that_uses_up_the_bytes_is_turned_over() {
    let mut d = Driver::new(|spec| {
        spec.ordering = Some(Ordering { wait: true, hold: true });
        spec.bytes = 100;
    });
    d.assign(park(0), Lane::Park);
    keys(&mut d, 0, &[1]);
    d.fails(0, Code::ParseCorrupt);
    d.published(0);
    back(&mut d, park(0), 0, 1, 1);
    assert_eq!(parked(&d.pass(SECOND * 10)), [1]);
}

#[test]
fn the_load_says_how_many_are_behind_others_and_how_many_elsewhere() {
    let mut d = ordered(true, true);
    keys(&mut d, 0, &[1, 1, 1, 2]);
    d.fails(0, Code::ParseCorrupt);
    d.published(0);
    let load = d.engine.load();
    assert_eq!((load.held, load.running, load.blocked, load.outstanding), (3, 1, 2, 1));
    assert_eq!(starts(&back(&mut d, redrive(0), 0, 1, 0)), [4]);
    let load = d.engine.load();
    assert_eq!((load.held, load.running, load.blocked, load.outstanding), (4, 2, 2, 0));
    d.done(4);
    assert_eq!(d.engine.load().blocked, 1);
}
