//! A server that is killed with `kill -9` while it works: what it has answered is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use lazaret::config::{Postgres, Secret, Span};
use lazaret::ledger::postgres::{PostgresLedger, Predecessor};
use lazaret::ledger::{Begin, Claim, End, Ledger, State};
use lazaret::message::{Coordinates, Correlation, JobId, TopicPartition};

use super::server::Server;
use crate::rig::eventually;

fn claim(n: usize) -> Claim {
    let job = JobId(format!("job-{n}"));
    let traceparent = lazaret::message::id::derived_traceparent(&job);
    let at = Coordinates { topic: "in".into(), partition: 0, offset: n as i64, timestamp: None };
    Claim {
        pipeline: "p".into(),
        stage: "s".into(),
        correlation: Correlation { job, tenant: None, resource: None, traceparent },
        attempt: 0,
        redrives: 0,
        edited: false,
        origin: at.clone(),
        order: None,
        family: TopicPartition::new("in", 0),
        term: 0,
        at,
        lease: Duration::from_secs(600),
        now: Timestamp::now(),
    }
}

/// What was answered about a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answered {
    Stored,
    Done,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_result_is_lost_that_was_acknowledged_before_the_server_was_killed() {
    const BLOWS: usize = 3;
    const IN_FLIGHT: usize = 200;
    let Some(server) = Server::start().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let url = folder.path().join("url");
    std::fs::write(&url, &server.url).expect("written");
    let settings = Postgres {
        url: Secret::File(url),
        schema: "lazaret".into(),
        connections: 2,
        connect_timeout: Span::secs(5),
        timeout: Span::secs(10),
    };
    let day = Duration::from_secs(86_400);
    let open = async || {
        let opened = PostgresLedger::open(&settings, "a", Predecessor::Gone, day, Timestamp::now()).await;
        Arc::new(opened.expect("the ledger opens"))
    };
    let mut ledger = open().await;
    let next = Arc::new(AtomicUsize::new(0));
    let mut answered: BTreeMap<usize, Answered> = BTreeMap::new();
    for _ in 0..BLOWS {
        let done = Arc::new(AtomicUsize::new(0));
        let lives = (0..IN_FLIGHT).map(|_| {
            let (ledger, next, done) = (ledger.clone(), next.clone(), done.clone());
            tokio::spawn(async move {
                let mut answered = Vec::new();
                loop {
                    let n = next.fetch_add(1, Relaxed);
                    // Every third is left with its result stored.
                    let Ok(Begin::Fresh(lease)) = ledger.begin(claim(n)).await else { return answered };
                    let result = format!("result {n} {}", "x".repeat(1000)).into_bytes();
                    if ledger.store(&lease, result, Timestamp::now()).await.is_err() {
                        return answered;
                    }
                    answered.push((n, Answered::Stored));
                    if !n.is_multiple_of(3) {
                        if ledger.settle(&lease, End::Done, Timestamp::now()).await.is_err() {
                            return answered;
                        }
                        answered.push((n, Answered::Done));
                    }
                    done.fetch_add(1, Relaxed);
                }
            })
        });
        let lives: Vec<_> = lives.collect();
        eventually("it is in the middle of its work", async || (done.load(Relaxed) > 1500).then_some(()))
            .await;
        server.kill().await;
        for life in lives {
            answered.extend(life.await.expect("lived"));
        }
        server.restart().await;
        drop(ledger);
        // Another process comes: nothing of what the first one knew is left but what is written.
        ledger = open().await;
        let checks =
            answered.iter().map(async |(n, answered)| (*n, *answered, ledger.begin(claim(*n)).await));
        for (n, answered, begun) in futures::future::join_all(checks).await {
            match (answered, begun.expect("it works again")) {
                (Answered::Done, Begin::Finished(State::Done)) => {}
                // Settled, and the answer was lost with the server.
                (Answered::Stored, Begin::Finished(State::Done)) => {}
                (Answered::Stored, Begin::Stored(_, result)) => {
                    assert!(result.starts_with(format!("result {n} ").as_bytes()));
                }
                // Claimed by this check a blow ago.
                (Answered::Stored, Begin::Busy) => {}
                (_, other) => panic!("job-{n} was answered and is {other:?}"),
            }
        }
    }
    let counts = server.connect().await;
    let twice = "SELECT count(*) FROM lazaret.jobs WHERE finishes <> (state = 'done')::int";
    assert_eq!(counts.query_one(twice, &[]).await.expect("a count").get::<_, i64>(0), 0);
    eprintln!("{} jobs were answered, none was lost in {BLOWS} kills", answered.len());
}
