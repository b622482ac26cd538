//! What time it is for a worker. Services have the machine's; a test kit sets its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use jiff::Timestamp;

/// See the module.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    #[default]
    System,
    /// Stands where it was set, in milliseconds since the Unix epoch.
    Set(Arc<AtomicI64>),
}

impl Clock {
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => Timestamp::now(),
            Clock::Set(ms) => Timestamp::from_millisecond(ms.load(SeqCst)).unwrap_or(Timestamp::MAX),
        }
    }
}
