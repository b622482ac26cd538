//! Where a record goes: faults and their classes, the ladder, offsets, and the engine that decides. Pure:
//! events in, effects out; no I/O, no clock, no async, no randomness of its own.

pub mod breaker;
pub mod code;
pub mod decide;
pub mod engine;
pub mod fault;
pub mod grants;
pub mod ladder;
pub mod offsets;
pub mod retry_after;
pub mod rule;
pub mod topology;

pub use code::{Class, Code};
pub use decide::{Verdict, decide};
pub use engine::Engine;
pub use fault::Fault;
pub use ladder::Ladder;
pub use topology::Topology;
