//! The shell around the engine of one stage: brings events in (assignments, records, ends of tasks, time) and
//! carries effects out (attempts, records to produce, commits). It decides nothing.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::attempt::{self, panicked};
use super::kit::Kit;
use super::publish::publish;
use super::report::Report;
use super::work::Work;
use crate::flow::engine::{Effect, Engine, Event, Lane, Publish, Ran, SlotId};
use crate::flow::{Fault, topology::StageTopics};
use crate::kafka::Consumer;
use crate::kafka::consumer::{Change, Partition, Release};
use crate::message::TopicPartition;
use crate::telemetry::log;

/// How often numbers are refreshed and failed commits repeated.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Longest sleep, so that a step of the system clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// How long tasks that cannot be cancelled (records on their way to Kafka) may take after the drain.
const LAST_TASKS: Duration = Duration::from_secs(3);

/// A record in the engine's window.
struct Held {
    /// `None` while a task has it.
    work: Option<Work>,
    cancel: CancellationToken,
    span: Span,
    topic: String,
    due: Option<Timestamp>,
}

/// A task gives its record back.
struct Back {
    slot: SlotId,
    work: Work,
    from: Task,
}

/// What a task did.
enum Task {
    Attempt(Ran),
    Publish(Publish, Result<(), Fault>),
    /// A forgotten record was given back to the ledger.
    Release,
}

/// See the module.
pub struct Shell {
    kit: Arc<Kit>,
    engine: Engine,
    // Dropped in this order: the consumer must be the last that knows the client.
    releases: Vec<(Vec<TopicPartition>, Release)>,
    partitions: BTreeMap<TopicPartition, Partition>,
    consumer: Consumer,
    held: HashMap<SlotId, Held>,
    tasks: JoinSet<Back>,
    next_slot: u64,
    /// The highest offset handed out for committing, by partition.
    committed: BTreeMap<TopicPartition, i64>,
    drain: Duration,
    drain_deadline: Option<Instant>,
    report: Report,
    stopping: bool,
}

impl Shell {
    /// `drain` is how long records in flight may take when partitions are revoked or the process stops.
    pub fn new(kit: Arc<Kit>, engine: Engine, consumer: Consumer, drain: Duration, report: Report) -> Self {
        Self {
            kit,
            engine,
            consumer,
            partitions: BTreeMap::new(),
            held: HashMap::new(),
            tasks: JoinSet::new(),
            next_slot: 0,
            committed: BTreeMap::new(),
            releases: Vec::new(),
            drain,
            drain_deadline: None,
            report,
            stopping: false,
        }
    }

