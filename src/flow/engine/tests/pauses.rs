//! A sick or stuck stage: nothing is dead-lettered, one record at a time tries, and it resumes by itself.

use std::time::Duration;

use super::driver::*;
use crate::flow::Code;
use crate::flow::breaker::Circuit;
use crate::flow::engine::*;
use crate::flow::ladder::Past;

fn paused_by(effects: &[Effect]) -> Option<Code> {
    effects.iter().find_map(|e| if let Effect::Paused(fault) = e { Some(fault.code) } else { None })
}

/// A stage of one running record that was found sick, with the record held.
fn sick() -> Driver {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    assert_eq!(paused_by(&d.fails(0, Code::LlmUnauthorized)), Some(Code::LlmUnauthorized));
    d
}

/// How long it takes until something starts or is produced.
fn until_next_try(d: &mut Driver) -> Duration {
    let from = d.now;
    let tried = (0..1000).any(|_| !d.pass(ms(500)).is_empty());
    assert!(tried, "nothing is ever tried again");
    Duration::try_from(d.now.duration_since(from)).unwrap()
}

#[test]
fn a_systemic_failure_pauses_the_stage_and_nothing_is_produced_for_the_record() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    assert_eq!(d.fails(0, Code::LlmUnauthorized), [Effect::Paused(fault(Code::LlmUnauthorized))]);
    assert_eq!(d.engine.paused().unwrap().code, Code::LlmUnauthorized);
    assert_eq!(numbers(&d), (1, 0, 0));
    assert_eq!(d.fill(1..3), [], "nothing starts");
    assert!(d.engine.wants(&input(0)), "the window may still fill");
}

#[test]
fn a_paused_stage_tries_one_record_at_a_time_and_another_one_each_time() {
    let mut d = sick();
    d.fill(1..3);
    assert_eq!(d.pass(SECOND), [start(0)]);
    assert_eq!(d.pass(SECOND * 100), [], "until the probe reports, no other starts");
    assert_eq!(d.fails(0, Code::LlmUnauthorized), [], "no news");
    assert_eq!(d.pass(SECOND * 2), [start(1)]);
    d.fails(1, Code::LlmUnauthorized);
    assert_eq!(d.pass(SECOND * 4), [start(2)]);
}

#[test]
fn the_time_between_probes_doubles_up_to_half_a_minute() {
    let mut d = sick();
    let mut waits = Vec::new();
    for _ in 0..7 {
        waits.push(until_next_try(&mut d).as_secs());
        d.fails(0, Code::LlmUnauthorized);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn failures_of_what_ran_before_the_pause_do_not_make_the_wait_longer() {
    let mut d = Driver::new(|_| {});
    d.fill(0..4);
    for slot in 0..4 {
        d.fails(slot, Code::LlmUnauthorized);
    }
    assert_eq!(until_next_try(&mut d), SECOND);
}

#[test]
fn the_provider_decides_when_it_is_tried_again() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Failed(fault(Code::LlmQuotaExhausted).with_retry_after(Some(SECOND * 90)).into()));
    assert_eq!(until_next_try(&mut d), SECOND * 90);
}

#[test]
fn a_probe_that_succeeds_resumes_the_stage_and_everything_goes_on() {
    let mut d = sick();
    d.fill(1..4);
    d.pass(SECOND);
    assert_eq!(d.ran(0, Ran::Output), [output(0), Effect::Resumed, start(1), start(2), start(3)]);
    assert_eq!(d.engine.paused(), None);
}

#[test]
fn a_probe_that_fails_for_its_own_sake_shows_that_the_stage_is_well() {
    let mut d = sick();
    d.pass(SECOND);
    let effects = d.fails(0, Code::ParseCorrupt);
    assert!(effects.contains(&Effect::Resumed), "{effects:?}");
    assert!(matches!(effects[0], Effect::Prepare { what: Publish::Dead { attempts: 1, .. }, .. }));
}

