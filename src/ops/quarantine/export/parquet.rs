//! Apache Parquet. Rows are gathered into groups, which are written column by column: a group is what has to be held in
//! memory, and what a reader can skip.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::columns::{Column, columns};
use super::{Row, Sheet};

/// Rows of a group, and about as many bytes of records; whichever is reached first.
const ROWS: usize = 10_000;
const BYTES: usize = 16 << 20;

pub struct Parquet<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<&'static (&'static str, Column)>,
    rows: Vec<Row>,
    bytes: usize,
}

impl<W: Write + Send> Parquet<W> {
    pub fn new(to: W, with_record: bool) -> io::Result<Self> {
        let columns = columns(with_record);
        let open = || -> Result<_, ParquetError> {
            let fields = columns.iter().map(|(name, column)| Ok(Arc::new(field(name, column)?)));
            let fields = fields.collect::<Result<_, ParquetError>>()?;
            let schema = Type::group_type_builder("dead_letters").with_fields(fields).build()?;
            let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties))
        };
        let file = open().map_err(io::Error::other)?;
        Ok(Self { file, columns, rows: Vec::new(), bytes: 0 })
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for (_, column) in &self.columns {
            write(&mut group, column, &self.rows)?;
        }
        group.close()?;
        self.rows.clear();
        self.bytes = 0;
        Ok(())
    }
}

impl<W: Write + Send> Sheet for Parquet<W> {
    fn put(&mut self, row: Row) -> io::Result<()> {
        let record = row.record.as_ref();
        self.bytes += record.map_or(0, |record| record.payload.as_ref().map_or(0, bytes::Bytes::len));
        self.rows.push(row);
        if self.rows.len() >= ROWS || self.bytes >= BYTES {
            self.group().map_err(io::Error::other)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.group().map_err(io::Error::other)?;
        }
        self.file.finish().map_err(io::Error::other)?;
        Ok(())
    }
}

fn field(name: &str, column: &Column) -> Result<Type, ParquetError> {
    let (physical, logical) = match column {
        Column::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Column::Bytes(_) => (Physical::BYTE_ARRAY, None),
        Column::Number(_) => (Physical::INT64, None),
        Column::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

/// Writes one column of a group. Only values that are there are written; the levels say which rows have one.
fn write<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
    rows: &[Row],
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("a column is missing".into());
    let mut to = group.next_column()?.ok_or_else(missing)?;
    match column {
        Column::Text(of) => {
            let (values, levels) = sift(rows.iter().map(|row| of(row).map(|text| ByteArray::from(&*text))));
            to.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Bytes(of) => {
            let (values, levels) = sift(rows.iter().map(|row| of(row).cloned().map(ByteArray::from)));
            to.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Number(of) => {
            let (values, levels) = sift(rows.iter().map(of));
            to.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
        Column::Time(of) => {
            let (values, levels) = sift(rows.iter().map(|row| of(row).map(|time| time.as_millisecond())));
            to.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
    }
    to.close()
}

fn sift<T>(cells: impl Iterator<Item = Option<T>>) -> (Vec<T>, Vec<i16>) {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for cell in cells {
        levels.push(i16::from(cell.is_some()));
        values.extend(cell);
    }
    (values, levels)
}
