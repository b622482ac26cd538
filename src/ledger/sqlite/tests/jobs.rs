//! All jobs of a pipeline, page by page.

use super::*;
use crate::ledger::contract::{at, attempt, dead, waiting};
use crate::ledger::{JobRow, RowId};

#[tokio::test]
async fn a_job_is_told_as_it_stands() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    let first = attempt("rung", 1, 0);
    let lease = fresh(&ledger, first.clone()).await;
    ledger.settle(&lease, waiting(1), second(3)).await.expect("held");
    ledger.begin(first.clone()).await.expect("a duplicate");
    let copy = Claim { attempt: 1, at: at("rung", 2, 4), now: second(40), ..first };
    let reader = LedgerReader::of(&path);
    let only = async || match reader.jobs("rag", None, 10).await.expect("read").as_slice() {
        [job] => job.clone(),
        other => panic!("expected one job, got {other:?}"),
    };
    let waits = JobRow {
        id: RowId(1),
        stage: "embed".into(),
        job: "rung".into(),
        state: State::Waiting,
        attempt: 1,
        redrives: 1,
        at: Some(at("in", 2, 7)),
        origin: Some(at("in", 2, 7)),
        went_to: Some("rag.embed.retry.30s".into()),
        finishes: 0,
        updated_at: second(3),
    };
    assert_eq!(only().await, waits);
    let lease = fresh(&ledger, copy).await;
    let runs = JobRow {
        state: State::Running,
        at: Some(at("rung", 2, 4)),
        went_to: None,
        updated_at: second(40),
        ..waits
    };
    assert_eq!(only().await, runs);
    ledger.settle(&lease, dead(2), second(41)).await.expect("held");
    let letter = Some("letter-1".to_owned());
    assert_eq!(
        only().await,
        JobRow { state: State::Dead, attempt: 2, went_to: letter, updated_at: second(41), ..runs }
    );
}

#[tokio::test]
async fn pages_hold_every_job_of_the_pipeline_once_and_no_other() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    let (told, expected) = contract::pages(&ledger, &LedgerReader::of(&path)).await;
    assert_eq!(told, expected);
}
