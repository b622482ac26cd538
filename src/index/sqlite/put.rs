//! Keeping parts of document versions, and changing over to a version once it is whole.

use rusqlite::{Connection, OptionalExtension, params};

use crate::index::Put;
use crate::index::page::Page;
use crate::index::signs::signs;
use crate::message::payload::{Passage, Passages};

/// Keeps a part. A part that is there already is replaced, so a repeat changes nothing and a part that was
/// made anew, with another embedding model for example, takes its place.
pub fn keep(db: &Connection, page: &Page) -> rusqlite::Result<Put> {
    let document = &page.part.document;
    let served: Option<i64> = db
        .prepare_cached("SELECT version FROM documents WHERE tenant = ?1 AND document = ?2 AND active")?
        .query_row([&document.tenant, &document.id], |row| row.get(0))
        .optional()?;
    if served.is_some_and(|version| version > document.version) {
        return Ok(Put::Superseded);
    }
    let (row, active) = version(db, &page.part)?;
    write(db, row, page)?;
    if active {
        return Ok(Put::Complete);
    }
    let parts: u32 = db
        .prepare_cached("SELECT count(*) FROM parts WHERE document = ?1 AND part < ?2")?
        .query_row(params![row, page.part.parts], |row| row.get(0))?;
    if parts < page.part.parts {
        return Ok(Put::Partial);
    }
    change_over(db, row, &page.part)?;
    Ok(Put::Complete)
}

/// The row of this version, and whether it is served.
fn version(db: &Connection, part: &Passages) -> rusqlite::Result<(i64, bool)> {
    let document = &part.document;
    db.prepare_cached(
        "INSERT INTO documents (tenant, document, version, parts, title, source, media_type)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (tenant, document, version, parts)
         DO UPDATE SET title = ?5, source = ?6, media_type = ?7
         RETURNING id, active",
    )?
    .query_row(
        params![
            document.tenant,
            document.id,
            document.version,
            part.parts,
            document.title,
            document.source,
            document.media_type
        ],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

fn write(db: &Connection, row: i64, page: &Page) -> rusqlite::Result<()> {
    let part = page.part.part;
    db.prepare_cached("DELETE FROM passages WHERE document = ?1 AND part = ?2")?
        .execute(params![row, part])?;
    db.prepare_cached("INSERT OR REPLACE INTO parts (document, part, passages) VALUES (?1, ?2, ?3)")?
        .execute(params![row, part, page.part.passages.len() as i64])?;
    let mut passages = db.prepare_cached(
        "INSERT INTO passages (document, part, ordinal, page, heading, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let mut words = db.prepare_cached(
        "INSERT INTO words (rowid, tenant, title, heading, body) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut vectors = db.prepare_cached(
        "INSERT INTO vectors (passage, document, signs, embedding) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (passage, (heading, body)) in page.part.passages.iter().zip(&page.words) {
        let Passage { ordinal, text, heading: shown, page: number, embedding } = passage;
        passages.execute(params![row, part, ordinal, number, shown, text])?;
        let id = db.last_insert_rowid();
        words.execute(params![id, page.tenant, page.title, heading, body])?;
        if let Some(embedding) = embedding {
            let bytes: Vec<u8> = embedding.iter().flat_map(|x| x.to_le_bytes()).collect();
            vectors.execute(params![id, row, signs(embedding), bytes])?;
        }
    }
    Ok(())
}

/// Serves this version and forgets all that are older, whole or not. Passages, vectors and words go with
/// their document's row.
fn change_over(db: &Connection, row: i64, part: &Passages) -> rusqlite::Result<()> {
    let document = &part.document;
    db.prepare_cached(
        "DELETE FROM documents WHERE tenant = ?1 AND document = ?2 AND version <= ?3 AND id <> ?4",
    )?
    .execute(params![document.tenant, document.id, document.version, row])?;
    db.prepare_cached("UPDATE documents SET active = 1 WHERE id = ?1")?.execute([row])?;
    Ok(())
}
