//! The shell around the engine of one stage: brings events in (assignments, records, ends of tasks, time) and
//! carries effects out (attempts, records to produce, transactions, commits). It decides nothing.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::arrivals::{Arrivals, Settled};
use super::drain::Drain;
use super::hands::Hands;
use super::kit::Kit;
use super::report::Report;
use super::transactions::Transactions;
use crate::flow::engine::{Effect, Engine, Event};
use crate::flow::offsets::Position;
use crate::kafka::Consumer;
use crate::kafka::consumer::{Change, Commit, Partition, Release};
use crate::message::TopicPartition;

/// How often numbers are refreshed and failed commits repeated.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// How often offsets are committed again where nothing moves. Kafka forgets those of partitions that a group is not
/// subscribed to, which rungs are, when their last commit is old (`offsets.retention.minutes`, a week).
const REFRESH_EVERY: Duration = Duration::from_secs(3600);
/// Longest sleep, so that a step of the system clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(5);
/// Most that is taken in at once, before others that wait have their turn.
const TURN_MAX: usize = 1000;
/// How long tasks that cannot be cancelled (records on their way to Kafka) may take after the drain.
const LAST_TASKS: Duration = Duration::from_secs(3);

/// A stage that is shut out again so soon after it has joined anew waits as long before it does so once more.
const SHUT_OUT_AGAIN: Duration = Duration::from_secs(10);

/// Makes the stage's consumer: at the start, and again when Kafka has shut the old one out.
pub type Join = Box<dyn Fn() -> Result<Consumer, crate::kafka::KafkaProblem> + Send + Sync>;

/// See the module.
pub struct Shell {
    kit: Arc<Kit>,
    engine: Engine,
    // Dropped in this order: the consumer must be the last that knows the client.
    releases: Vec<(Vec<TopicPartition>, Release)>,
    arrivals: Arrivals,
    partitions: BTreeMap<TopicPartition, Partition>,
    consumer: Consumer,
    join: Join,
    transactions: Option<Transactions>,
    hands: Hands,
    /// The highest position handed out for committing, by partition.
    committed: BTreeMap<TopicPartition, Position>,
    drain: Drain,
    refreshed: Instant,
    report: Report,
    connected: bool,
    /// The last turn has left records to be polled.
    more: bool,
    /// Fell out of the group and has not been assigned anything since.
    lost: bool,
    rejoin: bool,
    joined_anew: Option<Instant>,
    stopping: bool,
}

impl Shell {
    /// `drain` is how long records in flight may take when partitions are revoked or the process stops.
    /// `transactions` is `None` where records are delivered at least once.
    pub fn new(
        kit: Arc<Kit>,
        engine: Engine,
        join: Join,
        transactions: Option<Transactions>,
        drain: Duration,
        report: Report,
    ) -> Result<Self, crate::kafka::KafkaProblem> {
        Ok(Self {
            hands: Hands::new(kit.clone()),
            arrivals: Arrivals::new(kit.clone()),
            kit,
            engine,
            consumer: join()?,
            join,
            transactions,
            partitions: BTreeMap::new(),
            committed: BTreeMap::new(),
            releases: Vec::new(),
            drain: Drain::of(drain),
            refreshed: Instant::now(),
            report,
            connected: true,
            more: false,
            lost: false,
            rejoin: false,
            joined_anew: None,
            stopping: false,
        })
    }

