//! Exactly once: what goes into a transaction, and what follows from how it ends.

use super::driver::*;
use crate::flow::Code;
use crate::flow::engine::*;

fn exactly_once(change: impl FnOnce(&mut Spec)) -> Driver {
    Driver::new(|spec| {
        spec.delivery = Delivery::ExactlyOnce;
        change(spec);
    })
}

/// The records and offsets of the transactions that these effects begin.
fn transactions(effects: &[Effect]) -> Vec<(Vec<u64>, Vec<i64>)> {
    let of = |effect: &Effect| match effect {
        Effect::Transact { slots, commit: Some(commit), .. } => Some((
            slots.iter().map(|slot| slot.0).collect(),
            commit.iter().map(|(_, position)| position.offset).collect(),
        )),
        _ => None,
    };
    effects.iter().filter_map(of).collect()
}

#[test]
fn an_idle_stage_commits_a_record_with_its_offset_at_once() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    assert_eq!(transactions(&d.ran(0, Ran::Output)), [(vec![0], vec![1])]);
    assert_eq!(d.committed(), [ended(0)]);
    assert_eq!(d.engine.next_wake(), None, "nothing is left to commit");
}

#[test]
fn what_becomes_ready_while_a_transaction_is_under_way_goes_into_the_next_one_together() {
    let mut d = exactly_once(|_| {});
    d.fill(0..4);
    assert_eq!(transactions(&d.ran(0, Ran::Output)), [(vec![0], vec![1])]);
    assert_eq!(transactions(&d.ran(3, Ran::Output)), []);
    assert_eq!(transactions(&d.ran(1, Ran::Output)), []);
    let effects = d.committed();
    assert_eq!(transactions(&effects), [(vec![3, 1], vec![2])], "record 2 still runs");
}

#[test]
fn no_transaction_has_more_than_ten_thousand_records() {
    let mut d = exactly_once(|spec| (spec.window, spec.concurrency) = (12_000, 12_000));
    d.fill(0..10_101);
    for slot in 0..10_101 {
        d.ran(slot, Ran::Output);
    }
    let sizes: Vec<usize> =
        (0..3).flat_map(|_| transactions(&d.committed())).map(|(slots, _)| slots.len()).collect();
    assert_eq!(sizes, [10_000, 100]);
}

#[test]
fn a_record_is_in_no_end_before_its_transaction_is_committed() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    assert_eq!(d.engine.load().held, 1);
    let effects = d.transacted(Ok(()));
    assert_eq!(effects, [Effect::Settle(SlotId(0))], "now the ledger is told");
    assert_eq!(d.tell(Event::Settled { slot: SlotId(0), result: Ok(()) }), [ended(0)]);
}

#[test]
fn without_a_ledger_a_record_ends_with_its_transaction_and_one_that_was_forgotten_meanwhile_is_not_named_again()
 {
    let mut d = exactly_once(|spec| spec.settles = false);
    d.fill(0..2);
    assert_eq!(transactions(&d.ran(0, Ran::Ready(1))), [(vec![0], vec![1])]);
    assert_eq!(transactions(&d.ran(1, Ran::Ready(1))), []);
    let effects = d.transacted(Ok(()));
    assert_eq!(effects.first(), Some(&ended(0)));
    assert_eq!(transactions(&effects), [(vec![1], vec![2])]);
    assert_eq!(d.tell(Event::Lost(vec![input(0)])), [forget(1)]);
    assert_eq!(d.transacted(Ok(())), []);
    assert_eq!(numbers(&d), (0, 0, 0));
}

#[test]
fn rungs_and_dead_letters_go_in_the_transaction_with_their_offsets_too() {
    let mut d = exactly_once(|spec| spec.gather = ms(0));
    d.fill(0..2);
    assert_eq!(transactions(&d.fails(0, Code::LlmTimeout)), [(vec![0], vec![1])]);
    d.fails(1, Code::ParseCorrupt);
    assert_eq!(transactions(&d.committed()), [(vec![1], vec![2])]);
}

#[test]
fn outputs_do_not_wait_until_what_fails_is_written() {
    let mut d = exactly_once(|_| {});
    d.writes = true;
    d.fill(0..3);
    assert_eq!(transactions(&d.fails(0, Code::LlmTimeout)), [], "its offset comes later");
    assert_eq!(
        transactions(&d.ran(1, Ran::Output)),
        [(vec![1], vec![0])],
        "record 0 is not committed with it"
    );
    d.committed();
    assert_eq!(transactions(&d.written(Course::Aside)), [(vec![0], vec![2])]);
}

