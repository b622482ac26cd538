//! What is noted in the ledger before a record leaves, as in `worker::publish`.

use super::*;

impl Task {
    pub(super) fn prepare(&mut self, who: Who, env: &mut Env) -> Option<Result<(), Refusal>> {
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
}