    /// Runs until `stop` is cancelled and everything in flight has ended or was handed back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut reports = interval(REPORT_EVERY);
        reports.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !(self.stopping && self.partitions.is_empty()) {
            let (news, wake) = (self.consumer.news(), self.wake());
            let event = tokio::select! {
                change = self.consumer.change() => self.changed(change),
                Some(back) = self.tasks.join_next() => self.back(back),
                () = news => None,
                () = sleep_until(wake) => Some(self.tick()),
                () = stop.cancelled(), if !self.stopping => Some(self.stop()),
                _ = reports.tick() => {
                    self.refresh();
                    None
                }
            };
            if let Some(event) = event {
                self.handle(event).await;
            }
            self.poll().await;
        }
        self.close().await;
    }

    fn stop(&mut self) -> Event {
        self.stopping = true;
        let deadline = Instant::now() + self.drain;
        self.drain_deadline = Some(self.drain_deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        Event::Stop
    }

    async fn handle(&mut self, event: Event) {
        for effect in self.engine.handle(event, Timestamp::now()) {
            self.carry_out(effect).await;
        }
    }

    /// Takes in what the engine wants, and no more.
    async fn poll(&mut self) {
        let filled = self.partitions.values().filter(|p| p.is_filled()).map(|p| p.name.clone());
        for name in filled.collect::<Vec<_>>() {
            while self.engine.wants(&name)
                && let Some(record) = self.partitions.get(&name).and_then(Partition::poll)
            {
                let slot = SlotId(self.next_slot);
                self.next_slot += 1;
                let work = Work::new(record, self.kit.topics.is_own(&name.topic));
                let arrival = work.arrival(slot);
                self.kit.tally.read(lane(&self.kit.topics, &name.topic));
                self.held.insert(slot, self.hold(work));
                self.handle(Event::Polled(arrival)).await;
            }
        }
    }

    fn hold(&self, work: Work) -> Held {
        let topics = &self.kit.topics;
        let attempt = work.envelope.trail.attempt + 1;
        let correlation = &work.envelope.correlation;
        Held {
            span: log::record_span(&topics.pipeline, &topics.stage, correlation, &work.record.at, attempt),
            topic: work.record.at.topic.clone(),
            due: work.due(),
            work: Some(work),
            cancel: CancellationToken::new(),
        }
    }

    fn changed(&mut self, change: Option<Change>) -> Option<Event> {
        // Without its thread the consumer reads nothing any more.
        let Some(change) = change else { return (!self.stopping).then(|| self.stop()) };
        Some(match change {
            // Leaving the group gives them to somebody else.
            Change::Assigned(_) if self.stopping => return None,
            Change::Assigned(partitions) => {
                self.report.assigned();
                let lanes =
                    partitions.iter().map(|p| (p.name.clone(), lane(&self.kit.topics, &p.name.topic)));
                let lanes = lanes.collect();
                // Whatever was committed under an earlier assignment is past.
                for partition in &partitions {
                    self.committed.remove(&partition.name);
                }
                self.partitions.extend(partitions.into_iter().map(|p| (p.name.clone(), p)));
                Event::Assigned(lanes)
            }
            Change::Revoked { partitions, release } => {
                self.releases.push((partitions.clone(), release));
                self.drain_deadline.get_or_insert(Instant::now() + self.drain);
                Event::Revoked(partitions)
            }
            Change::Lost { partitions, release } => {
                for name in &partitions {
                    self.partitions.remove(name);
                    self.committed.remove(name);
                }
                drop(release);
                Event::Lost(partitions)
            }
        })
    }

    fn back(&mut self, back: Result<Back, tokio::task::JoinError>) -> Option<Event> {
        // Tasks catch panics and are never aborted, so there is always an end to report.
        let Back { slot, work, from } = back.ok()?;
        let Some(held) = self.held.get_mut(&slot) else {
            if work.lease.is_some() {
                self.release(slot, work);
            }
            return None;
        };
        let event = match from {
            Task::Attempt(result) => {
                if let Ran::Failed(fault) = &result {
                    log::record_code(&held.span, fault.code);
                    held.span
                        .in_scope(|| tracing::warn!(class = %fault.class, chain = ?fault.chain, "{fault}"));
                }
                if result == Ran::Ended {
                    self.kit.tally.duplicate();
                }
                Event::Ran { slot, result }
            }
            Task::Publish(what, result) => {
                if result.is_ok() {
                    self.kit.tally.published(&what);
                    held.span.in_scope(|| told(&what));
                } else if let Err(fault) = &result {
                    log::record_code(&held.span, fault.code);
                    held.span.in_scope(|| tracing::warn!(class = %fault.class, "{fault}"));
                }
                Event::Published { slot, result }
            }
            Task::Release => return None,
        };
        held.work = Some(work);
        Some(event)
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start(slot) => self.start(slot),
            Effect::Publish { slot, what } => self.publish(slot, what),
            Effect::Forget(slot) => self.forget(slot),
            Effect::Ended(slot) => {
                self.held.remove(&slot);
            }
            Effect::Commit(offsets) => {
                self.consumer.commit(&offsets);
                self.committed.extend(offsets);
            }
            Effect::Drained { partitions, commit } => self.drained(partitions, commit).await,
            Effect::Paused(fault) => self.report.paused(&fault),
            Effect::Resumed => self.report.resumed(),
        }
    }

    fn start(&mut self, slot: SlotId) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let Some(mut work) = held.work.take() else { return };
        if let Some(due) = held.due.take() {
            self.kit.tally.late(Duration::try_from(Timestamp::now().duration_since(due)).unwrap_or_default());
        }
        let (kit, cancel, before) = (self.kit.clone(), held.cancel.clone(), work.clone());
        let task = async move {
            let run = AssertUnwindSafe(attempt::run(&kit, &mut work, &cancel)).catch_unwind().await;
            match run {
                Ok(ran) => Back { slot, work, from: Task::Attempt(ran) },
                Err(panic) => {
                    let failed = Ran::Failed(panicked(panic.as_ref()));
                    Back { slot, work: before, from: Task::Attempt(failed) }
                }
            }
        };
        self.tasks.spawn(task.instrument(held.span.clone()));
    }

    fn publish(&mut self, slot: SlotId, what: Publish) {
        let Some(held) = self.held.get_mut(&slot) else { return };
        let Some(mut work) = held.work.take() else { return };
        let (kit, before) = (self.kit.clone(), work.clone());
        let task = async move {
            let sent = AssertUnwindSafe(publish(&kit, &mut work, &what)).catch_unwind().await;
            match sent {
                Ok(result) => Back { slot, work, from: Task::Publish(what, result) },
                Err(panic) => {
                    let result = Err(panicked(panic.as_ref()));
                    Back { slot, work: before, from: Task::Publish(what, result) }
                }
            }
        };
        self.tasks.spawn(task.instrument(held.span.clone()));
    }

    /// Gives a record back: whoever reads it next finds the job free in the ledger.
    fn forget(&mut self, slot: SlotId) {
        let Some(held) = self.held.remove(&slot) else { return };
        held.cancel.cancel();
        self.kit.tally.released();
        if let Some(work) = held.work.filter(|work| work.lease.is_some()) {
            self.release(slot, work);
        }
    }

    fn release(&mut self, slot: SlotId, mut work: Work) {
        let kit = self.kit.clone();
        self.tasks.spawn(async move {
            attempt::release(&kit, &mut work, None).await;
            Back { slot, work, from: Task::Release }
        });
    }

    /// Nothing of these partitions runs any more: their last offsets are committed, then they may go.
    async fn drained(&mut self, partitions: Vec<TopicPartition>, commit: Vec<(TopicPartition, i64)>) {
        self.committed.extend(commit);
        // What was committed in the background may have failed; committing it again does no harm.
        let last = partitions.iter().filter_map(|name| self.committed.remove_entry(name)).collect();
        self.consumer.commit_now(last).await;
        for name in &partitions {
            self.partitions.remove(name);
        }
        self.releases.retain(|(revoked, _)| !revoked.iter().all(|name| partitions.contains(name)));
        if self.releases.is_empty() && !self.stopping {
            self.drain_deadline = None;
        }
    }

    fn wake(&self) -> Instant {
        let now = Timestamp::now();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let sleep = self.engine.next_wake().map_or(SLEEP_MAX, until).min(SLEEP_MAX);
        let wake = Instant::now() + sleep;
        self.drain_deadline.map_or(wake, |deadline| deadline.min(wake))
    }

    fn tick(&mut self) -> Event {
        match self.drain_deadline {
            Some(deadline) if deadline <= Instant::now() => {
                self.drain_deadline = None;
                Event::DrainDeadline
            }
            _ => Event::Tick,
        }
    }

    fn refresh(&mut self) {
        if self.consumer.commit_failed() {
            let all: Vec<_> = self.committed.iter().map(|(name, offset)| (name.clone(), *offset)).collect();
            self.consumer.commit(&all);
        }
        let own = |held: &&Held| held.due.is_some() && self.kit.topics.rung(&held.topic).is_some();
        let waiting = self.held.values().filter(own).map(|held| held.topic.clone());
        self.kit.tally.holds(self.engine.load(), waiting);
        self.report.lag(self.consumer.lag());
        if let Some(reason) = self.consumer.refusal() {
            self.report.refused(&reason);
        }
    }

    async fn close(mut self) {
        let last = async {
            while let Some(back) = self.tasks.join_next().await {
                // The engine holds nothing any more; what comes back goes to the ledger.
                self.back(back);
            }
        };
        if timeout(LAST_TASKS, last).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "some records are still on their way to kafka");
        }
        self.refresh();
        self.releases.clear();
        self.partitions.clear();
        self.consumer.leave().await;
    }
}

fn lane(topics: &StageTopics, topic: &str) -> Lane {
    if topic == topics.redrive {
        Lane::Redrive
    } else if topics.rung(topic).is_some() {
        Lane::Rung
    } else {
        Lane::Input
    }
}

/// The line about where a record went.
fn told(what: &Publish) {
    match what {
        Publish::Output => tracing::debug!("done"),
        Publish::Retry { due, attempt, .. } => {
            tracing::info!(failures = attempt, due = %format!("{due:.3}"), "waits for its next attempt");
        }
        Publish::Dead { attempts, fault } => {
            tracing::error!(code = fault.code.as_str(), class = %fault.class, attempts, "dead letter: {fault}");
        }
    }
}
