//! Ledger and index in a real PostgreSQL, with real workers on a real Kafka, and without them.

mod crash;
mod kill;
pub mod server;
