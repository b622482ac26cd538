//! The job ledger, as the real one rules: leases with epochs and tokens, stored results, verdicts that come before
//! what they announce, and what it learns from committed offsets.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::log::{Copy, Place};
use super::truth::has_ended;
use crate::flow::Fault;
use crate::flow::engine::OrderKey;
use crate::flow::offsets::Committed;
use crate::message::TopicPartition;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    Stored,
    Condemned,
    Done,
    Waiting,
    Dead,
    Released,
    Parked,
    Discarded,
}

/// After so long without a word from its holder, a job is any copy's.
const ABANDONED: Duration = Duration::from_secs(86_400);

/// The number of outputs.
pub type Outputs = usize;

/// A process that opened the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    pub name: usize,
    pub epoch: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub job: usize,
    token: u64,
    pub until: Timestamp,
}

impl Lease {
    pub fn until(self, until: Timestamp) -> Self {
        Self { until: self.until.max(until), ..self }
    }
}

#[derive(Clone, Debug)]
pub struct Row {
    pub state: State,
    redrives: u32,
    attempt: u32,
    pub token: u64,
    pub who: Who,
    until: Timestamp,
    result: Option<Outputs>,
    fault: Option<Fault>,
    at: Place,
    /// Family and offset in the input partition of the record that has the job now.
    origin: (i32, i64),
    order: Option<OrderKey>,
}

pub struct Claim<'a> {
    pub copy: &'a Copy,
    pub at: Place,
    pub origin: (i32, i64),
    pub order: Option<OrderKey>,
    pub until: Timestamp,
    pub now: Timestamp,
    pub term: u64,
}

#[derive(Clone, Debug)]
pub enum Begin {
    Fresh(Lease),
    Stored(Lease, Outputs),
    Condemned(Lease, Fault),
    Finished { state: State, same_origin: bool },
    Busy,
    Ousted,
}

#[derive(Clone, Debug, PartialEq)]
pub enum End {
    Done,
    Waiting { attempt: u32, fault: Fault },
    Dead { attempt: u32, fault: Fault },
    Parked,
    Discarded,
    Released { fault: Option<Fault> },
}

/// The lease was taken over.
#[derive(Debug, PartialEq, Eq)]
pub struct TakenOver;

/// The ledger cannot be reached, or another process has opened it under the same name.
#[derive(Debug, PartialEq, Eq)]
pub struct Unavailable;

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    pub rows: BTreeMap<usize, Row>,
    epochs: BTreeMap<usize, u32>,
    tokens: u64,
    /// The present term of each family, which began when somebody took it over: only claims of that term count.
    terms: BTreeMap<i32, u64>,
}

impl Ledger {
    /// A new process of this name voids the leases of the one before.
    pub fn open(&mut self, name: usize) -> Who {
        let epoch = self.epochs.entry(name).or_default();
        *epoch += 1;
        Who { name, epoch: *epoch }
    }

    /// No other process of this name has come since.
    pub fn knows(&self, who: Who) -> bool {
        self.epochs.get(&who.name) == Some(&who.epoch)
    }

    pub fn begin(&mut self, who: Who, claim: &Claim<'_>) -> Result<Begin, Unavailable> {
        if !self.knows(who) {
            return Err(Unavailable);
        }
        if self.terms.get(&claim.at.0.partition) != Some(&claim.term) {
            return Ok(Begin::Ousted);
        }
        let Copy { job, attempt, redrives, .. } = *claim.copy;
        let Some(row) = self.rows.get(&job) else {
            let row = self.take(who, claim);
            self.rows.insert(job, Row { state: State::Running, ..row });
            return Ok(Begin::Fresh(Lease { job, token: self.tokens, until: claim.until }));
        };
        let held = self.counts(row, who, claim.now);
        let leasable = matches!(row.state, State::Running | State::Stored | State::Condemned);
        let finished = match row.state {
            State::Done => true,
            State::Dead | State::Discarded => redrives <= row.redrives,
            _ => (redrives, attempt) < (row.redrives, row.attempt),
        };
        // Where the job is shows when its holder has said what became of it.
        if finished && !(leasable && held) {
            return Ok(Begin::Finished { state: row.state, same_origin: row.origin == claim.origin });
        }
        // What came of it may be in Kafka already; only whoever has that record's partition learns whether it is.
        let unknown = matches!(row.state, State::Stored | State::Condemned)
            && row.at.0.partition != claim.at.0.partition
            && row.until.saturating_add(ABANDONED).is_ok_and(|until| until > claim.now);
        if leasable && (held || unknown) {
            return Ok(Begin::Busy);
        }
        let bury = row.state == State::Condemned && redrives <= row.redrives;
        let (result, fault) = (row.result, row.fault.clone());
        let state = match result {
            _ if bury => State::Condemned,
            Some(_) => State::Stored,
            None => State::Running,
        };
        let row = self.take(who, claim);
        self.rows.insert(job, Row { state, result, fault: fault.clone(), ..row });
        let lease = Lease { job, token: self.tokens, until: claim.until };
        Ok(match (bury, result) {
            (true, _) => Begin::Condemned(lease, fault.expect("condemned for a reason")),
            (false, Some(result)) => Begin::Stored(lease, result),
            (false, None) => Begin::Fresh(lease),
        })
    }

    fn take(&mut self, who: Who, claim: &Claim<'_>) -> Row {
        self.tokens += 1;
        Row {
            state: State::Running,
            redrives: claim.copy.redrives,
            attempt: claim.copy.attempt,
            token: self.tokens,
            who,
            until: claim.until,
            result: None,
            fault: None,
            at: claim.at.clone(),
            origin: claim.origin,
            order: claim.order,
        }
    }

