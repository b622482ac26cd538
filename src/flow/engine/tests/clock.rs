//! The clock of the machine is set while the stage works: nothing is early by it, lost, or comes all at once.

use std::time::Duration;

use super::driver::*;
use crate::flow::Code;
use crate::flow::engine::*;

const HOUR: Duration = Duration::from_secs(3600);

fn set_back(d: &mut Driver) -> Vec<Effect> {
    d.now = d.now.checked_sub(HOUR).unwrap();
    d.tell(Event::Tick)
}

fn set_forward(d: &mut Driver) -> Vec<Effect> {
    d.now = d.after(HOUR);
    d.tell(Event::Tick)
}

#[test]
fn offsets_are_committed_although_the_clock_was_set_back() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.done(0);
    assert_eq!(commits(&set_back(&mut d)), [(input(0), 1)]);
}

#[test]
fn a_stage_that_pauses_tries_again_although_the_clock_was_set_back() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.fails(0, Code::LlmUnauthorized);
    assert_eq!(starts(&set_back(&mut d)), [0]);
}

#[test]
fn a_copy_of_a_running_job_is_looked_at_again_although_the_clock_was_set_back() {
    let mut d = Driver::new(|_| {});
    d.fill(0..1);
    d.ran(0, Ran::Busy);
    assert_eq!(starts(&set_back(&mut d)), [0]);
}

#[test]
fn what_waits_on_a_rung_is_not_early_when_the_clock_was_set_back_nor_lost() {
    let mut d = Driver::new(|_| {});
    d.assign(rung(0), Lane::Rung);
    let due = d.after(SECOND);
    d.arrive(rung(0), 0, |a| a.due = Some(due));
    assert_eq!(starts(&set_back(&mut d)), [0u64; 0]);
    assert_eq!(starts(&d.pass(HOUR)), [0u64; 0]);
    assert_eq!(starts(&d.pass(SECOND)), [0]);
}

#[test]
fn what_waits_on_a_rung_keeps_to_its_rate_when_the_clock_was_set_forward() {
    let mut d = Driver::new(|spec| (spec.concurrency, spec.window, spec.comeback) = (100, 100, Some(10)));
    d.assign(rung(0), Lane::Rung);
    for n in 0..30 {
        let due = d.after(SECOND * (60 + n));
        d.arrive(rung(0), i64::from(n), |a| a.due = Some(due));
    }
    assert_eq!(starts(&set_forward(&mut d)).len(), 2, "what a tenth of a second allows, and one");
    assert_eq!(starts(&d.pass(SECOND)).len(), 10);
}

#[test]
fn the_rate_of_the_rungs_goes_on_although_the_clock_was_set_back() {
    let mut d = Driver::new(|spec| (spec.concurrency, spec.window, spec.comeback) = (100, 100, Some(10)));
    d.assign(rung(0), Lane::Rung);
    for offset in 0..30 {
        d.poll(rung(0), offset);
    }
    assert_eq!(starts(&set_back(&mut d)).len(), 1);
    assert_eq!(starts(&d.pass(SECOND)).len(), 10);
}

#[test]
fn what_failed_is_written_although_the_clock_was_set_back() {
    let mut d = Driver::new(|spec| spec.delivery = Delivery::ExactlyOnce);
    d.fill(0..2);
    d.fails(0, Code::ParseCorrupt);
    d.fails(1, Code::ParseCorrupt);
    d.committed();
    assert_eq!(commits(&set_back(&mut d)), [(input(0), 2)]);
}
