//! Runs of redrive: plans, their letters, and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Open, at, letter};
use crate::quarantine::{
    Act, ActFilter, Batch, Deed, Fate, Outcome, Plan, Policy, Quarantine, Run, RunState, State, Tally,
};

pub async fn runs(open: &impl Open) {
    a_plan_is_complete_when_all_its_letters_are_there(open().await).await;
    what_became_of_the_letters_of_a_run_is_told_in_the_order_of_the_plan(open().await).await;
    runs_are_found_by_the_beginning_of_their_id_and_listed_latest_first(open().await).await;
    what_is_under_way_is_known_however_old_its_plan_is(open().await).await;
    of_what_a_run_tells_again_and_again_the_first_and_the_last_are_kept(open().await).await;
}

/// A plan of three letters that failed for good.
pub fn plan() -> Plan {
    Plan {
        name: "after the outage".into(),
        pipeline: "rag".into(),
        stage: "embed".into(),
        selection: "--stage embed".into(),
        letters: 3,
        bytes: 100,
        tenants: 1,
        groups: vec!["f1".into()],
        oldest: Some(at(0)),
        permanent: BTreeMap::from([("7".into(), 1)]),
        edited: 1,
        most_redriven: 0,
        approval: false,
        preview: None,
        estimate: None,
        policy: Policy::default(),
    }
}

fn planned(letters: u64) -> Deed {
    Deed::Planned { plan: Box::new(Plan { letters, ..plan() }) }
}

fn enlisted(from: u64, ids: &[&str]) -> Deed {
    Deed::Enlisted { from, ids: ids.iter().map(|id| (*id).to_owned()).collect() }
}

/// The act of a run at this offset.
fn act(run: &str, offset: i64, letters: &[&str], deed: Deed) -> (i64, Act) {
    let act = Act {
        id: format!("act-{run}-{offset}"),
        operation: run.into(),
        at: at(offset),
        by: "kim".into(),
        reason: None,
        letters: letters.iter().map(|id| (*id).to_owned()).collect(),
        group: None,
        deed,
    };
    (offset, act)
}

async fn apply(index: &dyn Quarantine, letters: std::ops::Range<i64>, acts: Vec<(i64, Act)>) {
    let entries = letters.map(letter).collect();
    index.apply(Batch { entries, acts, ..Batch::default() }).await.expect("the index works");
}

async fn run(index: &dyn Quarantine, id: &str) -> Run {
    index.run(id).await.expect("the index works").pop().expect("a run")
}

async fn a_plan_is_complete_when_all_its_letters_are_there(index: Arc<dyn Quarantine>) {
    apply(&*index, 0..3, vec![act("run-1", 0, &[], planned(3))]).await;
    assert_eq!(run(&*index, "run-1").await.state, RunState::Draft);
    let first = act("run-1", 1, &[], enlisted(0, &["id-0002", "id-0000"]));
    apply(&*index, 0..0, vec![first.clone()]).await;
    assert_eq!(run(&*index, "run-1").await.state, RunState::Draft);
    // What is read twice counts once.
    apply(&*index, 0..0, vec![first, act("run-1", 2, &[], enlisted(2, &["id-0001"]))]).await;
    let planned = run(&*index, "run-1").await;
    assert_eq!((planned.state, planned.tally), (RunState::Planned, Tally { left: 3, ..Tally::default() }));
    let states = index.get(&["id-0000".into(), "id-0002".into(), "id-none".into()]).await.expect("works");
    assert_eq!(states.iter().map(|known| known.state).collect::<Vec<_>>(), [State::Open; 2]);

    index.clear().await.expect("works");
    assert!(index.runs(10).await.expect("works").is_empty());
    assert!(index.in_run("run-1", 0, 10).await.expect("works").is_empty());
}

async fn what_became_of_the_letters_of_a_run_is_told_in_the_order_of_the_plan(index: Arc<dyn Quarantine>) {
    let settled = |outcome| Deed::Settled { outcome };
    let ids = ["id-0004", "id-0000", "id-0003", "id-0001", "id-0002", "id-gone"];
    let acts = vec![
        act("run-1", 0, &[], planned(6)),
        act("run-1", 1, &[], enlisted(0, &ids)),
        act("run-1", 2, &[], Deed::Started { overridden: vec![], detached: false }),
        act("run-1", 3, &["id-0004", "id-0000", "id-0003"], Deed::Redriven),
        act("run-1", 4, &["id-0004"], settled(Outcome::Succeeded)),
        act("run-1", 5, &["id-0001"], settled(Outcome::Skipped)),
    ];
    apply(&*index, 0..5, acts).await;
    // The job of this letter died again.
    let mut again = letter(77);
    (again.job, again.redrives) = ("job-0".into(), 1);
    index.apply(Batch { entries: vec![again], ..Batch::default() }).await.expect("works");
    let expected = [Fate::Succeeded, Fate::Failed, Fate::Pending, Fate::Skipped, Fate::Left, Fate::Expired];
    for size in [1, 2, 4, 100] {
        let (mut from, mut told) = (0, Vec::new());
        loop {
            let letters = index.in_run("run-1", from, size).await.expect("works");
            let Some(last) = letters.last() else { break };
            from = last.place + 1;
            told.extend(letters);
        }
        assert_eq!(told.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ids, "{size}");
        assert_eq!(told.iter().map(|one| one.fate).collect::<Vec<_>>(), expected, "{size}");
        assert!(told.iter().all(|one| one.letter.is_some() == (one.id != "id-gone")));
    }
    let some = index.fates("run-1", &[(2, "id-0003".into()), (0, "id-0004".into())]).await.expect("works");
    assert_eq!(
        some.iter().map(|one| (one.place, one.fate)).collect::<Vec<_>>(),
        [(2, Fate::Pending), (0, Fate::Succeeded)]
    );
    let others = index.fates("run-2", &[(0, "id-0003".into()), (1, "id-0002".into())]).await.expect("works");
    assert_eq!(others.iter().map(|one| one.fate).collect::<Vec<_>>(), [Fate::Elsewhere, Fate::Left]);
}

