use super::*;
use crate::quarantine::State;
use crate::quarantine::act::Outcome;
use crate::quarantine::contract;

fn plan(letters: u64) -> Plan {
    Plan { letters, ..contract::plan() }
}

fn act(n: i64, deed: Deed) -> Act {
    Act {
        id: format!("act-{n}"),
        operation: "run-1".into(),
        at: Timestamp::from_second(n).expect("a time"),
        by: "kim".into(),
        reason: Some(format!("reason {n}")),
        letters: Vec::new(),
        group: None,
        deed,
    }
}

fn run(deeds: Vec<Deed>) -> Run {
    let first = Deed::Planned { plan: Box::new(plan(3)) };
    let acts: Vec<Act> = std::iter::once(first).chain(deeds).zip(0..).map(|(deed, n)| act(n, deed)).collect();
    Run::of(&acts, 3).expect("a run")
}

fn started() -> Deed {
    Deed::Started { overridden: vec!["lag".into()], detached: false }
}

fn resumed() -> Deed {
    Deed::Resumed { detached: false }
}

fn tally(left: u64, succeeded: u64, failed: u64) -> Tally {
    Tally { left, succeeded, failed, ..Tally::default() }
}

#[test]
fn a_plan_is_a_draft_until_all_its_letters_are_written_down() {
    let acts = [act(0, Deed::Planned { plan: Box::new(plan(3)) })];
    assert_eq!(Run::of(&acts, 2).map(|run| run.state), Some(RunState::Draft));
    assert_eq!(Run::of(&acts, 3).map(|run| run.state), Some(RunState::Planned));
    assert_eq!(Run::of(&[act(0, started())], 3), None, "there is no plan");
}

#[test]
fn a_draft_cannot_be_started() {
    let acts = [act(0, Deed::Planned { plan: Box::new(plan(3)) }), act(1, started())];
    assert_eq!(Run::of(&acts, 1).map(|run| run.state), Some(RunState::Draft));
}

#[test]
fn a_plan_that_needs_it_is_started_only_by_somebody_for_whom_another_one_approved_it() {
    let of = |acts: &[(&str, Deed)]| {
        let plan = Plan { approval: true, ..plan(3) };
        let first = ("kim", Deed::Planned { plan: Box::new(plan) });
        let acts = std::iter::once(&first).chain(acts).zip(0..);
        let acts: Vec<Act> =
            acts.map(|((by, deed), n)| Act { by: (*by).into(), ..act(n, deed.clone()) }).collect();
        Run::of(&acts, 3).expect("a run")
    };
    let approved = |by| (by, Deed::Approved);
    let started = |by| (by, started());
    for (acts, state) in [
        (vec![started("kim")], RunState::Planned),
        (vec![started("ada")], RunState::Planned),
        (vec![approved("kim"), started("kim")], RunState::Planned),
        (vec![approved("kim"), started("ada")], RunState::Planned),
        (vec![approved("ada"), started("ada")], RunState::Planned),
        (vec![approved("ada"), started("kim")], RunState::Running),
        (vec![approved("ada"), started("ben")], RunState::Running),
        (vec![approved("ada"), approved("ben"), started("ada")], RunState::Running),
        (vec![approved("ada"), ("ada", Deed::Cancelled), started("kim")], RunState::Cancelled),
        (vec![started("kim"), approved("ada")], RunState::Planned),
    ] {
        assert_eq!(of(&acts).state, state, "{acts:?}");
    }
    assert_eq!(of(&[approved("kim"), approved("ada")]).approvals.len(), 1, "nobody approves what is his own");
}

