//! What is true whatever anybody believes: where each record really is. Every step is checked against it, and the
//! first broken promise ends the run.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::log::{Copy, Place, What};
use crate::flow::engine::{OrderKey, Ordering, Publish};
use crate::flow::offsets::{Committed, METADATA_MAX, Position};
use crate::message::TopicPartition;

/// A record of the input.
#[derive(Clone, Debug)]
pub struct Rec {
    pub job: usize,
    pub family: i32,
    pub origin: i64,
    pub key: Option<u8>,
    pub order: Option<OrderKey>,
    pub size: usize,
    /// Has been on a rung.
    climbed: bool,
    died: bool,
    /// A dead letter that nobody has decided about.
    pub undecided: bool,
}

impl Rec {
    pub fn new(
        job: usize,
        family: i32,
        origin: i64,
        key: Option<u8>,
        order: Option<OrderKey>,
        size: usize,
    ) -> Self {
        Self { job, family, origin, key, order, size, climbed: false, died: false, undecided: false }
    }
}

/// A call of the stage, which costs money.
#[derive(Clone, Debug)]
struct Call {
    rec: usize,
    redrives: u32,
    attempt: u32,
    /// Its result came to nothing, for a reason that is known.
    void: bool,
    /// What it came to is in Kafka for good.
    durable: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Job {
    calls: Vec<Call>,
    stored: bool,
    /// Ends that went into the next topic.
    pub done: usize,
    /// Dead letters, by the redrives before them.
    letters: BTreeMap<u32, usize>,
    pub discarded: bool,
    /// How often it was sent back.
    pub redrives: u32,
    /// How often it may have been produced again, without transactions.
    excuses: usize,
    /// What keeps it from being done again was lost.
    damaged: bool,
}

/// What a record became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Output,
    Retry,
    Dead,
    Park,
    Discard,
}

impl Kind {
    pub fn of(what: &Publish) -> Self {
        match what {
            Publish::Output => Kind::Output,
            Publish::Retry { .. } => Kind::Retry,
            Publish::Dead { .. } => Kind::Dead,
            Publish::Park => Kind::Park,
            Publish::Discard => Kind::Discard,
        }
    }
}

/// A record, what it became, and where that stands.
#[derive(Clone, Debug)]
pub struct Piece {
    pub source: Place,
    pub copy: Copy,
    pub kind: Kind,
    pub written: Vec<(Place, What)>,
    pub call: Option<usize>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Truth {
    pub recs: Vec<Rec>,
    pub jobs: Vec<Job>,
    /// Every copy of a record that has not ended.
    pub live: BTreeMap<Place, Copy>,
    pub policy: Option<Ordering>,
    /// Exactly once.
    pub exact: bool,
    pub calls: usize,
}

impl Truth {
    /// A record stands in the input.
    pub fn arrives(&mut self, place: Place, copy: Copy, rec: Rec) {
        assert_eq!(copy.rec, self.recs.len());
        if self.jobs.len() <= copy.job {
            self.jobs.resize_with(copy.job + 1, Job::default);
        }
        self.recs.push(rec);
        self.live.insert(place, copy);
    }

    /// A record begins: it must be due, and nothing of its key may be before it. What is in `absorbed` is over, as the
    /// ledger said.
    pub fn starts(&self, copy: &Copy, now: Timestamp, absorbed: &BTreeSet<Place>) {
        assert!(copy.due.is_none_or(|due| due <= now), "a record began before it was due: {copy:?}");
        let (rec, Some(policy)) = (&self.recs[copy.rec], self.policy) else { return };
        let line = |other: &&Rec| other.order == rec.order && other.family == rec.family;
        let before = self.recs.iter().filter(line).filter(|other| other.origin < rec.origin);
        if rec.order.is_some() {
            for other in before.filter(|other| self.is_alone(other)) {
                assert!(self.is_over(other, policy, absorbed), "{rec:?} began before {other:?} was over");
            }
        }
    }

    /// Of records that share a job one stands for all, and which one can change.
    pub fn is_alone(&self, rec: &Rec) -> bool {
        self.recs.iter().filter(|other| other.job == rec.job).count() == 1
    }

    fn is_over(&self, rec: &Rec, policy: Ordering, absorbed: &BTreeSet<Place>) -> bool {
        let here = |(place, copy): (&Place, &Copy)| {
            let of = &self.recs[copy.rec];
            (of.family, of.origin) == (rec.family, rec.origin) && !absorbed.contains(place)
        };
        let passed = (rec.climbed && !policy.wait) || (rec.died && !policy.hold);
        // A copy may be left over whose job is over: sent back twice, or written twice without transactions.
        let left_over = self.jobs[rec.job].done > 0 || (!self.exact && self.is_over_or_dead(rec.job));
        // It is given up from when the ledger notes it, which is before it is committed.
        let passed = passed || self.jobs[rec.job].discarded;
        passed || !(rec.undecided || (self.live.iter().any(here) && !left_over))
    }