#[test]
fn a_probe_that_fails_as_any_call_may_shows_that_what_the_stage_was_sick_of_is_over() {
    let mut d = sick();
    d.pass(SECOND);
    let effects = d.fails(0, Code::LlmTimeout);
    assert!(matches!(effects[0], Effect::Prepare { what: Publish::Retry { attempt: 1, .. }, .. }));
    assert!(effects.contains(&Effect::Resumed), "{effects:?}");
}

#[test]
fn a_probe_that_does_no_work_shows_that_the_ledger_answers() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    assert_eq!(paused_by(&d.fails(0, Code::LedgerUnavailable)), Some(Code::LedgerUnavailable));
    assert_eq!(d.ran(1, Ran::Ended(Rest::Over)), [ended(1)], "it was begun before the pause");
    assert_eq!(starts(&d.pass(SECOND)), [0]);
    assert_eq!(d.ran(0, Ran::Ended(Rest::Over)), [ended(0), Effect::Resumed]);
}

#[test]
fn a_success_that_was_begun_before_the_pause_does_not_end_it() {
    let mut d = Driver::new(|_| {});
    d.fill(0..3);
    d.fails(0, Code::LlmUnauthorized);
    assert_eq!(d.done(1), [output(1), ended(1)]);
    assert!(d.engine.paused().is_some());
}

#[test]
fn a_probe_that_does_no_work_proves_nothing_and_the_next_one_follows() {
    let mut d = sick();
    d.fill(1..3);
    d.pass(SECOND);
    assert_eq!(d.ran(0, Ran::Ended(Rest::Over)), [ended(0), start(1)]);
    assert_eq!(d.ran(1, Ran::Busy), [start(2)]);
    assert!(d.engine.paused().is_some());
}

#[test]
fn another_reason_to_pause_is_told() {
    let mut d = sick();
    d.pass(SECOND);
    assert_eq!(paused_by(&d.fails(0, Code::LlmModelUnknown)), Some(Code::LlmModelUnknown));
}

#[test]
fn a_sick_stage_without_records_sleeps_and_probes_with_the_first_that_comes() {
    let mut d = sick();
    d.tell(Event::Lost(vec![input(0)]));
    assert_eq!(d.engine.next_wake(), None);
    d.pass(SECOND * 5);
    d.assign(input(0), Lane::Input);
    assert_eq!(d.fill(0..2), [start(1)]);
}

#[test]
fn a_sick_stage_whose_records_all_wait_sleeps_until_one_is_due() {
    let mut d = sick();
    d.assign(rung(0), Lane::Rung);
    d.pass(SECOND);
    let due = d.after(SECOND * 60);
    d.arrive(rung(0), 0, |a| a.due = Some(due));
    d.ran(0, Ran::Ended(Rest::Over));
    d.pass(COMMIT_EVERY);
    assert_eq!(d.engine.next_wake(), Some(due));
    assert_eq!(d.pass(SECOND * 60), [start(1)]);
}

/// Runs `records` records, of which the first of each `each` succeeds and the others break their connection.
fn broken_connections(d: &mut Driver, records: i64, each: i64) -> Vec<Effect> {
    let mut effects = Vec::new();
    for offset in 0..records {
        d.poll(input(0), offset);
        let slot = u64::try_from(offset).unwrap();
        if offset % each == 0 {
            effects.extend(d.done(slot));
        } else {
            effects.extend(d.fails(slot, Code::LlmConnection));
            effects.extend(d.published(slot));
        }
    }
    effects
}

#[test]
fn four_failures_in_five_calls_are_an_outage() {
    let mut d = Driver::new(|_| {});
    assert_eq!(paused_by(&broken_connections(&mut d, 20, 5)), Some(Code::LlmUnavailable));
}

#[test]
fn three_failures_in_four_calls_are_no_outage() {
    let mut d = Driver::new(|_| {});
    assert_eq!(paused_by(&broken_connections(&mut d, 200, 4)), None);
}

