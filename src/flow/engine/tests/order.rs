//! Stages that keep an order: whose turn it is, who waits, who is parked, who goes on.

use super::driver::*;
use crate::flow::Code;
use crate::flow::engine::*;

pub fn park(partition: i32) -> crate::message::TopicPartition {
    crate::message::TopicPartition::new("p.s.park", partition)
}

pub fn redrive(partition: i32) -> crate::message::TopicPartition {
    crate::message::TopicPartition::new("p.s.redrive", partition)
}

/// A stage that keeps the order of keys, with all topics of family 0.
pub fn ordered(wait: bool, hold: bool) -> Driver {
    let mut d = Driver::new(|spec| {
        spec.ordering = Some(Ordering { wait, hold });
        spec.window = 16;
        spec.concurrency = 8;
    });
    d.assign(rung(0), Lane::Rung);
    d.assign(redrive(0), Lane::Redrive);
    d.assign(park(0), Lane::Park);
    d
}

/// Records of the input with these keys, offset by offset.
pub fn keys(d: &mut Driver, from: i64, keys: &[u64]) -> Vec<u64> {
    let polled = (from..)
        .zip(keys)
        .flat_map(|(offset, key)| d.arrive(input(0), offset, |a| a.order = Some(OrderKey(*key))));
    starts(&polled.collect::<Vec<_>>())
}

/// The record with this origin comes back from one of the stage's own topics.
pub fn back(
    d: &mut Driver,
    from: crate::message::TopicPartition,
    offset: i64,
    key: u64,
    origin: i64,
) -> Vec<Effect> {
    d.arrive(from, offset, |a| (a.order, a.origin) = (Some(OrderKey(key)), origin))
}

pub fn parked(effects: &[Effect]) -> Vec<u64> {
    let parked = |effect: &Effect| match effect {
        Effect::Prepare { slot, what: Publish::Park } => Some(slot.0),
        _ => None,
    };
    effects.iter().filter_map(parked).collect()
}

#[test]
fn records_of_a_key_run_one_after_the_other_and_other_keys_beside_them() {
    let mut d = ordered(true, false);
    assert_eq!(keys(&mut d, 0, &[1, 1, 2, 1]), [0, 2]);
    assert_eq!(starts(&d.done(0)), [1]);
    assert_eq!(starts(&d.done(2)), [0; 0]);
    assert_eq!(starts(&d.done(1)), [3]);
}

#[test]
fn records_without_a_key_have_no_order() {
    let mut d = ordered(true, false);
    assert_eq!(starts(&d.fill(0..3)), [0, 1, 2]);
}

#[test]
fn followers_wait_for_a_record_that_climbs_and_begin_when_it_has_ended() {
    let mut d = ordered(true, false);
    keys(&mut d, 0, &[1, 1, 2]);
    d.fails(0, Code::LlmTimeout);
    assert_eq!(starts(&d.published(0)), [0; 0], "it waits on its rung");
    assert_eq!(starts(&back(&mut d, rung(0), 0, 1, 0)), [3]);
    assert_eq!(starts(&d.done(3)), [1]);
}

#[test]
fn followers_pass_a_record_that_climbs_where_they_may() {
    let mut d = ordered(false, false);
    keys(&mut d, 0, &[1, 1]);
    d.fails(0, Code::LlmTimeout);
    assert_eq!(starts(&d.published(0)), [1]);
    assert_eq!(starts(&back(&mut d, rung(0), 0, 1, 0)), [0; 0], "but two never run at once");
    assert_eq!(starts(&d.done(1)), [2]);
}

#[test]
fn followers_of_a_dead_letter_go_on_or_are_held_as_the_stage_says() {
    for (hold, next) in [(false, vec![1]), (true, vec![])] {
        let mut d = ordered(true, hold);
        keys(&mut d, 0, &[1, 1]);
        d.fails(0, Code::ParseCorrupt);
        assert_eq!(starts(&d.published(0)), next);
    }
}

#[test]
fn a_held_key_goes_on_when_its_dead_letter_is_redriven_and_done() {
    let mut d = ordered(true, true);
    keys(&mut d, 0, &[1, 1]);
    d.fails(0, Code::ParseCorrupt);
    d.published(0);
    assert_eq!(starts(&back(&mut d, redrive(0), 0, 1, 0)), [2]);
    assert_eq!(starts(&d.done(2)), [1]);
}

#[test]
fn a_held_key_goes_on_when_its_dead_letter_is_discarded_and_nothing_is_run_for_that() {
    let mut d = ordered(true, true);
    keys(&mut d, 0, &[1, 1]);
    d.fails(0, Code::ParseCorrupt);
    d.published(0);
    let effects = d.arrive(redrive(0), 0, |a| {
        (a.order, a.origin, a.discard) = (Some(OrderKey(1)), 0, true);
    });
    assert_eq!((starts(&effects), what(&effects)), (vec![], Publish::Discard));
    assert_eq!(starts(&d.published(2)), [1]);
}

