//! A healthy stage: bounds, turns, waiting, commits.

use super::driver::*;
use crate::flow::Code;
use crate::flow::engine::*;

#[test]
fn no_more_records_run_than_the_concurrency_allows() {
    let mut d = Driver::new(|spec| spec.concurrency = 2);
    assert_eq!(starts(&d.fill(0..5)), [0, 1]);
    assert_eq!(numbers(&d), (5, 2, 0));
    assert_eq!(
        d.ran(1, Ran::Output),
        [output(1), start(2)],
        "what is only produced does not count as running"
    );
    assert_eq!(d.published(1), [ended(1)]);
}

#[test]
fn what_an_attempt_has_made_ready_is_produced_without_another_step() {
    let mut d = Driver::new(|spec| spec.outputs = 1_000);
    d.fill(0..5);
    assert_eq!(d.ran(0, Ran::Ready(1_000)), [], "it is on its way");
    assert!(starts(&d.ran(1, Ran::Ready(1))).is_empty(), "no more fits beside what is on its way");
    assert_eq!(d.published(0), [ended(0), start(4)]);
    assert_eq!(d.ran(1, Ran::Ready(1)), [], "it does not run any more");
}

#[test]
fn without_a_ledger_nobody_is_told_where_a_record_went() {
    let mut d = Driver::new(|spec| spec.settles = false);
    d.fill(0..2);
    d.ran(0, Ran::Ready(1));
    assert_eq!(d.tell(Event::Sent { slot: SlotId(0), result: Ok(()) }), [ended(0)]);
    d.fails(1, Code::LlmTimeout);
    assert_eq!(d.tell(Event::Sent { slot: SlotId(1), result: Ok(()) }), [ended(1)]);
    assert_eq!(numbers(&d), (0, 0, 0));
    assert_eq!(d.pass(COMMIT_EVERY), [Effect::Commit(vec![(input(0), at(2))])]);
}

#[test]
fn a_record_is_run_then_produced_then_ended_then_committed() {
    let mut d = Driver::new(|_| {});
    assert_eq!(d.poll(input(0), 7), [start(0)]);
    assert_eq!(d.ran(0, Ran::Output), [output(0)]);
    assert_eq!(d.published(0), [ended(0)]);
    assert_eq!(numbers(&d), (0, 0, 0));
    assert_eq!(d.pass(COMMIT_EVERY), [Effect::Commit(vec![(input(0), at(8))])]);
    assert_eq!(d.engine.next_wake(), None);
}

#[test]
fn a_partition_that_can_be_read_no_further_before_a_commit_is_committed_at_once() {
    let mut d = Driver::new(|spec| (spec.window, spec.bytes) = (100_000, usize::MAX));
    let mut read = 0;
    while d.engine.wants(&input(0)) {
        d.poll(input(0), read);
        read += 1;
    }
    let mut committed = Vec::new();
    for slot in 0..read as u64 {
        assert!(committed.is_empty() || d.engine.wants(&input(0)));
        committed.extend(commits(&d.done(slot)));
    }
    assert_eq!(committed.len(), 1, "once for as many as there are");
    assert!(committed[0].1 >= read / 2, "{committed:?}");
}

#[test]
fn a_job_that_ended_before_is_not_produced_again() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    assert_eq!(d.ran(0, Ran::Ended(Rest::Over)), [ended(0)]);
    assert_eq!(commits(&d.pass(COMMIT_EVERY)), [(input(0), 1)]);
}

#[test]
fn a_full_partition_takes_nothing_until_one_of_its_records_ends_and_the_others_go_on() {
    let mut d = Driver::new(|spec| spec.window = 3);
    d.assign(input(1), Lane::Input);
    d.fill(0..2);
    assert!(d.engine.wants(&input(0)));
    d.fill(2..3);
    assert!(!d.engine.wants(&input(0)));
    assert!(d.engine.wants(&input(1)));
    d.done(1);
    assert!(d.engine.wants(&input(0)));
}

#[test]
fn bytes_are_bounded_over_all_input_partitions_but_an_empty_partition_may_take_one_record() {
    let mut d = Driver::new(|spec| spec.bytes = 1000);
    d.assign(input(1), Lane::Input);
    d.assign(input(2), Lane::Input);
    d.arrive(input(0), 0, |a| a.size = 400);
    assert!(d.engine.wants(&input(0)));
    d.arrive(input(1), 0, |a| a.size = 600);
    assert!(!d.engine.wants(&input(0)) && !d.engine.wants(&input(1)));
    assert!(d.engine.wants(&input(2)));
    d.done(0);
    assert!(d.engine.wants(&input(0)) && d.engine.wants(&input(1)));
}

#[test]
fn a_record_that_ends_gives_back_its_own_bytes_and_no_more() {
    let mut d = Driver::new(|spec| spec.bytes = 300);
    d.assign(input(1), Lane::Input);
    d.fill(0..3);
    d.poll(input(1), 0);
    d.done(0);
    assert!(!d.engine.wants(&input(0)), "three of 100 bytes are left");
    d.done(1);
    assert!(d.engine.wants(&input(0)));
}

