//! A member's transactions, as `worker::transactions` and `kafka::transaction` carry them out: each record, the
//! offsets and the commit are steps of their own. The answer can be lost.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::hands::Hands;
use super::log::{Fate, Place, What};
use super::task::{LIMIT, refusal};
use super::truth::{Kind, Piece};
use super::world::Env;
use crate::flow::engine::{Abort, Course, Publish, Refusal, SlotId};
use crate::flow::offsets::Position;
use crate::flow::{Code, Fault};
use crate::message::TopicPartition;

use super::broker::Fenced;
use super::group::Refused;

type Batch = Vec<(SlotId, Piece, Vec<(TopicPartition, What)>)>;

/// What is committed with a transaction's records, and by whom.
#[derive(Clone, Debug)]
pub struct Conclusion {
    pub offsets: Vec<(TopicPartition, Position)>,
    pub absorbed: BTreeSet<Place>,
    pub seat: u64,
    pub generation: Option<u32>,
}

#[derive(Debug)]
struct Running {
    batch: Batch,
    /// Its records are written and wait for the conclusion.
    waits: bool,
    /// `Some(None)`: it is to be undone.
    conclusion: Option<Option<Conclusion>>,
    txn: Option<usize>,
    /// The next record, and the next of what it becomes.
    next: (usize, usize),
    sent_offsets: bool,
    since: Timestamp,
}

/// What is heard of a transaction.
pub enum Heard {
    Written,
    Ended(Result<(), Abort>),
}

/// See the module.
#[derive(Debug)]
pub struct Transactions {
    /// Of each course.
    pub producers: [usize; 2],
    epochs: [Option<u32>; 2],
    running: [Option<Running>; 2],
}

impl Transactions {
    pub fn new(name: usize) -> Self {
        Self { producers: [2 * name, 2 * name + 1], epochs: [None; 2], running: [None, None] }
    }

    /// False while what earlier producers of these names have left is not ended.
    pub fn open(&mut self, env: &mut Env) -> bool {
        self.running = [None, None];
        self.epochs = self.producers.map(|producer| env.broker.open(producer));
        self.epochs.iter().all(Option::is_some)
    }

    /// When the transactions that run must have been answered.
    pub fn deadline(&self) -> Option<Timestamp> {
        let running = self.running.iter().flatten().filter(|running| !running.waits);
        running.filter_map(|running| running.since.saturating_add(LIMIT).ok()).min()
    }

    pub fn is_running(&self) -> bool {
        self.running.iter().any(Option::is_some)
    }

    /// Whether something can happen to one that runs. One that waits for its conclusion may wait for too long.
    pub fn goes_on(&self, course: Course, env: &Env) -> bool {
        self.running[course as usize].as_ref().is_some_and(|running| !running.waits || !env.calm)
    }

    pub fn begin(&mut self, course: Course, batch: Batch, conclusion: Option<Conclusion>, env: &Env) {
        let running = &mut self.running[course as usize];
        assert!(running.is_none(), "a second transaction was begun");
        *running = Some(Running {
            batch,
            waits: false,
            conclusion: conclusion.map(Some),
            txn: None,
            next: (0, 0),
            sent_offsets: false,
            since: env.now,
        });
        self.check();
    }

    pub fn conclude(&mut self, course: Course, conclusion: Option<Conclusion>, env: &Env) {
        let running = self.running[course as usize].as_mut().filter(|running| running.waits);
        let running = running.expect("a transaction was concluded that does not wait for it");
        (running.waits, running.conclusion, running.since) = (false, Some(conclusion), env.now);
        self.check();
    }

    /// The process ends: what would wait for its conclusion is undone.
    pub fn give_up(&mut self) {
        for running in self.running.iter_mut().flatten().filter(|running| running.conclusion.is_none()) {
            (running.waits, running.conclusion) = (false, Some(None));
        }
    }

    /// Offsets are one line.
    fn check(&self) {
        let concluding = |running: &&Running| matches!(running.conclusion, Some(Some(_)));
        let concluding = self.running.iter().flatten().filter(concluding).count();
        assert!(concluding < 2, "two transactions commit offsets at the same time");
    }

    /// Goes on; what is heard, once there is something.
    pub fn step(&mut self, course: Course, hands: &Hands, env: &mut Env) -> Option<Heard> {
        let waits = self.running[course as usize].as_ref().is_some_and(|running| running.waits);
        if waits && !env.dice.percent(3) {
            return None;
        }
        let (producer, epoch) = (self.producers[course as usize], self.epochs[course as usize]);
        let running = self.running[course as usize].as_mut()?;
        let heard = match epoch.ok_or(Fenced).and_then(|epoch| running.step(producer, epoch, hands, env)) {
            Ok(heard) => heard?,
            Err(Fenced) => Heard::Ended(Err(Abort::Fenced)),
        };
        match heard {
            Heard::Written => running.waits = true,
            Heard::Ended(_) => self.running[course as usize] = None,
        }
        Some(heard)
    }
}

impl Running {
    fn step(
        &mut self,
        producer: usize,
        epoch: u32,
        hands: &Hands,
        env: &mut Env,
    ) -> Result<Option<Heard>, Fenced> {
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
        let Conclusion { offsets, absorbed, seat, generation } = match &self.conclusion {
            None if self.waits => return self.abort(txn, epoch, Abort::Undone, env),
            None => return Ok(Some(Heard::Written)),
            Some(None) => return self.abort(txn, epoch, Abort::Undone, env),
            Some(Some(conclusion)) => conclusion,
        };
        if !self.sent_offsets {
            match env.group.check(*seat, generation.ok_or(Fenced)?) {
                Err(Refused::Stale) => return self.abort(txn, epoch, Abort::Stale, env),
                Err(Refused::Unknown) => return self.abort(txn, epoch, Abort::Fenced, env),
                Ok(()) => {}
            }
            let txn = env.broker.send_offsets(txn, epoch, offsets.clone())?;
            txn.pieces = self.batch.iter().map(|(_, piece, _)| piece.clone()).collect();
            txn.absorbed = absorbed.clone();
            self.sent_offsets = true;
            return Ok(None);
        }
        if env.fences() {
            // Nobody knows: it may have been committed, or not, or be open for as long as nobody ends it.
            if env.dice.percent(50) {
                env.commit(txn, epoch)?;
            }
            return Ok(Some(Heard::Ended(Err(Abort::Fenced))));
        }
        env.commit(txn, epoch)?;
        Ok(Some(Heard::Ended(Ok(()))))
    }

    fn abort(
        &mut self,
        txn: usize,
        epoch: u32,
        abort: Abort,
        env: &mut Env,
    ) -> Result<Option<Heard>, Fenced> {
        env.broker.end(txn, epoch, Fate::Aborted)?;
        Ok(Some(Heard::Ended(Err(abort))))
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
