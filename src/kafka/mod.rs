//! The broker: clients, writing, reading, topics. Nothing here decides where a record goes.

pub mod admin;
pub mod client;
pub mod consumer;
pub mod context;
pub mod convert;
pub mod delivery;
pub mod look;
pub mod pick;
pub mod problem;
mod produce_error;
pub mod producer;
pub mod read;
pub mod tail;
mod token;
pub mod transaction;

pub use consumer::Consumer;
pub use context::Context;
pub use delivery::Sent;
pub use problem::KafkaProblem;
pub use produce_error::ProduceError;
pub use producer::Producer;
pub use transaction::{Offsets, Piece, TransactError, Transactor, Writer};
