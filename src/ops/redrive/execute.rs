//! Runs a plan: sends, hears what became of what was sent, and goes on as `pace` says. Whoever calls this takes the run over;
//! another process that had it sends nothing more.

mod counting;
mod sending;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::checks::ALONE;
use super::control::{known, operations};
use super::pace::{Pace, Step};
use super::send::{SendError, Sender};
use super::{RunError, control};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::client::reach;
use crate::kafka::look::settled;
use crate::ledger::LedgerReader;
use crate::ops::quarantine::{REFRESH, Settled, settled_of};
use crate::quarantine::{Deed, Entry, Fate, Filter, InRun, Outcome, Quarantine, Run, RunState, Tally};
use crate::telemetry::metrics;

/// Between two looks at what has become of what was sent.
const TICK: Duration = Duration::from_millis(500);
/// How often it is told how far the run has come: who hears nothing for [`SILENCE`] may take it over.
pub const TELL_EVERY: Duration = Duration::from_secs(5);
/// See [`TELL_EVERY`].
pub const SILENCE: Duration = Duration::from_secs(20);
/// Letters that are looked at together.
const PAGE: usize = 1000;
/// So often in a row something may fail before it is given up here.
const TROUBLES: u32 = 20;
/// Letters that died again whose later deaths are looked at when a run is taken over.
const LOOKED_AT: usize = 100;

/// How the running of a plan ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The run is over, or stopped, paused or cancelled: it says so itself.
    Run(Box<Run>),
    /// Another process runs it.
    TakenOver,
    /// It was told to leave it; somebody else may go on.
    Left,
}

/// Runs the run with this id until it ends, is stopped, or `stop` is cancelled. `progress` is told how far it is.
pub async fn execute(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    id: &str,
    stop: &CancellationToken,
    mut progress: impl FnMut(&Run, &Tally),
) -> Result<Ended, RunError> {
    let mut troubles = 0;
    let mut executor = match Executor::open(config, index, id).await {
        Ok(executor) => executor,
        Err(RunError::Send(SendError::TakenOver(_))) => return Ok(Ended::TakenOver),
        Err(error) => return Err(error),
    };
    loop {
        if stop.is_cancelled() {
            // Whoever goes on with it finds out in any case.
            let _ = executor.tell().await;
            return Ok(Ended::Left);
        }
        let turn = executor.turn().await;
        troubles = if turn.is_ok() { 0 } else { troubles + 1 };
        match turn {
            Ok(Turn::Ended(run)) => {
                progress(&run, &run.tally);
                return Ok(Ended::Run(run));
            }
            Ok(Turn::Sent) => progress(&executor.run, &executor.tally),
            Ok(Turn::Waits) => {
                progress(&executor.run, &executor.tally);
                let _ = tokio::time::timeout(TICK, stop.cancelled()).await;
            }
            Err(RunError::Send(SendError::TakenOver(cause))) => {
                tracing::info!("another process has taken redrive {id} over: {cause}");
                return Ok(Ended::TakenOver);
            }
            Err(RunError::Send(SendError::Again(cause))) => {
                tracing::warn!("redrive {id} tries again to send letters: {cause}");
                let _ = tokio::time::timeout(TICK, stop.cancelled()).await;
            }
            Err(
                error @ (RunError::Kafka(_)
                | RunError::Index(_)
                | RunError::Ledger(_)
                | RunError::NotFound(_)),
            ) if troubles < TROUBLES => {
                tracing::warn!("redrive {id} tries again: {error}");
                let _ = tokio::time::timeout(TICK, stop.cancelled()).await;
            }
            Err(error) => return Err(error),
        }
    }
}

enum Turn {
    Ended(Box<Run>),
    Sent,
    Waits,
}

struct Executor<'a> {
    config: &'a Config,
    index: &'a Arc<dyn Quarantine>,
    ledger: Option<LedgerReader>,
    /// The topic of operations.
    topic: String,
    sender: Sender,
    run: Run,
    pace: Pace,
    tally: Tally,
    /// Sent, and it is not known what became of them; by place.
    pending: BTreeMap<u64, Entry>,
    /// All letters before this place were sent, or will not be.
    next: u64,
    /// By place, whether it was counted as left.
    left: Vec<bool>,
    /// Groups beside those of the plan of which letters of the run died before it was resumed: who resumed it knew.
    seen: BTreeSet<String>,
    /// Kafka had them no longer when they were to be sent; the index may not know yet.
    gone: BTreeSet<u64>,
    told: Instant,
}

