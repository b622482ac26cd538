//! Dead letters as a file: what is known of them, and what the records had if that is wanted. As material for whoever cleans
//! data, and to be looked at with tools that do not know Kafka. Page by page, so that memory stays as it is.

mod columns;
mod csv;
mod draft;
mod jsonl;
mod parquet;

use std::io::{self, Write};

use async_trait::async_trait;
use futures::TryStreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::csv::Csv;
use self::draft::Draft;
use self::jsonl::Jsonl;
use self::parquet::Parquet;
use super::content::{Content, ContentError, Contents, portions};
use super::pages;
use crate::quarantine::{Filter, Known, Quarantine, QuarantineError};

/// Letters that are asked for together.
const PAGE: usize = 500;

/// How letters are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON document per line, the same as the API has.
    #[default]
    Jsonl,
    /// Comma separated with a heading (RFC 4180).
    Csv,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

/// A letter, and what its record had, if that is wanted and Kafka still has it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Row {
    #[serde(flatten)]
    pub letter: Known,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Content>,
}

/// Takes rows, and writes them as they come or together.
trait Sheet {
    fn put(&mut self, row: Row) -> io::Result<()>;

    /// Nothing more comes.
    fn finish(&mut self) -> io::Result<()>;
}

/// Where the file goes, piece by piece: as much as was read together.
#[async_trait]
pub trait Sink: Send {
    async fn put(&mut self, piece: Vec<u8>) -> io::Result<()>;
}

/// What takes bytes at once.
pub struct Plainly<W>(pub W);

#[async_trait]
impl<W: Write + Send> Sink for Plainly<W> {
    async fn put(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.0.write_all(&piece)?;
        self.0.flush()
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    pub letters: u64,
    /// Of those, letters whose records were wanted and are no longer in Kafka.
    pub without_record: u64,
}

/// Not everything was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Index(#[from] QuarantineError),
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Writes all letters that pass, the latest death first; those that die meanwhile are not among them. With `contents`, what
/// the records had is written, too. `progress` hears how many are written.
pub async fn export(
    index: &dyn Quarantine,
    filter: &Filter,
    mut contents: Option<Contents<'_>>,
    (format, to): (Format, &mut dyn Sink),
    mut progress: impl FnMut(u64),
) -> Result<Exported, ExportError> {
    let with_record = contents.is_some();
    let draft = Draft::default();
    let mut sheet: Box<dyn Sheet + Send> = match format {
        Format::Jsonl => Box::new(Jsonl::new(draft.clone())),
        Format::Csv => Box::new(Csv::new(draft.clone(), with_record)?),
        Format::Parquet => Box::new(Parquet::new(draft.clone(), with_record)?),
    };
    let (mut exported, mut pages) = (Exported::default(), pages::letters(index, filter, PAGE));
    while let Some(page) = pages.try_next().await? {
        for letters in portions(page, PAGE, |letter| letter.entry.size) {
            let found = match &mut contents {
                Some(contents) => contents.of(letters).await?,
                None => letters.into_iter().map(|letter| (letter, None)).collect(),
            };
            for (letter, record) in found {
                exported.letters += 1;
                exported.without_record += u64::from(with_record && record.is_none());
                sheet.put(Row { letter, record })?;
            }
            draft.hand_on(to).await?;
            progress(exported.letters);
        }
    }
    sheet.finish()?;
    draft.hand_on(to).await?;
    Ok(exported)
}

#[cfg(test)]
mod tests;