    fn leased(&mut self, lease: Lease) -> Result<&mut Row, TakenOver> {
        let leasable = |row: &&mut Row| {
            row.token == lease.token && matches!(row.state, State::Running | State::Stored | State::Condemned)
        };
        self.rows.get_mut(&lease.job).filter(leasable).ok_or(TakenOver)
    }

    /// Nobody has taken the job over since.
    pub fn holds(&self, lease: Lease) -> bool {
        self.rows.get(&lease.job).is_some_and(|row| row.token == lease.token)
    }

    /// Storing makes the lease last longer.
    pub fn store(&mut self, lease: Lease, outputs: Outputs, until: Timestamp) -> Result<(), TakenOver> {
        let row = self.leased(lease)?;
        row.until = row.until.max(until);
        if row.state == State::Condemned {
            return Err(TakenOver);
        }
        (row.state, row.result) = (State::Stored, Some(outputs));
        Ok(())
    }

    /// The stored result is not produced now: a rung comes first. What has ended then is not taken for done.
    pub fn withhold(&mut self, lease: Lease) -> Result<(), TakenOver> {
        let row = self.leased(lease)?;
        if row.state == State::Stored {
            row.state = State::Running;
        }
        Ok(())
    }

    /// As with storing, the lease lasts longer.
    pub fn condemn(&mut self, lease: Lease, fault: &Fault, until: Timestamp) -> Result<(), TakenOver> {
        let row = self.leased(lease)?;
        row.until = row.until.max(until);
        (row.state, row.fault) = (State::Condemned, Some(fault.clone()));
        Ok(())
    }

    /// Saying the same end again is no second end.
    pub fn settle(&mut self, lease: Lease, end: &End) -> Result<(), TakenOver> {
        let (state, attempt, fault) = match end {
            End::Done => (State::Done, None, None),
            End::Waiting { attempt, fault } => (State::Waiting, Some(*attempt), Some(fault)),
            End::Dead { attempt, fault } => (State::Dead, Some(*attempt), Some(fault)),
            End::Parked => (State::Parked, None, None),
            End::Discarded => (State::Discarded, None, None),
            End::Released { fault } => (State::Released, None, fault.as_ref()),
        };
        let Ok(row) = self.leased(lease) else {
            let row = self.rows.get(&lease.job).filter(|row| row.token == lease.token);
            return if row.is_some_and(|row| row.state == state) { Ok(()) } else { Err(TakenOver) };
        };
        if state == State::Released {
            row.until = Timestamp::UNIX_EPOCH;
        }
        if !(state == State::Released && row.state == State::Condemned) {
            row.state = state;
        }
        row.attempt = attempt.unwrap_or(row.attempt);
        row.result.take_if(|_| state == State::Done);
        if let Some(fault) = fault {
            row.fault = Some(fault.clone());
        }
        Ok(())
    }

    /// Takes these families over. What is committed of them is to be read after that.
    pub fn own(&mut self, families: &[i32]) -> u64 {
        self.tokens += 1;
        self.terms.extend(families.iter().map(|family| (*family, self.tokens)));
        self.tokens
    }

    /// Learns from what is committed, and lists what is not over of these families. `None`: they were taken over
    /// meanwhile.
    pub fn recover(
        &mut self,
        term: u64,
        seen: &BTreeMap<TopicPartition, Committed>,
        families: &[i32],
        dead_too: bool,
    ) -> Option<Vec<(i32, OrderKey, i64)>> {
        if families.iter().any(|family| self.terms.get(family) != Some(&term)) {
            return None;
        }
        for row in self.rows.values_mut() {
            let ended = seen.get(&row.at.0).is_some_and(|committed| has_ended(committed, row.at.1));
            match (row.state, row.result.is_some()) {
                (State::Stored, _) | (State::Released, true) if ended => {
                    (row.state, row.result) = (State::Done, None);
                }
                (State::Condemned, _) if ended => row.state = State::Dead,
                // Everything else it could have become stands here before it stands in Kafka.
                (State::Running | State::Released, _) if ended => {
                    (row.state, row.attempt) = (State::Waiting, row.attempt + 1);
                }
                _ if !families.contains(&row.at.0.partition) => {}
                // Its holder is gone; only whoever knows what has ended may go on at once.
                _ if self.epochs.get(&row.who.name) != Some(&row.who.epoch) => {
                    row.until = Timestamp::UNIX_EPOCH
                }
                _ => {}
            }
        }
        let waits = |row: &&Row| match row.state {
            State::Done | State::Discarded => false,
            State::Dead => dead_too,
            _ => true,
        };
        let rows = self.rows.values().filter(waits);
        let outstanding = rows
            .filter_map(|row| Some((row.origin.0, row.order?, row.origin.1)))
            .filter(|(family, ..)| families.contains(family));
        Some(outstanding.collect())
    }

    /// Somebody has or had it, and has not said what became of it.
    pub fn is_unsettled(&self, job: usize) -> bool {
        let state = self.rows.get(&job).map(|row| row.state);
        matches!(state, Some(State::Running | State::Stored | State::Condemned))
    }

    /// Jobs of which somebody holds the lease.
    pub fn unsettled(&self) -> Vec<usize> {
        self.rows.keys().copied().filter(|job| self.is_unsettled(*job)).collect()
    }

    /// Its last holder may still count on it.
    pub fn is_held(&self, job: usize, who: Who, now: Timestamp) -> bool {
        self.is_unsettled(job) && self.rows.get(&job).is_some_and(|row| self.counts(row, who, now))
    }

    /// A new process of a name voids the leases of the one before for itself. Others may not know what that one did.
    fn counts(&self, row: &Row, who: Who, now: Timestamp) -> bool {
        row.until > now && (self.knows(row.who) || row.who.name != who.name)
    }
}
