//! Keeping parts of document versions, and changing over to a version once it is whole. One transaction for each part;
//! parts of the same document wait for each other, whichever process has them.

use std::error::Error as StdError;

use futures::future::{try_join, try_join4, try_join5};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::words::{clean, vectors};
use crate::index::Put;
use crate::index::page::Page;
use crate::postgres::{Error, Line};

const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || $1 || $2, 7))";
const SERVED: &str = "SELECT version FROM documents WHERE tenant = $1 AND document = $2 AND active";
const IDS: &str = "SELECT nextval('passage_ids') FROM generate_series(1, $1::bigint)";
/// The row of this version, and whether it is served.
const VERSION: &str = "INSERT INTO documents (tenant, document, version, parts, title, source, media_type)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (tenant, document, version, parts) DO UPDATE SET title = $5, source = $6, media_type = $7
    RETURNING id, active";
const OUT: &str = "WITH old AS (DELETE FROM passages WHERE document = $1 AND part = $2 RETURNING id),
      words AS (DELETE FROM words w USING old WHERE w.passage = old.id)
    DELETE FROM vectors v USING old WHERE v.passage = old.id";
const PART: &str = "INSERT INTO parts (document, part, passages) VALUES ($1, $2, $3)
    ON CONFLICT (document, part) DO UPDATE SET passages = $3";
const PASSAGES: &str = "INSERT INTO passages (id, document, part, ordinal, page, heading, text)
    SELECT n.id, $1, $2, n.ordinal, n.page, n.heading, n.text
    FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[]) AS n (id, ordinal, page, heading, text)";
const WORDS: &str = "INSERT INTO words (passage, document, terms, head, words)
    SELECT n.id, $1, n.terms, n.head::tsvector, n.words::tsvector
    FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS n (id, terms, head, words)";
const VECTORS: &str = "INSERT INTO vectors (passage, document, dimensions, embedding)
    SELECT n.id, $1, vector_dims(n.embedding), n.embedding FROM unnest($2::bigint[], $3::vector[]) AS n (id, embedding)";
const IN: &str = "SELECT count(*) FROM parts WHERE document = $1 AND part < $2";
/// Serves this version and forgets all that are older, whole or not.
const CHANGE_OVER: &str = "WITH old AS (
        DELETE FROM documents WHERE tenant = $1 AND document = $2 AND version <= $3 AND id <> $4 RETURNING id),
      parts AS (DELETE FROM parts p USING old WHERE p.document = old.id),
      passages AS (DELETE FROM passages p USING old WHERE p.document = old.id),
      words AS (DELETE FROM words w USING old WHERE w.document = old.id)
    DELETE FROM vectors v USING old WHERE v.document = old.id";
const SERVE: &str = "UPDATE documents SET active = true WHERE id = $1";

/// A part as columns.
pub struct Leaf {
    page: Page,
    ordinals: Vec<i64>,
    pages: Vec<Option<i64>>,
    headings: Vec<Option<String>>,
    texts: Vec<String>,
    terms: Vec<i64>,
    heads: Vec<String>,
    words: Vec<String>,
}

impl Leaf {
    pub fn of(page: Page) -> Self {
        let passages = &page.part.passages;
        let (mut heads, mut words, mut terms) = (Vec::new(), Vec::new(), Vec::new());
        for (heading, body) in &page.words {
            let (head, all, count) = vectors(&page.tenant, &page.title, heading, body);
            heads.push(head);
            words.push(all);
            terms.push(count);
        }
        Self {
            ordinals: passages.iter().map(|passage| passage.ordinal.into()).collect(),
            pages: passages.iter().map(|passage| passage.page.map(Into::into)).collect(),
            headings: passages
                .iter()
                .map(|passage| passage.heading.as_deref().map(|h| clean(h).into()))
                .collect(),
            texts: passages.iter().map(|passage| clean(&passage.text).into()).collect(),
            terms,
            heads,
            words,
            page,
        }
    }
}

