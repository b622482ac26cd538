//! One search: passages by words and by meaning, fused, and the best of them with their text. Both rankings
//! name the tenant in their SQL; there is no way to search without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, Row, named_params, params};

use super::put::tenant_term;
use crate::index::fuse::{Candidate, Ranking, choose, fuse};
use crate::index::{Query, tokens};
use crate::message::payload::{DocumentRef, Evidence};

/// Passages taken from each ranking.
const CANDIDATES: usize = 50;
/// How much each ranking counts. Words count more: documentation is asked about by its names.
const BY_WORDS: f64 = 1.0;
const BY_MEANING: f64 = 0.7;

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

/// Terms hold letters and digits only and are quoted, so nothing in a question is read as FTS5 syntax.
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
fn by_words(db: &Connection, wish: &Wish) -> rusqlite::Result<Vec<Candidate>> {
    let Some(expression) = &wish.words else { return Ok(Vec::new()) };
    db.prepare_cached(
        "SELECT p.id, p.document
         FROM words JOIN passages p ON p.id = words.rowid JOIN documents d ON d.id = p.document
         WHERE words MATCH :words AND d.tenant = :tenant AND d.active
         ORDER BY bm25(words, 0.0, 3.0, 2.0, 1.0), p.id LIMIT :most",
    )?
    .query_map(
        named_params! { ":words": expression, ":tenant": wish.tenant, ":most": CANDIDATES as i64 },
        |row| Ok(Candidate { passage: row.get(0)?, document: row.get(1)? }),
    )?
    .collect()
}

/// The nearest vectors by dot product, which is the cosine since vectors are of unit length. Exact: looks
/// at all vectors of the tenant.
fn by_meaning(db: &Connection, wish: &Wish) -> rusqlite::Result<Vec<Candidate>> {
    if wish.embedding.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = db.prepare_cached(
        "SELECT v.passage, v.document, v.embedding
         FROM documents d JOIN vectors v ON v.document = d.id WHERE d.tenant = ?1 AND d.active",
    )?;
    let mut rows = statement.query([&wish.tenant])?;
    let mut best = Best::default();
    while let Some(row) = rows.next()? {
        let stored = row.get_ref(2)?.as_blob().map_err(|e| {
            rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Blob, e.into())
        })?;
        match similarity(stored, &wish.embedding) {
            // Opposite and unrelated passages are no candidates at all.
            Some(score) if score > 0.0 => {
                best.offer(score, Candidate { passage: row.get(0)?, document: row.get(1)? });
            }
            Some(_) => {}
            None => wish.strangers.report(stored.len() / 4, wish.embedding.len()),
        }
    }
    Ok(best.0.into_iter().map(|(_, candidate)| candidate).collect())
}

impl Strangers {
    fn report(&self, stored: usize, asked: usize) {
        if !self.0.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                stored,
                asked,
                "the search index holds vectors of another length than the question's: they are found by \
                 their words only; use the same embedding model in embed and retrieve, and send the documents \
                 of the other model again"
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
#[derive(Default)]
struct Best(Vec<(f32, Candidate)>);

impl Best {
    fn offer(&mut self, score: f32, candidate: Candidate) {
        let behind = |(s, c): &(f32, Candidate)| *s > score || (*s == score && c.passage < candidate.passage);
        if self.0.len() == CANDIDATES && self.0.last().is_some_and(behind) {
            return;
        }
        let at = self.0.partition_point(behind);
        self.0.insert(at, (score, candidate));
        self.0.truncate(CANDIDATES);
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
