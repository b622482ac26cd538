//! A process that runs the stage: the real engine, and around it what `worker::shell` does. It tells the engine what
//! happens, carries out what it says, and looks whether that was right.

mod checks;
mod group;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::arrivals::{Arrivals, Came, Stale};
use super::group::Notice;
use super::hands::Hands;
use super::ledger::Who;
use super::log::{self, Place, What};
use super::task::Job;
use super::transact::{Conclusion, Heard, Transactions};
use super::truth::has_ended;
use super::world::Env;
use crate::flow::Class;
use crate::flow::engine::*;
use crate::flow::ladder::Past;
use crate::flow::offsets::{Committed, Position};
use crate::message::TopicPartition;

/// A partition that is assigned.
#[derive(Debug)]
pub struct Part {
    /// The next offset to hand out.
    pub position: i64,
    /// Everything below it has been fetched.
    pub fetched: i64,
    /// What the engine was told last that everything below is known.
    pub reached: i64,
    /// What was committed when it came.
    pub start: Committed,
    /// Its family's term, once the ledger has named it.
    pub term: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Member {
    pub id: usize,
    pub who: Who,
    pub engine: Engine,
    pub seat: u64,
    pub partitions: BTreeMap<TopicPartition, Part>,
    pub arrivals: Arrivals,
    pub hands: Hands,
    pub transactions: Option<Transactions>,
    committed: BTreeMap<TopicPartition, Position>,
    pub commit_failed: bool,
    /// Revocations that are not answered.
    releases: Vec<(Vec<i32>, Vec<TopicPartition>)>,
    pub drain_deadline: Option<Timestamp>,
    /// Offsets that ended because the ledger said so.
    absorbed: BTreeSet<Place>,
    pub rejoin: bool,
    /// The seat that a process of its name had before.
    pub inherits: Option<u64>,
    pub stopping: bool,
    /// Does nothing, and knows nothing of it.
    pub frozen: bool,
    /// Records started while the stage paused that have not come back.
    probes: BTreeSet<SlotId>,
    /// The ledger said that a partition is somebody else's.
    ousted: bool,
}

/// What is being told, as far as it says which records may be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Everything may be.
    Gone,
    /// Only what does not run.
    Planned,
    /// Only this record.
    Of(SlotId),
}

impl Member {
    pub fn new(id: usize, name: usize, env: &mut Env) -> Self {
        let exact = env.plan.spec.delivery == Delivery::ExactlyOnce;
        Self {
            id,
            who: env.ledger.open(name),
            engine: Engine::new(env.plan.spec.clone()),
            seat: u64::MAX,
            partitions: BTreeMap::new(),
            arrivals: Arrivals::default(),
            hands: Hands::default(),
            transactions: exact.then(|| Transactions::new(name)),
            committed: BTreeMap::new(),
            commit_failed: false,
            releases: Vec::new(),
            drain_deadline: None,
            absorbed: BTreeSet::new(),
            rejoin: false,
            inherits: None,
            stopping: false,
            frozen: false,
            probes: BTreeSet::new(),
            ousted: false,
        }
    }

    /// Tells the engine, carries out what it says, then takes in what it wants.
    pub fn handle(&mut self, event: Event, env: &mut Env) {
        self.tell(event, env);
        self.poll(env);
    }

    fn tell(&mut self, event: Event, env: &mut Env) {
        env.trace(|| format!("{}: {event:?}", self.id));
        if is_ousted(&event) {
            self.ousted = true;
            env.saw("ousted");
        }
        let cause = if self.ousted { Cause::Gone } else { cause(&event) };
        let failed = match &event {
            Event::Ran { slot, result: Ran::Failed(fault) } => Some((*slot, fault.class)),
            _ => None,
        };
        self.absorbs(&event);
        if let Event::Ran { slot, .. } = &event {
            self.probes.remove(slot);
        }
        let effects = self.engine.handle(event, env.now);
        for effect in &effects {
            env.trace(|| format!("{}:    {effect:?}", self.id));
        }
        let wake = self.engine.next_wake();
        assert!(wake.is_none_or(|wake| wake > env.now), "it would spin: {wake:?} at {:?}", env.now);
        if let Some((slot, class)) = failed {
            let goes = effects.iter().any(|effect| match effect {
                Effect::Prepare { slot: of, what } => *of == slot && *what != Publish::Park,
                _ => false,
            });
            assert!(!(goes && class == Class::Systemic), "the stage was sick, and the record had to pay");
            if !goes && let Some(work) = self.hands.held.get(&slot).and_then(|held| held.work.as_ref()) {
                env.truth.void(work.copy.job, work.call);
            }
        }
        for effect in effects {
            self.carry_out(effect, cause, env);
        }
        self.check_bounds(env);
    }

