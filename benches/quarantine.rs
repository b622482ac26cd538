//! How long the index of dead letters takes to take in a million of them, and to answer questions about them: 40 groups,
//! 200 tenants, 100,000 resources, 20,000 messages, 30 days. A tenth was redriven, a thirtieth discarded. Beside it, what
//! the machine gives: the same letters as JSON in a bare table of SQLite with their ids as the key.
//!
//! `cargo bench --bench quarantine -- [LETTERS [MESSAGES]]`, the latter of each group; with LAZARET_TEST_POSTGRES, from `scripts/parts.sh postgres start durable`,
//! in PostgreSQL as well.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use lazaret::config::{Postgres, Secret, Span};
use lazaret::message::{Coordinates, TopicPartition};
use lazaret::quarantine::postgres::PostgresQuarantine;
use lazaret::quarantine::sqlite::SqliteQuarantine;
use lazaret::quarantine::{
    Act, Batch, By, Cursor, Deed, Entry, Filter, Origin, Outcome, Quarantine, State, Stretch, Writer,
};

const LETTERS: u64 = 1_000_000;
const BATCH: u64 = 2000;
const PARTITIONS: u64 = 6;
const DAYS: i64 = 30;
const DAY: i64 = 86_400_000;
const BEGIN: i64 = 1_790_000_000_000;
const ROUNDS: usize = 15;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let size = Size { letters: numbers.next().unwrap_or(LETTERS), messages: numbers.next().unwrap_or(500) };
    let folder = tempfile::tempdir()?;
    println!("bare table: {:.0} letters/s", bare(&folder.path().join("bare.db"), size)?);
    let path = folder.path().join("quarantine.db");
    let store = SqliteQuarantine::open(&path)?;
    measure("SQLite", &store, size).await?;
    drop(store);
    println!("SQLite: the file has {:.0} MB", std::fs::metadata(&path)?.len() as f64 / 1e6);
    let Ok(url) = std::env::var("LAZARET_TEST_POSTGRES") else { return Ok(()) };
    measure("PostgreSQL", &postgres(folder.path(), url).await?, size).await
}

async fn postgres(folder: &Path, url: String) -> anyhow::Result<PostgresQuarantine> {
    let path = folder.join("url");
    std::fs::write(&path, url)?;
    let settings = Postgres {
        url: Secret::File(path),
        schema: format!("bench_quarantine_{}", std::process::id()),
        connections: 2,
        connect_timeout: Span::secs(5),
        timeout: Span::secs(30),
    };
    Ok(PostgresQuarantine::open(&settings).await?)
}

async fn measure(name: &str, store: &dyn Quarantine, size: Size) -> anyhow::Result<()> {
    let Size { letters, .. } = size;
    let taken = fill(store, size).await?;
    println!(
        "{name}: {letters} letters in batches of {BATCH}: {:.0} letters/s; slowest batch {:.0?}",
        letters as f64 / taken.0.as_secs_f64(),
        taken.1
    );
    let (acts, acted) = (Instant::now(), treat(store, size).await?);
    println!(
        "{name}: acts on {acted} letters, in acts on 1,000: {:.0} letters/s",
        acted as f64 / acts.elapsed().as_secs_f64()
    );
    println!("{name}: resident memory {}", resident());
    println!("\n| {name}, {letters} letters | answer | median ms | worst ms |\n|---|---|---|---|");
    for (what, question) in questions(size) {
        let mut times = Vec::new();
        let mut answer = String::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            answer = ask(store, &question).await?;
            times.push(start.elapsed());
        }
        times.sort();
        let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
        let (median, worst) = (ms(times.get(ROUNDS / 2)), ms(times.last()));
        println!("| {what} | {answer} | {median:.1} | {worst:.1} |");
    }
    println!();
    Ok(())
}

/// How many letters, and how many messages of each group.
#[derive(Clone, Copy)]
struct Size {
    letters: u64,
    messages: u64,
}

fn timestamp(milliseconds: i64) -> anyhow::Result<Timestamp> {
    Ok(Timestamp::from_millisecond(milliseconds)?)
}

/// Letters a second.
fn bare(path: &Path, size: Size) -> anyhow::Result<f64> {
    let mut db = rusqlite::Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.execute_batch("CREATE TABLE letters (id TEXT PRIMARY KEY, letter TEXT NOT NULL)")?;
    let mut taken = Duration::ZERO;
    for first in (0..size.letters).step_by(BATCH as usize) {
        let entries: Vec<Entry> = (first..first + BATCH).map(|n| entry(n, size)).collect();
        let start = Instant::now();
        let transaction = db.transaction()?;
        for entry in &entries {
            transaction
                .prepare_cached("INSERT INTO letters (id, letter) VALUES (?1, ?2)")?
                .execute([&entry.id, &serde_json::to_string(entry)?])?;
        }
        transaction.commit()?;
        taken += start.elapsed();
    }
    Ok(size.letters as f64 / taken.as_secs_f64())
}

