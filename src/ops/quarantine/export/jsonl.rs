//! A JSON document per line.

use std::io::{self, Write};

use super::{Row, Sheet};

pub struct Jsonl<W>(W);

impl<W: Write> Jsonl<W> {
    pub fn new(to: W) -> Self {
        Self(to)
    }
}

impl<W: Write> Sheet for Jsonl<W> {
    fn put(&mut self, row: Row) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, &row)?;
        self.0.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
