//! How long the index takes to be filled with 20,000 passages of 384 dimensions, and to be searched.
//!
//! `cargo bench --profile dev --bench index`; with LAZARET_TEST_POSTGRES, from `scripts/parts.sh postgres start durable`,
//! in PostgreSQL as well.

use std::time::{Duration, Instant};

use lazaret::config::{Postgres, Secret, Span};
use lazaret::index::postgres::PostgresIndex;
use lazaret::index::sqlite::SqliteIndex;
use lazaret::index::{Index, Query};
use lazaret::message::payload::{DocumentRef, Passage, Passages};

const DOCUMENTS: u64 = 625;
const PART: u32 = 32;
const DIMENSIONS: usize = 384;
const WORDS_PER_PASSAGE: usize = 200;
const SEARCHES: u64 = 50;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    fill_and_search("SQLite", &SqliteIndex::open(&folder.path().join("index.db"))?).await?;
    let Ok(url) = std::env::var("LAZARET_TEST_POSTGRES") else { return Ok(()) };
    let path = folder.path().join("url");
    std::fs::write(&path, url)?;
    let settings = Postgres {
        url: Secret::File(path),
        schema: format!("bench_index_{}", std::process::id()),
        connections: 4,
        connect_timeout: Span::secs(5),
        timeout: Span::secs(10),
    };
    fill_and_search("PostgreSQL", &PostgresIndex::open(&settings).await?).await
}

async fn fill_and_search(store: &str, index: &dyn Index) -> anyhow::Result<()> {
    let mut random = Random(7);

    let start = Instant::now();
    for n in 0..DOCUMENTS {
        index.put(&part(n, &mut random)).await?;
    }
    let taken = start.elapsed().as_secs_f64();
    let passages = DOCUMENTS * u64::from(PART);
    println!("{store}: put: {passages} passages, {:.0} passages/s", passages as f64 / taken);

    let (words, meaning) = (random.question(8), random.vector());
    measure(index, "by words", &words, &[]).await?;
    measure(index, "by meaning", "", &meaning).await?;
    measure(index, "by both", &words, &meaning).await?;
    Ok(())
}

/// One search at a time, so that the time is the work and not the waiting.
async fn measure(index: &dyn Index, name: &str, text: &str, embedding: &[f32]) -> anyhow::Result<()> {
    let mut times = Vec::new();
    for _ in 0..SEARCHES {
        let start = Instant::now();
        let found = index.search(Query { tenant: "t", text, embedding, limit: 8 }).await?;
        times.push(start.elapsed());
        anyhow::ensure!(found.len() == 8, "too little was found");
    }
    times.sort();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or(Duration::ZERO);
    println!("search {name}: median {:.1?}, p99 {:.1?}", at(50), at(99));
    Ok(())
}

fn part(n: u64, random: &mut Random) -> Passages {
    let document = DocumentRef {
        id: format!("doc-{n}"),
        tenant: "t".into(),
        version: 1,
        title: Some(random.text(4)),
        source: None,
        media_type: None,
    };
    let passages = (0..PART).map(|ordinal| Passage {
        ordinal,
        text: random.text(WORDS_PER_PASSAGE),
        heading: Some(random.text(3)),
        page: None,
        embedding: Some(random.vector()),
    });
    Passages { document, part: 0, parts: 1, passages: passages.collect(), model: None }
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

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Words of a vocabulary of 20,000, the frequent ones very frequent, as in language (Zipf).
    fn text(&mut self, words: usize) -> String {
        self.words(words, 0.0)
    }

    /// The same without the 50 most frequent words, which a search leaves out of a real question.
    fn question(&mut self, words: usize) -> String {
        self.words(words, 0.4)
    }

    fn words(&mut self, words: usize, from: f64) -> String {
        let word = |x: f64| format!("w{}", 20_000f64.powf(from + (1.0 - from) * x) as u64);
        (0..words).map(|_| word(self.unit())).collect::<Vec<_>>().join(" ")
    }

    fn vector(&mut self) -> Vec<f32> {
        let raw: Vec<f64> = (0..DIMENSIONS).map(|_| self.unit() - 0.5).collect();
        let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
        raw.into_iter().map(|x| (x / length) as f32).collect()
    }
}
