//! What a task does with a record, as in `worker::{attempt, publish}`: every question to the ledger, every call and
//! every record produced is a step of its own, and the process can die between any two.

mod attempt;
mod prepare;

use std::time::Duration;

use jiff::Timestamp;

use super::hands::{OUTPUT, Prepared, Work};
use super::ledger::{Begin, End, Lease, State, TakenOver, Unavailable, Who};
use super::log::{self, Copy, What};
use super::plan::Outcome;
use super::truth::{Kind, Piece};
use super::world::Env;
use crate::flow::engine::{Publish, Ran, Refusal, Rest, SlotId};
use crate::flow::{Class, Code, Fault};
use crate::message::deadletter::Detail;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Attempt,
    Prepare,
    Send,
    Settle,
    /// Of a record that was forgotten.
    HandBack,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq)]
enum At {
    Start,
    Calling {
        until: Timestamp,
        hangs: bool,
    },
    Storing,
    /// The job is given back before the failure is told.
    Releasing(Box<Fault>),
    Noted(Lease),
    Sending(usize),
}

/// What a task came to.
#[derive(Debug)]
pub enum Done {
    Ran(Ran),
    Prepared(Result<(), Refusal>),
    Sent(Result<(), Refusal>),
    Settled(Result<(), Box<Fault>>),
    Released,
}

/// See the module.
#[derive(Debug)]
pub struct Task {
    pub slot: SlotId,
    pub work: Work,
    pub job: Job,
    pub what: Publish,
    pub cancelled: bool,
    at: At,
    piece: Option<Piece>,
    /// When it began.
    since: Timestamp,
}

/// The longest that Kafka or the ledger takes to answer.
pub const LIMIT: Duration = Duration::from_secs(3);

fn fault(code: Code) -> Box<Fault> {
    Box::new(Fault::new(code, "as the seed wants it"))
}

impl Task {
    pub fn new(slot: SlotId, work: Work, job: Job, what: Publish, since: Timestamp) -> Self {
        Self { slot, work, job, what, cancelled: false, at: At::Start, piece: None, since }
    }

    /// When its time is over. Whatever it asks for has a limit.
    pub fn deadline(&self) -> Timestamp {
        match self.at {
            At::Calling { until, .. } => until,
            _ => self.since.saturating_add(LIMIT).expect("a time"),
        }
    }

    /// Nothing comes of it by itself before its time is over.
    pub fn hangs(&self, now: Timestamp) -> bool {
        matches!(self.at, At::Calling { until, hangs: true } if until > now && !self.cancelled)
    }

    pub fn step(&mut self, who: Who, env: &mut Env) -> Option<Done> {
        match self.job {
            Job::Attempt => self.attempt(who, env).map(Done::Ran),
            Job::Prepare => self.prepare(who, env).map(Done::Prepared),
            Job::Send => self.send(env).map(Done::Sent),
            Job::Settle => Some(Done::Settled(self.settle(env))),
            Job::HandBack => {
                if self.work.produced {
                    let _ = self.settle(env);
                } else {
                    self.release(None, env);
                }
                self.work.lease = None;
                Some(Done::Released)
            }
        }
    }

    fn release(&mut self, fault: Option<Fault>, env: &mut Env) {
        let Some(lease) = self.work.lease.take() else { return };
        let released = env.ledger(|ledger| ledger.settle(lease, &End::Released { fault }));
        // Whatever goes wrong, it is kept, as a lease taken over is.
        if released != Ok(Ok(())) {
            self.work.lease = Some(lease);
        }
    }

    fn send(&mut self, env: &mut Env) -> Option<Result<(), Refusal>> {
        let prepared = self.work.prepared.clone().expect("what is sent was prepared");
        let next = match self.at {
            At::Sending(next) => next,
            _ => 0,
        };
        let piece = self.piece.get_or_insert_with(|| Piece {
            source: self.work.at.clone(),
            copy: self.work.copy.clone(),
            kind: prepared.kind,
            written: Vec::new(),
            call: self.work.call,
        });
        self.work.loose = true;
        let Some((name, what)) = prepared.records.get(next) else {
            env.truth.ends(piece);
            self.work.produced = true;
            return Some(Ok(()));
        };
        let refused = env.refuses(&self.what, &self.work.copy, name);
        let lied = refused.is_none() && env.lies();
        if refused.is_none() {
            let place = (name.clone(), env.broker.log(name).append(what.clone(), None));
            // It can be read from now on, whatever the producer learns.
            if let What::Copy(copy) = what {
                env.truth.live.insert(place, copy.clone());
            }
        }
        if lied || refused.is_some() {
            env.truth.excuse(self.work.copy.job);
        }
        let code = if prepared.kind == Kind::Dead { Code::DlqUnwritable } else { Code::OutputUnwritable };
        match refused.or(lied.then(|| Refusal::Fault(fault(code)))) {
            Some(refusal) => Some(Err(refusal)),
            None => {
                self.at = At::Sending(next + 1);
                None
            }
        }
    }

    fn settle(&mut self, env: &mut Env) -> Result<(), Box<Fault>> {
        let (Some(lease), Some(prepared)) = (self.work.lease, self.work.prepared.clone()) else {
            self.work.loose = false;
            return Ok(());
        };
        match env.ledger(|ledger| ledger.settle(lease, &prepared.end)) {
            Ok(settled) => {
                self.work.lease = None;
                self.work.loose = false;
                if settled.is_ok() {
                    env.truth.durable(self.work.copy.job, self.work.call, prepared.kind);
                }
                Ok(())
            }
            Err(Unavailable) => Err(fault(Code::LedgerUnavailable)),
        }
    }
}

/// What the ledger is told when it stands in Kafka, or before that.
fn end(what: &Publish) -> End {
    match what {
        Publish::Output => End::Done,
        Publish::Retry { attempt, fault, .. } => End::Waiting { attempt: *attempt, fault: (**fault).clone() },
        Publish::Dead { attempts, fault, .. } => End::Dead { attempt: *attempts, fault: (**fault).clone() },
        Publish::Park => End::Parked,
        Publish::Discard => End::Discarded,
    }
}

/// What the engine is told of a job that this record has nothing more to do with.
fn rest(state: State, same_origin: bool) -> Rest {
    match state {
        _ if !same_origin => Rest::Over,
        State::Done | State::Discarded => Rest::Over,
        State::Dead => Rest::Dead,
        State::Waiting => Rest::Waiting,
        _ => Rest::Elsewhere,
    }
}

/// What Kafka says to a record that is too much for it.
pub fn refusal(what: &Publish, copy: &Copy, env: &Env, unwritable: bool) -> Option<Refusal> {
    let fat = env.plan.jobs[copy.job].fat;
    let dead = matches!(what, Publish::Dead { .. });
    if unwritable {
        let code = if dead { Code::DlqUnwritable } else { Code::OutputUnwritable };
        return Some(Refusal::Fault(fault(code)));
    }
    match what {
        Publish::Output if fat.output == Some(false) => Some(Refusal::TooLarge(fault(Code::RecordTooLarge))),
        Publish::Retry { .. } if fat.retry => Some(Refusal::TooLarge(fault(Code::RecordTooLarge))),
        Publish::Dead { detail: Detail::Full | Detail::NoChain, .. } if fat.letter => {
            Some(Refusal::TooLarge(fault(Code::DlqUnwritable)))
        }
        Publish::Dead { dated: true, .. } if fat.dated => Some(Refusal::Dated(fault(Code::DlqUnwritable))),
        _ => None,
    }
}
