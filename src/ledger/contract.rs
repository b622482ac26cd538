//! What every ledger must do, as tests over the trait. A store runs them by giving a way to open it:
//! `open(instance)` opens the same store again, as a restart or as another instance would.

mod recovery;
mod states;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Begin, Claim, End, Lease, Ledger, LedgerError, LedgerReader, State};
use crate::flow::{Code, Fault};
use crate::message::{Coordinates, Correlation, JobId, TopicPartition};

pub const LEASE: Duration = Duration::from_secs(60);

/// Opens the store under test, as this instance.
pub trait Open: AsyncFn(&str) -> Arc<dyn Ledger> {}
impl<F: AsyncFn(&str) -> Arc<dyn Ledger>> Open for F {}

/// The tests' time starts here.
pub fn second(n: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + n).expect("a time in range")
}

pub fn claim(job: &str) -> Claim {
    Claim {
        pipeline: "rag".into(),
        stage: "embed".into(),
        correlation: Correlation {
            job: JobId(job.into()),
            tenant: Some("acme".into()),
            resource: Some("doc-1".into()),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        },
        attempt: 0,
        redrives: 0,
        edited: false,
        at: at("in", 2, 7),
        origin: at("in", 2, 7),
        order: None,
        family: TopicPartition::new("in", 2),
        term: 0,
        lease: LEASE,
        now: second(0),
    }
}

pub fn at(topic: &str, partition: i32, offset: i64) -> Coordinates {
    Coordinates { topic: topic.into(), partition, offset, timestamp: None }
}

pub fn attempt(job: &str, redrives: u32, attempt: u32) -> Claim {
    Claim { redrives, attempt, ..claim(job) }
}

pub fn fault() -> Fault {
    Fault::new(Code::LlmTimeout, "the provider was silent")
}

pub fn waiting(attempt: u32) -> End {
    End::Waiting { attempt, due: second(30), rung: "rag.embed.retry.30s".into(), fault: fault() }
}

pub fn dead(attempt: u32) -> End {
    End::Dead { attempt, dead_letter: "letter-1".into(), fault: fault() }
}

pub async fn fresh(ledger: &dyn Ledger, claim: Claim) -> Lease {
    match ledger.begin(claim).await {
        Ok(Begin::Fresh(lease)) => lease,
        other => panic!("expected a fresh lease, got {other:?}"),
    }
}

async fn replayed(ledger: &dyn Ledger, claim: Claim, result: &[u8]) -> Lease {
    match ledger.begin(claim).await {
        Ok(Begin::Stored(lease, stored)) => {
            assert_eq!(stored, result);
            lease
        }
        other => panic!("expected the stored result, got {other:?}"),
    }
}

async fn begin(ledger: &dyn Ledger, claim: Claim) -> Begin {
    ledger.begin(claim).await.expect("the ledger works")
}

fn fenced<T: std::fmt::Debug>(result: Result<T, LedgerError>) -> bool {
    matches!(result, Err(LedgerError::Fenced(_)))
}

/// Runs everything. Each test uses jobs of its own, so one store serves them all.
pub async fn contract(open: impl Open) {
    a_done_job_is_finished_for_ever(open("a").await).await;
    a_running_job_is_busy_for_everybody_else(&open).await;
    a_lease_ends_with_its_time(&open).await;
    a_restart_voids_the_leases_of_the_same_instance(&open).await;
    noting_something_under_a_lease_renews_it(&open).await;
    a_result_is_not_replayed_by_a_copy_from_another_partition_while_it_may_be_out(&open).await;
    a_result_that_is_withheld_is_not_taken_for_produced(open("a").await).await;
    a_stored_result_is_replayed_after_a_restart(&open).await;
    an_edited_redrive_runs_anew_once_and_replays_from_then_on(&open).await;
    an_edit_drops_nothing_while_somebody_else_has_the_job(open("a").await).await;
    a_released_job_runs_again_or_replays(open("a").await).await;
    an_attempt_that_was_sent_to_a_rung_is_finished(open("a").await).await;
    a_dead_job_runs_again_by_a_redrive_only(open("a").await).await;
    a_condemned_job_does_not_run_again_before_it_is_redriven(&open).await;
    a_stored_result_survives_death_and_redrive(open("a").await).await;
    a_lost_lease_can_neither_store_nor_settle(&open).await;
    settling_the_same_way_twice_is_settling_once(open("a").await).await;
    stages_and_pipelines_do_not_see_each_other(open("a").await).await;
    the_history_tells_the_life_of_a_job_and_its_children(open("a").await).await;
    counts_say_how_many_jobs_stand_where(open("a").await).await;
    an_instance_that_was_opened_elsewhere_takes_no_more_jobs(&open).await;
    states::contract(&open).await;
    recovery::contract(&open).await;
}

