//! Lazaret runs the stages of a pipeline on Kafka and takes the records that fail out of the flow.
//!
//! ```text
//! topic ─► worker ─► stage ─► flow::decide ─┬─ Next  ─► the next stage's topic
//!            │ ledger: begin … settle       ├─ Retry ─► <p>.<s>.retry.<delay> ─► (due) ─► worker
//!                                           ├─ Dead  ─► <p>.<s>.dlq
//!                                           └─ Hold  ─► the stage pauses and probes
//! ```
//!
//! # As a library
//!
//! A stage of one's own, with ladder, dead letters and exactly-once hops, and no file; see [`service`] and
//! `docs/library.md`.
//!
//! ```no_run
//! use std::time::Duration;
//! use lazaret::{Fault, Ladder, Output, Record, Service};
//!
//! async fn shout(record: Record) -> Result<Output, Fault> {
//!     Ok(Output::new(record.text()?.to_uppercase())) // `?` on any error: tried again on the ladder
//! }
//!
//! # async fn f() -> Result<(), lazaret::service::Error> {
//! Service::builder("demo", "shout")
//!     .bootstrap("localhost:9092")
//!     .input("words")
//!     .output("shouted")
//!     .ladder(Ladder::rungs([Duration::from_secs(1), Duration::from_secs(60)]))
//!     .in_flight(1000)
//!     .stage(shout)
//!     .build()?
//!     .run(tokio::signal::ctrl_c())
//!     .await
//! # }
//! ```
//!
//! # Inside
//!
//! The modules stand in the order in which a record meets them. `message` and `flow` are pure: no I/O,
//! no clock, no async. Everything else is an edge around them.

pub use config::{
    AfterDead, Assignor, Delivery, FairBy, Fairness, Followers, GroupProtocol, Ordering, Protocol, Secret,
    Security, TokenEndpoint, TokenSource,
};
pub use flow::{Class, Code};
pub use service::{Handle, Ladder, Service};
pub use stage::own::{BatchStage, Fault, Output, Outputs, Record, Stage};

pub mod message;

pub mod flow;

pub mod config;
pub mod telemetry;

pub mod kafka;
pub mod schema;

pub mod failure;
pub mod postgres;
pub mod sqlite;

pub mod ledger;

pub mod quarantine;

pub mod archive;

pub mod extract;
pub mod index;
pub mod llm;

pub mod stage;

pub mod worker;

pub mod ops;

pub mod service;
pub mod testkit;

pub mod provider;

pub mod demo;

pub mod api;

pub mod cli;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
