//! How the value of a record is written: JSON, Avro in the Confluent wire format, or the document itself.
//!
//! ```text
//! Record ─► Codec::decode ─┬─ json   bounded parse ───────────────────────────► JSON value ─► stage
//!                          ├─ avro   Registry::read ─ resolve to our schema ──► JSON value
//!                          └─ bytes  document from value, key and headers ────► JSON value
//! stage ─► JSON value ─► Codec::encode ─► bytes
//! ```
//!
//! Stages see JSON whatever the topic carries. A record that cannot be read is the record's fault (permanent); a
//! registry that cannot be asked is nobody's record's fault (systemic). Nothing here knows of retries or offsets.

pub(crate) mod avro;
mod classify;
pub mod codec;
mod document;
pub(crate) mod json;
pub mod plan;
pub mod registry;
pub mod shape;
mod shown;
#[cfg(test)]
mod stub;
pub(crate) mod wire;

pub use codec::Codec;
pub use plan::Plan;
pub use registry::Registry;
pub use shape::Shape;
pub use shown::shown;
