//! How far each stage is behind, asked from the broker: it is known even when nobody runs the stage. Joins no group, commits
//! nothing.
//!
//! ```text
//! look    one look: what is left of each partition, and how long the oldest of it has waited
//! state   several looks: whether a stage keeps up, falls behind, stands still or went back. Pure
//! unread  how far the index of dead letters is behind
//! serve   the same as metrics, again and again
//! ```

mod look;
mod serve;
mod state;
mod unread;

pub use self::look::{Part, StageLag, look};
pub use self::serve::serve;
pub use self::state::{History, State};