async fn a_done_job_is_finished_for_ever(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("done")).await;
    ledger.store(&lease, b"result".to_vec(), second(1)).await.expect("held");
    ledger.settle(&lease, End::Done, second(2)).await.expect("held");
    for again in [claim("done"), attempt("done", 0, 3), attempt("done", 2, 0)] {
        assert_eq!(begin(&*ledger, again).await, Begin::Finished(State::Done));
    }
}

async fn a_running_job_is_busy_for_everybody_else(open: &impl Open) {
    let (mine, other) = (open("busy-1").await, open("busy-2").await);
    let lease = fresh(&*mine, claim("busy")).await;
    assert_eq!(begin(&*mine, claim("busy")).await, Begin::Busy);
    assert_eq!(begin(&*other, claim("busy")).await, Begin::Busy);
    mine.store(&lease, b"result".to_vec(), second(1)).await.expect("held");
    assert_eq!(begin(&*mine, claim("busy")).await, Begin::Busy, "its holder is producing");
    mine.settle(&lease, End::Done, second(2)).await.expect("held");
    assert_eq!(begin(&*other, claim("busy")).await, Begin::Finished(State::Done));
}

async fn a_lease_ends_with_its_time(open: &impl Open) {
    let (mine, other) = (open("late-1").await, open("late-2").await);
    let at = |s: i64| Claim { now: second(s), ..claim("late") };
    let lost = fresh(&*mine, at(0)).await;
    assert_eq!(begin(&*other, at(59)).await, Begin::Busy);
    fresh(&*other, at(60)).await;
    assert!(fenced(mine.settle(&lost, End::Done, second(61)).await));
    fresh(&*mine, at(120)).await;
    fresh(&*mine, at(180)).await;
}

async fn a_restart_voids_the_leases_of_the_same_instance(open: &impl Open) {
    let first = open("killed").await;
    let lost = fresh(&*first, claim("killed")).await;
    let (other, again) = (open("bystander").await, open("killed").await);
    drop(first);
    let busy = begin(&*other, claim("killed")).await;
    assert_eq!(busy, Begin::Busy, "another instance does not know what the dead process did");
    let taken = fresh(&*again, claim("killed")).await;
    assert_eq!(begin(&*other, claim("killed")).await, Begin::Busy, "its successor lives");
    assert!(fenced(again.store(&lost, vec![1], second(1)).await));
    again.settle(&taken, End::Done, second(2)).await.expect("held");
}

async fn noting_something_under_a_lease_renews_it(open: &impl Open) {
    let (mine, other) = (open("renew-1").await, open("renew-2").await);
    let at = |s: i64| Claim { now: second(s), ..claim("renewed") };
    let lease = fresh(&*mine, at(0)).await;
    assert_eq!(lease.until, second(60));
    mine.store(&lease, b"dear".to_vec(), second(50)).await.expect("held");
    assert_eq!(lease.clone().renewed(second(50)).until, second(110));
    assert_eq!(begin(&*other, at(109)).await, Begin::Busy);
    mine.store(&lease, b"dear".to_vec(), second(100)).await.expect("held");
    assert_eq!(begin(&*other, at(159)).await, Begin::Busy);
    mine.condemn(&lease, &fault(), second(150)).await.expect("held");
    assert_eq!(begin(&*other, at(209)).await, Begin::Busy);
    mine.condemn(&lease, &fault(), second(200)).await.expect("held");
    assert_eq!(begin(&*other, at(259)).await, Begin::Busy);
    assert!(matches!(begin(&*other, at(260)).await, Begin::Condemned(..)));
    assert_eq!(
        kinds(&*mine, "renewed").await,
        ["started", "stored", "condemned", "buried"],
        "each said once"
    );
}

/// What came of it shows in the partition of its record alone, and may never have been told to the ledger.
async fn a_result_is_not_replayed_by_a_copy_from_another_partition_while_it_may_be_out(open: &impl Open) {
    let (died, other) = (open("out-1").await, open("out-2").await);
    let elsewhere = |s: i64| Claim {
        family: TopicPartition::new("in", 3),
        at: at("in", 3, 1),
        origin: at("in", 3, 1),
        now: second(s),
        ..claim("out")
    };
    let lease = fresh(&*died, claim("out")).await;
    died.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    assert_eq!(
        begin(&*other, elsewhere(3600)).await,
        Begin::Busy,
        "the lease is over, and the outcome unknown"
    );
    replayed(&*other, Claim { now: second(3600), ..claim("out") }, b"dear").await;
    replayed(&*other, elsewhere(4000 + 86_400), b"dear").await;
}

