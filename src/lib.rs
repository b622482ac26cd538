//! Lazaret runs the stages of a pipeline on Kafka and takes the records that fail out of the flow.
//!
//! ```text
//! topic ─► worker ─► stage ─► flow::decide ─┬─ Next  ─► the next stage's topic
//!            │ ledger: begin … settle       ├─ Retry ─► <p>.<s>.retry.<delay> ─► (due) ─► worker
//!                                           ├─ Dead  ─► <p>.<s>.dlq
//!                                           └─ Hold  ─► the stage pauses and probes
//! ```
//!
//! The modules stand in the order in which a record meets them. `message` and `flow` are pure: no I/O,
//! no clock, no async. Everything else is an edge around them.

pub mod message;

pub mod flow;

pub mod config;
pub mod telemetry;

pub mod kafka;
pub mod schema;

pub mod sqlite;

pub mod ledger;

pub mod extract;
pub mod index;
pub mod llm;

pub mod stage;

pub mod worker;

pub mod ops;

pub mod provider;

pub mod demo;

pub mod cli;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
