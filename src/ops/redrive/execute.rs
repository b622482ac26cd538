//! Runs a plan: sends, hears what became of what was sent, and goes on as `pace` says. Whoever calls this takes the run over;
//! another process that had it sends nothing more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::control::{known, operations};
use super::pace::{Pace, Step};
use super::send::{BYTES_MAX, LETTERS_MAX, Order, Outgoing, SendError, Sender, What};
use super::{RunError, control};
use crate::config::Config;
use crate::flow::Topology;
use crate::kafka::Producer;
use crate::kafka::client::reach;
use crate::kafka::look::settled;
use crate::ledger::{JobRow, LedgerReader, State as JobState};
use crate::ops::quarantine::{self, Acts, outcome};
use crate::quarantine::{Deed, Entry, Fate, Filter, InRun, Outcome, Quarantine, Run, RunState, Tally};
use crate::telemetry::metrics;

/// Between two looks at what has become of what was sent.
const TICK: Duration = Duration::from_millis(500);
/// How often it is told how far the run has come: who hears nothing for [`SILENCE`] may take it over.
pub const TELL_EVERY: Duration = Duration::from_secs(5);
/// See [`TELL_EVERY`].
pub const SILENCE: Duration = Duration::from_secs(20);
/// How long the index may take to become up to date.
const REFRESH: Duration = Duration::from_secs(600);
/// Letters that are looked at together.
const PAGE: usize = 1000;
/// Questions to the ledger at the same time.
const QUESTIONS: usize = 16;

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
    let mut executor = match Executor::open(config, index, id).await {
        Ok(executor) => executor,
        Err(RunError::Send(SendError::TakenOver(_))) => return Ok(Ended::TakenOver),
        Err(error) => return Err(error),
    };
    loop {
        if stop.is_cancelled() {
            executor.tell().await?;
            return Ok(Ended::Left);
        }
        match executor.turn().await {
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
    producer: Producer,
    sender: Sender,
    run: Run,
    pace: Pace,
    tally: Tally,
    /// Sent, and it is not known what became of them; by place.
    pending: BTreeMap<u64, Entry>,
    /// All letters before this place were sent, or will not be.
    next: u64,
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
            producer: Producer::new(&config.kafka, &topology, "redrive")?,
            sender,
            run,
            pace,
            tally: Tally::default(),
            pending: BTreeMap::new(),
            next: 0,
            told: Instant::now(),
        };
        executor.count().await?;
        Ok(executor)
    }

    /// Goes through all letters of the plan.
    async fn count(&mut self) -> Result<(), RunError> {
        let (mut from, mut first) = (0, None);
        loop {
            let letters = self.index.in_run(&self.run.id, from, PAGE).await?;
            let Some(last) = letters.last() else { break };
            from = last.place + 1;
            for InRun { place, fate, letter, .. } in letters {
                self.tally.add(fate);
                match (fate, letter) {
                    (Fate::Left, _) => _ = first.get_or_insert(place),
                    (Fate::Pending, Some(known)) => _ = self.pending.insert(place, known.entry),
                    _ => {}
                }
            }
        }
        self.next = first.unwrap_or(from);
        Ok(())
    }

    async fn turn(&mut self) -> Result<Turn, RunError> {
        quarantine::catch_up(self.config, self.index, REFRESH).await?;
        self.run = known(self.index, &self.run.id).await?;
        if self.run.state != RunState::Running {
            self.tell().await?;
            let run = control::find(self.config, self.index, &self.run.id).await?;
            return Ok(Turn::Ended(Box::new(run)));
        }
        if let Some(other) = self.earlier().await? {
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
            Step::Finish => self.end(Deed::Finished { tally: self.tally }, None).await,
            Step::Stop(why) => self.end(Deed::Stopped { tally: self.tally }, Some(&why)).await,
            Step::Send(some) => match self.send(some).await {
                Err(RunError::Send(error @ SendError::Letter { .. })) => {
                    self.end(Deed::Stopped { tally: self.tally }, Some(&error.to_string())).await
                }
                Err(error) => Err(error),
                Ok(()) => Ok(Turn::Sent),
            },
        }
    }

    /// A run on the same stage that was started before this one.
    async fn earlier(&self) -> Result<Option<String>, RunError> {
        let (ours, plan) = ((self.run.started_at, &self.run.id), &self.run.plan);
        let is_earlier = |other: &Run| {
            other.state.is_active()
                && other.plan.pipeline == plan.pipeline
                && other.plan.stage == plan.stage
                && (other.started_at, &other.id) < ours
        };
        Ok(self.index.runs(PAGE).await?.into_iter().find(is_earlier).map(|other| other.id))
    }

    /// Asks the ledger what became of what was sent, and writes it down.
    async fn settle(&mut self) -> Result<(), RunError> {
        let Some(ledger) = &self.ledger else { return Ok(()) };
        let entries: Vec<&Entry> = self.pending.values().collect();
        let rows = rows(ledger, &entries).await?;
        let (mut succeeded, mut skipped) = (Vec::new(), Vec::new());
        for (entry, row) in entries.into_iter().zip(rows) {
            match row.and_then(|row| outcome(entry, &row)) {
                Some(Outcome::Skipped) => skipped.push(entry.id.clone()),
                Some(_) => succeeded.push(entry.id.clone()),
                None => {}
            }
        }
        if succeeded.is_empty() && skipped.is_empty() {
            return Ok(());
        }
        let acts = self.acts(None);
        acts.note(&succeeded, &Deed::Settled { outcome: Outcome::Succeeded }).await?;
        acts.note(&skipped, &Deed::Settled { outcome: Outcome::Skipped }).await?;
        // What was written down is heard.
        quarantine::catch_up(self.config, self.index, REFRESH).await?;
        Ok(())
    }

    /// What the index knows of what was sent.
    async fn hear(&mut self) -> Result<(), RunError> {
        let pending: Vec<(u64, String)> =
            self.pending.iter().map(|(place, entry)| (*place, entry.id.clone())).collect();
        for letters in pending.chunks(PAGE) {
            for InRun { place, fate, .. } in self.index.fates(&self.run.id, letters).await? {
                // That it was sent may not be seen yet.
                if matches!(fate, Fate::Pending | Fate::Left) {
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
        if let Some(successor) = successor(self.index, entry).await?
            && !self.run.plan.groups.contains(&successor.fingerprint)
        {
            let Entry { id, code, fingerprint, .. } = successor;
            self.pace.is_new(format!("dead letter {id} died of {code} (group {fingerprint})"));
        }
        Ok(())
    }

    /// Sends at most so many of those that are next.
    async fn send(&mut self, most: u64) -> Result<(), RunError> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(LETTERS_MAX);
        let (mut chosen, mut bytes, mut passed) = (Vec::new(), 0, self.next);
        'pages: loop {
            let letters = self.index.in_run(&self.run.id, passed, PAGE).await?;
            if letters.is_empty() {
                break;
            }
            for InRun { place, fate, letter, .. } in letters {
                if let (Fate::Left, Some(known)) = (fate, letter) {
                    bytes += known.entry.size;
                    let is_full = chosen.len() == most || (bytes > BYTES_MAX && !chosen.is_empty());
                    if is_full {
                        break 'pages;
                    }
                    chosen.push((place, known.entry));
                } else {
                    self.recount(fate);
                }
                passed = place + 1;
            }
        }
        self.send_these(chosen).await?;
        self.next = passed;
        Ok(())
    }

    /// It was left when it was counted, and somebody else has done something with it since.
    fn recount(&mut self, fate: Fate) {
        if matches!(fate, Fate::Expired | Fate::Elsewhere) && self.tally.left > 0 {
            self.tally.remove(Fate::Left);
            self.tally.add(fate);
        }
    }

    async fn send_these(&mut self, chosen: Vec<(u64, Entry)>) -> Result<(), RunError> {
        let entries: Vec<&Entry> = chosen.iter().map(|(_, entry)| entry).collect();
        let rows = match &self.ledger {
            Some(ledger) => rows(ledger, &entries).await?,
            None => vec![None; chosen.len()],
        };
        let (mut outgoing, mut places) = (Vec::new(), BTreeMap::new());
        let (mut done, mut under_way) = (Vec::new(), Vec::new());
        for ((place, entry), row) in chosen.into_iter().zip(rows) {
            match Way::of(&entry, row.as_ref()) {
                Way::Skip => done.push((place, entry)),
                Way::Adopt => under_way.push((place, entry)),
                Way::Send(redrives) => {
                    places.insert(entry.id.clone(), place);
                    outgoing.push(Outgoing { letter: entry, redrives });
                }
            }
        }
        let ids = |letters: &[(u64, Entry)]| letters.iter().map(|(_, e)| e.id.clone()).collect::<Vec<_>>();
        let acts = self.acts(None);
        acts.note(&ids(&done), &Deed::Settled { outcome: Outcome::Skipped }).await?;
        acts.note(&ids(&under_way), &Deed::Redriven).await?;
        for _ in &done {
            self.move_on(Fate::Skipped);
        }
        for (place, entry) in under_way {
            self.move_on(Fate::Pending);
            self.pending.insert(place, entry);
        }
        if outgoing.is_empty() {
            return Ok(());
        }
        let order = Order { what: What::Redrive, by: self.run.by.clone(), reason: self.run.reason.clone() };
        let sent = self.sender.send(outgoing, &order).await?;
        self.pace.spent(sent.sent.len() as u64);
        for (Outgoing { letter, .. }, _) in sent.sent {
            self.move_on(Fate::Pending);
            if let Some(place) = places.get(&letter.id) {
                self.pending.insert(*place, letter);
            }
        }
        // The index learns that they are gone when it looks where the topics begin.
        sent.gone.iter().for_each(|_| self.move_on(Fate::Expired));
        Ok(())
    }

    fn move_on(&mut self, fate: Fate) {
        self.tally.remove(Fate::Left);
        self.tally.add(fate);
    }

    async fn end(&mut self, deed: Deed, why: Option<&str>) -> Result<Turn, RunError> {
        if matches!(deed, Deed::Stopped { .. }) {
            metrics::redrive_gate_stop(&self.run.plan.pipeline, &self.run.plan.stage);
        }
        self.acts(why).say(&deed).await?;
        let run = control::find(self.config, self.index, &self.run.id).await?;
        Ok(Turn::Ended(Box::new(run)))
    }

    /// Says how far it is.
    async fn tell(&mut self) -> Result<(), RunError> {
        self.told = Instant::now();
        self.acts(None).say(&Deed::Progress { tally: self.tally }).await?;
        Ok(())
    }

    fn acts<'b>(&'b self, reason: Option<&'b str>) -> Acts<'b> {
        Acts::of(self.run.id.clone(), &self.producer, &self.topic, &self.run.by, reason)
    }
}

/// What is to be done with a letter whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Its job is done.
    Skip,
    /// It was sent back before; what becomes of that is waited for.
    Adopt,
    /// Send it, as the redrive with this number.
    Send(u32),
}

impl Way {
    /// Pure.
    fn of(letter: &Entry, row: Option<&JobRow>) -> Self {
        match row {
            Some(row) if row.state == JobState::Done => Way::Skip,
            // What was restored has its redrive behind it.
            Some(row) if row.state == JobState::Discarded => {
                Way::Send(row.redrives.max(letter.redrives).saturating_add(1))
            }
            Some(row) if row.redrives > letter.redrives => Way::Adopt,
            _ => Way::Send(letter.redrives.saturating_add(1)),
        }
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

/// What the ledger has of the jobs of these letters, in their order.
async fn rows(ledger: &LedgerReader, letters: &[&Entry]) -> Result<Vec<Option<JobRow>>, RunError> {
    let ask = |letter: &&Entry| {
        let (pipeline, stage, job) = (letter.pipeline.clone(), letter.stage.clone(), letter.job.clone());
        async move { ledger.job(&pipeline, &stage, &job).await }
    };
    Ok(stream::iter(letters.iter().map(ask)).buffered(QUESTIONS).try_collect().await?)
}