#[test]
fn offsets_are_committed_by_one_transaction_at_a_time() {
    let mut d = exactly_once(|_| {});
    d.writes = true;
    d.fill(0..4);
    d.fails(0, Code::LlmTimeout);
    d.ran(1, Ran::Output);
    assert_eq!(transactions(&d.written(Course::Aside)), [], "outputs are being committed");
    assert_eq!(transactions(&d.committed()), [(vec![0], vec![2])]);
    assert_eq!(transactions(&d.ran(2, Ran::Output)), [], "it is written meanwhile");
    d.written(Course::On);
    assert_eq!(transactions(&d.committed()), [(vec![2], vec![3])], "and is the next");
}

#[test]
fn what_is_written_and_is_not_ours_any_more_is_undone_and_the_rest_goes_again() {
    let mut d = exactly_once(|_| {});
    d.writes = true;
    d.assign(input(1), Lane::Input);
    d.poll(input(0), 0);
    d.poll(input(1), 0);
    d.ran(0, Ran::Output);
    d.fails(1, Code::LlmTimeout);
    d.tell(Event::Lost(vec![input(1)]));
    let undo = Effect::Conclude { course: Course::Aside, commit: None };
    assert_eq!(d.written(Course::Aside), [undo], "whoever has the partition now does the same");
    let undone = Event::Transacted { course: Course::Aside, result: Err(Abort::Undone) };
    assert_eq!(d.tell(undone), []);
    assert_eq!(d.committed(), [ended(0)]);
}

#[test]
fn when_one_transaction_is_shut_out_the_other_is_given_up_with_it() {
    let mut d = exactly_once(|_| {});
    d.writes = true;
    d.fill(0..2);
    d.fails(0, Code::LlmTimeout);
    d.ran(1, Ran::Output);
    assert_eq!(d.aborted(Abort::Fenced), [forget(0), forget(1), Effect::Rejoin]);
    assert_eq!(d.written(Course::Aside), [], "late news of what was given up");
}

#[test]
fn what_fails_gathers_so_that_a_flood_of_it_is_little_work() {
    let mut d = exactly_once(|spec| (spec.concurrency, spec.window) = (10, 100));
    d.fill(0..7);
    assert_eq!(transactions(&d.fails(0, Code::ParseCorrupt)), [(vec![0], vec![1])], "the first one goes");
    d.fails(1, Code::ParseCorrupt);
    d.fails(2, Code::ParseCorrupt);
    assert_eq!(transactions(&d.committed()), [], "the others have time");
    assert_eq!(transactions(&d.ran(3, Ran::Output)), [(vec![3], vec![1])], "an output has not");
    d.committed();
    d.fails(4, Code::ParseCorrupt);
    assert_eq!(transactions(&d.pass(ms(499))), []);
    assert_eq!(transactions(&d.pass(ms(1))), [(vec![1, 2, 4], vec![5])]);
    d.committed();
    d.fails(5, Code::ParseCorrupt);
    assert_eq!(transactions(&d.pass(ms(100))), []);
    let effects = d.tell(Event::Revoked(vec![input(0)]));
    assert_eq!(transactions(&effects), [(vec![5], vec![6])], "a partition that is to go does not wait");
}

#[test]
fn as_much_as_half_a_window_that_failed_does_not_wait() {
    let mut d = exactly_once(|_| {});
    d.fill(0..5);
    for slot in 0..4 {
        d.fails(slot, Code::ParseCorrupt);
    }
    assert_eq!(transactions(&d.committed()), []);
    assert_eq!(transactions(&d.fails(4, Code::ParseCorrupt)), [(vec![1, 2, 3, 4], vec![5])]);
}

#[test]
fn what_fails_does_not_wait_when_it_takes_half_of_the_room_that_outputs_have() {
    let mut d = exactly_once(|spec| (spec.outputs, spec.concurrency, spec.window) = (1_000, 10, 100));
    d.output = 100;
    d.fill(0..7);
    d.fails(0, Code::ParseCorrupt);
    d.committed();
    for slot in 1..5 {
        assert_eq!(transactions(&d.fails(slot, Code::ParseCorrupt)), []);
    }
    assert_eq!(transactions(&d.fails(5, Code::ParseCorrupt)), [(vec![1, 2, 3, 4, 5], vec![6])]);
}

#[test]
fn what_is_due_soon_does_not_wait_to_be_written_to_its_rung() {
    let mut d = exactly_once(|spec| spec.ladder.limits.base = ms(600));
    d.fill(0..2);
    d.fails(0, Code::LlmTimeout);
    d.committed();
    assert_eq!(transactions(&d.fails(1, Code::LlmTimeout)), [(vec![1], vec![2])]);
}