/// As Linux tells it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches(':').trim().to_owned()
    };
    format!("{}, at most {}", of("VmRSS"), of("VmHWM"))
}

enum Question {
    List(Filter, Option<Cursor>),
    Count(Filter),
    Groups(Filter),
    Shares(Filter, By),
    Trend(Filter),
    Trends(Filter),
    Find(String),
}

async fn ask(store: &dyn Quarantine, question: &Question) -> anyhow::Result<String> {
    Ok(match question {
        Question::List(filter, after) => {
            format!("{} letters", store.list(filter, after.as_ref(), 100).await?.letters.len())
        }
        Question::Count(filter) => format!("{}", store.count(filter).await?),
        Question::Groups(filter) => format!("{} groups", store.groups(filter, 1000).await?.len()),
        Question::Shares(filter, by) => format!("{} values", store.shares(filter, *by, 50).await?.len()),
        Question::Trend(filter) => format!("{} hours", store.trend(filter).await?.len()),
        Question::Trends(filter) => {
            let days = Stretch::between(timestamp(BEGIN)?, timestamp(BEGIN + DAYS * DAY)?, 24);
            format!("{} groups", store.trends(filter, &days).await?.len())
        }
        Question::Find(id) => format!("{} letters", store.find(id).await?.len()),
    })
}

fn questions(size: Size) -> Vec<(&'static str, Question)> {
    use Question::*;
    let all = Filter::default;
    let some = |text: &str| Some(text.to_owned());
    let before_end = |days: i64| Timestamp::from_millisecond(BEGIN + (DAYS - days) * DAY).ok();
    let tenant = Filter { tenant: some("tenant-3"), ..all() };
    let of_tenant = Filter { code: some("llm"), since: before_end(15), ..tenant.clone() };
    let open = Filter { states: vec![State::Open], ..all() };
    let text = Filter { text: some("WRECK 17"), ..all() };
    let print = Filter { fingerprint: some("print-5"), ..all() };
    let rare = Filter { states: vec![State::Discarded], ..print.clone() };
    let resource = Filter { resource: some("resource-77"), ..all() };
    let job = Filter { job: some(&entry(size.letters / 2, size).job), ..all() };
    let trace = Filter { trace: entry(size.letters / 3, size).trace, ..all() };
    let never = Filter { tenant: some("nobody"), ..all() };
    let middle = Some(Cursor { died: BEGIN + DAYS * DAY / 2, id: String::new() });
    vec![
        ("list: all", List(all(), None)),
        ("list: all, from the middle", List(all(), middle.clone())),
        ("list: open", List(open.clone(), None)),
        ("list: a tenant", List(tenant.clone(), None)),
        ("list: a tenant, an area of codes, 15 days", List(of_tenant.clone(), None)),
        ("list: a group's discarded", List(rare.clone(), None)),
        ("list: text", List(text.clone(), None)),
        ("list: a resource", List(resource.clone(), None)),
        ("list: a job", List(job, None)),
        ("list: a trace", List(trace, None)),
        ("list: a tenant that has none", List(never, None)),
        (
            "find: by the beginning of an id",
            Find(entry(size.letters / 2, size).id.get(..8).unwrap_or_default().into()),
        ),
        ("count: all", Count(all())),
        ("count: open", Count(open.clone())),
        ("count: a tenant, an area, 15 days", Count(of_tenant.clone())),
        ("count: text", Count(text.clone())),
        ("groups: all", Groups(all())),
        ("groups: open", Groups(open.clone())),
        ("groups: a tenant", Groups(tenant.clone())),
        ("groups: a day", Groups(Filter { since: before_end(1), ..all() })),
        ("groups: open, 15 days", Groups(Filter { since: before_end(15), ..open.clone() })),
        ("groups: text", Groups(text.clone())),
        ("groups: a resource", Groups(resource)),
        ("shares: tenants", Shares(all(), By::Tenant)),
        ("shares: resources", Shares(all(), By::Resource)),
        ("shares: resources of a group", Shares(print.clone(), By::Resource)),
        ("shares: resources of a tenant, an area, 15 days", Shares(of_tenant.clone(), By::Resource)),
        ("shares: features", Shares(all(), By::Feature)),
        ("shares: models", Shares(all(), By::Model)),
        ("shares: producers", Shares(all(), By::Producer)),
        ("shares: versions", Shares(all(), By::Version)),
        ("shares: codes", Shares(all(), By::Code)),
        ("shares: stages", Shares(all(), By::Stage)),
        ("shares: states", Shares(all(), By::State)),
        ("trend: all", Trend(all())),
        ("trends of all groups", Trends(all())),
        ("groups: nobody looked at", Groups(Filter { looked_at: Some(false), ..all() })),
        ("trend: a group's open", Trend(Filter { states: vec![State::Open], ..print })),
        ("trend: text", Trend(text)),
    ]
}

