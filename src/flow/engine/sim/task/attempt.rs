//! One attempt at a record, as in `worker::attempt`.

use super::*;

impl Task {
    pub(super) fn attempt(&mut self, who: Who, env: &mut Env) -> Option<Ran> {
        match self.at.clone() {
            At::Start => self.begin(who, env),
            At::Calling { until, .. } => self.call(until, env),
            At::Storing => self.store(who, env),
            At::Releasing(fault) => {
                self.release(Some((*fault).clone()), env);
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
                    return Some(Ran::Condemned(fault.into()));
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
                self.fails(fault(Code::LlmRateLimited).with_retry_after(asked).into())
            }
        }
    }

    fn fails(&mut self, fault: Box<Fault>) -> Option<Ran> {
        if fault.class != Class::Systemic {
            return Some(Ran::Failed(fault));
        }
        self.at = At::Releasing(fault);
        None
    }

    fn store(&mut self, who: Who, env: &mut Env) -> Option<Ran> {
        let (Some(lease), Some(outputs)) = (self.work.lease, self.work.outputs) else {
            return Some(Ran::Busy);
        };
        let until = env.after(env.plan.lease);
        match env.ledger(|ledger| ledger.store(lease, outputs, until)) {
            Ok(Ok(())) => {
                self.work.lease = Some(lease.until(until));
                env.truth.stored(self.work.copy.job);
                self.what = Publish::Output;
                Some(match self.prepare(who, env) {
                    Some(Ok(())) => Ran::Ready(OUTPUT),
                    Some(Err(Refusal::TakenOver)) => Ran::Busy,
                    _ => Ran::Output,
                })
            }
            Ok(Err(TakenOver)) => {
                self.work.lease = None;
                Some(Ran::Busy)
            }
            Err(Unavailable) => self.fails(fault(Code::LedgerUnavailable)),
        }
    }
}
