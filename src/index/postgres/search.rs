//! One search: passages by words and by meaning, fused, and the best of them with their text. Both rankings name the
//! tenant in their SQL; there is no way to search without one.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::put::Vector;
use super::words::{clean, of_tenant, questions};
use crate::index::Query;
use crate::index::fuse::{BY_MEANING, BY_WORDS, CANDIDATES, Candidate, Ranking, choose, fuse};
use crate::index::page::tenant_term;
use crate::message::payload::{DocumentRef, Evidence};
use crate::postgres::{Error, Line};

/// Passages of which a closer look is taken.
const CUT: i64 = 1000;

/// In the manner of BM25: each term counts the more, the fewer of the tenant's passages have it; the second time it
/// stands in a passage counts less than the first (that is `ts_rank`); and a long passage has to have more of them. A
/// term in the title or in a heading counts more than one in the text. The weights are those of D, C, B, A.
///
/// The indexes know which passages have which term; how often, and where, only the passages do, and to read all of them
/// would take most of the time. So the ranking is cut by what the indexes know first.
const WORDS: &str = "WITH questions AS MATERIALIZED (
        SELECT n, here::tsquery AS here, q::tsquery AS q
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u (here, q, n)),
      served AS MATERIALIZED (SELECT id FROM documents WHERE tenant = $1 AND active),
      total AS MATERIALIZED (
        SELECT coalesce(sum(p.passages), 0) AS passages FROM served s JOIN parts p ON p.document = s.id),
      anywhere AS MATERIALIZED (
        SELECT q.n, w.passage FROM questions q JOIN words w ON w.words @@ q.here JOIN served s ON s.id = w.document),
      above AS (
        SELECT q.n, w.passage FROM questions q JOIN words w ON w.head @@ q.here JOIN served s ON s.id = w.document),
      telling AS MATERIALIZED (
        SELECT n, ln(1 + (greatest(max(t.passages) - count(*), 0) + 0.5) / (count(*) + 0.5)) AS telling
        FROM anywhere, total t GROUP BY n),
      likely AS MATERIALIZED (
        SELECT m.passage
        FROM (SELECT n, passage, 1 AS times FROM anywhere UNION ALL SELECT n, passage, 3 FROM above) m
          JOIN telling t ON t.n = m.n
        GROUP BY m.passage ORDER BY sum(m.times * t.telling) DESC, m.passage LIMIT $4),
      near AS MATERIALIZED (SELECT w.* FROM likely l JOIN words w ON w.passage = l.passage),
      usual AS MATERIALIZED (SELECT greatest(avg(terms), 1) AS terms FROM near)
    SELECT r.passage, r.document
    FROM near r, usual u, questions q JOIN telling t ON t.n = q.n
    GROUP BY r.passage, r.document, r.terms, u.terms
    ORDER BY (sum(ts_rank('{0.2, 0, 0.6, 1}', r.words, q.q) * t.telling) / (0.75 + 0.25 * r.terms / u.terms)) DESC,
      r.passage
    LIMIT $5";
/// The nearest by dot product, which is the cosine since vectors are of unit length. Opposite and unrelated passages are
/// no candidates at all.
const NEAREST: &str = "SELECT passage, document FROM (
        SELECT v.passage, v.document, v.embedding <#> $2::vector AS distance
        FROM documents d JOIN vectors v ON v.document = d.id
        WHERE d.tenant = $1 AND d.active AND v.dimensions = $3
        OFFSET 0) AS all_of_them
    WHERE distance < 0 ORDER BY distance, passage LIMIT $4";
const EVIDENCE: &str =
    "SELECT p.id, d.document, d.tenant, d.version, d.title, d.source, d.media_type, p.ordinal, p.text,
      p.heading, p.page
    FROM passages p JOIN documents d ON d.id = p.document WHERE p.id = ANY($1)";

/// A search that owns what it needs.
pub struct Wish {
    tenant: String,
    here: Vec<String>,
    questions: Vec<String>,
    embedding: Vec<f32>,
    limit: usize,
}

impl Wish {
    pub fn of(query: &Query<'_>) -> Self {
        let (questions, term) = (questions(query.text), tenant_term(query.tenant));
        Self {
            tenant: clean(query.tenant).into(),
            here: questions.iter().map(|question| of_tenant(&term, question)).collect(),
            questions,
            embedding: query.embedding.to_vec(),
            limit: query.limit,
        }
    }
}

pub async fn search(line: &Line, wish: &Wish) -> Result<Vec<Evidence>, Error> {
    line.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let rankings = [
        Ranking { weight: BY_WORDS, candidates: by_words(line, wish).await? },
        Ranking { weight: BY_MEANING, candidates: by_meaning(line, wish).await? },
    ];
    let chosen = choose(fuse(&rankings), wish.limit);
    let ids: Vec<i64> = chosen.iter().map(|(candidate, _)| candidate.passage).collect();
    let statement = line.prepared(EVIDENCE).await?;
    let rows = line.within(line.client().query(&statement, &[&ids])).await?;
    line.run("COMMIT").await?;
    let mut found: HashMap<i64, Evidence> = rows.iter().map(|row| (row.get(0), evidence(row))).collect();
    let place =
        |(candidate, score): (Candidate, f64)| Some(Evidence { score, ..found.remove(&candidate.passage)? });
    Ok(chosen.into_iter().filter_map(place).collect())
}

async fn by_words(line: &Line, wish: &Wish) -> Result<Vec<Candidate>, Error> {
    if wish.questions.is_empty() {
        return Ok(Vec::new());
    }
    let statement = line.prepared(WORDS).await?;
    let most = CANDIDATES as i64;
    let values: [&(dyn ToSql + Sync); 5] = [&wish.tenant, &wish.here, &wish.questions, &CUT, &most];
    Ok(line.within(line.client().query(&statement, &values)).await?.iter().map(candidate).collect())
}

async fn by_meaning(line: &Line, wish: &Wish) -> Result<Vec<Candidate>, Error> {
    if wish.embedding.is_empty() {
        return Ok(Vec::new());
    }
    let statement = line.prepared(NEAREST).await?;
    let (vector, most) = (Vector(&wish.embedding), CANDIDATES as i64);
    let dimensions = i32::try_from(wish.embedding.len()).unwrap_or(i32::MAX);
    let values: [&(dyn ToSql + Sync); 4] = [&wish.tenant, &vector, &dimensions, &most];
    Ok(line.within(line.client().query(&statement, &values)).await?.iter().map(candidate).collect())
}

fn candidate(row: &Row) -> Candidate {
    Candidate { passage: row.get(0), document: row.get(1) }
}

fn evidence(row: &Row) -> Evidence {
    let number = |column: usize| row.get::<_, Option<i64>>(column).and_then(|n| u32::try_from(n).ok());
    Evidence {
        document: DocumentRef {
            id: row.get(1),
            tenant: row.get(2),
            version: row.get(3),
            title: row.get(4),
            source: row.get(5),
            media_type: row.get(6),
        },
        ordinal: number(7).unwrap_or_default(),
        text: row.get(8),
        heading: row.get(9),
        page: number(10),
        score: 0.0,
    }
}
