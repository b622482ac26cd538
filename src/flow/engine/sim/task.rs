//! What a task does with a record, as in `worker::{attempt, publish}`: every question to the ledger, every call and
//! every record produced is a step of its own, and the process can die between any two.

use std::time::Duration;

use jiff::Timestamp;

use super::hands::{Prepared, Work};
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
    Releasing(Fault),
    Noted(Lease),
    Sending(usize),
}

/// What a task came to.
#[derive(Debug)]
pub enum Done {
    Ran(Ran),
    Prepared(Result<(), Refusal>),
    Sent(Result<(), Refusal>),
    Settled(Result<(), Fault>),
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

fn fault(code: Code) -> Fault {
    Fault::new(code, "as the seed wants it")
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

    fn attempt(&mut self, who: Who, env: &mut Env) -> Option<Ran> {
        match self.at.clone() {
            At::Start => self.begin(who, env),
            At::Calling { until, .. } => self.call(until, env),
            At::Storing => self.store(env),
            At::Releasing(fault) => {
                self.release(Some(fault.clone()), env);
                Some(Ran::Failed(fault))
            }
            At::Noted(_) | At::Sending(_) => unreachable!("no part of an attempt"),
        }
    }

    fn begin(&mut self, who: Who, env: &mut Env) -> Option<Ran> {
        if self.work.lease.is_none_or(|lease| lease.until <= env.now) {
            match env.claim(who, &self.work) {
                Err(Unavailable) => return self.fails(fault(Code::LedgerUnavailable)),
                Ok(Begin::Fresh(lease)) => self.work.lease = Some(lease),
                Ok(Begin::Busy) => return Some(Ran::Busy),
                Ok(Begin::Ousted) => return Some(Ran::Ousted),
                Ok(Begin::Finished { state, same_origin }) => {
                    return Some(Ran::Ended(rest(state, same_origin)));
                }
                Ok(Begin::Condemned(lease, fault)) => {
                    self.work.lease = Some(lease);
                    return Some(Ran::Condemned(fault));
                }
                Ok(Begin::Stored(lease, outputs)) => {
                    (self.work.lease, self.work.outputs) = (Some(lease), Some(outputs));
                    return Some(Ran::Replayed);
                }
            }
        }
        if self.work.outputs.is_some() {
            self.at = At::Storing;
        } else if self.cancelled {
            return Some(Ran::Busy);
        } else {
            let until = env.now.saturating_add(env.plan.timeout).expect("a time");
            let holds = self.work.lease.is_some_and(|lease| env.ledger.holds(lease));
            self.work.call = Some(env.truth.call(&self.work.copy, env.lease_is_over, holds));
            self.at = At::Calling { until, hangs: false };
        }
        None
    }

    fn call(&mut self, until: Timestamp, env: &mut Env) -> Option<Ran> {
        if self.cancelled {
            return Some(Ran::Busy);
        }
        if until <= env.now {
            return self.fails(fault(Code::StageTimeout));
        }
        let hangs = matches!(self.at, At::Calling { hangs: true, .. });
        match if hangs { Outcome::Hangs } else { env.outcome(self.work.copy.job) } {
            Outcome::Hangs => {
                self.at = At::Calling { until, hangs: true };
                None
            }
            Outcome::Succeeds(outputs) => {
                self.work.outputs = Some(outputs);
                (self.at, self.since) = (At::Storing, env.now);
                None
            }
            Outcome::Fails(code) => {
                self.since = env.now;
                self.fails(fault(code))
            }
            Outcome::Limited(seconds) => {
                let asked = Some(Duration::from_secs(seconds));
                self.fails(fault(Code::LlmRateLimited).with_retry_after(asked))
            }
        }
    }

    fn fails(&mut self, fault: Fault) -> Option<Ran> {
        if fault.class != Class::Systemic {
            return Some(Ran::Failed(fault));
        }
        self.at = At::Releasing(fault);
        None
    }

    fn store(&mut self, env: &mut Env) -> Option<Ran> {
        let (Some(lease), Some(outputs)) = (self.work.lease, self.work.outputs) else {
            return Some(Ran::Busy);
        };
        let until = env.after(env.plan.lease);
        match env.ledger(|ledger| ledger.store(lease, outputs, until)) {
            Ok(Ok(())) => {
                self.work.lease = Some(lease.until(until));
                env.truth.stored(self.work.copy.job);
                Some(Ran::Output)
            }
            Ok(Err(TakenOver)) => {
                self.work.lease = None;
                Some(Ran::Busy)
            }
            Err(Unavailable) => self.fails(fault(Code::LedgerUnavailable)),
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

    fn prepare(&mut self, who: Who, env: &mut Env) -> Option<Result<(), Refusal>> {
        let what = self.what.clone();
        let unavailable = || Some(Err(Refusal::Fault(fault(Code::LedgerUnavailable))));
        match (&what, self.at.clone()) {
            (Publish::Output, _) => {
                if let Some(code) = env.encoding() {
                    return Some(Err(Refusal::Fault(fault(code))));
                }
                // Tried again for long, another copy of the job may have it by now.
                if let (Some(lease), Some(outputs)) = (self.work.lease, self.work.outputs)
                    && lease.until <= env.now
                {
                    let until = env.after(env.plan.lease);
                    match env.ledger(|ledger| ledger.store(lease, outputs, until)) {
                        Ok(Ok(())) => self.work.lease = Some(lease.until(until)),
                        Ok(Err(TakenOver)) => {
                            self.work.lease = None;
                            return Some(Err(Refusal::TakenOver));
                        }
                        Err(Unavailable) => return unavailable(),
                    }
                }
                if env.plan.jobs[self.work.copy.job].fat.output == Some(true) {
                    return Some(Err(Refusal::TooLarge(fault(Code::RecordTooLarge))));
                }
            }
            (Publish::Retry { .. }, _) => {
                if let (Some(lease), Some(_)) = (self.work.lease, self.work.outputs) {
                    match env.ledger(|ledger| ledger.withhold(lease)) {
                        Ok(Ok(())) => {}
                        Ok(Err(TakenOver)) => {
                            self.work.lease = None;
                            return Some(Err(Refusal::TakenOver));
                        }
                        Err(Unavailable) => return unavailable(),
                    }
                }
            }
            (Publish::Dead { fault, .. }, _) => {
                if let Some(lease) = self.work.lease {
                    let until = env.after(env.plan.lease);
                    match env.ledger(|ledger| ledger.condemn(lease, fault, until)) {
                        Ok(Ok(())) => self.work.lease = Some(lease.until(until)),
                        Ok(Err(TakenOver)) => {
                            self.work.lease = None;
                            return Some(Err(Refusal::TakenOver));
                        }
                        Err(Unavailable) => return unavailable(),
                    }
                }
            }
            (Publish::Park | Publish::Discard, At::Start) if self.work.lease.is_some() => {
                self.at = self.work.lease.take().map_or(At::Start, At::Noted);
                return None;
            }
            (Publish::Park | Publish::Discard, At::Start) => match env.claim(who, &self.work) {
                Ok(Begin::Fresh(lease) | Begin::Stored(lease, _) | Begin::Condemned(lease, _)) => {
                    self.at = At::Noted(lease);
                    return None;
                }
                // Moved without a word, its offset would end, and a stored result be taken for produced.
                Ok(Begin::Busy) => return Some(Err(Refusal::TakenOver)),
                Ok(Begin::Ousted) => return Some(Err(Refusal::Ousted)),
                Ok(Begin::Finished { state, same_origin }) => {
                    return Some(Err(Refusal::Ended(rest(state, same_origin))));
                }
                Err(Unavailable) => return unavailable(),
            },
            (Publish::Park | Publish::Discard, At::Noted(lease)) => {
                let settled = env.ledger(|ledger| ledger.settle(lease, &end(&what)));
                // The ledger may have noted it although its answer was lost.
                let job = self.work.copy.job;
                env.truth.jobs[job].discarded |= env.ledger.rows[&job].state == State::Discarded;
                match settled {
                    Ok(Ok(())) => {}
                    Ok(Err(TakenOver)) => return Some(Err(Refusal::TakenOver)),
                    Err(Unavailable) => return unavailable(),
                }
            }
            (Publish::Park | Publish::Discard, at) => unreachable!("{at:?}"),
        }
        let (kind, end) = (Kind::of(&what), end(&what));
        self.work.prepared = Some(Prepared { kind, records: self.records(env), end });
        Some(Ok(()))
    }

    fn records(&self, env: &mut Env) -> Vec<(crate::message::TopicPartition, What)> {
        let (copy, family) = (self.work.copy.clone(), env.truth.recs[self.work.copy.rec].family);
        match &self.what {
            Publish::Output => {
                let name = env.output_for(&copy);
                let outputs = self.work.outputs.unwrap_or_else(|| panic!("no outputs of {copy:?}"));
                (0..outputs).map(|child| (name.clone(), What::Output { copy: copy.clone(), child })).collect()
            }
            Publish::Retry { rung, due, attempt, .. } => {
                assert_eq!(*attempt, copy.attempt + 1, "{copy:?}");
                let first_failure = copy.first_failure.or(Some(env.now));
                let copy = Copy { attempt: *attempt, due: Some(*due), first_failure, ..copy };
                vec![(log::rung(*rung, family), What::Copy(copy))]
            }
            Publish::Dead { .. } => vec![(log::letters(), What::Letter(copy))],
            Publish::Park => vec![(log::park(family), What::Copy(copy))],
            Publish::Discard => Vec::new(),
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

    fn settle(&mut self, env: &mut Env) -> Result<(), Fault> {
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
        Publish::Retry { attempt, fault, .. } => End::Waiting { attempt: *attempt, fault: fault.clone() },
        Publish::Dead { attempts, fault, .. } => End::Dead { attempt: *attempts, fault: fault.clone() },
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
