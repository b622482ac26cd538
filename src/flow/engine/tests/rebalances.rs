//! Partitions that go and come back, and the end of the stage.

use super::driver::*;
use crate::flow::Code;
use crate::flow::engine::*;

fn revoke(partition: i32) -> Event {
    Event::Revoked(vec![input(partition)])
}

#[test]
fn a_revoked_partition_drops_what_does_not_run_and_lets_the_rest_finish() {
    let mut d = Driver::new(|spec| spec.concurrency = 2);
    d.fill(0..4);
    assert_eq!(d.tell(revoke(0)), [forget(2), forget(3)]);
    assert!(!d.engine.wants(&input(0)));
    assert_eq!(d.ran(1, Ran::Output), [output(1)]);
    assert_eq!(d.published(1), [ended(1)]);
    assert_eq!(d.ran(0, Ran::Output), [output(0)]);
    assert_eq!(d.published(0), [ended(0), drained(input(0), Some(2))]);
    assert_eq!(numbers(&d), (0, 0, 0));
}

#[test]
fn a_waiting_record_of_a_revoked_partition_wakes_nobody() {
    let mut d = Driver::new(|_| {});
    let due = d.after(SECOND);
    d.arrive(input(0), 0, |a| a.due = Some(due));
    assert_eq!(d.tell(revoke(0)), [forget(0), drained(input(0), None)]);
    assert_eq!((d.engine.next_wake(), numbers(&d)), (None, (0, 0, 0)));
}

#[test]
fn a_partition_that_holds_nothing_is_drained_at_once() {
    let mut d = Driver::new(|_| {});
    assert_eq!(d.tell(revoke(0)), [drained(input(0), None)]);
}

#[test]
fn what_ended_but_was_not_committed_goes_with_the_drained_partition() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.done(0);
    assert_eq!(d.tell(revoke(0)), [drained(input(0), Some(1))]);
    assert_eq!(d.pass(SECOND), []);
}

#[test]
fn a_drain_does_not_forget_what_other_partitions_have_to_commit() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.poll(input(1), 0);
    d.done(0);
    d.tell(revoke(0));
    assert_eq!(commits(&d.pass(COMMIT_EVERY)), [(input(1), 1)]);
}

#[test]
fn a_draining_partition_hands_back_what_cannot_end_now() {
    let mut d = Driver::new(|_| {});
    d.fill(0..4);
    d.ran(3, Ran::Output);
    d.tell(revoke(0));
    assert_eq!(d.ran(0, Ran::Busy), [forget(0)]);
    assert_eq!(d.ran(1, Ran::Failed(fault(Code::LlmUnauthorized)))[0], forget(1));
    assert_eq!(d.refused(3, Code::OutputUnwritable), [forget(3)]);
    let effects = d.fails(2, Code::LlmTimeout);
    assert!(matches!(effects[..], [Effect::Prepare { what: Publish::Retry { .. }, .. }]), "a rung is an end");
    let effects = d.published(2);
    assert!(
        matches!(&effects[..], [Effect::Ended(_), Effect::Drained { commit, .. }]
        if commit[0].1.offset == 0 && !commit[0].1.map.is_empty()),
        "record 0 has not ended, record 2 has: {effects:?}"
    );
}

#[test]
fn records_that_were_polled_before_the_revocation_are_handed_back() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.tell(revoke(0));
    assert_eq!(d.poll(input(0), 1), [forget(1)]);
}

#[test]
fn when_the_time_for_draining_is_over_what_still_runs_is_handed_back() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.fill(0..3);
    d.poll(input(1), 0);
    d.done(0);
    d.ran(2, Ran::Output);
    d.tell(revoke(0));
    let effects = d.tell(Event::DrainDeadline);
    assert_eq!(effects, [forget(1), forget(2), drained(input(0), Some(1))]);
    assert_eq!(d.engine.load().running, 1, "the other partition is not touched");
}

#[test]
fn a_lost_partition_forgets_everything_and_commits_nothing() {
    let mut d = Driver::new(|spec| spec.concurrency = 2);
    d.fill(0..3);
    d.done(0);
    assert_eq!(d.tell(Event::Lost(vec![input(0)])), [forget(1), forget(2)]);
    assert_eq!(numbers(&d), (0, 0, 0));
    assert_eq!(d.pass(SECOND), []);
}

#[test]
fn a_partition_lost_while_it_drains_is_not_committed_and_the_revocation_is_still_answered() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.fill(0..2);
    d.poll(input(1), 0);
    d.done(0);
    d.tell(Event::Revoked(vec![input(0), input(1)]));
    assert_eq!(d.tell(Event::Lost(vec![input(0)])), [forget(1)]);
    let effects = d.done(2);
    assert_eq!(effects, [output(2), ended(2), drained(input(1), Some(1))]);
}