#[test]
fn offsets_of_records_that_the_ledger_knew_are_committed_by_themselves_after_a_while() {
    let mut d = exactly_once(|_| {});
    d.fill(0..2);
    assert_eq!(transactions(&d.ran(0, Ran::Ended(Rest::Over))), []);
    assert_eq!(transactions(&d.pass(COMMIT_EVERY)), [(vec![], vec![1])]);
}

#[test]
fn an_aborted_transaction_leaves_the_offsets_open_and_is_repeated_by_one_record_first() {
    let mut d = exactly_once(|_| {});
    d.fill(0..3);
    d.ran(0, Ran::Output);
    d.ran(1, Ran::Output);
    d.committed();
    let abort = Abort::Again(fault(Code::OutputUnwritable));
    assert_eq!(d.aborted(abort), [Effect::Paused(fault(Code::OutputUnwritable))]);
    let effects = d.pass(SECOND);
    assert_eq!(transactions(&effects), [(vec![1], vec![2])], "offset 1 was open again");
    assert!(d.committed().contains(&Effect::Resumed));
}

#[test]
fn a_transaction_of_what_fails_has_no_more_than_so_many_partitions() {
    let mut d = exactly_once(|spec| spec.concurrency = 30);
    for partition in 0..30 {
        d.assign(input(partition), Lane::Input);
        d.poll(input(partition), 0);
    }
    (0..30).for_each(|slot| _ = d.fails(slot, Code::ParseCorrupt));
    let sizes: Vec<usize> =
        (0..2).flat_map(|_| transactions(&d.committed())).map(|(of, _)| of.len()).collect();
    assert_eq!(sizes, [24, 5], "the first one went alone");
}

#[test]
fn a_record_that_kafka_does_not_take_is_kept_back_and_the_others_go_without_it() {
    let mut d = exactly_once(|_| {});
    d.fill(0..4);
    d.fails(0, Code::ParseCorrupt);
    d.fails(1, Code::ParseCorrupt);
    d.fails(2, Code::LlmTimeout);
    assert_eq!(transactions(&d.committed()), [(vec![2, 1], vec![3])], "rung and dead letter");
    let refused = Refusal::Fault(fault(Code::DlqUnwritable));
    let effects = d.aborted(Abort::Record(SlotId(1), refused));
    assert_eq!(transactions(&effects), [(vec![2], vec![1])], "beyond offset 1 the map has record 2");
    assert_eq!(d.engine.paused().map(|fault| fault.code), Some(Code::DlqUnwritable));
}

#[test]
fn records_for_the_topic_that_takes_nothing_are_kept_back_together() {
    let mut d = exactly_once(|_| {});
    d.fill(0..4);
    for slot in 0..3 {
        d.fails(slot, Code::ParseCorrupt);
    }
    d.fails(3, Code::LlmTimeout);
    assert_eq!(transactions(&d.committed()), [(vec![3, 1, 2], vec![4])]);
    let refused = Refusal::Fault(fault(Code::DlqUnwritable));
    assert_eq!(transactions(&d.aborted(Abort::Record(SlotId(2), refused))), [(vec![3], vec![1])]);
}

#[test]
fn a_record_that_is_itself_to_blame_keeps_no_other_back() {
    let mut d = exactly_once(|_| {});
    d.fill(0..3);
    for slot in 0..3 {
        d.ran(slot, Ran::Output);
    }
    assert_eq!(transactions(&d.committed()), [(vec![1, 2], vec![3])]);
    let effects = d.aborted(Abort::Record(SlotId(1), refusal(Code::StageTimeout)));
    assert!(matches!(what(&effects), Publish::Retry { attempt: 1, .. }));
    assert_eq!(transactions(&effects), [(vec![2], vec![1])], "an output as well");
    assert_eq!(transactions(&d.committed()), [(vec![1], vec![3])]);
    assert_eq!(d.engine.paused(), None);
}

#[test]
fn an_output_that_is_too_large_is_a_dead_letter_in_the_next_transaction() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    let effects = d.aborted(Abort::Record(SlotId(0), refusal(Code::RecordTooLarge)));
    assert_eq!(what(&effects), dead_letter(1, fault(Code::RecordTooLarge)));
    assert_eq!(transactions(&effects), [(vec![0], vec![1])]);
}

#[test]
fn when_the_group_has_changed_the_same_is_tried_again_a_moment_later_without_a_pause() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    assert_eq!(d.aborted(Abort::Stale), []);
    assert_eq!(d.engine.paused(), None);
    assert_eq!(transactions(&d.pass(ms(99))), []);
    assert_eq!(transactions(&d.pass(ms(1))), [(vec![0], vec![1])]);
}

