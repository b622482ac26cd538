use std::sync::Arc;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;
use bytes::Bytes;

use super::*;
use crate::ops::quarantine::content::Header;
use crate::quarantine::contract::{act, letter};
use crate::quarantine::sqlite::SqliteQuarantine;
use crate::quarantine::{Batch, Deed, Kept, Remarks, State};

/// An index with so many letters, of which one was given up.
async fn index(letters: i64) -> (Arc<dyn Quarantine>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let index = SqliteQuarantine::open(&folder.path().join("quarantine.db")).expect("an index");
    let acts = vec![act(1, &["id-0003"], Deed::Discarded)];
    let batch = Batch { entries: (0..letters).map(letter).collect(), acts, ..Batch::default() };
    index.apply(batch).await.expect("applied");
    (Arc::new(index), folder)
}

async fn written(index: &Arc<dyn Quarantine>, format: Format) -> Vec<u8> {
    let mut to = Vec::new();
    let filter = Filter { states: vec![State::Open], ..Filter::default() };
    let mut seen = Vec::new();
    let exported = export(&**index, &filter, None, (format, &mut Plainly(&mut to)), |count| seen.push(count))
        .await
        .expect("exported");
    assert_eq!(seen.last(), Some(&exported.letters));
    assert_eq!(exported.without_record, 0);
    to
}

/// A row whose record has this payload.
fn row(payload: Option<&'static [u8]>) -> Row {
    let header = |name: &str, value| Header { name: name.into(), value: Some(Bytes::from_static(value)) };
    let record = Content {
        key: Some(Bytes::from_static(b"base64:x")),
        headers: vec![header("tenant-id", b"acme")],
        payload: payload.map(Bytes::from_static),
    };
    let letter = Known {
        entry: letter(1),
        kept: Kept::Kafka,
        archived: None,
        edit: None,
        state: State::Open,
        looked_at: false,
        remarks: Remarks::default(),
    };
    Row { letter, record: Some(record) }
}

fn sheet(format: Format, rows: Vec<Row>) -> Vec<u8> {
    let mut to = Vec::new();
    {
        let mut sheet: Box<dyn Sheet + '_> = match format {
            Format::Jsonl => Box::new(Jsonl::new(&mut to)),
            Format::Csv => Box::new(Csv::new(&mut to, true).expect("begun")),
            Format::Parquet => Box::new(Parquet::new(&mut to, true).expect("begun")),
        };
        rows.into_iter().for_each(|row| sheet.put(row).expect("written"));
        sheet.finish().expect("finished");
    }
    to
}

/// Remembers how large each piece was.
struct Pieces(Vec<usize>);

#[async_trait]
impl Sink for Pieces {
    async fn put(&mut self, piece: Vec<u8>) -> io::Result<()> {
        self.0.push(piece.len());
        if self.0.len() == 3 { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn it_is_handed_on_piece_by_piece_and_ends_when_nobody_takes_it() {
    let (index, _folder) = index(4000).await;
    let mut to = Pieces(Vec::new());
    let mut written = 0;
    let filter = Filter::default();
    let ended = export(&*index, &filter, None, (Format::Jsonl, &mut to), |count| written = count).await;
    assert!(matches!(ended, Err(ExportError::Write(_))), "{ended:?}");
    assert_eq!((to.0.len(), written), (3, 1000), "no page is read before the last one was taken");
    assert!(to.0.iter().all(|bytes| *bytes < 500 * 2000), "{:?}", to.0);
}

#[tokio::test]
async fn every_letter_that_passes_is_a_line_of_json() {
    let (index, _folder) = index(1200).await;
    let text = String::from_utf8(written(&index, Format::Jsonl).await).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 1199);
    assert_eq!((&lines[0]["id"], &lines[0]["state"]), (&"id-1199".into(), &"open".into()));
    assert!(lines[0].get("record").is_none());
}

#[tokio::test]
async fn a_table_has_a_heading_and_as_many_cells_in_each_row() {
    let (index, _folder) = index(5).await;
    let text = String::from_utf8(written(&index, Format::Csv).await).expect("text");
    let lines: Vec<&str> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].starts_with("id,state,writer,pipeline,"), "{}", lines[0]);
    assert!(lines[1].starts_with("id-0004,open,lazaret,rag,embed,7,llm.timeout,transient,"), "{}", lines[1]);
    assert!(lines[1].contains(r#","[""connection reset""]","#), "{}", lines[1]);
}

#[test]
fn bytes_that_are_no_text_are_coded_in_a_table_and_cannot_be_mistaken() {
    let rows = vec![row(Some(b"\xff\x00")), row(Some(b"a,b")), row(None)];
    let text = String::from_utf8(sheet(Format::Csv, rows)).expect("text");
    let ends: Vec<&str> = text
        .split_terminator("\r\n")
        .map(|line| line.rsplit_once("acme\"\"}]\",").map_or("", |(_, end)| end))
        .collect();
    assert_eq!(ends, ["", "base64:/wA=", "\"a,b\"", ""]);
    assert_eq!(text.matches("base64:YmFzZTY0Ong=").count(), 3, "a key that looks like a coded one");
}

#[tokio::test]
async fn a_parquet_file_is_read_back_as_it_was_written() {
    let (index, _folder) = index(1200).await;
    let reader =
        SerializedFileReader::new(Bytes::from(written(&index, Format::Parquet).await)).expect("read");
    let rows: Vec<_> = reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 1199);
    let names: Vec<&str> = rows[0].get_column_iter().map(|(name, _)| name.as_str()).collect();
    let place = |name: &str| names.iter().position(|n| *n == name).expect(name);
    assert_eq!(rows[0].get_string(place("id")).expect("text"), "id-1199");
    assert_eq!(rows[0].get_long(place("attempts")).expect("a number"), 8);
    let died = rows[0].get_timestamp_millis(place("last_failure")).expect("a time");
    assert_eq!(died, letter(1199).last_failure.as_millisecond());
    assert!(rows[0].get_string(place("note")).is_err(), "nobody wrote a note");
    assert!(!names.contains(&"payload"));
}

#[test]
fn bytes_are_bytes_in_parquet() {
    let bytes = sheet(Format::Parquet, vec![row(Some(b"\xff\x00")), row(None), row(Some(b""))]);
    let reader = SerializedFileReader::new(Bytes::from(bytes)).expect("read");
    let payloads: Vec<Option<Vec<u8>>> = reader
        .get_row_iter(None)
        .expect("rows")
        .map(|row| {
            let row = row.expect("a row");
            row.get_bytes(row.len() - 1).ok().map(|bytes| bytes.data().to_vec())
        })
        .collect();
    assert_eq!(payloads, [Some(vec![0xff, 0]), None, Some(vec![])]);
}