#[test]
fn in_an_outage_no_attempt_is_counted() {
    let mut d = Driver::new(|spec| spec.window = 100);
    broken_connections(&mut d, 9, 100);
    d.fill(9..11);
    assert_eq!(paused_by(&d.fails(9, Code::LlmConnection)), Some(Code::LlmUnavailable));
    assert_eq!(d.fails(10, Code::LlmTimeout), [], "what ran is held as well");
    assert_eq!(starts(&d.pass(SECOND)), [9]);
    assert_eq!(d.fails(9, Code::LlmConnection), []);
    assert_eq!(starts(&d.pass(SECOND * 2)), [10]);
    assert_eq!(d.ran(10, Ran::Output), [output(10), Effect::Resumed, start(9)]);
}

#[test]
fn the_breaker_is_open_in_an_outage_and_half_open_while_one_record_tries() {
    let mut d = Driver::new(|_| {});
    broken_connections(&mut d, 9, 100);
    assert_eq!(d.engine.circuit(), Circuit::Closed);
    d.poll(input(0), 9);
    d.fails(9, Code::LlmConnection);
    assert_eq!(d.engine.circuit(), Circuit::Open);
    d.pass(SECOND);
    assert_eq!(d.engine.circuit(), Circuit::HalfOpen);
    d.done(9);
    assert_eq!(d.engine.circuit(), Circuit::Closed);
}

#[test]
fn what_pauses_the_stage_and_is_no_outage_opens_no_breaker() {
    assert_eq!(stuck().engine.circuit(), Circuit::Closed);
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    assert_eq!(paused_by(&d.fails(0, Code::LlmUnauthorized)), Some(Code::LlmUnauthorized));
    assert_eq!(d.engine.circuit(), Circuit::Closed);
    assert_eq!(starts(&d.pass(SECOND)), [0]);
    assert_eq!(d.engine.circuit(), Circuit::Closed, "only an outage opens it");
}

#[test]
fn in_an_outage_the_provider_decides_when_it_is_tried_again_and_the_reason_stays_the_same() {
    let mut d = Driver::new(|_| {});
    broken_connections(&mut d, 10, 100);
    let reason = d.engine.paused().cloned().unwrap();
    assert_eq!(starts(&d.pass(SECOND)), [9]);
    d.ran(9, Ran::Failed(fault(Code::LlmOverloaded).with_retry_after(Some(SECOND * 20)).into()));
    assert_eq!(d.engine.paused(), Some(&reason.with_retry_after(Some(SECOND * 20))));
    assert_eq!(until_next_try(&mut d), SECOND * 20);
}

#[test]
fn after_an_outage_its_failures_are_forgotten() {
    let mut d = Driver::new(|_| {});
    broken_connections(&mut d, 10, 100);
    d.pass(SECOND);
    d.done(9);
    d.poll(input(0), 10);
    assert_eq!(paused_by(&d.fails(10, Code::LlmConnection)), None);
}

#[test]
fn a_provider_that_limits_the_rate_is_not_down() {
    let mut d = Driver::new(|_| {});
    for offset in 0..40 {
        d.poll(input(0), offset);
        let slot = u64::try_from(offset).unwrap();
        assert_eq!(paused_by(&d.fails(slot, Code::LlmRateLimited)), None);
        d.published(slot);
    }
}

/// A stage whose output Kafka does not take.
fn stuck() -> Driver {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    assert_eq!(d.refused(0, Code::OutputUnwritable), [Effect::Paused(fault(Code::OutputUnwritable))]);
    d
}

