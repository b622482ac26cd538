//! What later records have to wait for, among a great many jobs.

use super::*;
use crate::ledger::recovery::OUTSTANDING_MAX;
use crate::ledger::{Ended, Family, Seen};
use crate::message::TopicPartition;

pub fn recovery(holding: Holding) -> Recovery {
    let input = TopicPartition::new("in", 2);
    let ended = Ended { below: 100, ranges: Vec::new() };
    let seen = vec![Seen { partition: input.clone(), ended }];
    Recovery {
        pipeline: "rag".into(),
        stage: "embed".into(),
        families: vec![Family { input, term: 0, seen }],
        holding,
        now: second(1),
    }
}

/// Jobs with an order, made beside the ledger because they are many.
fn fill(path: &Path, state: &str, from: usize, to: usize) {
    Connection::open(path)
        .and_then(|db| {
            db.execute(
                "INSERT INTO jobs (job, stage, pipeline, state, attempt, redrives, token, holder, epoch, lease_until,
                   traceparent, created_at, updated_at, origin_topic, origin_partition, origin_offset, order_key)
                 SELECT 'job-' || value, 'embed', 'rag', ?1, 0, 0, 0, 'a', 0, 0, '', 0, 0, 'in', 2, value, value % 7
                 FROM (WITH RECURSIVE n(value) AS (SELECT ?2 UNION ALL SELECT value + 1 FROM n WHERE value + 1 < ?3)
                       SELECT value FROM n)",
                params![state, from as i64, to as i64],
            )
        })
        .expect("documented layout");
}

#[tokio::test]
async fn more_than_memory_may_hold_is_refused_with_a_remedy_and_settles_what_ended_all_the_same() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    let lease = fresh(&ledger, claim("ended")).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    fill(&path, "dead", 0, OUTSTANDING_MAX);
    let found = ledger.recover(recovery(Holding::LiveAndDead)).await.expect("as many as may be");
    assert_eq!(found.len(), OUTSTANDING_MAX);
    assert!(found.is_sorted_by_key(|job| job.origin));
    assert_eq!(ledger.begin(claim("ended")).await.expect("open"), Begin::Finished(State::Done));

    fill(&path, "parked", OUTSTANDING_MAX, OUTSTANDING_MAX + 1);
    let message = unavailable(ledger.recover(recovery(Holding::LiveAndDead)).await);
    assert!(message.contains("'rag.embed'") && message.contains("in-2"), "{message}");
    assert!(message.contains("discard dead letters") && message.contains("more instances"), "{message}");
    assert_eq!(ledger.recover(recovery(Holding::Live)).await.expect("few").len(), 1);
    assert_eq!(ledger.recover(recovery(Holding::Nothing)).await.expect("none").len(), 0);
}

#[tokio::test]
async fn jobs_that_are_over_are_not_looked_at() {
    let (_folder, path) = folder();
    let ledger = open_at(&path, "a");
    let plans = ledger
        .writer
        .write(|db| {
            let plan = |sql: &str| {
                let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let any = rusqlite::params_from_iter(vec![0; plan.parameter_count()]);
                let steps = plan.query_map(any, |row| row.get::<_, String>(3))?;
                steps.collect::<rusqlite::Result<Vec<_>>>().map(|steps| steps.join("; "))
            };
            Ok([plan(recover::OUTSTANDING)?, plan(recover::CANDIDATES)?, plan(FORGET)?])
        })
        .await
        .expect("planned");
    let [outstanding, candidates, forget] = plans;
    let columns = "pipeline=? AND stage=? AND origin_topic=? AND origin_partition=? AND state=?";
    let searched = format!("SEARCH jobs USING COVERING INDEX jobs_outstanding ({columns}");
    assert!(outstanding.starts_with(&searched), "{outstanding}");
    assert!(candidates.contains("INDEX jobs_by_state (pipeline=? AND stage=? AND state=?)"), "{candidates}");
    assert!(forget.contains("USING INDEX jobs_over (updated_at<?)"), "{forget}");
}
