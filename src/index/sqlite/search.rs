//! One search: passages by words and by meaning, fused, and the best of them with their text. Both rankings
//! name the tenant in their SQL; there is no way to search without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, Row, named_params, params};

use crate::index::fuse::{BY_MEANING, BY_WORDS, CANDIDATES, Candidate, Ranking, choose, fuse};
use crate::index::page::tenant_term;
use crate::index::signs::Sieve;
use crate::index::{Query, tokens};
use crate::message::payload::{DocumentRef, Evidence};

/// Passages of which a closer look is taken before a ranking is cut to its candidates.
const CUT: usize = 400;

/// A search that owns what it needs.
pub struct Wish {
    tenant: String,
    /// FTS5 expression; `None` when the question has no terms.
    words: Option<String>,
    embedding: Vec<f32>,
    limit: usize,
    strangers: Arc<Strangers>,
}

/// Whether vectors of another length were met, which is said once.
#[derive(Default)]
pub struct Strangers(AtomicBool);

impl Wish {
    pub fn of(query: &Query<'_>, strangers: Arc<Strangers>) -> Self {
        Self {
            tenant: query.tenant.to_owned(),
            words: expression(query.tenant, query.text),
            embedding: query.embedding.to_vec(),
            limit: query.limit,
            strangers,
        }
    }
}

/// Terms hold letters, digits and single spaces only and are quoted, so nothing in a question is read as FTS5
/// syntax; a quoted sequence is a phrase.
fn expression(tenant: &str, text: &str) -> Option<String> {
    let terms: Vec<String> = tokens::query_terms(text).iter().map(|term| format!("\"{term}\"")).collect();
    let any = terms.join(" OR ");
    let tenant = tenant_term(tenant);
    (!terms.is_empty()).then(|| format!("tenant : \"{tenant}\" AND {{title heading body}} : ({any})"))
}

pub fn search(db: &Connection, wish: &Wish) -> rusqlite::Result<Vec<Evidence>> {
    let rankings = [
        Ranking { weight: BY_WORDS, candidates: by_words(db, wish)? },
        Ranking { weight: BY_MEANING, candidates: by_meaning(db, wish)? },
    ];
    choose(fuse(&rankings), wish.limit)
        .into_iter()
        .map(|(candidate, score)| evidence(db, candidate, score))
        .collect()
}

/// BM25; a term in the title or in a heading counts more than one in the text.
///
/// The ranking is cut before it is joined, since joining everything that has one of the words would take most
/// of the time. Of versions that are still incomplete there may be so many that the cut leaves too little:
/// then it is done once more without.
fn by_words(db: &Connection, wish: &Wish) -> rusqlite::Result<Vec<Candidate>> {
    let Some(expression) = &wish.words else { return Ok(Vec::new()) };
    let mut statement = db.prepare_cached(
        "WITH hits AS MATERIALIZED (
           SELECT rowid AS passage, rank AS score FROM words
           WHERE words MATCH :words AND rank MATCH 'bm25(0.0, 5.0, 3.0, 1.0)' ORDER BY rank LIMIT :cut)
         SELECT p.id, p.document
         FROM hits JOIN passages p ON p.id = hits.passage JOIN documents d ON d.id = p.document
         WHERE d.tenant = :tenant AND d.active
         ORDER BY hits.score, p.id LIMIT :most",
    )?;
    let mut ask = |cut: i64| {
        let named = named_params! {
            ":words": expression, ":tenant": wish.tenant, ":cut": cut, ":most": CANDIDATES as i64
        };
        let candidate = |row: &Row<'_>| Ok(Candidate { passage: row.get(0)?, document: row.get(1)? });
        statement.query_map(named, candidate)?.collect::<rusqlite::Result<Vec<_>>>()
    };
    let candidates = ask(CUT as i64)?;
    if candidates.len() == CANDIDATES { Ok(candidates) } else { ask(-1) }
}