    /// Runs until `stop` is cancelled and everything in flight has ended or was handed back.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut reports = interval(REPORT_EVERY);
        reports.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !(self.stopping && self.partitions.is_empty()) {
            let (news, wake) = (self.consumer.news(), self.wake());
            let event = tokio::select! {
                Some(settled) = self.arrivals.next() => self.arrived(settled),
                Some(event) = self.hands.next() => event,
                answer = Transactions::answer(&mut self.transactions) => {
                    Some(Transactions::told(answer, &mut self.hands))
                }
                change = self.consumer.change(), if self.connected => self.changed(change),
                () = news => None,
                () = ready(()), if self.more => None,
                () = sleep_until(wake) => Some(self.tick()),
                () = stop.cancelled(), if !self.stopping => Some(self.stop()),
                _ = reports.tick() => {
                    self.refresh().await;
                    None
                }
            };
            self.turn(event).await;
            if std::mem::take(&mut self.rejoin) {
                self.join_anew().await;
            }
        }
        self.close().await;
    }

    fn stop(&mut self) -> Event {
        self.stopping = true;
        self.drain.begin();
        // What has not arrived is not waited for.
        for name in self.arrivals.abandon() {
            self.partitions.remove(&name);
        }
        Event::Stop
    }

    /// Tells the engine what has happened, and what else has meanwhile, and carries out what it says.
    async fn turn(&mut self, event: Option<Event>) {
        if let Some(event) = event {
            self.engine.take(event, Timestamp::now());
        }
        let mut left = TURN_MAX;
        loop {
            let (before, now) = (left, Timestamp::now());
            while left > 0
                && let Some(event) = self.hands.ready()
            {
                self.engine.take(event, now);
                left -= 1;
            }
            self.decide().await;
            if self.poll() {
                self.decide().await;
            }
            if left == 0 || left == before {
                break;
            }
        }
    }

    async fn handle(&mut self, event: Event) {
        self.engine.take(event, Timestamp::now());
        self.decide().await;
    }

    async fn decide(&mut self) {
        for effect in self.engine.decide(Timestamp::now()) {
            self.carry_out(effect).await;
        }
    }

    /// Takes in what the engine wants, and no more: of every partition the same share of a turn.
    fn poll(&mut self) -> bool {
        let now = Timestamp::now();
        let filled = self.partitions.values().filter(|p| p.is_filled());
        let family = |p: &Partition| (p.input.partition, self.arrivals.term(&p.input));
        let filled: Vec<_> = filled.map(|p| (p.name.clone(), family(p))).collect();
        let share = TURN_MAX.div_ceil(filled.len().max(1));
        let mut any = false;
        self.more = false;
        for (name, family) in filled {
            let mut left = share;
            let (lane, own) = (self.kit.topics.lane(&name.topic), self.kit.topics.is_own(&name.topic));
            while self.engine.wants(&name)
                && let Some(record) = self.partitions.get(&name).and_then(Partition::poll)
            {
                any = true;
                self.kit.tally.read(lane);
                let arrival = self.hands.take(record, own, family);
                self.engine.take(Event::Polled(arrival), now);
                left -= 1;
                if left == 0 {
                    self.more = true;
                    break;
                }
            }
        }
        any
    }

    fn changed(&mut self, change: Option<Change>) -> Option<Event> {
        let Some(change) = change else {
            // The consumer cannot go on, and says why in the log.
            self.connected = false;
            return (!self.stopping).then(|| self.stop());
        };
        match change {
            // Leaving the group gives them to somebody else.
            Change::Assigned(_) if self.stopping => None,
            Change::Assigned(partitions) => {
                self.report.assigned();
                self.lost = false;
                // Whatever was committed under an earlier assignment is past.
                for partition in &partitions {
                    self.committed.remove(&partition.name);
                }
                self.arrivals.begin(&partitions, self.consumer.starts());
                self.partitions.extend(partitions.into_iter().map(|p| (p.name.clone(), p)));
                None
            }
            Change::Revoked { partitions, release } => {
                self.arrivals.cancel(&partitions);
                self.releases.push((partitions.clone(), release));
                self.drain.begin();
                Some(Event::Revoked(partitions))
            }
            Change::Lost { partitions, release } => {
                self.arrivals.cancel(&partitions);
                for name in &partitions {
                    self.partitions.remove(name);
                    self.committed.remove(name);
                }
                drop(release);
                self.lost = true;
                Some(Event::Lost(partitions))
            }
        }
    }

    /// The ledger knows of the new partitions, and has told what is outstanding of them.
    fn arrived(&mut self, settled: Settled) -> Option<Event> {
        match settled {
            Settled::Arrived(assigned) => {
                self.hands.end_doubt(assigned.iter().map(|one| &one.partition));
                self.report.recovered();
                Some(Event::Assigned(assigned))
            }
            Settled::Held(fault) => {
                self.report.held_up(&fault);
                None
            }
            Settled::Ousted => Some(Event::Ousted),
            Settled::Cancelled => None,
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start(slot) => self.hands.start(slot),
            Effect::Prepare { slot, what } => self.hands.prepare(slot, what),
            Effect::Send(slot) => self.hands.send(slot),
            Effect::Settle(slot) => self.hands.settle(slot),
            Effect::Transact { course, slots, commit } => {
                let records = self.hands.begin_transaction(course, &slots);
                if let Some(transactions) = &mut self.transactions {
                    transactions.begin(course, records, commit.map(commits), &self.consumer);
                }
            }
            Effect::Conclude { course, commit } => {
                if let Some(transactions) = &mut self.transactions {
                    transactions.conclude(course, commit.map(commits), &self.consumer);
                }
            }
            Effect::Forget(slot) => self.hands.forget(slot),
            Effect::Ended(slot) => self.hands.let_go(slot),
            Effect::Commit(offsets) => {
                self.consumer.commit(&commits(offsets.clone()));
                self.committed.extend(offsets);
            }
            Effect::Drained { partitions, commit } => self.drained(partitions, commit).await,
            Effect::Rejoin => self.rejoin = true,
            Effect::Paused(fault) => self.report.paused(&fault),
            Effect::Resumed => self.report.resumed(),
        }
    }

    /// Nothing of these partitions runs any more: their last offsets are committed, then they may go.
    async fn drained(&mut self, partitions: Vec<TopicPartition>, commit: Vec<(TopicPartition, Position)>) {
        self.committed.extend(commit);
        // What was committed in the background may have failed; committing it again does no harm.
        let last = partitions.iter().filter_map(|name| self.committed.remove_entry(name)).collect();
        self.consumer.commit_now(commits(last)).await;
        for name in &partitions {
            self.partitions.remove(name);
        }
        self.releases.retain(|(revoked, _)| !revoked.iter().all(|name| partitions.contains(name)));
        if self.releases.is_empty() && !self.stopping {
            self.drain.end();
        }
    }

    /// Kafka has shut us out, or nobody knows what became of a transaction: everything begins anew from what is
    /// committed.
    async fn join_anew(&mut self) {
        tracing::warn!(
            pipeline = self.kit.topics.pipeline,
            stage = self.kit.topics.stage,
            "the stage joins its group anew; what was in hand is read again from the committed offsets"
        );
        self.report.away("was shut out by kafka and joins its group anew");
        let now = Instant::now();
        if self.joined_anew.replace(now).is_some_and(|before| now.duration_since(before) < SHUT_OUT_AGAIN) {
            tracing::warn!("shut out again so soon: do two processes run under one `instance`?");
            tokio::time::sleep(SHUT_OUT_AGAIN).await;
        }
        let all: Vec<_> = self.partitions.keys().cloned().collect();
        self.arrivals.cancel(&all);
        self.releases.clear();
        self.partitions.clear();
        self.committed.clear();
        self.drain.end();
        if let Some(transactions) = &mut self.transactions {
            transactions.reopen().await;
        }
        match (self.join)() {
            Ok(consumer) => {
                std::mem::replace(&mut self.consumer, consumer).leave().await;
                self.lost = true;
            }
            Err(problem) => {
                tracing::error!("{problem}");
                let stop = self.stop();
                Box::pin(self.handle(stop)).await;
            }
        }
    }

    fn wake(&self) -> Instant {
        let now = Timestamp::now();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let sleep = self.engine.next_wake().map_or(SLEEP_MAX, until).min(SLEEP_MAX);
        let wake = Instant::now() + sleep;
        self.drain.deadline().map_or(wake, |deadline| deadline.min(wake))
    }

    fn tick(&mut self) -> Event {
        let now = Instant::now();
        if self.drain.is_over(now) {
            return Event::DrainDeadline;
        }
        if now.duration_since(self.refreshed) > REFRESH_EVERY {
            self.refreshed = now;
            return Event::Refresh;
        }
        Event::Tick
    }

    async fn refresh(&mut self) {
        if self.consumer.commit_failed() {
            let all = self.committed.iter().map(|(name, position)| (name.clone(), position.clone()));
            self.consumer.commit(&commits(all.collect()));
        }
        for (partition, offset) in self.consumer.caught_up() {
            self.handle(Event::CaughtUp(partition, offset)).await;
        }
        let rungs = |topic: &&str| self.kit.topics.rung(topic).is_some();
        let waiting = self.hands.waiting().filter(rungs).map(str::to_owned);
        self.kit.tally.holds(self.engine.load(), waiting);
        self.kit.tally.breaker(self.engine.circuit());
        self.hands.tell_repeats(self.stopping);
        self.report.lag(self.consumer.lag());
        self.report.standing(self.lost, self.consumer.is_reachable());
        if let Some(reason) = self.consumer.refusal() {
            self.report.refused(&reason);
        }
    }

    async fn close(mut self) {
        if let Some(transactions) = &mut self.transactions
            && timeout(LAST_TASKS, transactions.finish(&mut self.hands)).await.is_err()
        {
            tracing::warn!("a transaction is still under way; the next start finds out what became of it");
        }
        if timeout(LAST_TASKS, self.hands.finish()).await.is_err() {
            tracing::warn!(records = self.hands.busy(), "some records are still on their way");
        }
        self.refresh().await;
        self.releases.clear();
        self.partitions.clear();
        drop(self.transactions.take());
        self.consumer.leave().await;
    }
}

fn commits(positions: Vec<(TopicPartition, Position)>) -> Vec<Commit> {
    let commit = |(name, Position { offset, map })| Commit { name, offset, metadata: map };
    positions.into_iter().map(commit).collect()
}
