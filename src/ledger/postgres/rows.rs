//! Rows of jobs as a page has read them, and what its requests make of them, one after the other. Pure: the rules are
//! those of the SQLite ledger, the reading before and the writing after them is [`super::page`]'s.

use std::collections::HashMap;

use super::Who;
use super::notes::Note;
use crate::ledger::ending::{Ending, verdict};
use crate::ledger::state::{ABANDONED, Known, Ruling, State, rule};
use crate::ledger::{Begin, Claim, Lease, millis};
use crate::message::Coordinates;

/// Job, stage, pipeline.
pub type Key<'a> = (&'a str, &'a str, &'a str);

/// A job.
pub struct Row<'a> {
    pub id: i64,
    pub state: State,
    pub attempt: u32,
    pub redrives: u32,
    pub finishes: i64,
    pub token: i64,
    pub holder: String,
    pub epoch: i64,
    pub lease_until: i64,
    pub family: i32,
    /// Topic, partition, offset.
    pub origin: (String, i32, i64),
    pub fault: Option<String>,
    pub result: bool,
    pub updated_at: i64,
    /// What became of it in this page.
    pub change: Change<'a>,
    pub kept: Kept<'a>,
}

/// Which columns have to be written.
#[derive(Clone, Copy)]
pub enum Change<'a> {
    None,
    /// Those that say how far it is.
    Moved,
    /// Those that say whose it is, too.
    Claimed(&'a Claim),
    /// All.
    New(&'a Claim),
}

/// What became of its result.
#[derive(Clone, Copy)]
pub enum Kept<'a> {
    AsItWas,
    Put(&'a [u8]),
    Dropped,
}

/// What a claim gets.
pub enum Begun {
    Is(Begin),
    /// The result of this row, which has to be read.
    Replay(Lease, i64),
}

/// The lease is not the latest.
pub struct Fenced;

/// See the module.
#[derive(Default)]
pub struct Book<'a> {
    pub rows: HashMap<Key<'a>, Row<'a>>,
    pub notes: Vec<Note>,
}

impl Row<'_> {
    fn is_leased(&self) -> bool {
        matches!(self.state, State::Running | State::Stored | State::Condemned)
    }

    fn drop_result(&mut self) {
        (self.result, self.kept) = (false, Kept::Dropped);
    }

    fn note(&self, kind: &'static str, at: i64) -> Note {
        let Self { id: row, attempt, redrives, .. } = *self;
        Note { row, at, kind, attempt, redrives, ..Note::default() }
    }

    fn noted_for(&self, kind: &'static str, at: i64, claim: &Claim) -> Note {
        let Claim { attempt, redrives, .. } = *claim;
        Note { attempt, redrives, record: Some(claim.at.to_string()), ..self.note(kind, at) }
    }

    fn moved(&mut self, state: State, now: i64) {
        (self.state, self.updated_at) = (state, now);
        if matches!(self.change, Change::None) {
            self.change = Change::Moved;
        }
    }

    fn renew(&mut self, lease: &Lease, now: i64) {
        self.lease_until = self.lease_until.max(now.saturating_add(millis(lease.length)));
        if matches!(self.change, Change::None) {
            self.change = Change::Moved;
        }
    }

    /// As in the SQLite ledger: the lease counts while its time is not over, but for one of a process that is gone or
    /// one that nobody was ever told of; and what may be out counts for other families for long.
    fn is_held(&self, who: &Who, claim: &Claim, now: i64, nobodys: bool) -> bool {
        let gone = self.holder == who.instance && self.epoch != who.epoch && self.epoch <= who.voided;
        let elsewhere = self.state != State::Running && self.family != claim.family.partition;
        (self.lease_until > now && !gone && !nobodys)
            || (elsewhere && self.lease_until.saturating_add(ABANDONED) > now)
    }

    fn is_of(&self, claim: &Claim) -> bool {
        let Coordinates { topic, partition, offset, .. } = &claim.origin;
        let (of, at, place) = &self.origin;
        (of.as_str(), at, place) == (&**topic, partition, offset)
    }
}

impl<'a> Book<'a> {
    /// `token` is the claim's own. A row that has it already was given to this very claim, by a commit whose answer did
    /// not arrive.
    pub fn begin(
        &mut self,
        who: &Who,
        claim: &'a Claim,
        token: i64,
        now: i64,
        nobodys: impl Fn(i64) -> bool,
    ) -> Begun {
        let key = (claim.correlation.job.0.as_str(), claim.stage.as_str(), claim.pipeline.as_str());
        let found = self.rows.get(&key);
        if let Some(row) = found.filter(|row| row.token == token && row.is_leased()) {
            return granted(row, claim);
        }
        let known = found.map(|row| Known {
            state: row.state,
            redrives: row.redrives,
            attempt: row.attempt,
            held: row.is_held(who, claim, now, nobodys(row.token)),
            result: row.result,
        });
        let known = known.map(|known| known.without_outdated(claim.redrives, claim.edited));
        let outdated = known.is_some_and(|(_, outdated)| outdated);
        let ruling = rule(known.map(|(known, _)| known), claim.redrives, claim.attempt);
        match (ruling, found) {
            (Ruling::Busy, _) => Begun::Is(Begin::Busy),
            (Ruling::Finished, Some(row)) => {
                self.notes.push(row.noted_for("duplicate", now, claim));
                Begun::Is(if row.is_of(claim) { Begin::Finished(row.state) } else { Begin::Repeated })
            }
            _ => {
                if outdated && ruling == Ruling::Run {
                    self.rows.entry(key).and_modify(Row::drop_result);
                }
                let row = self.take(key, who, claim, token, now, ruling);
                let kind = match (ruling, row.result) {
                    (Ruling::Bury, _) => "buried",
                    (_, true) => "replayed",
                    (_, false) => "started",
                };
                let (begun, note) = (granted(row, claim), row.noted_for(kind, now, claim));
                self.notes.push(note);
                begun
            }
        }
    }

