//! Comma separated values with a heading, as RFC 4180 has them. What is not there is nothing; a text of nothing is `""`. Bytes
//! that are no text are `base64:` and their code, and so is a text that begins in this way.

use std::borrow::Cow;
use std::io::{self, Write};

use super::columns::{Column, columns};
use super::{Row, Sheet};
use crate::ops::quarantine::content::base64;

const CODED: &str = "base64:";

pub struct Csv<W> {
    to: W,
    columns: Vec<&'static (&'static str, Column)>,
}

impl<W: Write> Csv<W> {
    pub fn new(mut to: W, with_record: bool) -> io::Result<Self> {
        let columns = columns(with_record);
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        to.write_all(format!("{}\r\n", names.join(",")).as_bytes())?;
        Ok(Self { to, columns })
    }
}

impl<W: Write> Sheet for Csv<W> {
    fn put(&mut self, row: Row) -> io::Result<()> {
        for (n, (_, column)) in self.columns.iter().enumerate() {
            if n > 0 {
                self.to.write_all(b",")?;
            }
            if let Some(value) = value(column, &row) {
                self.to.write_all(cell(&value).as_bytes())?;
            }
        }
        self.to.write_all(b"\r\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn value<'a>(column: &Column, row: &'a Row) -> Option<Cow<'a, str>> {
    match column {
        Column::Text(of) => of(row),
        Column::Number(of) => of(row).map(|number| number.to_string().into()),
        Column::Time(of) => of(row).map(|time| time.to_string().into()),
        Column::Bytes(of) => of(row).map(|bytes| match std::str::from_utf8(bytes) {
            Ok(text) if !text.starts_with(CODED) => text.into(),
            _ => format!("{CODED}{}", base64(bytes)).into(),
        }),
    }
}

fn cell(value: &str) -> Cow<'_, str> {
    if !value.is_empty() && !value.contains([',', '"', '\r', '\n']) {
        return value.into();
    }
    format!("\"{}\"", value.replace('"', "\"\"")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_line_or_a_cell_is_quoted() {
        for (value, written) in [
            ("plain text", "plain text"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(cell(value), written);
        }
    }
}