#[test]
fn what_kafka_does_not_take_is_kept_and_tried_again_until_it_does() {
    let mut d = stuck();
    assert_eq!(d.fill(1..2), [], "nothing starts meanwhile");
    let mut waits = Vec::new();
    for _ in 0..7 {
        waits.push(until_next_try(&mut d).as_secs());
        assert_eq!(d.refused(0, Code::OutputUnwritable), []);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(d.pass(SECOND * 30), [output(0)]);
    assert_eq!(d.published(0), [ended(0), Effect::Resumed, start(1)]);
}

#[test]
fn one_refused_record_tries_and_when_kafka_takes_it_the_others_follow() {
    let mut d = Driver::new(|_| {});
    d.fill(0..3);
    for slot in 0..3 {
        d.ran(slot, Ran::Output);
    }
    for slot in 0..3 {
        d.refused(slot, Code::OutputUnwritable);
    }
    assert_eq!(d.pass(SECOND * 100), [output(0)], "the others wait for its answer");
    assert_eq!(d.published(0), [ended(0), Effect::Resumed, output(1), output(2)]);
}

#[test]
fn outputs_that_kafka_takes_do_not_end_the_pause_for_a_dead_letter_it_refuses() {
    let mut d = Driver::new(|_| {});
    d.fill(0..3);
    d.fails(0, Code::ParseCorrupt);
    d.ran(1, Ran::Output);
    d.refused(0, Code::DlqUnwritable);
    assert_eq!(d.published(1), [ended(1)]);
    assert_eq!(d.done(2), [output(2), ended(2)]);
    assert_eq!(d.engine.paused().unwrap().code, Code::DlqUnwritable);
}

#[test]
fn a_stuck_stage_that_loses_what_was_refused_goes_on_with_the_rest() {
    let mut d = stuck();
    d.assign(input(1), Lane::Input);
    d.poll(input(1), 0);
    let effects = d.tell(Event::Revoked(vec![input(0)]));
    assert_eq!(effects, [forget(0), Effect::Resumed, start(1), drained(input(0), None)]);
}

#[test]
fn a_stuck_stage_that_loses_one_of_two_refused_records_pauses_for_the_other() {
    let mut d = Driver::new(|_| {});
    d.assign(input(1), Lane::Input);
    d.fill(0..1);
    d.poll(input(1), 0);
    for slot in 0..2 {
        d.ran(slot, Ran::Output);
    }
    for slot in 0..2 {
        d.refused(slot, Code::OutputUnwritable);
    }
    assert_eq!(d.tell(Event::Lost(vec![input(0)])), [forget(0)]);
    assert_eq!(d.pass(SECOND), [output(1)]);
}

#[test]
fn a_stuck_stage_that_loses_other_records_waits_for_the_answer_to_its_try() {
    let mut d = stuck();
    d.assign(input(1), Lane::Input);
    d.poll(input(1), 0);
    assert_eq!(d.pass(SECOND), [output(0)]);
    assert_eq!(d.tell(Event::Lost(vec![input(1)])), [forget(1)]);
    assert_eq!(d.engine.paused().unwrap().code, Code::OutputUnwritable);
}

#[test]
fn a_stage_that_is_sick_and_stuck_resumes_when_both_are_over() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    d.ran(0, Ran::Output);
    d.refused(0, Code::OutputUnwritable);
    assert_eq!(paused_by(&d.fails(1, Code::LlmUnauthorized)), Some(Code::LlmUnauthorized));
    assert_eq!(d.pass(SECOND * 60), [output(0)], "no probe while its output could not be produced");
    assert_eq!(d.published(0), [ended(0), start(1)], "now a probe");
    assert_eq!(d.ran(1, Ran::Output), [output(1), Effect::Resumed]);
}

#[test]
fn a_stage_that_is_well_again_but_still_stuck_says_why_it_pauses() {
    let mut d = Driver::new(|_| {});
    d.fill(0..2);
    d.ran(1, Ran::Output);
    d.fails(0, Code::LlmUnauthorized);
    d.pass(SECOND);
    assert_eq!(d.refused(1, Code::OutputUnwritable), [], "the first reason still holds");
    let told = [output(0), Effect::Paused(fault(Code::OutputUnwritable))];
    assert_eq!(d.ran(0, Ran::Output), told);
}

#[test]
fn the_time_of_a_pause_is_not_charged_to_the_records_that_waited_it_out() {
    let mut d = Driver::new(|_| {});
    let first = d.now;
    d.arrive(input(0), 0, |a| a.past = Past { failures: 1, first_failure: Some(first), seed: 0 });
    d.fails(0, Code::LlmUnauthorized);
    // Longer than max_elapsed, and nobody's failure.
    let start = d.pass(SECOND * 3600);
    assert_eq!(starts(&start), [0], "the trial");
    let effects = d.fails(0, Code::LlmTimeout);
    assert!(
        effects.iter().any(|e| matches!(e, Effect::Prepare { what: Publish::Retry { attempt: 2, .. }, .. })),
        "it climbs on: {effects:?}"
    );
}