#[test]
fn late_answers_about_forgotten_records_change_nothing() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    d.ran(0, Ran::Output);
    d.tell(Event::Lost(vec![input(0)]));
    d.assign(input(0), Lane::Input);
    d.fill(0..2);
    assert_eq!(d.published(0), []);
    assert_eq!(d.ran(1, Ran::Output), []);
    assert_eq!(numbers(&d), (2, 2, 0));
    assert_eq!(d.pass(SECOND), []);
}

#[test]
fn a_partition_that_comes_back_begins_where_it_was_committed() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    d.done(0);
    d.tell(revoke(0));
    d.tell(Event::DrainDeadline);
    d.assign(input(0), Lane::Input);
    assert!(d.engine.wants(&input(0)));
    assert_eq!(d.poll(input(0), 1), [start(2)]);
    d.done(2);
    assert_eq!(commits(&d.pass(SECOND)), [(input(0), 2)]);
}

#[test]
fn a_partition_that_comes_back_while_it_drains_begins_anew() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.tell(revoke(0));
    let effects = d.assign(input(0), Lane::Input);
    assert_eq!(effects, [forget(0), Effect::Drained { partitions: vec![], commit: vec![] }]);
    assert!(d.engine.wants(&input(0)));
    assert_eq!(d.poll(input(0), 0), [start(1)]);
}

#[test]
fn assigning_what_is_assigned_changes_nothing() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    assert_eq!(d.assign(input(0), Lane::Input), []);
    assert_eq!(d.engine.load().held, 2);
}

#[test]
fn two_revocations_are_answered_each_for_itself() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.poll(input(0), 0);
    d.poll(input(1), 0);
    d.tell(revoke(0));
    d.tell(revoke(1));
    assert_eq!(d.done(1), [output(1), ended(1), drained(input(1), Some(1))]);
    assert_eq!(d.done(0), [output(0), ended(0), drained(input(0), Some(1))]);
}

#[test]
fn a_lost_probe_makes_room_for_another() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.fill(0..1);
    d.fails(0, Code::LlmUnauthorized);
    d.poll(input(1), 0);
    assert_eq!(d.pass(SECOND), [start(0)]);
    assert_eq!(d.tell(Event::Lost(vec![input(0)])), [forget(0), start(1)]);
}

#[test]
fn a_stage_that_stops_finishes_what_runs_and_starts_nothing_more() {
    let mut d = Driver::new(|spec| spec.concurrency = 1);
    d.assign(rung(0), Lane::Rung);
    let due = d.after(SECOND);
    d.fill(0..2);
    d.arrive(rung(0), 0, |a| a.due = Some(due));
    assert_eq!(d.tell(Event::Stop), [forget(1), forget(2)]);
    assert!(!d.engine.wants(&input(0)) && !d.engine.wants(&rung(0)));
    assert_eq!(d.poll(input(0), 2), [forget(3)]);
    d.ran(0, Ran::Output);
    let all = vec![input(0), rung(0)];
    let effects = d.published(0);
    assert_eq!(effects, [ended(0), Effect::Drained { partitions: all, commit: vec![(input(0), at(1))] }]);
    assert_eq!(d.tell(Event::Stop), [], "once");
}

#[test]
fn a_stage_without_partitions_stops_at_once() {
    let mut d = Driver::new(|_| {});
    d.tell(Event::Lost(vec![input(0)]));
    assert_eq!(d.tell(Event::Stop), [Effect::Drained { partitions: vec![], commit: vec![] }]);
    d.assign(input(0), Lane::Input);
    assert!(!d.engine.wants(&input(0)));
    assert_eq!(d.poll(input(0), 0), [forget(0)]);
}

#[test]
fn a_stage_that_was_ousted_lets_everything_go_and_joins_its_group_anew() {
    let mut d = Driver::new(|spec| spec.concurrency = 2);
    d.fill(0..3);
    let effects = d.ran(1, Ran::Ousted);
    assert_eq!(effects, [forget(1), forget(0), forget(2), Effect::Rejoin]);
    assert!(!d.engine.wants(&input(0)), "it is not ours until it is assigned again");
    assert_eq!((numbers(&d), d.engine.next_wake()), ((0, 0, 0), None));
    d.assign(input(0), Lane::Input);
    assert_eq!(starts(&d.fill(0..1)), [3]);
}

#[test]
fn a_record_that_was_ousted_while_it_was_made_ready_says_the_same() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    let running = Event::Ran { slot: SlotId(0), result: Ran::Output };
    assert_eq!(d.engine.handle(running, d.now), [output(0)]);
    let refused = Event::Prepared { slot: SlotId(0), result: Err(Refusal::Ousted) };
    assert_eq!(d.tell(refused), [forget(0), Effect::Rejoin]);
}

#[test]
fn a_stage_that_stops_has_nothing_to_join_when_it_was_ousted() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.tell(Event::Stop);
    let effects = d.tell(Event::Ousted);
    assert_eq!(effects[..2], [forget(0), drained(input(0), None)]);
    assert!(!effects.contains(&Effect::Rejoin));
}
