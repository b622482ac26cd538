//! Tells an attempt to stop. Every record has one, so it is no more than it must be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// See the module. Clones are told together.
#[derive(Clone, Default)]
pub struct Cancel(Arc<(AtomicBool, Notify)>);

impl Cancel {
    /// To be stopped, now and for ever.
    pub fn cancel(&self) {
        self.0.0.store(true, Ordering::Release);
        self.0.1.notify_waiters();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }

    /// Returns when it is to be stopped. Safe to cancel.
    pub async fn cancelled(&self) {
        // From here on it hears of it, even if it is told between the question and the wait.
        let told = self.0.1.notified();
        if !self.is_cancelled() {
            told.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_and_whoever_asks_later_is_told() {
        let cancel = Cancel::default();
        assert!(!cancel.is_cancelled());
        let mut waits = Box::pin(cancel.cancelled());
        assert_eq!((&mut waits).now_or_never(), None);
        cancel.clone().cancel();
        waits.await;
        cancel.cancelled().await;
        assert!(cancel.is_cancelled());
    }
}
