//! Jobs that are elsewhere without having failed: parked behind another record of their key, or given up.

use std::sync::Arc;

use super::{Open, attempt, begin, claim, dead, fenced, fresh, kinds, replayed, second};
use crate::ledger::{Begin, End, Ledger, State};

pub async fn contract(open: &impl Open) {
    a_parked_job_runs_for_the_same_claim(open("a").await).await;
    an_older_copy_of_a_parked_job_is_finished(open("a").await).await;
    a_stored_result_outlives_parking(open("a").await).await;
    a_discarded_job_runs_again_by_a_redrive_only(open("a").await).await;
    a_stored_result_outlives_discarding(open("a").await).await;
}

fn parked() -> End {
    End::Parked { topic: "rag.embed.parking".into() }
}

fn discarded() -> End {
    End::Discarded { by: "ada".into(), reason: "a test\ndocument".into() }
}

async fn a_parked_job_runs_for_the_same_claim(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, attempt("parked", 0, 1)).await;
    ledger.settle(&lease, parked(), second(1)).await.expect("held");
    ledger.settle(&lease, parked(), second(1)).await.expect("said before");
    let lease = fresh(&*ledger, attempt("parked", 0, 1)).await;
    ledger.settle(&lease, parked(), second(2)).await.expect("held");
    let lease = fresh(&*ledger, attempt("parked", 0, 1)).await;
    ledger.settle(&lease, End::Done, second(3)).await.expect("held");
    let life = ledger.history("parked").await.expect("the ledger works");
    let told: Vec<_> = life.iter().map(|e| (e.kind.as_str(), e.attempt, e.went_to.as_deref())).collect();
    let (started, parked) = (("started", 1, None), ("parked", 1, Some("rag.embed.parking")));
    assert_eq!(told, [started, parked, started, parked, started, ("done", 1, None)]);
}

async fn an_older_copy_of_a_parked_job_is_finished(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, attempt("parked-1", 1, 2)).await;
    ledger.settle(&lease, parked(), second(1)).await.expect("held");
    for older in [attempt("parked-1", 1, 1), attempt("parked-1", 0, 7)] {
        assert_eq!(begin(&*ledger, older).await, Begin::Finished(State::Parked));
    }
    fresh(&*ledger, attempt("parked-1", 2, 0)).await;
}

async fn a_stored_result_outlives_parking(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("parked-paid")).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    ledger.settle(&lease, parked(), second(2)).await.expect("held");
    let lease = replayed(&*ledger, claim("parked-paid"), b"dear").await;
    ledger.settle(&lease, End::Done, second(3)).await.expect("held");
}

async fn a_discarded_job_runs_again_by_a_redrive_only(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("discarded")).await;
    ledger.settle(&lease, dead(1), second(1)).await.expect("held");
    let lease = fresh(&*ledger, attempt("discarded", 1, 0)).await;
    ledger.settle(&lease, discarded(), second(2)).await.expect("held");
    for same in [claim("discarded"), attempt("discarded", 1, 0), attempt("discarded", 1, 4)] {
        assert_eq!(begin(&*ledger, same).await, Begin::Finished(State::Discarded));
    }
    assert!(fenced(ledger.settle(&lease, End::Done, second(3)).await), "it was given up");
    let life = ledger.history("discarded").await.expect("the ledger works");
    let event = life.iter().find(|event| event.kind == "discarded").expect("it is told");
    assert_eq!(event.remark.as_deref(), Some("ada: a test document"));
    fresh(&*ledger, attempt("discarded", 2, 0)).await;
    let kinds = kinds(&*ledger, "discarded").await;
    assert_eq!(
        kinds,
        ["started", "dead", "started", "discarded", "duplicate", "duplicate", "duplicate", "started"]
    );
}

async fn a_stored_result_outlives_discarding(ledger: Arc<dyn Ledger>) {
    let lease = fresh(&*ledger, claim("discarded-paid")).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    ledger.settle(&lease, discarded(), second(2)).await.expect("held");
    replayed(&*ledger, attempt("discarded-paid", 1, 0), b"dear").await;
}
