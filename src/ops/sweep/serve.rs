//! Sweeps whenever the schedule says so.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{How, Line, Report, RunError, sweep};
use crate::config::Config;
use crate::ops::redrive::send::SendError;
use crate::quarantine::Quarantine;
use crate::telemetry::metrics;

/// The clock is looked at so often at least: it may be set while somebody waits for a time.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Until `stop` is cancelled. Returns at once when there is no schedule.
pub async fn serve(config: &Config, index: &Arc<dyn Quarantine>, stop: CancellationToken) {
    let settings = &config.quarantine.sweep;
    let Some(schedule) = &settings.schedule else { return };
    let mut due = schedule.after(Timestamp::now());
    while let Some(time) = due {
        let left = Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default();
        if stop.is_cancelled() {
            return;
        }
        if !left.is_zero() {
            let _ = tokio::time::timeout(left.min(LOOK_EVERY), stop.cancelled()).await;
            continue;
        }
        let now = Timestamp::now();
        tokio::select! {
            swept = sweep(config, index, &settings.rules, How::Carry, now) => tell(swept, now),
            () = stop.cancelled() => return,
        }
        due = schedule.after(Timestamp::now());
    }
}

fn tell(swept: Result<Report, RunError>, now: Timestamp) {
    match swept {
        Ok(Report { sweep, open, unmatched, lines, untold, .. }) => {
            metrics::sweep_ended("done", Some(now));
            tracing::info!(sweep, open, unmatched, "swept the dead letters");
            for Line { found, outcome } in lines {
                let (rule, stage) = (&found.rule, format!("{}.{}", found.pipeline, found.stage));
                tracing::info!(sweep, rule, stage, action = found.action, letters = found.now, ?outcome);
            }
            for why in untold {
                tracing::warn!(sweep, "nobody can tell whether this holds: {why}");
            }
        }
        Err(RunError::Send(SendError::TakenOver(_))) => {
            metrics::sweep_ended("overtaken", None);
            tracing::info!("another sweep has begun, and this one does nothing more");
        }
        Err(error) => {
            metrics::sweep_ended("failed", None);
            tracing::warn!("the dead letters could not be swept, and are when the schedule says so: {error}");
        }
    }
}