    /// The stage is called. It must not have been paid for already, unless by somebody who took the job over while
    /// this process stood still between the ledger's answer and the call.
    pub fn call(&mut self, copy: &Copy, lease_is_over: bool, holds: bool) -> usize {
        let job = &mut self.jobs[copy.job];
        self.calls += 1;
        if !holds {
            let Copy { rec, redrives, attempt, .. } = *copy;
            job.calls.push(Call { rec, redrives, attempt, void: true, durable: false });
            return job.calls.len() - 1;
        }
        assert!(!job.stored, "a call was made although its result was stored: {copy:?}");
        // After a crash the ledger may not know that an attempt failed, and another record of the job makes it again.
        let attempt = (copy.rec, copy.redrives, copy.attempt);
        let same = |call: &Call| (call.rec, call.redrives, call.attempt) == attempt;
        for call in job.calls.iter_mut().filter(|call| same(call)) {
            call.void |= lease_is_over;
            let lost = call.void && !call.durable;
            assert!(lost || job.damaged, "a call was made twice: {copy:?}, {call:?}");
        }
        let Copy { rec, redrives, attempt, .. } = *copy;
        job.calls.push(Call { rec, redrives, attempt, void: false, durable: false });
        job.calls.len() - 1
    }

    /// What the call came to is lost, or does not count.
    pub fn void(&mut self, job: usize, call: Option<usize>) {
        if let Some(call) = call {
            self.jobs[job].calls[call].void = true;
        }
    }

    /// What it came to is in Kafka, and known to be. A record that is parked waits for its call.
    pub fn durable(&mut self, job: usize, call: Option<usize>, kind: Kind) {
        if let Some(call) = call.filter(|_| kind != Kind::Park) {
            self.jobs[job].calls[call].durable = true;
        }
    }

    /// How often an output of it may be there again.
    pub fn excuses(&self, job: usize) -> usize {
        let job = &self.jobs[job];
        if self.exact { usize::from(job.damaged) * 100 } else { job.excuses }
    }

    pub fn is_damaged(&self, job: usize) -> bool {
        self.jobs[job].damaged
    }

    pub fn stored(&mut self, job: usize) {
        self.jobs[job].stored = true;
    }

    pub fn excuse(&mut self, job: usize) {
        self.jobs[job].excuses += 1;
    }

    /// What kept these from being done again is lost: a map, or the time of a lease.
    pub fn damaged(&mut self, jobs: impl IntoIterator<Item = usize>) {
        for job in jobs {
            self.jobs[job].damaged = true;
        }
    }

    /// What a record becomes stands in Kafka for good.
    pub fn ends(&mut self, piece: &Piece) {
        let Piece { source, copy, kind, written, .. } = piece;
        let was = self.live.remove(source);
        let most = 1 + self.excuses(copy.job);
        let job = &mut self.jobs[copy.job];
        // Without transactions a record can be read again after it has ended; then the ledger knows what it became.
        let again = !self.exact || job.damaged;
        assert!(was.is_some() || again, "{copy:?} ended twice, the second time as {kind:?}");
        let rec = &mut self.recs[copy.rec];
        match kind {
            Kind::Output => job.done += 1,
            Kind::Retry => rec.climbed = true,
            Kind::Dead => {
                *job.letters.entry(copy.redrives).or_default() += 1;
                rec.died = true;
                // One that was sent back already may be written again, where nothing keeps it from that.
                rec.undecided |= copy.redrives >= job.redrives;
            }
            Kind::Discard => job.discarded = true,
            Kind::Park => {}
        }
        assert!(job.done <= most, "{copy:?} went to the next topic {} times", job.done);
        assert!(job.letters.values().all(|n| *n <= most), "{copy:?} has two dead letters");
        let both = job.done > 0 && job.letters.contains_key(&job.redrives);
        assert!(!both || most > 1, "{copy:?} went to the next topic and is a dead letter");
        for (place, what) in written {
            if let What::Copy(copy) = what {
                self.live.insert(place.clone(), copy.clone());
            }
        }
    }

    /// A person or a rule sends a dead letter back, or gives it up.
    pub fn sent_back(&mut self, place: Place, copy: Copy) {
        self.jobs[copy.job].redrives = self.jobs[copy.job].redrives.max(copy.redrives);
        self.recs[copy.rec].undecided = false;
        self.live.insert(place, copy);
    }

    /// Offsets are committed. None of them may claim that a record has ended which has not; of those in `absorbed`
    /// the ledger said so.
    pub fn commits(&mut self, name: &TopicPartition, position: &Position, absorbed: &BTreeSet<Place>) {
        assert!(position.map.len() <= METADATA_MAX, "a map of {} bytes", position.map.len());
        let committed = Committed::parse(position.offset, &position.map).expect("a map of our own");
        let within = (name.clone(), 0)..(name.clone(), i64::MAX);
        let ended = |place: &Place| has_ended(&committed, place.1);
        let claimed: Vec<Place> =
            self.live.range(within).map(|(place, _)| place.clone()).filter(ended).collect();
        for place in claimed {
            assert!(absorbed.contains(&place), "{place:?} was committed and has not ended: {position:?}");
            if let Some(copy) = self.live.remove(&place) {
                assert!(self.is_known(copy.job), "{copy:?} was taken for ended and is lost");
            }
        }
    }

    /// The job is somewhere.
    fn is_known(&self, job: usize) -> bool {
        self.live.values().any(|copy| copy.job == job) || self.is_over_or_dead(job)
    }

    pub fn is_over_or_dead(&self, job: usize) -> bool {
        let of = &self.jobs[job];
        of.done > 0 || of.discarded || of.letters.contains_key(&of.redrives)
    }
}

pub fn has_ended(committed: &Committed, offset: i64) -> bool {
    offset < committed.below() || committed.ranges().iter().any(|range| range.contains(&offset))
}
