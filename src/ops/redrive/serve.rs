//! Takes over runs that nobody runs: those that were started for somebody else, and those of which nothing was heard for a
//! while, since whoever ran them died.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Ended, RunError, SILENCE, execute};
use crate::config::Config;
use crate::flow::Topology;
use crate::quarantine::{Fate, Quarantine, Run, RunState};
use crate::telemetry::metrics;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The latest runs, which are counted.
const RUNS: usize = 200;

/// Runs what has to be run, until `stop` is cancelled. The index is kept up to date by somebody else.
pub async fn serve(config: &Config, index: &Arc<dyn Quarantine>, stop: CancellationToken) {
    let config = Arc::new(config.clone());
    for stage in Topology::derive(&config).stages {
        let ends = Fate::ALL.into_iter().filter(|fate| !matches!(fate, Fate::Left | Fate::Pending));
        metrics::redrives_known(&stage.pipeline, &stage.stage, ends.map(Fate::as_str));
    }
    let mut silences = Silences::default();
    let mut running: JoinSet<Result<Ended, RunError>> = JoinSet::new();
    let mut ours: HashMap<tokio::task::Id, String> = HashMap::new();
    while !stop.is_cancelled() {
        let _ = tokio::time::timeout(LOOK_EVERY, stop.cancelled()).await;
        while let Some(ended) = running.try_join_next_with_id() {
            let task = ended.as_ref().map_or_else(|error| error.id(), |(task, _)| *task);
            let Some(id) = ours.remove(&task) else { continue };
            match ended {
                Ok((_, ended)) => tell(&id, ended),
                Err(error) => tracing::error!(redrive = id, "the redrive was broken off: {error}"),
            }
        }
        let (runs, active) = match tokio::try_join!(index.runs(RUNS), index.active_runs()) {
            Ok(runs) => runs,
            Err(error) => {
                tracing::warn!("cannot look for redrives: {error}");
                continue;
            }
        };
        for state in RunState::ALL {
            metrics::redrive_runs(state.as_str(), runs.iter().filter(|run| run.state == state).count());
        }
        for run in silences.unheard(&active, Instant::now()) {
            if ours.values().any(|id| *id == run.id) {
                continue;
            }
            tracing::info!(redrive = run.id, name = run.plan.name, "runs this redrive, since nobody does");
            let (config, index, stop, id) = (config.clone(), index.clone(), stop.clone(), run.id.clone());
            let task =
                running.spawn(async move { Box::pin(execute(&config, &index, &id, &stop, |_, _| {})).await });
            ours.insert(task.id(), run.id.clone());
        }
    }
    // They say how far they are before they leave it.
    while running.join_next().await.is_some() {}
}

fn tell(id: &str, ended: Result<Ended, RunError>) {
    match ended {
        Ok(Ended::Run(run)) => {
            let reason = run.reason.clone().unwrap_or_default();
            tracing::info!(redrive = id, state = run.state.as_str(), reason, "the redrive does not go on");
        }
        Ok(Ended::TakenOver | Ended::Left) => {}
        // Nothing is heard of it then, so that it is tried again after a while.
        Err(error) => tracing::warn!(redrive = id, "the redrive stands still and is tried again: {error}"),
    }
}

/// Since when nothing was heard of each run. By our own clock: others' may be wrong.
#[derive(Default)]
struct Silences(HashMap<String, (Timestamp, Instant)>);

impl Silences {
    /// Those that somebody has to take over.
    fn unheard<'a>(&mut self, runs: &'a [Run], now: Instant) -> Vec<&'a Run> {
        self.0.retain(|id, _| runs.iter().any(|run| run.id == *id && run.state == RunState::Running));
        let under_way = runs.iter().filter(|run| run.state == RunState::Running);
        let is_unheard = |run: &&Run| {
            let known = self.0.get(&run.id).copied();
            let is_news = known.is_none_or(|(last, _)| last != run.last);
            let (last, since) = self.0.entry(run.id.clone()).or_insert((run.last, now));
            if is_news {
                (*last, *since) = (run.last, now);
            }
            // One that could not be taken over is tried again after a while.
            let is_unheard = (run.unclaimed && is_news) || now.duration_since(*since) >= SILENCE;
            if is_unheard {
                // Whoever takes it over has time to say so.
                *since = now;
            }
            is_unheard
        };
        under_way.filter(is_unheard).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::Tally;
    use crate::quarantine::contract::plan;

    fn run(id: &str, last: i64, unclaimed: bool) -> Run {
        let last = Timestamp::from_second(last).expect("a time");
        Run {
            id: id.into(),
            driver: None,
            because: None,
            leg: None,
            leg_at: None,
            told: false,
            state: RunState::Running,
            plan: plan(),
            by: "kim".into(),
            planned_at: last,
            approvals: Vec::new(),
            started_at: Some(last),
            overridden: Vec::new(),
            reason: None,
            last,
            tally: Tally::default(),
            baseline: Tally::default(),
            legs: 1,
            unclaimed,
        }
    }

    #[test]
    fn a_run_is_taken_over_when_nothing_was_heard_of_it_for_a_while() {
        let (mut silences, begin) = (Silences::default(), Instant::now());
        let mut unheard = |runs: &[Run], after: Duration| silences.unheard(runs, begin + after).len();
        assert_eq!(unheard(&[run("a", 1, false)], Duration::ZERO), 0);
        assert_eq!(unheard(&[run("a", 1, false)], SILENCE / 2), 0);
        assert_eq!(unheard(&[run("a", 2, false)], SILENCE), 0, "something was heard");
        assert_eq!(unheard(&[run("a", 2, false)], SILENCE * 2), 1);
        assert_eq!(unheard(&[run("a", 2, false)], SILENCE * 2), 0, "it is being taken over");
        let paused = Run { state: RunState::Paused, ..run("a", 2, false) };
        assert_eq!(unheard(&[paused], SILENCE * 4), 0);
    }

    #[test]
    fn what_was_started_for_somebody_else_is_taken_at_once() {
        assert_eq!(Silences::default().unheard(&[run("a", 1, true)], Instant::now()).len(), 1);
    }
}