#[test]
fn a_stage_that_is_shut_out_lets_everything_go_and_joins_anew() {
    let mut d = exactly_once(|_| {});
    d.fill(0..3);
    d.ran(1, Ran::Output);
    let effects = d.aborted(Abort::Fenced);
    assert_eq!(effects, [forget(0), forget(1), forget(2), Effect::Rejoin]);
    assert!(!d.engine.wants(&input(0)), "nothing is ours");
    d.assign(input(0), Lane::Input);
    assert_eq!(starts(&d.poll(input(0), 1)), [3]);
}

#[test]
fn a_revoked_partition_goes_when_its_transaction_is_through() {
    let mut d = exactly_once(|_| {});
    d.fill(0..2);
    d.ran(0, Ran::Output);
    assert_eq!(d.tell(Event::Revoked(vec![input(0)])), []);
    d.ran(1, Ran::Output);
    let effects = d.committed();
    assert_eq!(transactions(&effects), [(vec![1], vec![2])]);
    assert_eq!(d.committed(), [ended(1), drained(input(0), None)]);
}

#[test]
fn a_revoked_partition_does_not_wait_for_a_transaction_of_others() {
    let mut d = exactly_once(|_| {});
    d.assign(input(1), Lane::Input);
    d.fill(0..1);
    assert_eq!(transactions(&d.ran(0, Ran::Output)), [(vec![0], vec![1])]);
    assert_eq!(d.tell(Event::Revoked(vec![input(1)])), [drained(input(1), None)]);
}

#[test]
fn a_revoked_partition_commits_what_the_ledger_knew_before_it_goes() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Ended(Rest::Over));
    assert_eq!(transactions(&d.tell(Event::Revoked(vec![input(0)]))), [(vec![], vec![1])]);
    assert_eq!(d.committed(), [drained(input(0), None)]);
}

#[test]
fn the_last_offsets_of_a_revoked_partition_wait_for_its_last_record_and_not_beyond_the_deadline() {
    let mut d = exactly_once(|_| {});
    d.fill(0..2);
    d.ran(0, Ran::Ended(Rest::Over));
    assert_eq!(d.tell(Event::Revoked(vec![input(0)])), [], "record 1 still runs");
    assert_eq!(d.tell(Event::DrainDeadline), [forget(1), drained(input(0), None)]);
}

#[test]
fn when_the_time_for_draining_is_over_no_transaction_is_waited_for() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    d.tell(Event::Revoked(vec![input(0)]));
    assert_eq!(d.tell(Event::DrainDeadline), [forget(0), drained(input(0), None)]);
    assert_eq!(d.committed(), [], "late news of what was given back");
}

#[test]
fn a_ledger_that_does_not_take_the_end_is_told_again_and_nothing_is_produced_twice() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    d.transacted(Ok(()));
    let failed = Err(fault(Code::LedgerUnavailable));
    d.tell(Event::Settled { slot: SlotId(0), result: failed });
    assert_eq!(d.pass(SECOND), [Effect::Settle(SlotId(0))]);
    let effects = d.tell(Event::Settled { slot: SlotId(0), result: Ok(()) });
    assert_eq!(effects, [ended(0), Effect::Resumed]);
}

#[test]
fn offsets_are_committed_again_from_time_to_time_so_that_kafka_does_not_forget_them() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    d.committed();
    for _ in 0..2 {
        d.tell(Event::Refresh);
        assert_eq!(transactions(&d.pass(COMMIT_EVERY)), [(vec![], vec![1])]);
        d.committed();
    }
}

#[test]
fn the_markers_behind_the_last_record_are_committed_once_everything_was_read() {
    let mut d = exactly_once(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    d.committed();
    d.tell(Event::CaughtUp(input(0), 2));
    assert_eq!(transactions(&d.pass(COMMIT_EVERY)), [(vec![], vec![2])]);
}

#[test]
fn a_stage_that_was_ousted_waits_for_the_end_of_its_transaction_before_it_joins_anew() {
    let mut d = exactly_once(|_| {});
    d.fill(0..2);
    assert_eq!(transactions(&d.ran(0, Ran::Output)), [(vec![0], vec![1])]);
    assert_eq!(d.tell(Event::Ousted), []);
    let effects = d.transacted(Ok(()));
    assert_eq!(effects, [Effect::Settle(SlotId(0)), forget(0), forget(1), Effect::Rejoin]);
}
