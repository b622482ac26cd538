//! Kafka: logs, transactions with their coordinator, committed offsets. A transaction is decided first, and its
//! markers reach the partitions one by one afterwards.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::dice::Dice;
use super::log::{Fate, Log, Place, What};
use super::truth::Piece;
use crate::flow::offsets::Position;
use crate::message::TopicPartition;

/// A producer with this name was opened again since, or its transaction was ended by the coordinator.
#[derive(Debug, PartialEq, Eq)]
pub struct Fenced;

/// A transaction, and what comes true with it.
#[derive(Debug)]
pub struct Txn {
    pub producer: usize,
    pub since: Timestamp,
    pub fate: Fate,
    /// Partitions it has written to that have no marker yet.
    unmarked: BTreeSet<TopicPartition>,
    /// Offsets that it commits, until their own marker is written, and when the coordinator was told them.
    offsets: BTreeMap<TopicPartition, Position>,
    told: u64,
    /// What records become by it.
    pub pieces: Vec<Piece>,
    /// Records of which the ledger said that nothing is to be done.
    pub absorbed: BTreeSet<Place>,
}

impl Txn {
    fn is_complete(&self) -> bool {
        self.fate != Fate::Open && self.unmarked.is_empty() && self.offsets.is_empty()
    }
}

#[derive(Debug, Default)]
struct Producer {
    epoch: u32,
    current: Option<usize>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Broker {
    pub logs: BTreeMap<TopicPartition, Log>,
    pub txns: Vec<Txn>,
    producers: BTreeMap<usize, Producer>,
    pub offsets: BTreeMap<TopicPartition, Position>,
    /// When the coordinator was told those that transactions have committed.
    told: BTreeMap<TopicPartition, u64>,
    tellings: u64,
}

impl Broker {
    pub fn log(&mut self, name: &TopicPartition) -> &mut Log {
        self.logs.entry(name.clone()).or_default()
    }

    pub fn stable_end(&self, name: &TopicPartition) -> i64 {
        self.logs.get(name).map_or(0, Log::stable_end)
    }

    /// Opens the producer and ends what an earlier one of its name has left. `None`: that is not ended yet.
    pub fn open(&mut self, producer: usize) -> Option<u32> {
        if let Some(txn) = self.producers.get(&producer).and_then(|producer| producer.current) {
            if self.txns[txn].fate == Fate::Open {
                self.decide(txn, Fate::Aborted);
            }
            if !self.txns[txn].is_complete() {
                return None;
            }
        }
        let producer = self.producers.entry(producer).or_default();
        producer.current = None;
        producer.epoch += 1;
        Some(producer.epoch)
    }

    fn check(&self, producer: usize, epoch: u32) -> Result<(), Fenced> {
        let current = self.producers.get(&producer).map(|producer| producer.epoch);
        if current == Some(epoch) { Ok(()) } else { Err(Fenced) }
    }

    /// `None`: the markers of the one before are not written yet.
    pub fn begin(&mut self, producer: usize, epoch: u32, now: Timestamp) -> Result<Option<usize>, Fenced> {
        self.check(producer, epoch)?;
        let id = self.txns.len();
        let entry = self.producers.entry(producer).or_default();
        if entry.current.is_some_and(|txn| !self.txns[txn].is_complete()) {
            return Ok(None);
        }
        entry.current = Some(id);
        self.txns.push(Txn {
            producer,
            since: now,
            fate: Fate::Open,
            unmarked: BTreeSet::new(),
            offsets: BTreeMap::new(),
            told: 0,
            pieces: Vec::new(),
            absorbed: BTreeSet::new(),
        });
        Ok(Some(id))
    }

    /// The open transaction of this producer.
    fn current(&mut self, txn: usize, epoch: u32) -> Result<&mut Txn, Fenced> {
        self.check(self.txns[txn].producer, epoch)?;
        Some(&mut self.txns[txn]).filter(|txn| txn.fate == Fate::Open).ok_or(Fenced)
    }

    pub fn produce(
        &mut self,
        txn: usize,
        epoch: u32,
        name: &TopicPartition,
        what: What,
    ) -> Result<i64, Fenced> {
        self.current(txn, epoch)?.unmarked.insert(name.clone());
        Ok(self.log(name).append(what, Some(txn)))
    }

    pub fn send_offsets(
        &mut self,
        txn: usize,
        epoch: u32,
        offsets: Vec<(TopicPartition, Position)>,
    ) -> Result<&mut Txn, Fenced> {
        self.tellings += 1;
        let told = self.tellings;
        let txn = self.current(txn, epoch)?;
        txn.offsets.extend(offsets);
        txn.told = told;
        Ok(txn)
    }

    /// What it commits.
    pub fn offsets_of(&self, txn: usize) -> Vec<(TopicPartition, Position)> {
        self.txns[txn].offsets.iter().map(|(name, position)| (name.clone(), position.clone())).collect()
    }

    /// Asked for by the producer.
    pub fn end(&mut self, txn: usize, epoch: u32, fate: Fate) -> Result<(), Fenced> {
        self.current(txn, epoch)?;
        self.decide(txn, fate);
        Ok(())
    }

    /// From here on it is certain; what it wrote becomes visible little by little.
    fn decide(&mut self, txn: usize, fate: Fate) {
        self.txns[txn].fate = fate;
        if fate == Fate::Aborted {
            self.txns[txn].offsets.clear();
        }
    }

    /// The coordinator's patience with this transaction is over.
    pub fn expire(&mut self, txn: usize) {
        let producer = self.txns[txn].producer;
        if self.txns[txn].fate == Fate::Open {
            self.decide(txn, Fate::Aborted);
            self.producers.entry(producer).or_default().epoch += 1;
        }
    }

    pub fn open_txns(&self) -> Vec<usize> {
        (0..self.txns.len()).filter(|txn| self.txns[*txn].fate == Fate::Open).collect()
    }

    pub fn unmarked(&self) -> Vec<usize> {
        let waits = |txn: &Txn| txn.fate != Fate::Open && !txn.is_complete();
        (0..self.txns.len()).filter(|txn| waits(&self.txns[*txn])).collect()
    }

    /// Writes one more marker of a decided transaction.
    pub fn mark(&mut self, txn: usize, dice: &mut Dice) {
        let Txn { fate, unmarked, offsets, told, .. } = &mut self.txns[txn];
        let all: Vec<TopicPartition> = unmarked.iter().cloned().collect();
        let which = dice.below(all.len() + usize::from(!offsets.is_empty()));
        match all.get(which) {
            Some(name) => {
                unmarked.remove(name);
                let (name, fate) = (name.clone(), *fate);
                self.log(&name).mark(txn, fate);
            }
            // What was told later counts, whichever marker comes first.
            None => {
                for (name, position) in std::mem::take(offsets) {
                    if self.told.get(&name).is_none_or(|before| before < told) {
                        self.told.insert(name.clone(), *told);
                        self.offsets.insert(name, position);
                    }
                }
            }
        }
    }

    /// What is committed for these partitions; `None` while that is not certain.
    pub fn committed(&self, names: &[TopicPartition]) -> Option<Vec<Option<Position>>> {
        let pending = |txn: &Txn| names.iter().any(|name| txn.offsets.contains_key(name));
        let stable = !self.txns.iter().any(pending);
        stable.then(|| names.iter().map(|name| self.offsets.get(name).cloned()).collect())
    }
}