    /// Notes which offsets end because the ledger says that nothing is to be done for them.
    fn absorbs(&mut self, event: &Event) {
        let slot = match event {
            Event::Ran { slot, result: Ran::Ended(_) } => slot,
            Event::Prepared { slot, result: Err(Refusal::Ended(_)) } => slot,
            _ => return,
        };
        if let Some(held) = self.hands.held.get(slot) {
            self.absorbed.insert(held.at.clone());
        }
    }

    fn carry_out(&mut self, effect: Effect, cause: Cause, env: &mut Env) {
        match effect {
            Effect::Start(slot) => {
                self.check_start(slot, env);
                self.hands.spawn(slot, Job::Attempt, env.now);
            }
            Effect::Prepare { slot, what } => {
                env.saw(match &what {
                    Publish::Output => "outputs",
                    Publish::Retry { .. } => "retries",
                    Publish::Dead { .. } => "dead letters",
                    Publish::Park => "parked",
                    Publish::Discard => "discards",
                });
                self.hands.prepare(slot, what, env.now);
            }
            Effect::Send(slot) => self.hands.spawn(slot, Job::Send, env.now),
            Effect::Settle(slot) => self.hands.spawn(slot, Job::Settle, env.now),
            Effect::Transact { course, slots, commit } => {
                let unique: BTreeSet<_> = slots.iter().collect();
                assert_eq!(unique.len(), slots.len(), "a record is in its transaction twice");
                let batch = self.hands.begin_transaction(course, &slots);
                let conclusion = commit.map(|commit| self.conclusion(commit, env));
                let transactions = self.transactions.as_mut().expect("exactly once");
                transactions.begin(course, batch, conclusion, env);
            }
            Effect::Conclude { course, commit } => {
                let conclusion = commit.map(|commit| self.conclusion(commit, env));
                let transactions = self.transactions.as_mut().expect("exactly once");
                transactions.conclude(course, conclusion, env);
            }
            Effect::Forget(slot) => {
                self.check_forget(slot, cause);
                self.probes.remove(&slot);
                self.hands.forget(slot, env);
            }
            Effect::Ended(slot) => {
                let busy = self.hands.held.get(&slot).and_then(|held| held.busy);
                assert_eq!(busy, None, "{slot:?} ended while a task has it");
                self.hands.let_go(slot);
            }
            Effect::Commit(offsets) => {
                self.commit(&offsets, env);
                self.committed.extend(offsets);
            }
            Effect::Drained { partitions, commit } => self.drained(partitions, commit, env),
            Effect::Rejoin => self.rejoin = true,
            Effect::Paused(_) => env.saw("pauses"),
            Effect::Resumed => {}
        }
    }

    fn conclusion(&self, offsets: Vec<(TopicPartition, Position)>, env: &Env) -> Conclusion {
        let absorbed = self.absorbed.clone();
        Conclusion { offsets, absorbed, seat: self.seat, generation: env.group.knows(self.seat) }
    }

    /// A commit without a transaction.
    fn commit(&mut self, offsets: &[(TopicPartition, Position)], env: &mut Env) {
        let generation = env.group.knows(self.seat).unwrap_or_default();
        if env.group.check(self.seat, generation).is_err() || (!env.calm && env.lies()) {
            self.commit_failed = true;
            return;
        }
        for (name, position) in offsets {
            env.truth.commits(name, position, &self.absorbed);
            env.broker.offsets.insert(name.clone(), position.clone());
        }
    }

    /// More records come from the broker.
    pub fn fetch(&mut self, name: &TopicPartition, env: &mut Env) {
        let end = env.broker.stable_end(name);
        if let Some(part) = self.partitions.get_mut(name) {
            part.fetched += env.dice.within(1, (end - part.fetched) as u64) as i64;
        }
        self.poll(env);
    }