async fn a_result_that_is_withheld_is_not_taken_for_produced(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("withheld")).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    ledger.withhold(&lease, second(2)).await.expect("held");
    ledger.withhold(&lease, second(2)).await.expect("said before");
    ledger.settle(&lease, waiting(1), second(3)).await.expect("held");
    assert!(fenced(ledger.withhold(&lease, second(4)).await), "a settled lease is over");
    replayed(&*ledger, attempt("withheld", 0, 1), b"dear").await;
}

async fn a_stored_result_is_replayed_after_a_restart(open: &impl Open) {
    let first = open("replay").await;
    let lease = fresh(&*first, claim("replay")).await;
    first.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    drop(first);
    let again = open("replay").await;
    let lease = replayed(&*again, claim("replay"), b"dear").await;
    drop(again);
    let again = open("replay").await;
    let last = replayed(&*again, claim("replay"), b"dear").await;
    assert!(fenced(again.settle(&lease, End::Done, second(2)).await));
    again.settle(&last, End::Done, second(3)).await.expect("held");
    assert_eq!(begin(&*again, claim("replay")).await, Begin::Finished(State::Done));
}

/// What was stored for the value before is no answer to the new one; what is stored for the new one is, once and for all.
async fn an_edited_redrive_runs_anew_once_and_replays_from_then_on(open: &impl Open) {
    let ledger = open("edited").await;
    let edited = || Claim { edited: true, ..attempt("edited", 1, 0) };
    let lease = fresh(&*ledger, claim("edited")).await;
    ledger.store(&lease, b"before".to_vec(), second(1)).await.expect("held");
    ledger.settle(&lease, dead(0), second(2)).await.expect("held");
    let _lost = fresh(&*ledger, edited()).await;
    drop(ledger);
    // Whoever claimed it died before he had an answer, and the next one after he had stored it.
    let ledger = open("edited").await;
    let lease = fresh(&*ledger, edited()).await;
    ledger.store(&lease, b"after".to_vec(), second(3)).await.expect("held");
    drop(ledger);
    let ledger = open("edited").await;
    let lease = replayed(&*ledger, edited(), b"after").await;
    ledger.settle(&lease, waiting(1), second(4)).await.expect("held");
    let on_a_rung = Claim { attempt: 1, ..edited() };
    let lease = replayed(&*ledger, on_a_rung, b"after").await;
    ledger.settle(&lease, dead(1), second(5)).await.expect("held");
    // It died again, and is sent back as it is.
    let lease = replayed(&*ledger, attempt("edited", 2, 0), b"after").await;
    ledger.settle(&lease, dead(2), second(6)).await.expect("held");
    let lease = fresh(&*ledger, Claim { edited: true, ..attempt("edited", 3, 0) }).await;
    ledger.settle(&lease, End::Done, second(7)).await.expect("held");
    assert_eq!(
        begin(&*ledger, Claim { edited: true, ..attempt("edited", 4, 0) }).await,
        Begin::Finished(State::Done)
    );
}

/// An old copy of the edited record changes nothing of what came after it.
async fn an_edit_drops_nothing_while_somebody_else_has_the_job(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("edit-held")).await;
    ledger.store(&lease, b"before".to_vec(), second(1)).await.expect("held");
    let edited = Claim { edited: true, ..attempt("edit-held", 1, 0) };
    assert_eq!(begin(&*ledger, edited).await, Begin::Busy);
    ledger.settle(&lease, waiting(1), second(2)).await.expect("held");
    replayed(&*ledger, attempt("edit-held", 0, 1), b"before").await;
}

async fn a_released_job_runs_again_or_replays(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("released")).await;
    let released = End::Released { fault: Some(fault()) };
    ledger.settle(&lease, released.clone(), second(1)).await.expect("held");
    let lease = fresh(&*ledger, claim("released")).await;
    ledger.store(&lease, b"dear".to_vec(), second(2)).await.expect("held");
    ledger.settle(&lease, released, second(3)).await.expect("held");
    replayed(&*ledger, claim("released"), b"dear").await;
}

