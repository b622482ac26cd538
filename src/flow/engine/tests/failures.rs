//! Failures of records: the ladder, dead letters, what Kafka refuses for a record's sake.

use super::driver::*;
use crate::flow::engine::*;
use crate::flow::ladder::Past;
use crate::flow::rule::Rule;
use crate::flow::{Class, Code};
use crate::message::deadletter::Detail;

#[test]
fn a_transient_failure_goes_to_the_rung_that_is_long_enough() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    let due = d.after(SECOND * 2);
    let retry = Publish::Retry { rung: 0, due, attempt: 1, fault: fault(Code::LlmTimeout) };
    assert_eq!(what(&d.fails(0, Code::LlmTimeout)), retry);
    assert_eq!(d.published(0), [ended(0)]);
    assert_eq!(commits(&d.pass(SECOND)), [(input(0), 1)], "on its rung it is safe");
}

#[test]
fn each_failure_waits_longer_and_counts_the_ones_before() {
    let mut d = Driver::new(|_| {});
    let first = d.now;
    d.arrive(input(0), 0, |a| a.past = Past { failures: 1, first_failure: Some(first), seed: 0 });
    let due = d.after(SECOND * 4);
    let retry = Publish::Retry { rung: 1, due, attempt: 2, fault: fault(Code::LlmTimeout) };
    assert_eq!(what(&d.fails(0, Code::LlmTimeout)), retry);
}

#[test]
fn the_provider_decides_how_long_to_wait() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    let asked = fault(Code::LlmRateLimited).with_retry_after(Some(SECOND * 17));
    let Publish::Retry { rung, due, .. } = what(&d.ran(0, Ran::Failed(asked.into()))) else {
        panic!("no retry")
    };
    assert_eq!((rung, due), (1, d.after(SECOND * 17)));
}

#[test]
fn a_permanent_failure_is_a_dead_letter_at_once() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    let dead = dead_letter(1, fault(Code::ParseCorrupt));
    assert_eq!(what(&d.fails(0, Code::ParseCorrupt)), dead);
    assert_eq!(d.published(0), [ended(0)]);
}

#[test]
fn a_job_that_was_condemned_before_a_crash_is_a_dead_letter_without_another_attempt() {
    let mut d = Driver::new(|_| {});
    d.arrive(input(0), 0, |a| a.past = Past { failures: 2, first_failure: None, seed: 0 });
    let dead = dead_letter(3, fault(Code::LlmTimeout));
    assert_eq!(what(&d.ran(0, Ran::Condemned(fault(Code::LlmTimeout)))), dead);
}

#[test]
fn the_last_attempt_is_a_dead_letter_that_says_which_limit_was_reached() {
    let mut d = Driver::new(|_| {});
    let first = d.now;
    d.arrive(input(0), 0, |a| a.past = Past { failures: 2, first_failure: Some(first), seed: 0 });
    let Publish::Dead { attempts, fault, .. } = what(&d.fails(0, Code::LlmTimeout)) else {
        panic!("not dead")
    };
    assert_eq!((attempts, fault.code), (3, Code::LlmTimeout));
    assert!(fault.chain[0].contains("3 attempts") && fault.chain[0].contains("max_attempts"), "{fault:?}");
}

#[test]
fn a_rule_gives_a_failure_another_class() {
    let rule = Rule { code: Some(Code::LlmBadRequest), status: None, message: None, class: Class::Transient };
    let mut d = Driver::new(|spec| spec.rules = vec![rule]);
    d.fill(0..1);
    assert!(matches!(what(&d.fails(0, Code::LlmBadRequest)), Publish::Retry { attempt: 1, .. }));
}

#[test]
fn an_output_that_is_too_large_is_a_dead_letter() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    let dead = dead_letter(1, fault(Code::RecordTooLarge));
    assert_eq!(what(&d.refused(0, Code::RecordTooLarge)), dead);
    assert_eq!(d.engine.paused(), None);
}

#[test]
fn an_output_that_fails_for_a_while_goes_to_a_rung() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    assert!(matches!(what(&d.refused(0, Code::StageTimeout)), Publish::Retry { attempt: 1, .. }));
}

