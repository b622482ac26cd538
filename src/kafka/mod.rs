//! The broker: clients, writing, reading, topics. Nothing here decides where a record goes.

pub mod admin;
pub mod client;
pub mod consumer;
pub mod context;
pub mod convert;
pub mod look;
pub mod problem;
pub mod producer;
pub mod read;

pub use consumer::Consumer;
pub use context::Context;
pub use problem::KafkaProblem;
pub use producer::{ProduceError, Producer, Sent};