async fn an_attempt_that_was_sent_to_a_rung_is_finished(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("rung")).await;
    ledger.settle(&lease, waiting(1), second(1)).await.expect("held");
    assert_eq!(begin(&*ledger, claim("rung")).await, Begin::Finished(State::Waiting));
    let lease = fresh(&*ledger, attempt("rung", 0, 1)).await;
    assert_eq!(begin(&*ledger, claim("rung")).await, Begin::Busy, "the later copy runs");
    let late = Claim { now: second(60), ..claim("rung") };
    assert_eq!(begin(&*ledger, late).await, Begin::Finished(State::Running), "the rung has the later copy");
    ledger.settle(&lease, waiting(2), second(2)).await.expect("held");
    assert_eq!(begin(&*ledger, attempt("rung", 0, 1)).await, Begin::Finished(State::Waiting));
    fresh(&*ledger, attempt("rung", 0, 2)).await;
}

async fn a_dead_job_runs_again_by_a_redrive_only(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("dead")).await;
    ledger.settle(&lease, dead(1), second(1)).await.expect("held");
    for same in [claim("dead"), attempt("dead", 0, 1), attempt("dead", 0, 5)] {
        assert_eq!(begin(&*ledger, same).await, Begin::Finished(State::Dead));
    }
    let lease = fresh(&*ledger, attempt("dead", 1, 0)).await;
    ledger.settle(&lease, waiting(1), second(2)).await.expect("held");
    assert_eq!(begin(&*ledger, claim("dead")).await, Begin::Finished(State::Waiting));
    assert_eq!(begin(&*ledger, attempt("dead", 1, 0)).await, Begin::Finished(State::Waiting));
    let lease = fresh(&*ledger, attempt("dead", 1, 1)).await;
    ledger.settle(&lease, End::Done, second(3)).await.expect("held");
}

async fn a_condemned_job_does_not_run_again_before_it_is_redriven(open: &impl Open) {
    let ledger = open("a").await;
    let lease = fresh(&*ledger, attempt("condemned", 0, 3)).await;
    ledger.store(&lease, b"paid".to_vec(), second(1)).await.expect("stored");
    ledger.condemn(&lease, &fault(), second(2)).await.expect("noted");
    let restarted = open("a").await;
    let bury = async || match begin(&*restarted, attempt("condemned", 0, 3)).await {
        Begin::Condemned(lease, why) => {
            assert_eq!(why, fault());
            lease
        }
        other => panic!("it must be buried, got {other:?}"),
    };
    // Handed back before Kafka had answered: the dead letter may be there.
    restarted.settle(&bury().await, End::Released { fault: None }, second(2)).await.expect("settled");
    let lease = bury().await;
    restarted.settle(&lease, dead(4), second(3)).await.expect("settled");
    assert_eq!(begin(&*restarted, attempt("condemned", 0, 3)).await, Begin::Finished(State::Dead));
    replayed(&*restarted, attempt("condemned", 1, 0), b"paid").await;
    let kinds = kinds(&*restarted, "condemned").await;
    assert_eq!(
        kinds,
        ["started", "stored", "condemned", "buried", "released", "buried", "dead", "duplicate", "replayed"]
    );
}

async fn a_stored_result_survives_death_and_redrive(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("paid")).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    ledger.settle(&lease, dead(1), second(2)).await.expect("held");
    let lease = replayed(&*ledger, attempt("paid", 1, 0), b"dear").await;
    ledger.settle(&lease, End::Done, second(3)).await.expect("held");
}

async fn a_lost_lease_can_neither_store_nor_settle(open: &impl Open) {
    let first = open("zombie").await;
    let lost = fresh(&*first, claim("zombie")).await;
    let again = open("zombie").await;
    let held = fresh(&*again, claim("zombie")).await;
    assert!(fenced(first.store(&lost, vec![1], second(1)).await));
    assert!(fenced(first.settle(&lost, End::Done, second(1)).await));
    assert!(fenced(first.settle(&lost, waiting(1), second(1)).await));
    again.settle(&held, End::Done, second(2)).await.expect("held");
    assert!(fenced(again.store(&held, vec![1], second(3)).await), "a settled lease is over");
    assert!(fenced(again.settle(&held, waiting(1), second(3)).await));
}

async fn settling_the_same_way_twice_is_settling_once(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("twice")).await;
    ledger.settle(&lease, End::Done, second(1)).await.expect("held");
    ledger.settle(&lease, End::Done, second(2)).await.expect("said before");
    let kinds: Vec<_> = kinds(&*ledger, "twice").await;
    assert_eq!(kinds, ["started", "done"]);
}