#[test]
fn the_bytes_of_waiting_records_take_no_room_from_the_input() {
    let mut d = Driver::new(|spec| spec.bytes = 1000);
    d.assign(rung(0), Lane::Rung);
    d.poll(input(0), 0);
    let due = d.after(SECOND);
    d.arrive(rung(0), 0, |a| (a.size, a.due) = (5000, Some(due)));
    assert!(d.engine.wants(&input(0)));
    assert!(!d.engine.wants(&rung(0)));
}

#[test]
fn rungs_share_the_memory_for_waiting_records_and_an_empty_one_may_always_take_one() {
    let mut d = Driver::new(|spec| (spec.window, spec.waiting) = (4, 2000));
    d.assign(rung(0), Lane::Rung);
    d.assign(rung(1), Lane::Rung);
    let due = d.after(SECOND);
    for offset in 0..10 {
        assert!(d.engine.wants(&rung(0)), "half of the memory has room for ten records of 100 bytes");
        d.arrive(rung(0), offset, |a| a.due = Some(due));
    }
    assert!(!d.engine.wants(&rung(0)));
    d.arrive(rung(1), 0, |a| (a.size, a.due) = (9000, Some(due)));
    assert!(!d.engine.wants(&rung(1)));
}

#[test]
fn records_on_a_rung_are_served_by_their_due_times_and_not_by_their_places() {
    let mut d = Driver::new(|spec| spec.concurrency = 1);
    d.assign(rung(0), Lane::Rung);
    for (offset, wait) in (0..).zip([50, 20, 40, 10, 30]) {
        let due = d.after(ms(wait));
        d.arrive(rung(0), offset, |a| a.due = Some(due));
    }
    let mut order = Vec::new();
    for _ in 0..5 {
        for slot in starts(&d.pass(ms(10))) {
            order.push(slot);
            d.done(slot);
        }
    }
    assert_eq!(order, [3, 1, 4, 2, 0]);
}

#[test]
fn what_comes_back_and_ends_gives_its_rung_its_own_bytes_back_and_no_more() {
    let mut d = Driver::new(|spec| spec.waiting = 300);
    d.assign(rung(0), Lane::Rung);
    for (offset, size) in [(0, 100), (1, 100), (2, 250)] {
        assert!(d.engine.wants(&rung(0)));
        d.arrive(rung(0), offset, |a| a.size = size);
    }
    d.done(0);
    assert!(!d.engine.wants(&rung(0)), "350 bytes are left");
    d.done(1);
    assert!(d.engine.wants(&rung(0)), "250 are");
}

#[test]
fn what_comes_back_and_was_run_makes_room_on_its_rung_before_it_is_where_it_goes() {
    let mut d = Driver::new(|spec| spec.waiting = 300);
    d.assign(rung(0), Lane::Rung);
    (0..3).for_each(|offset| _ = d.arrive(rung(0), offset, |a| a.size = 100));
    assert!(!d.engine.wants(&rung(0)));
    d.ran(0, Ran::Output);
    assert!(d.engine.wants(&rung(0)), "200 bytes are still to be run");
    d.arrive(rung(0), 3, |a| a.size = 100);
    assert!(!d.engine.wants(&rung(0)));
    d.published(0);
    assert!(!d.engine.wants(&rung(0)), "its room was given back already");
}

#[test]
fn nothing_is_wanted_of_a_partition_that_is_not_assigned() {
    let mut d = Driver::new(|_| {});
    assert!(!d.engine.wants(&input(9)));
    assert_eq!(d.poll(input(9), 0), [forget(0)]);
}

#[test]
fn partitions_take_turns_so_that_a_backlog_does_not_starve_another() {
    let mut d = Driver::new(|spec| spec.concurrency = 1);
    d.assign(input(1), Lane::Input);
    d.fill(0..4);
    d.poll(input(1), 0);
    d.poll(input(1), 1);
    let mut order = vec![0];
    while let [next] = starts(&d.done(order[order.len() - 1]))[..] {
        order.push(next);
    }
    assert_eq!(order, [0, 1, 4, 2, 5, 3]);
}

#[test]
fn a_record_that_waits_does_not_hold_up_its_partition() {
    let mut d = Driver::new(|_| {});
    d.assign(rung(0), Lane::Rung);
    let due = d.after(SECOND * 3);
    assert_eq!(d.arrive(rung(0), 0, |a| a.due = Some(due)), []);
    assert_eq!(d.engine.load().waiting, 1);
    assert_eq!(d.poll(rung(0), 1), [start(1)]);
    d.done(1);
}

