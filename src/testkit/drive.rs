//! Brings events to the engine and carries its effects out, in place of the worker's shell and of Kafka.

use std::collections::{BTreeMap, VecDeque};

use super::TestKit;
use crate::flow::engine::{Abort, Assigned, Course, Effect, Engine, Event, Lane, OrderKey};
use crate::flow::offsets::{Committed, Position};
use crate::ledger::{Ended, Family, Recovery, Seen};
use crate::message::{OutRecord, TopicPartition};

impl TestKit {
    /// Partitions of the input that are new, and those that follow them, are ours from now on.
    pub(super) async fn assign(&mut self) {
        let input = self.kit.topics.input.clone();
        let of_input = self.log.keys().filter(|name| *name.topic == input && !self.read.contains_key(*name));
        for name in of_input.cloned().collect::<Vec<_>>() {
            let family = name.partition;
            let topics = self.kit.topics.read().into_iter().map(str::to_owned).collect::<Vec<_>>();
            let came: Vec<_> = topics.into_iter().map(|topic| TopicPartition::new(topic, family)).collect();
            let committed: BTreeMap<_, _> =
                came.iter().filter_map(|name| Some((name, self.position(name)?))).collect();
            // A ledger that fails here shows in the records, which it fails for too.
            let (pipeline, stage) = (&self.kit.topics.pipeline, &self.kit.topics.stage);
            let term = self.kit.ledger.own(pipeline, stage, vec![name.clone()]).await.unwrap_or_default();
            let seen = |(name, committed): (&&TopicPartition, &Committed)| Seen {
                partition: (*name).clone(),
                ended: Ended { below: committed.below(), ranges: committed.ranges().to_vec() },
            };
            let recovery = Recovery {
                pipeline: pipeline.clone(),
                stage: stage.clone(),
                families: vec![Family { input: name, term, seen: committed.iter().map(seen).collect() }],
                holding: self.kit.holding,
                now: self.now(),
            };
            let outstanding = self.kit.ledger.recover(recovery).await.unwrap_or_default();
            let outstanding: Vec<_> =
                outstanding.iter().map(|one| (OrderKey(one.order), one.origin)).collect();
            let assigned = came.iter().map(|name| {
                let lane = self.kit.topics.lane(&name.topic);
                let outstanding = if lane == Lane::Input { outstanding.clone() } else { Vec::new() };
                Assigned {
                    partition: name.clone(),
                    lane,
                    family,
                    committed: committed.get(name).cloned(),
                    outstanding,
                }
            });
            let assigned = assigned.collect();
            for name in &came {
                let from = self.committed.get(name).map_or(0, |position| position.offset);
                self.read.insert(name.clone(), (term, usize::try_from(from).unwrap_or_default()));
            }
            self.tell(Event::Assigned(assigned));
        }
    }

    fn position(&self, name: &TopicPartition) -> Option<Committed> {
        let position = self.committed.get(name)?;
        Committed::parse(position.offset, &position.map).ok()
    }

    /// Takes in what the engine wants.
    pub(super) fn poll(&mut self) {
        for name in self.read.keys().cloned().collect::<Vec<_>>() {
            while self.engine.wants(&name)
                && let Some((term, next)) = self.read.get_mut(&name)
                && let Some(record) = self.log.get(&name).and_then(|log| log.get(*next))
            {
                *next += 1;
                self.kit.tally.read(self.kit.topics.lane(&name.topic));
                let own = self.kit.topics.is_own(&name.topic);
                let arrival = self.hands.take(record.clone(), own, (name.partition, *term));
                self.tell(Event::Polled(arrival));
            }
            let read = self.read.get(&name).map_or(0, |(_, next)| *next);
            if self.log.get(&name).is_none_or(|log| log.len() == read) {
                self.tell(Event::CaughtUp(name, i64::try_from(read).unwrap_or(i64::MAX)));
            }
        }
    }

    pub(super) async fn tick(&mut self) {
        self.tell(Event::Tick);
        self.run().await;
        let nothing = Vec::new().into_iter();
        self.kit.tally.holds(self.engine.load(), nothing);
    }

    /// Tells the engine, and Kafka's answers to what it then wants, too.
    pub(super) fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = self.now();
            for effect in self.engine.handle(event, now) {
                events.extend(self.carry_out(effect));
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Start(slot) => self.hands.start(slot),
            Effect::Prepare { slot, what } => self.hands.prepare(slot, what),
            Effect::Send(slot) => self.hands.send(slot),
            Effect::Settle(slot) => self.hands.settle(slot),
            Effect::Forget(slot) => self.hands.forget(slot),
            Effect::Ended(slot) => self.hands.let_go(slot),
            Effect::Transact { course, slots, commit } => {
                let records = self.hands.begin_transaction(course, &slots);
                self.open[course as usize] =
                    records.iter().flat_map(|(_, records)| records.iter()).cloned().collect();
                return Some(match commit {
                    Some(commit) => self.conclude(course, Some(commit)),
                    None => Event::Written(course),
                });
            }
            Effect::Conclude { course, commit } => return Some(self.conclude(course, commit)),
            Effect::Commit(commit) | Effect::Drained { commit, .. } => self.committed.extend(commit),
            Effect::Rejoin => {
                self.engine = Engine::new(self.spec.clone());
                self.read.clear();
            }
            Effect::Paused(fault) => {
                self.kit.tally.paused(Some(&fault));
                self.paused = Some(*fault);
            }
            Effect::Resumed => {
                self.kit.tally.paused(None);
                self.paused = None;
            }
        }
        None
    }

    /// What the transaction has written is there for everybody, or nothing of it.
    fn conclude(&mut self, course: Course, commit: Option<Vec<(TopicPartition, Position)>>) -> Event {
        let written = std::mem::take(&mut self.open[course as usize]);
        self.hands.end_transaction(course, commit.is_some());
        let Some(commit) = commit else { return Event::Transacted { course, result: Err(Abort::Undone) } };
        for OutRecord { topic, partition, key, value, headers, timestamp } in written {
            self.append(topic, partition.unwrap_or(0), timestamp, (key, value, headers));
        }
        self.committed.extend(commit);
        Event::Transacted { course, result: Ok(()) }
    }
}
