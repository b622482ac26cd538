//! A member's transactions, as `worker::transactions` and `kafka::transaction` carry them out: each record, the
//! offsets and the commit are steps of their own. The answer can be lost.

use jiff::Timestamp;

use super::hands::Hands;
use super::log::{Fate, What};
use super::task::{LIMIT, refusal};
use super::truth::{Kind, Piece};
use super::world::Env;
use crate::flow::engine::{Abort, Publish, Refusal, SlotId};
use crate::flow::offsets::Position;
use crate::flow::{Code, Fault};
use crate::message::TopicPartition;

use super::broker::Fenced;
use super::group::Refused;

type Batch = Vec<(SlotId, Piece, Vec<(TopicPartition, What)>)>;

#[derive(Debug)]
struct Running {
    batch: Batch,
    offsets: Vec<(TopicPartition, Position)>,
    absorbed: std::collections::BTreeSet<super::log::Place>,
    seat: u64,
    generation: Option<u32>,
    txn: Option<usize>,
    /// The next record, and the next of what it becomes.
    next: (usize, usize),
    sent_offsets: bool,
    since: Timestamp,
}

/// See the module.
#[derive(Debug)]
pub struct Transactions {
    pub producer: usize,
    epoch: Option<u32>,
    running: Option<Running>,
}

impl Transactions {
    pub fn new(producer: usize) -> Self {
        Self { producer, epoch: None, running: None }
    }

    /// False while what an earlier producer of this name has left is not ended.
    pub fn open(&mut self, env: &mut Env) -> bool {
        self.running = None;
        self.epoch = env.broker.open(self.producer);
        self.epoch.is_some()
    }

    /// When the transaction that runs must have been answered.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.running.as_ref()?.since.saturating_add(LIMIT).ok()
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub fn begin(
        &mut self,
        batch: Batch,
        offsets: Vec<(TopicPartition, Position)>,
        absorbed: std::collections::BTreeSet<super::log::Place>,
        seat: u64,
        env: &Env,
    ) {
        assert!(self.running.is_none(), "a second transaction was begun");
        self.running = Some(Running {
            batch,
            offsets,
            absorbed,
            seat,
            generation: env.group.knows(seat),
            txn: None,
            next: (0, 0),
            sent_offsets: false,
            since: env.now,
        });
    }

    /// Goes on; an answer, once there is one.
    pub fn step(&mut self, hands: &Hands, env: &mut Env) -> Option<Result<(), Abort>> {
        let epoch = self.epoch;
        let running = self.running.as_mut()?;
        let answer = match (epoch, running.generation) {
            (Some(epoch), Some(generation)) => {
                match running.step(self.producer, epoch, generation, hands, env) {
                    Ok(answer) => answer?,
                    Err(Fenced) => Err(Abort::Fenced),
                }
            }
            _ => Err(Abort::Fenced),
        };
        self.running = None;
        Some(answer)
    }
}

impl Running {
    fn step(
        &mut self,
        producer: usize,
        epoch: u32,
        generation: u32,
        hands: &Hands,
        env: &mut Env,
    ) -> Result<Option<Result<(), Abort>>, Fenced> {
        let Some(txn) = self.txn else {
            self.txn = env.broker.begin(producer, epoch, env.now)?;
            return Ok(None);
        };
        let again = || Abort::Again(Fault::new(Code::OutputUnwritable, "as the seed wants it").into());
        if env.aborts() {
            return self.abort(txn, epoch, again(), env);
        }
        if let Some((slot, piece, records)) = self.batch.get_mut(self.next.0) {
            let Some((name, what)) = records.get(self.next.1) else {
                self.next = (self.next.0 + 1, 0);
                return Ok(None);
            };
            let publish = hands.held.get(slot).and_then(|held| held.what.clone()).unwrap_or(Publish::Output);
            if let Some(refusal) = env.refuses(&publish, &piece.copy, name) {
                let slot = *slot;
                return self.abort(txn, epoch, Abort::Record(slot, refusal), env);
            }
            let offset = env.broker.produce(txn, epoch, name, what.clone())?;
            piece.written.push(((name.clone(), offset), what.clone()));
            self.next.1 += 1;
            return Ok(None);
        }
        if !self.sent_offsets {
            match env.group.check(self.seat, generation) {
                Err(Refused::Stale) => return self.abort(txn, epoch, Abort::Stale, env),
                Err(Refused::Unknown) => return self.abort(txn, epoch, Abort::Fenced, env),
                Ok(()) => {}
            }
            let txn = env.broker.send_offsets(txn, epoch, self.offsets.clone())?;
            txn.pieces = self.batch.iter().map(|(_, piece, _)| piece.clone()).collect();
            txn.absorbed = self.absorbed.clone();
            self.sent_offsets = true;
            return Ok(None);
        }
        if env.fences() {
            // Nobody knows: it may have been committed, or not, or be open for as long as nobody ends it.
            if env.dice.percent(50) {
                env.commit(txn, epoch)?;
            }
            return Ok(Some(Err(Abort::Fenced)));
        }
        env.commit(txn, epoch)?;
        Ok(Some(Ok(())))
    }

    fn abort(
        &mut self,
        txn: usize,
        epoch: u32,
        abort: Abort,
        env: &mut Env,
    ) -> Result<Option<Result<(), Abort>>, Fenced> {
        env.broker.end(txn, epoch, Fate::Aborted)?;
        Ok(Some(Err(abort)))
    }
}

impl Env {
    /// Kafka's answer to a record, if it does not take it.
    pub fn refuses(&self, what: &Publish, copy: &super::log::Copy, name: &TopicPartition) -> Option<Refusal> {
        refusal(what, copy, self, self.weather.unwritable.contains(&*name.topic))
    }

    /// The coordinator notes that the transaction is committed: from here on it is true.
    fn commit(&mut self, txn: usize, epoch: u32) -> Result<(), Fenced> {
        self.broker.end(txn, epoch, Fate::Committed)?;
        self.trace(|| format!("transaction {txn} is committed"));
        let pieces = std::mem::take(&mut self.broker.txns[txn].pieces);
        for piece in &pieces {
            self.truth.ends(piece);
            self.truth.durable(piece.copy.job, piece.call, piece.kind);
            if piece.kind == Kind::Discard {
                self.truth.jobs[piece.copy.job].discarded = true;
            }
        }
        let offsets = self.broker.offsets_of(txn);
        let absorbed = std::mem::take(&mut self.broker.txns[txn].absorbed);
        for (name, position) in offsets {
            self.truth.commits(&name, &position, &absorbed);
        }
        Ok(())
    }
}
