//! What ledger, index and quarantine share about SQLite: opening a file, one writer that commits in groups,
//! a few readers, and errors that help. It knows no table.

mod open;
mod place;
mod readers;
mod writer;

pub use open::{Migration, Schema, open, reopen};
pub use place::Place;
pub use readers::Readers;
pub use writer::Writer;

#[cfg(test)]
mod tests;
