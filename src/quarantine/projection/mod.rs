//! What follows from records, and what answers a question: the same for every database. A store brings a [`shelf`], which
//! is what this asks of a database, and runs each method of the trait as one transaction of it.
//!
//! Letters are rows, found by id, job and trace. What they are counted and chosen by is kept as numbers, and once more as
//! columns (`stripes`), so that a question about a million letters reads a few bytes of each and no index needs to know
//! the question before.

pub mod answer;
mod heaps;
mod looks;
pub mod objects;
pub mod restate;
pub mod row;
pub mod runs;
mod scan;
mod seen;
pub mod shelf;
mod standing;
pub mod stripes;
pub mod take;
mod tally;
mod trends;
mod wish;

pub use wish::folded;