impl<'a> Executor<'a> {
    /// Takes the run over, and finds out how far it is.
    async fn open(
        config: &'a Config,
        index: &'a Arc<dyn Quarantine>,
        id: &str,
    ) -> Result<Executor<'a>, RunError> {
        let topology = Topology::derive(config);
        let topic = operations(&topology)?;
        let cluster = reach(&config.kafka, "redrive").await?;
        let sender = Sender::open(config, cluster, id).await?;
        // Whatever an earlier one has sent stands on the topics now, and can be seen once no transaction is open there.
        settled(&config.kafka, &[&topic], Instant::now() + REFRESH).await?;
        let run = control::find(config, index, id).await?;
        let pace = Pace::new(run.plan.policy.clone(), run.baseline, Timestamp::now());
        let mut executor = Self {
            config,
            index,
            ledger: LedgerReader::find(&config.ledger)?,
            topic,
            sender,
            run,
            pace,
            tally: Tally::default(),
            pending: BTreeMap::new(),
            next: 0,
            left: Vec::new(),
            gone: BTreeSet::new(),
            seen: BTreeSet::new(),
            told: Instant::now(),
        };
        let failed = executor.count().await?;
        executor.judge(failed).await?;
        // Others hear at once that somebody runs it.
        if executor.run.state == RunState::Running {
            executor.tell().await?;
        }
        Ok(executor)
    }

    async fn turn(&mut self) -> Result<Turn, RunError> {
        control::refresh_stage(self.config, self.index, &self.run.plan).await?;
        self.run = known(self.index, &self.run.id).await?;
        if self.run.state != RunState::Running {
            self.tell().await?;
            self.see().await?;
            let run = known(self.index, &self.run.id).await?;
            return Ok(Turn::Ended(Box::new(run)));
        }
        let must_be_alone = !self.run.overridden.iter().any(|name| name == ALONE);
        if must_be_alone && let Some(other) = self.earlier().await? {
            let why = format!("redrive {other} is under way on the stage");
            return self.end(Deed::Stopped { tally: self.tally }, Some(&why)).await;
        }
        self.settle().await?;
        self.hear().await?;
        if self.told.elapsed() >= TELL_EVERY {
            self.tell().await?;
        }
        match self.pace.step(&self.tally, Timestamp::now()) {
            Step::Wait => Ok(Turn::Waits),
            Step::Finish if self.is_over().await? => {
                self.end(Deed::Finished { tally: self.tally }, None).await
            }
            Step::Finish => Ok(Turn::Waits),
            Step::Stop(why) => self.end(Deed::Stopped { tally: self.tally }, Some(&why)).await,
            Step::Send(some) => match self.send(some).await {
                Ok(false) => {
                    // Nothing was left where something was counted.
                    self.see().await?;
                    self.count().await?;
                    Ok(Turn::Waits)
                }
                Err(RunError::Send(error @ SendError::Letter { .. })) => {
                    self.end(Deed::Stopped { tally: self.tally }, Some(&error.to_string())).await
                }
                Err(error) => Err(error),
                Ok(true) => Ok(Turn::Sent),
            },
        }
    }

    /// A run on the same stage that was started before this one.
    async fn earlier(&self) -> Result<Option<String>, RunError> {
        let (ours, plan) = ((self.run.started_at, &self.run.id), &self.run.plan);
        let is_earlier = |other: &Run| other.holds_stage_of(plan) && (other.started_at, &other.id) < ours;
        Ok(self.index.active_runs().await?.into_iter().find(is_earlier).map(|other| other.id))
    }

    /// Asks the ledger what became of what was sent, and writes it down.
    async fn settle(&mut self) -> Result<(), RunError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let pending: Vec<&Entry> = self.pending.values().collect();
        let Settled { succeeded, skipped } = settled_of(ledger, &pending).await?;
        if succeeded.is_empty() && skipped.is_empty() {
            return Ok(());
        }
        self.note(succeeded, Deed::Settled { outcome: Outcome::Succeeded }).await?;
        self.note(skipped, Deed::Settled { outcome: Outcome::Skipped }).await?;
        // What was written down is heard.
        self.see().await
    }

    /// What the index knows of what was sent.
    async fn hear(&mut self) -> Result<(), RunError> {
        let pending: Vec<(u64, String)> =
            self.pending.iter().map(|(place, entry)| (*place, entry.id.clone())).collect();
        for letters in pending.chunks(PAGE) {
            for InRun { place, fate, letter, .. } in self.index.fates(&self.run.id, letters).await? {
                // That it was sent may not be seen yet, and the index may be being built anew.
                if matches!(fate, Fate::Pending | Fate::Left) || letter.is_none() {
                    continue;
                }
                let Some(entry) = self.pending.remove(&place) else { continue };
                self.tally.remove(Fate::Pending);
                self.tally.add(fate);
                metrics::redrive_record(&entry.pipeline, &entry.stage, fate.as_str());
                match fate {
                    Fate::Succeeded => self.pace.ended(true),
                    Fate::Failed => {
                        self.pace.ended(false);
                        self.look_at_successor(&entry).await?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Whether it died of what none of the plan had died of.
    async fn look_at_successor(&mut self, entry: &Entry) -> Result<(), RunError> {
        let Some(successor) = successor(self.index, entry).await? else { return Ok(()) };
        let Entry { id, code, fingerprint, last_failure, .. } = successor;
        if self.run.leg_at.is_some_and(|leg| last_failure < leg) {
            self.seen.insert(fingerprint);
        } else if !self.run.plan.groups.contains(&fingerprint) && !self.seen.contains(&fingerprint) {
            self.pace.is_new(format!("dead letter {id} died of {code} (group {fingerprint})"));
        }
        Ok(())
    }

    async fn end(&mut self, deed: Deed, why: Option<&str>) -> Result<Turn, RunError> {
        if matches!(deed, Deed::Stopped { .. }) {
            metrics::redrive_gate_stop(&self.run.plan.pipeline, &self.run.plan.stage);
        }
        self.say(deed, why).await?;
        self.see().await?;
        let run = known(self.index, &self.run.id).await?;
        Ok(Turn::Ended(Box::new(run)))
    }

    /// Says how far it is.
    async fn tell(&mut self) -> Result<(), RunError> {
        self.told = Instant::now();
        self.say(Deed::Progress { tally: self.tally }, None).await
    }

    /// Waits until what was written down can be read, and reads it.
    async fn see(&self) -> Result<(), RunError> {
        settled(&self.config.kafka, &[&self.topic], Instant::now() + REFRESH).await?;
        control::refresh_stage(self.config, self.index, &self.run.plan).await
    }

    /// Writes down what was done with letters, unless another process has taken the run over.
    async fn note(&self, letters: Vec<String>, deed: Deed) -> Result<(), RunError> {
        // At most as many as may be outstanding, which may be more than one act can hold.
        for letters in letters.chunks(PAGE) {
            self.sender.note(letters.to_vec(), deed.clone(), self.by(), None).await?;
        }
        Ok(())
    }

    /// Says something of the run.
    async fn say(&self, deed: Deed, why: Option<&str>) -> Result<(), RunError> {
        Ok(self.sender.note(Vec::new(), deed, self.by(), why).await?)
    }

    /// In whose name.
    fn by(&self) -> &str {
        self.run.driver.as_deref().unwrap_or(&self.run.by)
    }
}

/// The letter of the death that came after this one.
pub async fn successor(index: &Arc<dyn Quarantine>, entry: &Entry) -> Result<Option<Entry>, RunError> {
    let filter = Filter {
        pipeline: Some(entry.pipeline.clone()),
        stage: Some(entry.stage.clone()),
        job: Some(entry.job.clone()),
        ..Filter::default()
    };
    let page = index.list(&filter, None, PAGE).await?;
    let later = page.letters.into_iter().map(|known| known.entry);
    let later = later.filter(|one| one.job == entry.job && one.redrives > entry.redrives);
    Ok(later.min_by_key(|one| one.redrives))
}