#[test]
fn of_two_that_come_at_once_the_first_counts() {
    let stopped = Deed::Stopped { tally: tally(1, 1, 1) };
    for (deeds, state) in [
        (vec![started()], RunState::Running),
        (vec![started(), started()], RunState::Running),
        (vec![started(), Deed::Paused, started()], RunState::Paused),
        (vec![started(), Deed::Paused, resumed()], RunState::Running),
        (vec![Deed::Paused], RunState::Planned),
        (vec![resumed()], RunState::Planned),
        (vec![started(), stopped.clone()], RunState::Stopped),
        (vec![started(), stopped.clone(), resumed()], RunState::Running),
        (vec![started(), Deed::Paused, stopped.clone()], RunState::Paused),
        (vec![started(), Deed::Cancelled, resumed()], RunState::Cancelled),
        (vec![Deed::Cancelled, started()], RunState::Cancelled),
        (vec![started(), Deed::Finished { tally: tally(0, 3, 0) }, Deed::Cancelled], RunState::Finished),
        (vec![started(), Deed::Cancelled, Deed::Finished { tally: tally(0, 3, 0) }], RunState::Cancelled),
    ] {
        assert_eq!(run(deeds.clone()).state, state, "{deeds:?}");
    }
}

#[test]
fn what_was_told_last_is_what_is_known_and_a_leg_begins_with_it() {
    let told = Deed::Progress { tally: tally(2, 1, 0) };
    let run = run(vec![started(), told, Deed::Stopped { tally: tally(1, 1, 1) }, resumed()]);
    assert_eq!(run.tally, tally(1, 1, 1));
    assert_eq!(run.baseline, tally(1, 1, 1));
    assert_eq!((run.driver.as_deref(), run.because.as_deref()), (Some("kim"), Some("reason 4")));
    assert_eq!((run.legs, run.overridden.as_slice()), (2, &["lag".to_owned()][..]));
    assert_eq!(run.reason.as_deref(), Some("reason 4"));
}

#[test]
fn what_became_of_a_letter_in_a_run_follows_from_its_state_and_from_what_the_run_did() {
    let settled = |outcome| Deed::Settled { outcome };
    let redriven = Deed::Redriven;
    for (state, deeds, fate) in [
        (Some(State::Open), vec![], Fate::Left),
        (Some(State::Redriving), vec![redriven.clone()], Fate::Pending),
        (Some(State::Redriving), vec![], Fate::Elsewhere),
        (Some(State::Resolved), vec![redriven.clone()], Fate::Succeeded),
        (Some(State::Resolved), vec![], Fate::Elsewhere),
        (Some(State::Resolved), vec![settled(Outcome::Skipped)], Fate::Skipped),
        (Some(State::Superseded), vec![redriven.clone()], Fate::Failed),
        (Some(State::Superseded), vec![], Fate::Elsewhere),
        (Some(State::Discarded), vec![redriven.clone()], Fate::Elsewhere),
        (Some(State::Expired), vec![], Fate::Expired),
        (Some(State::Open), vec![redriven.clone(), settled(Outcome::Returned)], Fate::Left),
        (Some(State::Redriving), vec![redriven.clone(), settled(Outcome::Returned)], Fate::Elsewhere),
        (None, vec![], Fate::Expired),
    ] {
        let acts: Vec<Act> = deeds.iter().cloned().zip(0..).map(|(deed, n)| act(n, deed)).collect();
        assert_eq!(Fate::of("run-1", state, &acts), fate, "{state:?} {deeds:?}");
        let others = Fate::of("run-2", state, &acts);
        assert!(!matches!(others, Fate::Succeeded | Fate::Failed | Fate::Pending), "{others:?}");
    }
}

#[test]
fn what_was_started_for_somebody_else_is_unclaimed_until_something_is_heard_of_it() {
    let detached = || Deed::Started { overridden: Vec::new(), detached: true };
    assert!(run(vec![detached()]).unclaimed);
    assert!(!run(vec![detached(), Deed::Progress { tally: tally(3, 0, 0) }]).unclaimed);
    assert!(!run(vec![started()]).unclaimed);
    assert!(run(vec![started(), Deed::Paused, Deed::Resumed { detached: true }]).unclaimed);
}

#[test]
fn what_is_told_first_in_a_leg_is_where_it_began() {
    let told = |left, succeeded| Deed::Progress { tally: tally(left, succeeded, 0) };
    let deeds = vec![started(), told(3, 0), Deed::Paused, resumed(), told(1, 2), told(0, 3)];
    let run = run(deeds);
    assert_eq!((run.baseline, run.tally), (tally(1, 2, 0), tally(0, 3, 0)));
}
