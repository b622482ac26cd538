//! Many requests at once, from several processes, on connections that break.

use std::collections::BTreeSet;

use super::*;
use crate::ledger::contract::{LEASE, attempt, waiting};
use crate::ledger::recovery::OUTSTANDING_MAX;
use crate::ledger::{Ended, Family, Holding, LedgerReader, Seen};

#[tokio::test]
async fn many_claims_of_one_job_at_once_give_one_lease_whichever_process_makes_them() {
    let Some(database) = Database::new() else { return };
    let ledgers =
        [open_in(&database, "a").await, open_in(&database, "b").await, open_in(&database, "c").await];
    for job in ["one", "two", "three"] {
        let claims = (0..150).map(|n| ledgers[n % ledgers.len()].begin(claim(job)));
        let answers = futures::future::join_all(claims).await;
        let fresh = answers.iter().filter(|a| matches!(a, Ok(Begin::Fresh(_)))).count();
        let busy = answers.iter().filter(|a| matches!(a, Ok(Begin::Busy))).count();
        assert_eq!((fresh, busy), (1, 149), "{answers:?}");
    }
}

/// Every round a few jobs are claimed by all, in an order of their own, so that pages of different processes cross.
#[tokio::test]
async fn pages_of_several_processes_that_cross_neither_fail_nor_give_a_job_twice() {
    let Some(database) = Database::new() else { return };
    let ledgers = [open_in(&database, "a").await, open_in(&database, "b").await];
    for round in 0..20 {
        let jobs: Vec<String> = (0..40).map(|n| format!("{round}-{n}")).collect();
        let live = async |ledger: &PostgresLedger, turned: bool| {
            let order: Vec<&String> =
                if turned { jobs.iter().rev().collect() } else { jobs.iter().collect() };
            let begun = futures::future::join_all(order.iter().map(|job| ledger.begin(claim(job)))).await;
            let mut leases = Vec::new();
            for begun in begun {
                if let Begin::Fresh(lease) = begun.expect("the ledger works") {
                    leases.push(lease);
                }
            }
            let stored = leases.iter().map(|lease| ledger.store(lease, vec![1; 100], second(1)));
            futures::future::join_all(stored).await.into_iter().for_each(|stored| stored.expect("held"));
            let settled = leases.iter().map(|lease| ledger.settle(lease, End::Done, second(2)));
            futures::future::join_all(settled).await.into_iter().for_each(|settled| settled.expect("held"));
            leases.len()
        };
        let (a, b) = tokio::join!(live(&ledgers[0], false), live(&ledgers[1], true));
        assert_eq!(a + b, jobs.len());
    }
    assert_eq!(miscounted(&database).await, 0);
    assert_eq!(database.number("SELECT count(*) FROM jobs WHERE state = 'done'").await, 800);
    assert_eq!(database.number("SELECT count(*) FROM results").await, 0);
}

/// Sessions are ended again and again while jobs are lived: whatever was answered holds, whatever was not may be asked
/// again, and no job is lived twice.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_lose_nothing_that_was_answered() {
    const JOBS: usize = 600;
    let Some(database) = Database::new() else { return };
    let ledger = Arc::new(open_in(&database, "a").await);
    let schema = database.settings.schema.clone();
    let line = database.line().await;
    let sessions = format!(
        "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
         WHERE c.relnamespace = '{schema}'::regnamespace AND l.pid <> pg_backend_pid()"
    );
    let lives = (0..JOBS).map(|n| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let job = format!("job-{n}");
            // How often the stage ran: as often as it was told to.
            let mut runs = 0;
            loop {
                let lease = match ledger.begin(claim(&job)).await {
                    Ok(Begin::Fresh(lease)) => {
                        runs += 1;
                        lease
                    }
                    Ok(Begin::Stored(lease, result)) => {
                        assert_eq!(result, job.as_bytes());
                        lease
                    }
                    Ok(Begin::Finished(State::Done)) => return runs,
                    Ok(other) => panic!("{job}: {other:?}"),
                    Err(_) => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                };
                while ledger.store(&lease, job.clone().into_bytes(), second(1)).await.is_err() {}
                while ledger.settle(&lease, End::Done, second(2)).await.is_err() {}
            }
        })
    });
    let lives = tokio::spawn(futures::future::join_all(lives.collect::<Vec<_>>()));
    let mut ended = 0;
    while !lives.is_finished() {
        let row = line.client().query_one(&sessions, &[]).await.expect("connected");
        ended += row.get::<_, i64>(0);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for runs in lives.await.expect("joined") {
        assert_eq!(runs.expect("lived"), 1);
    }
    assert!(ended > 10, "only {ended} sessions were ended");
    assert_eq!(miscounted(&database).await, 0);
    let kinds = "SELECT count(*) FROM events WHERE kind IN ('started', 'stored', 'done')";
    assert_eq!(database.number(kinds).await, 3 * JOBS as i64);
}

