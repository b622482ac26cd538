//! What ledger, index and quarantine share about PostgreSQL: where the database is, connections with time limits, tables
//! brought up to date, and errors that help. It knows no table.

mod address;
mod error;
mod lines;
mod migrate;
mod place;

pub use address::Address;
pub use error::Error;
pub use lines::{Line, Lines};
pub use migrate::{Schema, migrate};
pub use place::Place;

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;
