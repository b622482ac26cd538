//! Where a record goes: faults and their classes, the ladder, offsets, and the engine that decides. Pure:
//! events in, effects out; no I/O, no clock, no async, no randomness of its own.

pub mod code;
pub mod fault;
pub mod retry_after;

pub use code::{Class, Code};
pub use fault::Fault;
pub use retry_after::retry_after;
