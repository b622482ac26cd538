//! To be written.

pub mod corpus;
