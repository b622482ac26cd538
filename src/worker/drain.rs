//! How long records in flight may take when partitions are revoked or the process stops.

use std::time::Duration;

use tokio::time::Instant;

/// See the module.
pub struct Drain {
    limit: Duration,
    deadline: Option<Instant>,
}

impl Drain {
    pub fn of(limit: Duration) -> Self {
        Self { limit, deadline: None }
    }

    /// A revocation while another one is drained does not make it longer.
    pub fn begin(&mut self) {
        self.deadline.get_or_insert(Instant::now() + self.limit);
    }

    pub fn end(&mut self) {
        self.deadline = None;
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// True once, when the time is over.
    pub fn is_over(&mut self, now: Instant) -> bool {
        self.deadline.take_if(|deadline| *deadline <= now).is_some()
    }
}