    /// Takes in what the engine wants, and no more.
    pub fn poll(&mut self, env: &mut Env) {
        let names: Vec<_> = self.partitions.keys().cloned().collect();
        for name in names {
            while self.engine.wants(&name)
                && let Some((copy, at)) = self.next(&name, env)
            {
                let term = self.partitions.get(&name).map_or(0, |part| part.term);
                let slot = self.hands.take(copy.clone(), at.clone(), term);
                let rec = &env.truth.recs[copy.rec];
                let arrival = Arrival {
                    slot,
                    partition: name.clone(),
                    offset: at.1,
                    size: rec.size,
                    due: copy.due,
                    past: Past {
                        failures: copy.attempt,
                        first_failure: copy.first_failure,
                        seed: copy.job as u64 * 31 + u64::from(copy.attempt),
                    },
                    tenant: Tenant(copy.job as u64 % 3),
                    order: rec.order,
                    origin: rec.origin,
                    discard: copy.discard,
                };
                self.tell(Event::Polled(arrival), env);
            }
        }
    }

    fn next(&mut self, name: &TopicPartition, env: &Env) -> Option<(log::Copy, Place)> {
        let part = self.partitions.get_mut(name)?;
        let log = env.broker.logs.get(name)?;
        while part.position < part.fetched {
            let offset = part.position;
            part.position += 1;
            if let Some(What::Copy(copy)) = log.visible(offset) {
                return Some((copy.clone(), (name.clone(), offset)));
            }
        }
        None
    }

    pub fn step_task(&mut self, task: usize, env: &mut Env) {
        if let Some(event) = self.hands.step(task, self.who, env) {
            self.handle(event, env);
        }
    }

    pub fn step_transaction(&mut self, course: Course, env: &mut Env) {
        let Some(transactions) = &mut self.transactions else { return };
        let result = match transactions.step(course, &self.hands, env) {
            None => return,
            Some(Heard::Written) => return self.handle(Event::Written(course), env),
            Some(Heard::Ended(result)) => result,
        };
        env.saw(match &result {
            Ok(()) => "transactions",
            Err(Abort::Fenced) => "fenced transactions",
            Err(Abort::Undone) => "undone transactions",
            Err(_) => "aborted transactions",
        });
        match &result {
            Err(Abort::Fenced) => self.hands.doubt_transactions(),
            result => self.hands.end_transaction(course, result.is_ok(), env.now),
        }
        self.handle(Event::Transacted { course, result }, env);
    }

    pub fn tick(&mut self, env: &mut Env) {
        let late = self.drain_deadline.is_some_and(|deadline| deadline <= env.now);
        if late {
            self.drain_deadline = None;
        }
        self.handle(if late { Event::DrainDeadline } else { Event::Tick }, env);
    }

    pub fn refresh(&mut self, env: &mut Env) {
        if std::mem::take(&mut self.commit_failed) {
            let all: Vec<_> = self.committed.iter().map(|(name, at)| (name.clone(), at.clone())).collect();
            self.commit(&all, env);
        }
        for (name, offset) in self.caught_up(env) {
            if let Some(part) = self.partitions.get_mut(&name) {
                part.reached = offset;
            }
            self.handle(Event::CaughtUp(name, offset), env);
        }
    }

    /// Partitions that were read to their end since the engine was told last.
    pub fn caught_up(&self, env: &Env) -> Vec<(TopicPartition, i64)> {
        let at_end = |(name, part): (&TopicPartition, &Part)| {
            let is = part.position == env.broker.stable_end(name) && part.reached < part.position;
            is.then(|| (name.clone(), part.position))
        };
        self.partitions.iter().filter_map(at_end).filter(|(name, _)| self.arrivals.has_come(name)).collect()
    }

    /// When something that it waits for must have come.
    pub fn deadline(&self) -> Option<Timestamp> {
        let tasks = self.hands.tasks.iter().map(|task| task.deadline());
        tasks.chain(self.transactions.as_ref().and_then(|transactions| transactions.deadline())).min()
    }

    pub fn is_gone(&self) -> bool {
        self.stopping && self.partitions.is_empty()
    }
}

fn is_ousted(event: &Event) -> bool {
    matches!(
        event,
        Event::Ousted
            | Event::Ran { result: Ran::Ousted, .. }
            | Event::Prepared { result: Err(Refusal::Ousted), .. }
    )
}

fn cause(event: &Event) -> Cause {
    match event {
        Event::Lost(_)
        | Event::DrainDeadline
        | Event::Transacted { result: Err(Abort::Fenced), .. }
        | Event::Assigned(_) => Cause::Gone,
        Event::Polled(Arrival { slot, .. })
        | Event::Ran { slot, .. }
        | Event::Prepared { slot, .. }
        | Event::Sent { slot, .. }
        | Event::Settled { slot, .. } => Cause::Of(*slot),
        _ => Cause::Planned,
    }
}