async fn runs_are_found_by_the_beginning_of_their_id_and_listed_latest_first(index: Arc<dyn Quarantine>) {
    let acts = (1..=3).map(|n| act(&format!("run-{n}"), n, &[], planned(0))).collect();
    apply(&*index, 0..0, acts).await;
    // What has no plan is no run.
    apply(&*index, 0..0, vec![act("run-9", 9, &[], Deed::Paused)]).await;
    let listed: Vec<String> = index.runs(2).await.expect("works").into_iter().map(|run| run.id).collect();
    assert_eq!(listed, ["run-3"], "two are looked at, and one of them has no plan");
    let listed: Vec<String> = index.runs(10).await.expect("works").into_iter().map(|run| run.id).collect();
    assert_eq!(listed, ["run-3", "run-2", "run-1"]);
    assert_eq!(index.run("run-").await.expect("works").len(), 2);
    assert_eq!(run(&*index, "run-2").await.id, "run-2");
    assert!(index.run("other").await.expect("works").is_empty());
}

async fn what_is_under_way_is_known_however_old_its_plan_is(index: Arc<dyn Quarantine>) {
    let started = || Deed::Started { overridden: vec![], detached: false };
    let mut acts = Vec::new();
    for n in 1..=4 {
        acts.push(act(&format!("run-{n}"), n * 10, &[], planned(0)));
        acts.extend((n > 1).then(|| act(&format!("run-{n}"), n * 10 + 1, &[], started())));
    }
    apply(&*index, 0..0, acts).await;
    let active = async || -> Vec<String> {
        index.active_runs().await.expect("works").into_iter().map(|run| run.id).collect()
    };
    assert_eq!(active().await, ["run-2", "run-3", "run-4"], "one has not begun");
    let over = |n: i64, deed| act(&format!("run-{n}"), n * 10 + 2, &[], deed);
    let tally = Tally::default();
    apply(
        &*index,
        0..0,
        vec![over(2, Deed::Paused), over(3, Deed::Cancelled), over(4, Deed::Finished { tally })],
    )
    .await;
    assert_eq!(active().await, ["run-2"], "what is paused may go on");
    apply(&*index, 0..0, vec![act("run-2", 23, &[], Deed::Cancelled)]).await;
    assert!(active().await.is_empty());
}

async fn of_what_a_run_tells_again_and_again_the_first_and_the_last_are_kept(index: Arc<dyn Quarantine>) {
    let told = |offset: i64| {
        let left = 100 - offset.unsigned_abs();
        act("run-1", offset, &[], Deed::Progress { tally: Tally { left, ..Tally::default() } })
    };
    let mut acts = vec![
        act("run-1", 0, &[], planned(0)),
        act("run-1", 1, &[], Deed::Started { overridden: vec![], detached: false }),
    ];
    acts.extend((2..9).map(told));
    acts.push(act("run-1", 9, &[], Deed::Paused));
    acts.push(act("run-1", 10, &[], Deed::Resumed { detached: false }));
    acts.extend((11..13).map(told));
    let whole = Run::of(&acts.iter().map(|(_, act)| act.clone()).collect::<Vec<_>>(), 0);
    // In whatever batches they come, and read twice.
    for (at, acts) in acts.chunks(4).chain(acts.chunks(3)).enumerate() {
        apply(&*index, 0..0, acts.to_vec()).await;
        assert!(index.run("run-1").await.expect("works").len() == 1, "{at}");
    }
    let kept: Vec<i64> = super::audit(&*index, &ActFilter::default(), 100)
        .await
        .iter()
        .rev()
        .map(|act| act.at.as_millisecond())
        .collect();
    let expected: Vec<i64> = [0, 1, 2, 8, 9, 10, 11, 12].map(|n| at(n).as_millisecond()).into();
    assert_eq!(kept, expected);
    assert_eq!(Some(run(&*index, "run-1").await), whole, "the run is the same");
}
