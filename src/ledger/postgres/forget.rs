//! Forgets jobs that ended long ago, with their events, in small steps. Several processes may do so at once.

use std::sync::atomic::Ordering;

use super::Shared;

/// Jobs that are over are looked for once in this many milliseconds of the records' time.
const FORGET_EVERY: i64 = 60_000;
/// Most jobs forgotten in one transaction.
const FORGET_MAX: i64 = 256;

const FORGET: &str = "WITH old AS (
        SELECT id FROM jobs WHERE over_at < $1 ORDER BY over_at LIMIT $2 FOR UPDATE SKIP LOCKED),
      gone AS (DELETE FROM jobs j USING old WHERE j.id = old.id RETURNING j.id),
      events AS (DELETE FROM events e USING old WHERE e.row = old.id),
      results AS (DELETE FROM results r USING old WHERE r.row = old.id)
    SELECT count(*) FROM gone";

/// When to look again.
pub struct Chore {
    next: i64,
}

impl Default for Chore {
    fn default() -> Self {
        Self { next: i64::MIN }
    }
}

impl Chore {
    /// True when there is more to do at once.
    pub async fn tidy(&mut self, shared: &Shared) -> bool {
        let now = shared.clock.load(Ordering::Relaxed);
        if now < self.next {
            return false;
        }
        let before = now.saturating_sub(shared.retention);
        let forgotten = shared.rare.ask(|line| async move {
            let forget = line.prepared(FORGET).await?;
            let gone = line.within(line.client().query_one(&forget, &[&before, &FORGET_MAX])).await?;
            Ok(gone.get::<_, i64>(0))
        });
        let more = match forgotten.await {
            Ok(forgotten) => forgotten == FORGET_MAX,
            Err(error) => {
                tracing::warn!(%error, "could not tidy up");
                false
            }
        };
        if !more {
            self.next = now.saturating_add(FORGET_EVERY);
        }
        more
    }
}
