//! Who goes first when not all can: fresh records and retries, tenants, and those whose rate is limited.

use super::driver::*;
use crate::flow::engine::*;

const NOISY: Tenant = Tenant(1);
const QUIET: Tenant = Tenant(2);

fn fair(change: impl FnOnce(&mut Spec)) -> Driver {
    Driver::new(|spec| {
        spec.fair = Some(Fair { weights: Default::default(), share: 50 });
        change(spec);
    })
}

/// Polls records of a tenant from input partition 0, beginning at this offset.
fn come(d: &mut Driver, tenant: Tenant, offsets: std::ops::Range<i64>) -> Vec<Effect> {
    offsets.flat_map(|offset| d.arrive(input(0), offset, |a| a.tenant = tenant)).collect()
}

/// Ends one record after the other as they begin, and says in which order they began.
fn one_after_the_other(d: &mut Driver, first: u64) -> Vec<u64> {
    let mut order = vec![first];
    while let [next] = starts(&d.done(order[order.len() - 1]))[..] {
        order.push(next);
    }
    order
}

fn parked(effects: &[Effect]) -> Vec<u64> {
    let of = |effect: &Effect| match effect {
        Effect::Prepare { slot, what: Publish::Park } => Some(slot.0),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

#[test]
fn tenants_take_turns_whoever_has_more_and_came_first() {
    let mut d = fair(|spec| spec.concurrency = 1);
    come(&mut d, NOISY, 0..4);
    come(&mut d, QUIET, 4..6);
    assert_eq!(one_after_the_other(&mut d, 0), [0, 1, 4, 2, 5, 3]);
}

#[test]
fn a_tenant_with_more_weight_has_more_records_in_its_turn() {
    let mut d = Driver::new(|spec| {
        spec.fair = Some(Fair { weights: [(NOISY, 2)].into(), share: 100 });
        spec.concurrency = 1;
    });
    come(&mut d, QUIET, 0..3);
    come(&mut d, NOISY, 3..7);
    assert_eq!(one_after_the_other(&mut d, 0), [0, 1, 3, 4, 2, 5, 6]);
}

#[test]
fn a_tenant_alone_has_all_places_and_with_others_its_share() {
    let mut d = fair(|spec| (spec.concurrency, spec.window) = (4, 100));
    assert_eq!(starts(&come(&mut d, NOISY, 0..6)), [0, 1, 2, 3]);
    assert_eq!(starts(&come(&mut d, QUIET, 6..7)), [0u64; 0]);
    assert_eq!(starts(&d.done(0)), [6], "the noisy one has more than its half still");
    assert_eq!(starts(&d.done(1)), [0u64; 0]);
    assert_eq!(starts(&d.done(2)), [4], "and less now");
    assert_eq!(starts(&d.done(6)), [0u64; 0], "the place is kept for the quiet one");
    assert_eq!(starts(&come(&mut d, QUIET, 7..8)), [7]);
}

#[test]
fn a_tenant_that_has_gone_leaves_its_places_to_the_others() {
    let mut d = fair(|spec| (spec.concurrency, spec.window) = (2, 100));
    come(&mut d, QUIET, 0..1);
    d.done(0);
    assert_eq!(starts(&come(&mut d, NOISY, 1..3)), [1]);
    d.pass(SECOND * 61);
    assert_eq!(starts(&come(&mut d, NOISY, 3..4)), [2], "nobody else was there for a minute");
}

#[test]
fn a_tenant_whose_record_runs_is_there_however_long_that_takes() {
    let mut d = fair(|spec| (spec.concurrency, spec.window) = (4, 100));
    come(&mut d, QUIET, 0..1);
    d.pass(SECOND * 3600);
    assert_eq!(starts(&come(&mut d, NOISY, 1..5)), [1, 2], "its half");
}

#[test]
fn records_that_crowd_a_partition_are_parked_one_by_one_before_it_is_full() {
    let mut d = fair(|spec| (spec.concurrency, spec.window) = (1, 16));
    come(&mut d, QUIET, 0..1);
    assert_eq!(
        parked(&come(&mut d, NOISY, 1..13)),
        [0u64; 0],
        "twelve are ready: three quarters of the window"
    );
    assert_eq!(parked(&come(&mut d, NOISY, 13..15)), [13, 14]);
    assert_eq!(
        parked(&come(&mut d, QUIET, 15..16)),
        [12, 11, 10, 9],
        "full: what is beyond its share of eight goes"
    );
}

#[test]
fn nothing_is_parked_for_a_tenant_that_is_alone_or_while_the_stage_pauses() {
    let mut d = fair(|spec| (spec.concurrency, spec.window) = (1, 4));
    assert_eq!(parked(&come(&mut d, NOISY, 0..4)), [0u64; 0]);
    let mut d = fair(|spec| (spec.concurrency, spec.window) = (1, 4));
    come(&mut d, QUIET, 0..1);
    d.fails(0, crate::flow::Code::LlmUnauthorized);
    assert_eq!(parked(&come(&mut d, NOISY, 1..4)), [0u64; 0]);
}

#[test]
fn what_was_parked_for_room_runs_when_its_turn_comes() {
    let mut d = fair(|spec| spec.concurrency = 1);
    let park = crate::message::TopicPartition::new("p.s.park", 0);
    d.assign(park.clone(), Lane::Park);
    come(&mut d, QUIET, 0..1);
    d.arrive(park, 0, |a| (a.tenant, a.origin) = (NOISY, 7));
    assert_eq!(starts(&d.done(0)), [1]);
}

#[test]
fn fresh_records_and_retries_take_turns_so_that_neither_starves() {
    let mut d = Driver::new(|spec| (spec.concurrency, spec.window) = (1, 100));
    d.assign(rung(0), Lane::Rung);
    d.fill(0..4);
    for offset in 0..3 {
        d.poll(rung(0), offset);
    }
    assert_eq!(one_after_the_other(&mut d, 0), [0, 4, 1, 5, 2, 6, 3]);
}

#[test]
fn what_comes_back_from_rungs_keeps_to_its_rate_and_fresh_records_do_not() {
    let mut d = Driver::new(|spec| (spec.concurrency, spec.window, spec.comeback) = (100, 100, Some(10)));
    d.assign(rung(0), Lane::Rung);
    let due = d.after(SECOND);
    for offset in 0..30 {
        d.arrive(rung(0), offset, |a| a.due = Some(due));
    }
    let first = starts(&d.pass(SECOND)).len();
    assert_eq!(first, 2, "what a tenth of a second allows, and one");
    assert_eq!(starts(&d.fill(0..20)).len(), 20);
    assert_eq!(starts(&d.pass(SECOND)).len(), 10);
    assert_eq!(starts(&d.pass(SECOND)).len(), 10);
}
