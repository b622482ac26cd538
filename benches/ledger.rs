//! How many records a second the ledger takes: claim, store 1 KiB, settle, with 64 and with 1,000 in flight, beside the
//! same three commits made one by one. The second number says what the disk gives without grouping.
//!
//! `cargo bench --profile dev --bench ledger`; with LAZARET_TEST_POSTGRES, from `scripts/parts.sh postgres start
//! durable`, in PostgreSQL as well.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lazaret::config::{Postgres, Secret, Span};
use lazaret::ledger::postgres::{PostgresLedger, Predecessor};
use lazaret::ledger::sqlite::SqliteLedger;
use lazaret::ledger::{Begin, Claim, End, Ledger};
use lazaret::message::{Coordinates, Correlation, JobId, TopicPartition};

const IN_FLIGHT: [u64; 2] = [64, 1000];
const RECORDS: u64 = 30_000;
const RECORDS_ALONE: u64 = 1_000;
const RESULT: usize = 1024;
const DAY: Duration = Duration::from_secs(86_400);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for in_flight in IN_FLIGHT {
        let path = folder.path().join(format!("grouped-{in_flight}.db"));
        let ledger = Arc::new(SqliteLedger::open(&path, "bench", DAY, Timestamp::now())?);
        report("SQLite", ledger, in_flight, alone(&folder.path().join(format!("alone-{in_flight}.db")))?)
            .await?;
    }
    let Ok(url) = std::env::var("LAZARET_TEST_POSTGRES") else { return Ok(()) };
    for in_flight in IN_FLIGHT {
        let settings = settings(folder.path(), &url, in_flight)?;
        let open = PostgresLedger::open(&settings, "bench", Predecessor::Gone, DAY, Timestamp::now());
        report("PostgreSQL", Arc::new(open.await?), in_flight, alone_in_postgres(&url).await?).await?;
    }
    Ok(())
}

/// One line after another: what the ledger takes, what the disk gives, and how many times that is.
async fn report(store: &str, ledger: Arc<dyn Ledger>, in_flight: u64, alone: f64) -> anyhow::Result<()> {
    let grouped = grouped(ledger, in_flight).await?;
    println!("{store}, {in_flight} in flight, {RESULT} B results: {grouped:.0} records/s");
    println!("{store}, one commit per statement on a bare table: {alone:.0} records/s");
    println!("ratio: {:.1}", grouped / alone);
    Ok(())
}

fn settings(folder: &Path, url: &str, in_flight: u64) -> anyhow::Result<Postgres> {
    let path = folder.join("url");
    std::fs::write(&path, url)?;
    let connections = std::env::var("LAZARET_BENCH_CONNECTIONS").ok().and_then(|text| text.parse().ok());
    Ok(Postgres {
        url: Secret::File(path),
        schema: format!("bench_{}_{in_flight}", std::process::id()),
        connections: connections.unwrap_or(2),
        connect_timeout: Span::secs(5),
        timeout: Span::secs(10),
    })
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
        edited: false,
        origin: at.clone(),
        order: None,
        family: TopicPartition::new("in", 0),
        term: 0,
        at,
        lease: Duration::from_secs(60),
        now: Timestamp::now(),
    }
}

async fn grouped(ledger: Arc<dyn Ledger>, in_flight: u64) -> anyhow::Result<f64> {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let workers = (0..in_flight).map(|_| {
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

async fn alone_in_postgres(url: &str) -> anyhow::Result<f64> {
    let (db, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    let table = format!("alone_{}", std::process::id());
    db.batch_execute(&format!(
        "DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (job text PRIMARY KEY, state text, result bytea)"
    ))
    .await?;
    let begin = db.prepare(&format!("INSERT INTO {table} VALUES ($1, 'running', NULL)")).await?;
    let store =
        db.prepare(&format!("UPDATE {table} SET state = 'stored', result = $2 WHERE job = $1")).await?;
    let settle =
        db.prepare(&format!("UPDATE {table} SET state = 'done', result = NULL WHERE job = $1")).await?;
    let start = Instant::now();
    for n in 0..RECORDS_ALONE {
        let job = format!("bench-{n}");
        db.execute(&begin, &[&job]).await?;
        db.execute(&store, &[&job, &vec![7u8; RESULT]]).await?;
        db.execute(&settle, &[&job]).await?;
    }
    let rate = RECORDS_ALONE as f64 / start.elapsed().as_secs_f64();
    db.batch_execute(&format!("DROP TABLE {table}")).await?;
    driver.abort();
    Ok(rate)
}