/// All of it, and the slowest batch. Making letters is not counted.
async fn fill(store: &dyn Quarantine, size: Size) -> anyhow::Result<(Duration, Duration)> {
    let Size { letters, .. } = size;
    let (mut taken, mut slowest) = (Duration::ZERO, Duration::ZERO);
    for first in (0..letters).step_by(BATCH as usize) {
        let last = (first + BATCH).min(letters);
        let entries: Vec<Entry> = (first..last).map(|n| entry(n, size)).collect();
        let next = i64::try_from(last / PARTITIONS)?;
        let position = |p: u64| Ok((TopicPartition::new("rag.embed.dlq", i32::try_from(p)?), next));
        let positions = (0..PARTITIONS).map(position).collect::<anyhow::Result<_>>()?;
        let start = Instant::now();
        store.apply(Batch { entries, positions, ..Batch::default() }).await?;
        taken += start.elapsed();
        slowest = slowest.max(start.elapsed());
    }
    Ok((taken, slowest))
}

/// Acts on some of the letters, a thousand at a time; on how many.
async fn treat(store: &dyn Quarantine, size: Size) -> anyhow::Result<u64> {
    let (mut offset, mut acted) = (0, 0);
    for (every, from, deeds) in [
        (10, 3, vec![Deed::Redriven, Deed::Settled { outcome: Outcome::Succeeded }]),
        (30, 7, vec![Deed::Discarded]),
    ] {
        let some: Vec<String> = (from..size.letters).step_by(every).map(|n| entry(n, size).id).collect();
        for deed in deeds {
            for ids in some.chunks(1000) {
                let act = Act {
                    id: format!("act-{offset}"),
                    operation: "op".into(),
                    at: Timestamp::from_millisecond(BEGIN + DAYS * DAY)?,
                    by: "ada".into(),
                    reason: None,
                    letters: ids.to_vec(),
                    group: None,
                    deed: deed.clone(),
                };
                store.apply(Batch { acts: vec![(offset, act)], ..Batch::default() }).await?;
                (offset, acted) = (offset + 1, acted + ids.len() as u64);
            }
        }
    }
    Ok(acted)
}

/// The same in every run. Some groups, tenants and resources have far more than others.
fn entry(n: u64, size: Size) -> Entry {
    let mut random = Random(n);
    let print = random.skewed(40);
    let (tenant, resource, message) =
        (random.skewed(200), random.skewed(100_000), random.skewed(size.messages));
    let codes = ["llm.timeout", "llm.rate_limited", "document.empty", "index.unavailable", "parse.failed"];
    let code = codes.get(print as usize % codes.len()).copied().unwrap_or_default();
    // Partitions are not read in step: letters of an hour come in any order.
    let jitter = (random.next() % 3_600_000).cast_signed();
    let died = BEGIN + (n as i64) * (DAYS * DAY - 3_600_000) / LETTERS.cast_signed() + jitter;
    let time = |milliseconds: i64| Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let (partition, offset) = ((n % PARTITIONS) as i32, (n / PARTITIONS).cast_signed());
    Entry {
        id: format!("{:016x}{:04x}", random.next(), n & 0xffff),
        writer: Writer::Lazaret,
        at: Coordinates { topic: "rag.embed.dlq".into(), partition, offset, timestamp: Some(died) },
        pipeline: "rag".into(),
        stage: ["parse", "chunk", "embed", "index"]
            .get(print as usize % 4)
            .copied()
            .unwrap_or_default()
            .into(),
        revision: Some(format!("1.{}", random.skewed(12))),
        code: code.into(),
        class: if print.is_multiple_of(3) { "transient".into() } else { "permanent".into() },
        message: format!(
            "the light of harbour {print} is out: wreck {message} lies before it, and the tide is high"
        ),
        chain: vec![format!("no answer from pilot {print} within 30s"), "connection reset".into()],
        fingerprint: format!("print-{print}"),
        attempts: 8,
        first_failure: time(died - 600_000),
        last_failure: time(died),
        origin: Some(Origin {
            topic: "documents".into(),
            partition: Some(partition),
            offset: Some(offset * 3),
            timestamp: Some(died - 700_000),
        }),
        redrives: 0,
        job: format!("documents-{partition}-{}-{}", offset * 3, died - 700_000),
        tenant: Some(format!("tenant-{tenant}")),
        resource: Some(format!("resource-{resource}")),
        trace: Some(format!("{:016x}{:016x}", random.next(), random.next())),
        producer: Some(format!("producer-{}", random.skewed(6))),
        feature: Some(format!("feature-{}", random.skewed(8))),
        model: Some(format!("model-{}", random.skewed(5))),
        size: 500 + random.next() % 20_000,
        spent: None,
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below this number, the lower ones more often.
    fn skewed(&mut self, below: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (unit * unit * below as f64) as u64
    }
}
