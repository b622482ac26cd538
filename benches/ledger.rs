//! How many records a second the ledger takes: claim, store 1 KiB, settle, with 64 in flight, beside the same
//! three commits made one by one. The second number says what the disk gives without grouping.
//!
//! `cargo bench --profile dev --bench ledger`

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lazaret::ledger::sqlite::SqliteLedger;
use lazaret::ledger::{Begin, Claim, End, Ledger};
use lazaret::message::{Coordinates, Correlation, JobId, TopicPartition};

const IN_FLIGHT: u64 = 64;
const RECORDS: u64 = 30_000;
const RECORDS_ALONE: u64 = 1_000;
const RESULT: usize = 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let grouped = grouped(&folder.path().join("grouped.db")).await?;
    println!("ledger, {IN_FLIGHT} in flight, {RESULT} B results: {grouped:.0} records/s");
    let alone = alone(&folder.path().join("alone.db"))?;
    println!("autocommit, same statements on a bare table: {alone:.0} records/s");
    println!("ratio: {:.1}", grouped / alone);
    Ok(())
}

fn claim(n: u64) -> Claim {
    let job = JobId(format!("bench-{n}"));
    let traceparent = lazaret::message::id::derived_traceparent(&job);
    let at = Coordinates { topic: "in".into(), partition: 0, offset: 0, timestamp: None };
    Claim {
        pipeline: "bench".into(),
        stage: "embed".into(),
        correlation: Correlation { job, tenant: Some("t".into()), resource: None, traceparent },
        attempt: 0,
        redrives: 0,
        origin: at.clone(),
        order: None,
        family: TopicPartition::new("in", 0),
        term: 0,
        at,
        lease: Duration::from_secs(60),
        now: Timestamp::now(),
    }
}

async fn grouped(path: &Path) -> anyhow::Result<f64> {
    let ledger = Arc::new(SqliteLedger::open(path, "bench", Duration::from_secs(86_400), Timestamp::now())?);
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let workers = (0..IN_FLIGHT).map(|_| {
        let (ledger, next) = (ledger.clone(), next.clone());
        tokio::spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= RECORDS {
                    return anyhow::Ok(());
                }
                let Begin::Fresh(lease) = ledger.begin(claim(n)).await? else {
                    anyhow::bail!("record {n} is not fresh");
                };
                ledger.store(&lease, vec![7; RESULT], Timestamp::now()).await?;
                ledger.settle(&lease, End::Done, Timestamp::now()).await?;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await??;
    }
    Ok(RECORDS as f64 / start.elapsed().as_secs_f64())
}

fn alone(path: &Path) -> anyhow::Result<f64> {
    let db = rusqlite::Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
         CREATE TABLE jobs (job TEXT PRIMARY KEY, state TEXT, result BLOB)",
    )?;
    let start = Instant::now();
    for n in 0..RECORDS_ALONE {
        let job = format!("bench-{n}");
        db.prepare_cached("INSERT INTO jobs VALUES (?1, 'running', NULL)")?.execute([&job])?;
        db.prepare_cached("UPDATE jobs SET state = 'stored', result = ?2 WHERE job = ?1")?
            .execute(rusqlite::params![job, vec![7u8; RESULT]])?;
        db.prepare_cached("UPDATE jobs SET state = 'done', result = NULL WHERE job = ?1")?.execute([&job])?;
    }
    Ok(RECORDS_ALONE as f64 / start.elapsed().as_secs_f64())
}