    /// Gives the job to `who` under a new token, whoever had it.
    fn take(
        &mut self,
        key: Key<'a>,
        who: &Who,
        claim: &'a Claim,
        token: i64,
        now: i64,
        ruling: Ruling,
    ) -> &Row<'a> {
        let Coordinates { topic, partition, offset, .. } = &claim.origin;
        let row = self.rows.entry(key).or_insert_with(|| Row {
            id: token,
            state: State::Running,
            attempt: 0,
            redrives: 0,
            finishes: 0,
            token,
            holder: String::new(),
            epoch: 0,
            lease_until: 0,
            family: 0,
            origin: (String::new(), 0, 0),
            fault: None,
            result: false,
            updated_at: now,
            change: Change::New(claim),
            kept: Kept::AsItWas,
        });
        row.state = match (ruling, row.result) {
            (Ruling::Bury, _) => State::Condemned,
            (_, false) => State::Running,
            (_, true) => State::Stored,
        };
        (row.attempt, row.redrives, row.token) = (claim.attempt, claim.redrives, token);
        (row.epoch, row.family, row.updated_at) = (who.epoch, claim.family.partition, now);
        row.holder.clone_from(&who.instance);
        row.lease_until = now.saturating_add(millis(claim.lease));
        row.origin = (topic.to_string(), *partition, *offset);
        row.change = match row.change {
            Change::New(_) => Change::New(claim),
            _ => Change::Claimed(claim),
        };
        row
    }

    fn leased(&mut self, lease: &'a Lease) -> Option<&mut Row<'a>> {
        let key = (lease.job.as_str(), lease.stage.as_str(), lease.pipeline.as_str());
        self.rows.get_mut(&key).filter(|row| row.token == lease.token)
    }

    pub fn store(&mut self, lease: &'a Lease, result: &'a [u8], now: i64) -> Result<(), Fenced> {
        let row = self.leased(lease).ok_or(Fenced)?;
        match row.state {
            State::Stored => row.renew(lease, now),
            State::Running => {
                row.moved(State::Stored, now);
                row.renew(lease, now);
                (row.result, row.kept) = (true, Kept::Put(result));
                let note = row.note("stored", now);
                self.notes.push(note);
            }
            _ => return Err(Fenced),
        }
        Ok(())
    }

    /// What is stored stays; only the job counts as running again.
    pub fn withhold(&mut self, lease: &'a Lease, now: i64) -> Result<(), Fenced> {
        let row = self.leased(lease).filter(|row| row.is_leased()).ok_or(Fenced)?;
        let state = if row.state == State::Stored { State::Running } else { row.state };
        row.moved(state, now);
        Ok(())
    }

    pub fn condemn(&mut self, lease: &'a Lease, fault: &str, now: i64) -> Result<(), Fenced> {
        let row = self.leased(lease).filter(|row| row.is_leased()).ok_or(Fenced)?;
        row.renew(lease, now);
        if row.state != State::Condemned {
            row.moved(State::Condemned, now);
            row.fault = Some(fault.to_owned());
            let note = Note { fault: row.fault.clone(), ..row.note("condemned", now) };
            self.notes.push(note);
        }
        Ok(())
    }

    /// Ends the lease. Saying the same end again is no second end, so a caller that got no answer may ask again.
    pub fn settle(&mut self, lease: &'a Lease, ending: &Ending, now: i64) -> Result<(), Fenced> {
        let row = self.leased(lease).ok_or(Fenced)?;
        if !row.is_leased() {
            return if row.state == ending.state { Ok(()) } else { Err(Fenced) };
        }
        let released = ending.state == State::Released;
        let state = if released && row.state == State::Condemned { row.state } else { ending.state };
        row.moved(state, now);
        if released {
            row.lease_until = 0;
        }
        row.attempt = ending.attempt.unwrap_or(row.attempt);
        if ending.fault.is_some() {
            row.fault.clone_from(&ending.fault);
        }
        if ending.state == State::Done {
            row.finishes += 1;
            if row.result {
                row.drop_result();
            }
        }
        let Ending { fault, went_to, due, remark, .. } = ending.clone();
        let note = Note { fault, went_to, due, remark, ..row.note(ending.state.as_str(), now) };
        self.notes.push(note);
        Ok(())
    }
}

/// The answer to a claim that has the row.
fn granted(row: &Row<'_>, claim: &Claim) -> Begun {
    let lease = Lease::granted(claim, row.token);
    match (row.state, row.kept) {
        (State::Condemned, _) => Begun::Is(Begin::Condemned(lease, verdict(row.fault.as_deref()))),
        (_, Kept::Put(result)) => Begun::Is(Begin::Stored(lease, result.to_vec())),
        _ if row.result => Begun::Replay(lease, row.id),
        _ => Begun::Is(Begin::Fresh(lease)),
    }
}