#[test]
fn a_redriven_record_takes_its_old_place_before_those_that_have_not_begun() {
    let mut d = ordered(true, false);
    keys(&mut d, 0, &[1, 1, 1]);
    d.fails(0, Code::ParseCorrupt);
    assert_eq!(starts(&d.published(0)), [1]);
    assert_eq!(starts(&back(&mut d, redrive(0), 0, 1, 0)), [0; 0], "one runs already");
    assert_eq!(starts(&d.done(1)), [3], "before the third");
    assert_eq!(starts(&d.done(3)), [2]);
}

#[test]
fn what_is_outstanding_when_partitions_come_keeps_its_followers_back() {
    let mut d = ordered(true, false);
    let assigned = Assigned {
        partition: input(1),
        lane: Lane::Input,
        family: 1,
        committed: None,
        outstanding: vec![(OrderKey(1), 5)],
    };
    d.tell(Event::Assigned(vec![assigned]));
    let mut next = |key: u64, offset: i64| {
        starts(&d.arrive(input(1), offset, |a| (a.order, a.origin) = (Some(OrderKey(key)), offset)))
    };
    assert_eq!(next(1, 9), [0; 0], "one of its key has begun and is not over");
    assert_eq!(next(2, 10), [1], "other keys know nothing of it");
}

#[test]
fn followers_beyond_a_few_are_parked_so_that_other_keys_have_room() {
    let mut d = ordered(true, false);
    keys(&mut d, 0, &[1, 1, 1, 1, 1]);
    d.fails(0, Code::LlmTimeout);
    let effects = d.published(0);
    assert_eq!(parked(&effects), [4, 3], "the latest first; two are held");
    d.published(4);
    d.published(3);
    assert_eq!(keys(&mut d, 5, &[2]), [5]);
}

#[test]
fn followers_of_a_healthy_record_are_not_parked() {
    let mut d = ordered(true, false);
    let effects: Vec<_> =
        (0..8).flat_map(|offset| d.arrive(input(0), offset, |a| a.order = Some(OrderKey(1)))).collect();
    assert_eq!((starts(&effects), parked(&effects)), (vec![0], vec![]));
}

#[test]
fn parked_records_come_back_in_their_order_whatever_the_order_of_their_copies() {
    let mut d = ordered(true, false);
    keys(&mut d, 0, &[1, 1, 1, 1, 1]);
    d.fails(0, Code::LlmTimeout);
    for slot in parked(&d.published(0)) {
        d.published(slot);
    }
    // The last one was parked first.
    back(&mut d, park(0), 0, 1, 4);
    back(&mut d, park(0), 1, 1, 3);
    let mut order = starts(&back(&mut d, rung(0), 0, 1, 0));
    while let Some(last) = order.last().copied()
        && let [next] = starts(&d.done(last))[..]
    {
        order.push(next);
    }
    assert_eq!(order, [7, 1, 2, 6, 5], "the retry, the two that were held, and the parked ones");
}

#[test]
fn a_parking_partition_full_of_blocked_records_is_turned_over() {
    let mut d = ordered(true, true);
    keys(&mut d, 0, &[1]);
    d.fails(0, Code::ParseCorrupt);
    d.published(0);
    for n in 0..16 {
        back(&mut d, park(0), n, 1, n + 1);
    }
    assert!(!d.engine.wants(&park(0)));
    assert_eq!(parked(&d.pass(SECOND * 10))[..1], [1], "the one that was here longest goes to the end");
}

#[test]
fn an_input_waits_when_too_many_of_its_records_are_elsewhere() {
    let mut d = ordered(true, true);
    for n in 0..100 {
        let key = u64::try_from(n).expect("small");
        d.arrive(input(0), n, |a| a.order = Some(OrderKey(key)));
        d.fails(key, Code::ParseCorrupt);
        d.published(key);
    }
    assert_eq!(d.engine.load().outstanding, 100);
    assert!(!d.engine.wants(&input(0)) && d.engine.wants(&redrive(0)));
    assert_eq!(starts(&back(&mut d, redrive(0), 0, 7, 7)), [100]);
    d.done(100);
    assert!(d.engine.wants(&input(0)));
}

#[test]
fn a_record_that_is_held_for_the_stage_s_sake_keeps_its_turn() {
    let mut d = ordered(true, false);
    keys(&mut d, 0, &[1, 1]);
    d.fails(0, Code::LlmUnauthorized);
    assert_eq!(starts(&d.pass(SECOND)), [0], "it is the one that tries again");
    assert_eq!(starts(&d.done(0)), [1]);
}