async fn stages_and_pipelines_do_not_see_each_other(ledger: Arc<dyn Ledger>) {
    let here = fresh(&*ledger, claim("apart")).await;
    ledger.settle(&here, End::Done, second(1)).await.expect("held");
    fresh(&*ledger, Claim { stage: "index".into(), ..claim("apart") }).await;
    fresh(&*ledger, Claim { pipeline: "chat".into(), ..claim("apart") }).await;
}

async fn kinds(ledger: &dyn Ledger, job: &str) -> Vec<String> {
    ledger.history(job).await.expect("the ledger works").into_iter().map(|event| event.kind).collect()
}

async fn the_history_tells_the_life_of_a_job_and_its_children(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("life")).await;
    ledger.settle(&lease, waiting(1), second(1)).await.expect("held");
    assert_eq!(begin(&*ledger, claim("life")).await, Begin::Finished(State::Waiting));
    let lease = fresh(&*ledger, Claim { now: second(31), ..attempt("life", 0, 1) }).await;
    ledger.store(&lease, vec![1], second(32)).await.expect("held");
    ledger.settle(&lease, End::Done, second(33)).await.expect("held");
    fresh(&*ledger, claim("life/4")).await;
    fresh(&*ledger, claim("life-2")).await;
    fresh(&*ledger, claim("lifeboat")).await;

    let life = ledger.history("life").await.expect("the ledger works");
    let told: Vec<_> = life.iter().map(|e| (e.job.as_str(), e.kind.as_str(), e.attempt)).collect();
    assert_eq!(
        told,
        [
            ("life", "started", 0),
            ("life", "waiting", 1),
            ("life", "duplicate", 0),
            ("life", "started", 1),
            ("life", "stored", 1),
            ("life", "done", 1),
            ("life/4", "started", 0),
        ]
    );
    let waiting = &life[1];
    assert_eq!((waiting.at, waiting.due), (second(1), Some(second(30))));
    assert_eq!(waiting.fault, Some(fault()));
    assert_eq!(waiting.went_to.as_deref(), Some("rag.embed.retry.30s"));
    assert_eq!(life[0].record.as_deref(), Some("in-2@7"));
    assert_eq!(life[0].tenant.as_deref(), Some("acme"));
    assert_eq!(life[0].traceparent, claim("life").correlation.traceparent);
    assert!(ledger.history("nobody").await.expect("the ledger works").is_empty());
}

async fn counts_say_how_many_jobs_stand_where(ledger: Arc<dyn Ledger>) {
    let of = |job: &str| Claim { pipeline: "counted".into(), ..claim(job) };
    for (job, end) in [("1", End::Done), ("2", End::Done), ("3", dead(1))] {
        let lease = fresh(&*ledger, of(job)).await;
        ledger.settle(&lease, end, second(1)).await.expect("held");
    }
    fresh(&*ledger, of("4")).await;
    let counts = ledger.counts().await.expect("the ledger works");
    let counts: Vec<_> = counts
        .iter()
        .filter(|count| count.pipeline == "counted")
        .map(|count| (count.stage.as_str(), count.state.as_str(), count.jobs))
        .collect();
    assert_eq!(counts, [("embed", "dead", 1), ("embed", "done", 2), ("embed", "running", 1)]);
}

async fn an_instance_that_was_opened_elsewhere_takes_no_more_jobs(open: &impl Open) {
    let first = open("twin").await;
    let lease = fresh(&*first, claim("twin-1")).await;
    let second_twin = open("twin").await;
    let refused = first.begin(claim("twin-2")).await;
    assert!(matches!(&refused, Err(LedgerError::Unavailable(m)) if m.contains("'twin'")), "{refused:?}");
    fresh(&*second_twin, claim("twin-2")).await;
    first.settle(&lease, End::Done, second(1)).await.expect("nobody took it over");
}

/// Begins jobs of two pipelines, and reads those of one, page by page. Says what was read, and what was begun.
pub async fn pages(ledger: &dyn Ledger, reader: &LedgerReader) -> (Vec<String>, Vec<String>) {
    for n in 0..25 {
        let pipeline = if n % 3 == 0 { "chat" } else { "rag" };
        fresh(ledger, Claim { pipeline: pipeline.into(), ..claim(&format!("job-{n:02}")) }).await;
    }
    let (mut told, mut after) = (Vec::new(), None);
    loop {
        let page = reader.jobs("rag", after, 4).await.expect("read");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 4);
        after = Some(last.id);
        told.extend(page.into_iter().map(|row| row.job));
    }
    (told, (0..25).filter(|n| n % 3 != 0).map(|n| format!("job-{n:02}")).collect())
}