#[test]
fn a_retry_that_does_not_fit_its_rung_is_a_dead_letter() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.fails(0, Code::LlmTimeout);
    assert!(matches!(what(&d.refused(0, Code::RecordTooLarge)), Publish::Dead { attempts: 1, .. }));
}

#[test]
fn a_retry_that_its_rung_refuses_for_the_record_s_sake_is_a_dead_letter_too() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.fails(0, Code::LlmTimeout);
    assert_eq!(what(&d.refused(0, Code::RecordUndecodable)), dead_letter(1, fault(Code::RecordUndecodable)));
    assert_eq!(d.engine.paused(), None);
}

#[test]
fn a_retry_that_its_rung_does_not_take_for_another_reason_is_kept_and_not_run_again() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    let retry = what(&d.fails(0, Code::LlmTimeout));
    assert_eq!(d.refused(0, Code::OutputUnwritable), [Effect::Paused(fault(Code::OutputUnwritable))]);
    assert_eq!(what(&d.pass(SECOND)), retry);
}

#[test]
fn a_dead_letter_that_does_not_fit_tells_less_and_if_that_is_not_enough_it_stops_the_stage_and_is_kept() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.fails(0, Code::ParseCorrupt);
    for less in [Detail::NoChain, Detail::Brief] {
        let effects = d.refused(0, Code::RecordTooLarge);
        assert!(matches!(what(&effects), Publish::Dead { detail, .. } if detail == less), "{effects:?}");
    }
    assert_eq!(d.refused(0, Code::RecordTooLarge), [Effect::Paused(fault(Code::RecordTooLarge))]);
    assert_eq!(d.fill(1..2), []);
    assert!(matches!(what(&d.pass(SECOND)), Publish::Dead { .. }), "tried again");
}

#[test]
fn a_dead_letter_whose_time_kafka_refuses_goes_without_it() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.fails(0, Code::ParseCorrupt);
    let refused = Err(Refusal::Dated(fault(Code::DlqUnwritable)));
    let effects = d.tell(Event::Sent { slot: SlotId(0), result: refused });
    assert!(matches!(what(&effects), Publish::Dead { dated: false, .. }), "{effects:?}");
}

#[test]
fn a_job_that_another_copy_took_over_is_looked_up_again_because_that_one_may_never_end_it() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.fails(0, Code::ParseCorrupt);
    assert_eq!(d.tell(Event::Sent { slot: SlotId(0), result: Err(Refusal::TakenOver) }), []);
    assert_eq!(starts(&d.pass(ms(250))), [0]);
}

#[test]
fn a_job_that_is_over_already_ends_with_nothing_produced() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.fails(0, Code::ParseCorrupt);
    let over = Err(Refusal::Ended(Rest::Over));
    assert_eq!(d.tell(Event::Sent { slot: SlotId(0), result: over }), [ended(0)]);
}

#[test]
fn answers_about_records_that_do_not_run_change_nothing() {
    let mut d = Driver::new(|spec| spec.concurrency = 1);
    d.fill(0..2);
    assert_eq!(d.ran(1, Ran::Output), [], "ready, not running");
    assert_eq!(d.published(0), [], "running, not publishing");
    assert_eq!(d.ran(77, Ran::Failed(fault(Code::LlmUnauthorized))), [], "never seen");
    assert_eq!(d.engine.paused(), None);
    assert_eq!(numbers(&d), (2, 1, 0));
}

#[test]
fn an_answer_to_a_question_that_was_not_asked_changes_nothing() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Output);
    let slot = SlotId(0);
    assert_eq!(d.tell(Event::Settled { slot, result: Ok(()) }), [], "Kafka does not have it yet");
    assert_eq!(d.tell(Event::Prepared { slot, result: Ok(1) }), []);
    assert_eq!(d.tell(Event::Sent { slot, result: Ok(()) }), [Effect::Settle(slot)]);
    assert_eq!(d.refused(0, Code::OutputUnwritable), [], "Kafka has it");
    assert_eq!(d.tell(Event::Settled { slot, result: Ok(()) }), [ended(0)]);
}