#[test]
fn a_waiting_record_starts_when_it_is_due_and_never_before() {
    let mut d = Driver::new(|_| {});
    d.assign(rung(0), Lane::Rung);
    let due = d.after(SECOND * 3);
    d.arrive(rung(0), 0, |a| a.due = Some(due));
    assert_eq!(d.engine.next_wake(), Some(due));
    d.pass(ms(2999));
    assert_eq!(d.tell(Event::Tick), []);
    assert_eq!(d.pass(ms(1)), [start(0)]);
}

#[test]
fn waiting_records_start_in_the_order_of_their_due_times() {
    let mut d = Driver::new(|_| {});
    d.assign(rung(0), Lane::Rung);
    for (offset, wait) in [(0, 3), (1, 1), (2, 2)] {
        let due = d.after(SECOND * wait);
        d.arrive(rung(0), offset, |a| a.due = Some(due));
    }
    assert_eq!(d.pass(SECOND * 5), [start(1), start(2), start(0)]);
}

#[test]
fn a_record_whose_due_time_has_passed_starts_at_once() {
    let mut d = Driver::new(|_| {});
    let now = d.now;
    assert_eq!(d.arrive(input(0), 0, |a| a.due = Some(now)), [start(0)]);
}

#[test]
fn a_commit_never_passes_a_record_that_has_not_ended() {
    let mut d = Driver::new(|_| {});
    d.fill(0..4);
    d.done(1);
    d.done(3);
    assert_eq!(commits(&d.pass(SECOND)), [(input(0), 0)], "record 0 is not done; the map says which are");
    d.done(0);
    assert_eq!(commits(&d.pass(SECOND)), [(input(0), 2)]);
    d.done(2);
    assert_eq!(commits(&d.pass(SECOND)), [(input(0), 4)]);
}

#[test]
fn commits_are_grouped_and_none_comes_twice() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.fill(0..2);
    d.poll(input(1), 5);
    d.done(0);
    d.pass(COMMIT_EVERY / 2);
    d.done(1);
    d.done(2);
    let effects = d.pass(SECOND * 10);
    assert_eq!(effects, [Effect::Commit(vec![(input(0), at(2)), (input(1), at(6))])]);
    assert_eq!(d.pass(SECOND * 10), []);
}

#[test]
fn a_copy_of_a_job_that_runs_elsewhere_waits_a_quarter_of_a_second() {
    let mut d = Driver::new(|spec| spec.concurrency = 1);
    d.fill(0..2);
    assert_eq!(d.ran(0, Ran::Busy), [start(1)], "meanwhile others run");
    d.done(1);
    assert!(starts(&d.pass(ms(249))).is_empty());
    assert_eq!(starts(&d.pass(ms(1))), [0]);
}

#[test]
fn an_offset_that_is_delivered_again_while_it_is_open_is_not_run_again() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    assert_eq!(d.poll(input(0), 0), [forget(2)], "still running");
    assert_eq!(d.poll(input(0), 2), [start(3)]);
}

#[test]
fn an_offset_that_comes_again_after_its_end_is_looked_at_again_because_a_cut_log_has_another_record_there() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    d.done(0);
    d.done(1);
    assert_eq!(commits(&d.pass(SECOND)), [(input(0), 2)]);
    assert_eq!(d.poll(input(0), 0), [start(2)]);
    d.done(2);
    assert_eq!(commits(&d.pass(SECOND)), [(input(0), 1)], "what stood behind it is gone with the cut");
}

#[test]
fn a_quick_stage_does_not_pile_up_outputs_that_kafka_has_not_taken() {
    let mut d = Driver::new(|spec| (spec.concurrency, spec.outputs) = (2, 1_000));
    d.output = 500;
    d.fill(0..6);
    assert_eq!(starts(&d.ran(0, Ran::Output)), [2]);
    assert_eq!(starts(&d.ran(1, Ran::Output)), [3], "what it becomes is not known yet");
    assert!(starts(&d.ran(2, Ran::Output)).is_empty(), "1,000 bytes are on their way");
    assert!(starts(&d.published(0)).is_empty());
    assert_eq!(starts(&d.published(1)), [4], "there is room again");
    d.ran(3, Ran::Output);
    d.tell(Event::Lost(vec![input(0)]));
    d.assign(input(0), Lane::Input);
    assert_eq!(starts(&d.fill(0..6)), [6, 7], "what is forgotten weighs nothing");
}

#[test]
fn what_has_come_together_is_decided_upon_once() {
    let mut d = Driver::new(|spec| spec.concurrency = 2);
    d.fill(0..4);
    for slot in [0, 1] {
        d.engine.take(Event::Ran { slot: SlotId(slot), result: Ran::Output }, d.now);
    }
    assert_eq!(d.engine.decide(d.now), [output(0), output(1), start(2), start(3)]);
    assert_eq!(d.engine.decide(d.now), []);
}

#[test]
fn the_load_says_how_far_the_committed_position_is_behind() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.poll(input(1), 0);
    d.fill(0..4);
    d.done(2);
    d.pass(COMMIT_EVERY);
    let load = d.engine.load();
    assert_eq!((load.span, load.map_bytes > 0), (4, true), "of the partition where it is most");
}