/// The nearest vectors by dot product, which is the cosine since vectors are of unit length. The signs of all
/// of the tenant's vectors are looked at, and the numbers of the [`CUT`] that these put first.
fn by_meaning(db: &Connection, wish: &Wish) -> rusqlite::Result<Vec<Candidate>> {
    if wish.embedding.is_empty() {
        return Ok(Vec::new());
    }
    let mut likely = Best::of(CUT);
    let sieve = Sieve::of(&wish.embedding);
    let mut statement = db.prepare_cached(
        "SELECT v.passage, v.document, v.signs
         FROM documents d JOIN vectors v ON v.document = d.id WHERE d.tenant = ?1 AND d.active",
    )?;
    let mut rows = statement.query([&wish.tenant])?;
    while let Some(row) = rows.next()? {
        let signs = row.get_ref(2)?.as_blob()?;
        match sieve.score(signs) {
            Some(score) => likely.offer(score, Candidate { passage: row.get(0)?, document: row.get(1)? }),
            None => wish.strangers.report(wish.embedding.len()),
        }
    }

    let mut nearest = Best::of(CANDIDATES);
    let mut statement = db.prepare_cached("SELECT embedding FROM vectors WHERE passage = ?1")?;
    for (_, candidate) in likely.kept {
        let mut rows = statement.query([candidate.passage])?;
        let Some(row) = rows.next()? else { continue };
        // Opposite and unrelated passages are no candidates at all.
        match similarity(row.get_ref(0)?.as_blob()?, &wish.embedding) {
            Some(score) if score > 0.0 => nearest.offer(score, candidate),
            Some(_) => {}
            None => wish.strangers.report(wish.embedding.len()),
        }
    }
    Ok(nearest.kept.into_iter().map(|(_, candidate)| candidate).collect())
}

impl Strangers {
    fn report(&self, asked: usize) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                asked,
                "the search index holds vectors of another length than the question's: their passages are found \
                 by words only; use the same embedding model in embed and retrieve, and send the documents of \
                 the other model again"
            );
        }
    }
}

/// Dot product of little-endian floats with a vector; `None` when the lengths differ.
fn similarity(stored: &[u8], vector: &[f32]) -> Option<f32> {
    if stored.len() != vector.len() * 4 {
        return None;
    }
    let mut sum = 0.0;
    for (bytes, x) in stored.as_chunks::<4>().0.iter().zip(vector) {
        sum += f32::from_le_bytes(*bytes) * x;
    }
    Some(sum)
}

/// The best candidates so far, best first; of equals, the one with the lower id.
struct Best {
    kept: Vec<(f32, Candidate)>,
    most: usize,
}

impl Best {
    fn of(most: usize) -> Self {
        Self { kept: Vec::with_capacity(most + 1), most }
    }

    fn offer(&mut self, score: f32, candidate: Candidate) {
        let ahead = |(s, c): &(f32, Candidate)| *s > score || (*s == score && c.passage < candidate.passage);
        if score.is_nan() || self.kept.len() == self.most && self.kept.last().is_some_and(ahead) {
            return;
        }
        let at = self.kept.partition_point(ahead);
        self.kept.insert(at, (score, candidate));
        self.kept.truncate(self.most);
    }
}

fn evidence(db: &Connection, candidate: Candidate, score: f64) -> rusqlite::Result<Evidence> {
    let read = |row: &Row<'_>| {
        let document = DocumentRef {
            id: row.get(0)?,
            tenant: row.get(1)?,
            version: row.get(2)?,
            title: row.get(3)?,
            source: row.get(4)?,
            media_type: row.get(5)?,
        };
        let (ordinal, text, heading, page) = (row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?);
        Ok(Evidence { document, ordinal, text, heading, page, score })
    };
    db.prepare_cached(
        "SELECT d.document, d.tenant, d.version, d.title, d.source, d.media_type, p.ordinal, p.text, p.heading, p.page
         FROM passages p JOIN documents d ON d.id = p.document WHERE p.id = ?1",
    )?
    .query_row(params![candidate.passage], read)
}
