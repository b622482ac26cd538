//! Partitions on their way to the engine, as `worker::arrivals` brings them: the ledger has to answer first.

use std::collections::BTreeMap;

use super::log;
use super::member::Part;
use super::world::Env;
use crate::flow::engine::Assigned;
use crate::flow::offsets::{Committed, Position};
use crate::message::TopicPartition;

/// A partition that has come, and what is committed of it.
#[derive(Clone, Debug)]
pub struct Came {
    pub name: TopicPartition,
    committed: Option<Committed>,
}

impl Came {
    /// A map that cannot be read is as good as none.
    pub fn read((name, committed): (TopicPartition, Option<Position>)) -> Self {
        let parse = |at: Position| {
            Committed::parse(at.offset, &at.map).unwrap_or_else(|_| Committed::bare(at.offset))
        };
        Self { name, committed: committed.map(parse) }
    }

    pub fn part(&self) -> Part {
        let start = self.committed.clone().unwrap_or_else(|| Committed::bare(0));
        let position = start.below();
        Part { position, fetched: position, reached: -1, start, term: 0 }
    }
}

/// Somebody else commits: the partitions are not ours any more.
pub struct Stale;

/// How far a batch is.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The ledger knows that the partitions are ours.
    Owned(u64),
    /// Since then nothing was committed by anybody else.
    Confirmed(u64),
}

/// See the module.
#[derive(Debug, Default)]
pub struct Arrivals {
    batches: BTreeMap<usize, Vec<Came>>,
    steps: BTreeMap<usize, Step>,
    coming: BTreeMap<TopicPartition, usize>,
    next: usize,
}

impl Arrivals {
    pub fn begin(&mut self, came: Vec<Came>) {
        self.next += 1;
        self.coming.extend(came.iter().map(|one| (one.name.clone(), self.next)));
        self.batches.insert(self.next, came);
    }

    pub fn waiting(&self) -> Vec<usize> {
        self.batches.keys().copied().collect()
    }

    pub fn has_come(&self, name: &TopicPartition) -> bool {
        !self.coming.contains_key(name)
    }

    /// First the ledger takes the partitions for ours, then what is committed must still be what it was, then the
    /// ledger learns of it, if they were not taken from us meanwhile. `None` until all that is done; `Err` when
    /// somebody else has committed.
    pub fn step(&mut self, batch: usize, env: &mut Env) -> Option<Result<(u64, Vec<Assigned>), Stale>> {
        let mut came = self.batches.get(&batch)?.clone();
        came.retain(|one| self.coming.get(&one.name) == Some(&batch));
        let mut families: Vec<i32> = came.iter().map(|one| one.name.partition).collect();
        families.dedup();
        match self.steps.remove(&batch) {
            None => {
                let term = env.ledger(|ledger| ledger.own(&families)).ok()?;
                self.steps.insert(batch, Step::Owned(term));
                None
            }
            Some(Step::Owned(term)) => {
                let names: Vec<TopicPartition> = came.iter().map(|one| one.name.clone()).collect();
                let committed = env.broker.committed(&names)?;
                let again = names.into_iter().zip(committed).map(Came::read);
                if !again.map(|one| one.committed).eq(came.into_iter().map(|one| one.committed)) {
                    return Some(Err(Stale));
                }
                self.steps.insert(batch, Step::Confirmed(term));
                None
            }
            Some(Step::Confirmed(term)) => {
                let assigned = self.recover(batch, came, &families, term, env)?;
                Some(Ok((term, assigned)))
            }
        }
    }

    fn recover(
        &mut self,
        batch: usize,
        came: Vec<Came>,
        families: &[i32],
        term: u64,
        env: &mut Env,
    ) -> Option<Vec<Assigned>> {
        let seen = came.iter().filter_map(|one| Some((one.name.clone(), one.committed.clone()?))).collect();
        let ordering = env.plan.spec.ordering;
        let dead_too = ordering.is_some_and(|ordering| ordering.hold);
        let outstanding = env.ledger(|ledger| ledger.recover(term, &seen, families, dead_too)).ok()??;
        self.batches.remove(&batch);
        let of = |family| {
            let mine = outstanding.iter().filter(|(of, ..)| ordering.is_some() && *of == family);
            mine.map(|(_, order, origin)| (*order, *origin)).collect()
        };
        let assigned = came.into_iter().map(|one| {
            let (lane, family) = (log::lane(&one.name), one.name.partition);
            let outstanding = if one.name == log::input(family) { of(family) } else { Vec::new() };
            Assigned { partition: one.name, lane, family, committed: one.committed, outstanding }
        });
        let assigned = assigned.collect();
        self.coming.retain(|_, of| *of != batch);
        Some(assigned)
    }

    pub fn cancel(&mut self, names: &[TopicPartition]) {
        self.coming.retain(|name, _| !names.contains(name));
        let coming = &self.coming;
        self.batches.retain(|batch, _| coming.values().any(|of| of == batch));
        self.steps.retain(|batch, _| coming.values().any(|of| of == batch));
    }

    pub fn abandon(&mut self) -> Vec<TopicPartition> {
        self.batches.clear();
        self.steps.clear();
        std::mem::take(&mut self.coming).into_keys().collect()
    }
}