#[tokio::test]
async fn a_claim_whose_caller_has_left_does_not_keep_the_job_from_others() {
    let Some(database) = Database::new() else { return };
    let ledger = open_in(&database, "a").await;
    let held = database.line().await;
    held.run("BEGIN; LOCK TABLE jobs IN EXCLUSIVE MODE").await.expect("locked");
    let mut left = Box::pin(ledger.begin(claim("left")));
    assert!(futures::poll!(&mut left).is_pending());
    // The writer has it when it waits for the lock.
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass";
    while database.number(waits).await == 0 {}
    drop(left);
    held.run("ROLLBACK").await.expect("unlocked");
    fresh(&ledger, claim("left")).await;
}

#[tokio::test]
async fn one_that_cannot_be_written_does_not_fail_its_neighbours() {
    let Some(database) = Database::new() else { return };
    let ledger = open_in(&database, "a").await;
    let jobs = (0..40).map(|n| if n % 10 == 3 { format!("nul-\0-{n}") } else { format!("job-{n}") });
    let jobs: Vec<String> = jobs.collect();
    let answers = futures::future::join_all(jobs.iter().map(|job| ledger.begin(claim(job)))).await;
    for (job, answer) in jobs.iter().zip(&answers) {
        assert_eq!(matches!(answer, Ok(Begin::Fresh(_))), !job.contains('\0'), "{job:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_database_that_may_not_be_written_is_named_and_heals_by_itself() {
    let Some(database) = Database::new() else { return };
    let ledger = open_in(&database, "a").await;
    let lease = fresh(&ledger, claim("kept")).await;
    let schema = &database.settings.schema;
    let line = database.line().await;
    line.run(&format!(
        "ALTER TABLE \"{schema}\".jobs ADD CONSTRAINT full_disk CHECK (state <> 'stored') NOT VALID"
    ))
    .await
    .expect("changed");
    let message = unavailable(ledger.store(&lease, b"dear".to_vec(), second(1)).await);
    assert!(message.contains("job ledger") && message.contains("full_disk"), "{message}");
    line.run("ALTER TABLE jobs DROP CONSTRAINT full_disk").await.expect("changed");
    ledger.store(&lease, b"dear".to_vec(), second(2)).await.expect("the lease was kept");
}

#[tokio::test]
async fn a_lock_of_another_process_is_named() {
    let Some(mut database) = Database::new() else { return };
    database.settings.timeout = crate::config::Span::secs(1);
    let ledger = open_in(&database, "a").await;
    fresh(&ledger, claim("locked")).await;
    let held = database.line().await;
    held.run("BEGIN; SELECT * FROM jobs FOR UPDATE").await.expect("locked");
    let message = unavailable(ledger.begin(claim("locked")).await);
    assert!(message.contains("somebody holds a lock"), "{message}");
}

#[tokio::test]
async fn jobs_that_are_over_are_forgotten_after_the_retention_with_their_history() {
    let Some(database) = Database::new() else { return };
    let ledger = open_in(&database, "a").await;
    let old = async |n: usize| {
        let lease = fresh(&ledger, claim(&format!("old-{n}"))).await;
        let end = match n {
            0 => End::Released { fault: None },
            1 => End::Parked { topic: "parking".into() },
            _ if n.is_multiple_of(2) => End::Discarded { by: "ada".into(), reason: "old".into() },
            _ => End::Done,
        };
        ledger.store(&lease, vec![1], second(1)).await.expect("held");
        ledger.settle(&lease, end, second(1)).await.expect("held");
    };
    futures::future::join_all((0..600).map(old)).await;
    let later = second(86_400 + 120);
    // Not every job is on the desk of the writer that tidies up.
    for n in 0..30 {
        let lease = fresh(&ledger, Claim { now: later, ..claim(&format!("new-{n}")) }).await;
        ledger.settle(&lease, End::Done, later).await.expect("held");
    }
    let over = "SELECT count(*) FROM jobs WHERE job LIKE 'old-%'";
    while database.number(over).await > 2 {}
    let kept = "SELECT count(*) FROM jobs WHERE state IN ('released', 'parked')";
    assert_eq!(database.number(kept).await, 2, "not over, so not forgotten");
    assert_eq!(database.number("SELECT count(*) FROM jobs WHERE job LIKE 'new-%'").await, 30);
    for left_over in ["events", "results"] {
        let sql = format!("SELECT count(*) FROM {left_over} WHERE row NOT IN (SELECT id FROM jobs)");
        assert_eq!(database.number(&sql).await, 0);
    }
}

fn recovery(holding: Holding) -> Recovery {
    let input = TopicPartition::new("in", 2);
    let seen = vec![Seen { partition: input.clone(), ended: Ended { below: 100, ranges: Vec::new() } }];
    let families = vec![Family { input, term: 0, seen }];
    Recovery { pipeline: "rag".into(), stage: "embed".into(), families, holding, now: second(1) }
}

#[tokio::test]
async fn more_than_memory_may_hold_is_refused_with_a_remedy_and_settles_what_ended_all_the_same() {
    let Some(database) = Database::new() else { return };
    let ledger = open_in(&database, "a").await;
    let lease = fresh(&ledger, claim("ended")).await;
    ledger.store(&lease, b"dear".to_vec(), second(1)).await.expect("held");
    let line = database.line().await;
    let fill = async |state: &str, from: usize, to: usize| {
        let sql = format!(
            "INSERT INTO jobs (id, job, stage, pipeline, state, attempt, redrives, finishes, token, holder, epoch,
               lease_until, family, at_topic, at_partition, at_offset, origin_topic, origin_partition, origin_offset,
               order_key, traceparent, created_at, updated_at, result, in_hand)
             SELECT 1000000 + n, 'job-' || n, 'embed', 'rag', '{state}', 0, 0, 0, 0, 'a', 0, 0, 2, 'in', 2, n, 'in', 2, n,
               n % 7, '', 0, 0, false, false
             FROM generate_series({from}, {to} - 1) AS n"
        );
        line.run(&sql).await.expect("documented layout");
    };
    fill("dead", 0, OUTSTANDING_MAX).await;
    let found = ledger.recover(recovery(Holding::LiveAndDead)).await.expect("as many as may be");
    assert_eq!(found.len(), OUTSTANDING_MAX);
    assert!(found.is_sorted_by_key(|job| job.origin));
    assert_eq!(ledger.begin(claim("ended")).await.expect("open"), Begin::Finished(State::Done));

    fill("parked", OUTSTANDING_MAX, OUTSTANDING_MAX + 1).await;
    let message = unavailable(ledger.recover(recovery(Holding::LiveAndDead)).await);
    assert!(message.contains("'rag.embed'") && message.contains("in-2"), "{message}");
    assert_eq!(ledger.recover(recovery(Holding::Live)).await.expect("few").len(), 1);
    assert_eq!(ledger.recover(recovery(Holding::Nothing)).await.expect("none").len(), 0);
}

#[tokio::test]
async fn the_reader_needs_no_instance_and_says_what_is_missing() {
    let Some(database) = Database::new() else { return };
    let store = crate::config::Store { postgres: Some(database.settings.clone()), ..Default::default() };
    let reader = || LedgerReader::open(&store).expect("a reader");
    let message = unavailable(reader().history("x").await);
    assert!(message.contains("`lazaret run`"), "{message}");
    let ledger = open_in(&database, "a").await;
    let lease = fresh(&ledger, attempt("x", 1, 0)).await;
    ledger.settle(&lease, waiting(1), second(3)).await.expect("held");
    ledger.begin(attempt("x", 1, 0)).await.expect("a duplicate");
    assert_eq!(reader().history("x").await.expect("read").len(), 3);
    let job = reader().job("rag", "embed", "x").await.expect("read").expect("it is there");
    assert_eq!((job.state, job.attempt, job.redrives, job.finishes), (State::Waiting, 1, 1, 0));
    assert_eq!(job.went_to.as_deref(), Some("rag.embed.retry.30s"));
    assert_eq!((job.updated_at, job.origin.map(|at| at.offset)), (second(3), Some(7)));
}

#[tokio::test]
async fn pages_hold_every_job_of_the_pipeline_once_and_no_other() {
    let Some(database) = Database::new() else { return };
    let ledger = open_in(&database, "a").await;
    let store = crate::config::Store { postgres: Some(database.settings.clone()), ..Default::default() };
    let reader = LedgerReader::open(&store).expect("a reader");
    let (told, expected) = contract::pages(&ledger, &reader).await;
    let all = |jobs: &[String]| jobs.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!((told.len(), all(&told)), (expected.len(), all(&expected)));
}

#[tokio::test]
async fn a_lease_is_as_long_as_was_asked_and_a_page_may_hold_whatever_it_holds() {
    let Some(database) = Database::new() else { return };
    let ledger = open_in(&database, "a").await;
    let lease = fresh(&ledger, claim("large")).await;
    assert_eq!(lease.length, LEASE);
    let stores = (0..12).map(async |n| {
        let lease = fresh(&ledger, claim(&format!("large-{n}"))).await;
        ledger.store(&lease, vec![n; 2 << 20], second(1)).await
    });
    futures::future::join_all(stores).await.into_iter().for_each(|stored| stored.expect("held"));
    drop(ledger);
    let again = open_in(&database, "a").await;
    let begun = again.begin(claim("large-7")).await.expect("it works");
    assert!(matches!(begun, Begin::Stored(_, result) if result == vec![7; 2 << 20]));
}