/// Keeps a part. A part that is there already is replaced, so a repeat changes nothing and a part that was made anew,
/// with another embedding model for example, takes its place.
pub async fn keep(line: &Line, leaf: &Leaf) -> Result<Put, Error> {
    let (client, part) = (line.client(), &leaf.page.part);
    let document = &part.document;
    let (tenant, id, version) = (clean(&document.tenant), clean(&document.id), document.version);
    let (lock, served, ids) =
        (line.prepared(LOCK).await?, line.prepared(SERVED).await?, line.prepared(IDS).await?);
    let count = part.passages.len() as i64;
    // They are sent in this order, so that what is served is read under the lock.
    let asked = try_join4(
        client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        async { client.query_one(&lock, &[&tenant, &id]).await },
        async { client.query_opt(&served, &[&tenant, &id]).await },
        async { client.query(&ids, &[&count]).await },
    );
    let (_, _, served, ids) = line.within(asked).await?;
    if served.is_some_and(|row| row.get::<_, i64>(0) > version) {
        line.run("ROLLBACK").await?;
        return Ok(Put::Superseded);
    }
    let ids: Vec<i64> = ids.iter().map(|row| row.get(0)).collect();
    let (title, source) = (document.title.as_deref().map(clean), document.source.as_deref().map(clean));
    let media_type = document.media_type.as_deref().map(clean);
    let parts = i64::from(part.parts);
    let statement = line.prepared(VERSION).await?;
    let values: [&(dyn ToSql + Sync); 7] = [&tenant, &id, &version, &parts, &title, &source, &media_type];
    let row = line.within(client.query_one(&statement, &values)).await?;
    let (row, active): (i64, bool) = (row.get(0), row.get(1));
    let parts_in = write(line, leaf, row, &ids).await?;
    if !active && parts_in < parts {
        line.run("COMMIT").await?;
        return Ok(Put::Partial);
    }
    if !active {
        let (out, serve) = (line.prepared(CHANGE_OVER).await?, line.prepared(SERVE).await?);
        line.within(client.execute(&out, &[&tenant, &id, &version, &row])).await?;
        line.within(client.execute(&serve, &[&row])).await?;
    }
    line.run("COMMIT").await?;
    Ok(Put::Complete)
}

/// Writes the part; how many of the version's are in then.
async fn write(line: &Line, leaf: &Leaf, row: i64, ids: &Vec<i64>) -> Result<i64, Error> {
    let (client, part) = (line.client(), &leaf.page.part);
    let (number, count) = (i64::from(part.part), part.passages.len() as i64);
    let embedded =
        part.passages.iter().zip(ids).filter_map(|(passage, id)| Some((*id, passage.embedding.as_ref()?)));
    let (with, vectors): (Vec<i64>, Vec<Vector<'_>>) =
        embedded.map(|(id, vector)| (id, Vector(vector))).unzip();
    let (out, note) = (line.prepared(OUT).await?, line.prepared(PART).await?);
    let (passages, words) = (line.prepared(PASSAGES).await?, line.prepared(WORDS).await?);
    let (embeddings, is_in) = (line.prepared(VECTORS).await?, line.prepared(IN).await?);
    let parts = i64::from(part.parts);
    let written = try_join5(
        async { client.execute(&out, &[&row, &number]).await },
        async { client.execute(&note, &[&row, &number, &count]).await },
        async {
            let values: [&(dyn ToSql + Sync); 7] =
                [&row, &number, ids, &leaf.ordinals, &leaf.pages, &leaf.headings, &leaf.texts];
            client.execute(&passages, &values).await
        },
        async { client.execute(&words, &[&row, ids, &leaf.terms, &leaf.heads, &leaf.words]).await },
        async { client.execute(&embeddings, &[&row, &with, &vectors]).await },
    );
    let counted = async { client.query_one(&is_in, &[&row, &parts]).await };
    let (_, counted) = line.within(try_join(written, counted)).await?;
    Ok(counted.get(0))
}

/// A vector as pgvector takes it: its length, nothing, and its numbers.
#[derive(Debug)]
pub struct Vector<'a>(pub &'a [f32]);

impl ToSql for Vector<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        let dimensions = u16::try_from(self.0.len())?;
        out.extend_from_slice(&dimensions.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        self.0.iter().for_each(|x| out.extend_from_slice(&x.to_be_bytes()));
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        ty.name() == "vector"
    }

    to_sql_checked!();
}
