//! The shell around the engine of one stage: brings events in (assignments, records, ends of tasks, time) and
//! carries effects out (attempts, records to produce, commits). It decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::hands::Hands;
use super::kit::Kit;
use super::report::Report;
use crate::flow::engine::{Effect, Engine, Event, Lane};
use crate::flow::topology::StageTopics;
use crate::kafka::Consumer;
use crate::kafka::consumer::{Change, Commit, Partition, Release};
use crate::message::TopicPartition;

/// How often numbers are refreshed and failed commits repeated.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Longest sleep, so that a step of the system clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// How long tasks that cannot be cancelled (records on their way to Kafka) may take after the drain.
const LAST_TASKS: Duration = Duration::from_secs(3);

/// See the module.
pub struct Shell {
    kit: Arc<Kit>,
    engine: Engine,
    // Dropped in this order: the consumer must be the last that knows the client.
    releases: Vec<(Vec<TopicPartition>, Release)>,
    partitions: BTreeMap<TopicPartition, Partition>,
    consumer: Consumer,
    hands: Hands,
    /// The highest offset handed out for committing, by partition.
    committed: BTreeMap<TopicPartition, i64>,
    drain: Duration,
    drain_deadline: Option<Instant>,
    report: Report,
    connected: bool,
    /// Fell out of the group and has not been assigned anything since.
    lost: bool,
    stopping: bool,
}

impl Shell {
    /// `drain` is how long records in flight may take when partitions are revoked or the process stops.
    pub fn new(kit: Arc<Kit>, engine: Engine, consumer: Consumer, drain: Duration, report: Report) -> Self {
        Self {
            hands: Hands::new(kit.clone()),
            kit,
            engine,
            consumer,
            partitions: BTreeMap::new(),
            committed: BTreeMap::new(),
            releases: Vec::new(),
            drain,
            drain_deadline: None,
            report,
            connected: true,
            lost: false,
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
                change = self.consumer.change(), if self.connected => self.changed(change),
                Some(event) = self.hands.next() => event,
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
                self.kit.tally.read(lane(&self.kit.topics, &name.topic));
                let arrival = self.hands.take(record, self.kit.topics.is_own(&name.topic));
                self.handle(Event::Polled(arrival)).await;
            }
        }
    }

    fn changed(&mut self, change: Option<Change>) -> Option<Event> {
        let Some(change) = change else {
            // The consumer cannot go on, and says why in the log.
            self.connected = false;
            return (!self.stopping).then(|| self.stop());
        };
        Some(match change {
            // Leaving the group gives them to somebody else.
            Change::Assigned(_) if self.stopping => return None,
            Change::Assigned(partitions) => {
                self.report.assigned();
                self.lost = false;
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
                self.lost = true;
                Event::Lost(partitions)
            }
        })
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start(slot) => self.hands.start(slot),
            Effect::Publish { slot, what } => self.hands.publish(slot, what),
            Effect::Forget(slot) => self.hands.forget(slot),
            Effect::Ended(slot) => self.hands.let_go(slot),
            Effect::Commit(offsets) => {
                self.consumer.commit(&commits(&offsets));
                self.committed.extend(offsets);
            }
            Effect::Drained { partitions, commit } => self.drained(partitions, commit).await,
            Effect::Paused(fault) => self.report.paused(&fault),
            Effect::Resumed => self.report.resumed(),
        }
    }

    /// Nothing of these partitions runs any more: their last offsets are committed, then they may go.
    async fn drained(&mut self, partitions: Vec<TopicPartition>, commit: Vec<(TopicPartition, i64)>) {
        self.committed.extend(commit);
        // What was committed in the background may have failed; committing it again does no harm.
        let last: Vec<_> = partitions.iter().filter_map(|name| self.committed.remove_entry(name)).collect();
        self.consumer.commit_now(commits(&last)).await;
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
            self.consumer.commit(&commits(&all));
        }
        let rungs = |topic: &&str| self.kit.topics.rung(topic).is_some();
        let waiting = self.hands.waiting().filter(rungs).map(str::to_owned);
        self.kit.tally.holds(self.engine.load(), waiting);
        self.report.lag(self.consumer.lag());
        match (self.lost, self.consumer.is_reachable()) {
            (true, _) => self.report.away("fell out of the consumer group and joins again"),
            (_, false) => self.report.away("no broker answers"),
            _ => self.report.back(),
        }
        if let Some(reason) = self.consumer.refusal() {
            self.report.refused(&reason);
        }
    }

    async fn close(mut self) {
        if timeout(LAST_TASKS, self.hands.finish()).await.is_err() {
            tracing::warn!(tasks = self.hands.tasks(), "some records are still on their way to kafka");
        }
        self.refresh();
        self.releases.clear();
        self.partitions.clear();
        self.consumer.leave().await;
    }
}

fn commits(offsets: &[(TopicPartition, i64)]) -> Vec<Commit> {
    let commit = |(name, offset): &(TopicPartition, i64)| Commit {
        name: name.clone(),
        offset: *offset,
        metadata: String::new(),
    };
    offsets.iter().map(commit).collect()
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
