//! What all members live in: time, Kafka, the group, the ledger, the weather, and the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::broker::Broker;
use super::dice::Dice;
use super::group::Group;
use super::hands::Work;
use super::ledger::{Begin, Claim, Ledger, Unavailable, Who};
use super::log::{self, Copy, What};
use super::plan::{Line, Outcome, Plan};
use super::truth::{Rec, Truth};
use crate::flow::Code;
use crate::flow::engine::{Delivery, OrderKey};
use crate::message::TopicPartition;

/// What does not work at the moment.
#[derive(Debug, Default)]
pub struct Weather {
    pub ledger: bool,
    /// Topics that take nothing.
    pub unwritable: BTreeSet<String>,
    /// Every call fails like this.
    pub trouble: Option<Code>,
    /// Outputs cannot be encoded, for this reason.
    pub encoding: Option<Code>,
}

/// See the module.
#[derive(Debug)]
pub struct Env {
    pub now: Timestamp,
    pub dice: Dice,
    pub plan: Plan,
    pub broker: Broker,
    pub group: Group,
    pub ledger: Ledger,
    pub weather: Weather,
    pub truth: Truth,
    /// Nothing goes wrong any more.
    pub calm: bool,
    pub lease_is_over: bool,
    /// Calls of each job so far.
    calls: Vec<usize>,
    /// Records of the plan that were produced.
    produced: usize,
    pub traces: bool,
    /// How often things happened that a world must have to prove anything.
    pub seen: BTreeMap<&'static str, usize>,
}

impl Env {
    pub fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    pub fn new(seed: u64, traces: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::new(&mut dice);
        let truth = Truth {
            policy: plan.spec.ordering,
            exact: plan.spec.delivery == Delivery::ExactlyOnce,
            ..Truth::default()
        };
        let mut env = Self {
            now: "2026-11-22T10:00:00Z".parse().expect("a time"),
            group: Group::new(plan.families),
            calls: vec![0; plan.jobs.len()],
            dice,
            plan,
            broker: Broker::default(),
            ledger: Ledger::default(),
            weather: Weather::default(),
            truth,
            calm: false,
            lease_is_over: false,
            produced: 0,
            traces,
            seen: BTreeMap::new(),
        };
        env.trace(String::new);
        if traces {
            eprintln!("{:#?}", env.plan);
        }
        let rungs = env.rungs();
        for name in (0..env.plan.families).flat_map(|family| log::family(family, rungs)) {
            env.broker.log(&name);
        }
        env
    }

    pub fn trace(&self, line: impl FnOnce() -> String) {
        if self.traces {
            eprintln!("{} {}", self.now, line());
        }
    }

    pub fn rungs(&self) -> usize {
        self.plan.spec.ladder.rungs.len()
    }

    pub fn after(&self, time: Duration) -> Timestamp {
        self.now.saturating_add(time).expect("a time")
    }

    pub fn has_more(&self) -> bool {
        self.produced < self.plan.records.len()
    }

    /// The next record of the plan is written to the input, behind what holds no record.
    pub fn produce(&mut self) {
        let plan = self.plan.records[self.produced].clone();
        self.produced += 1;
        let name = log::input(plan.family);
        for _ in 0..plan.gap {
            self.broker.log(&name).append(What::Nothing, None);
        }
        let rec = self.truth.recs.len();
        let copy = Copy {
            rec,
            job: plan.job,
            attempt: 0,
            redrives: 0,
            due: None,
            first_failure: None,
            discard: false,
        };
        let origin = self.broker.log(&name).append(What::Copy(copy.clone()), None);
        let order = match self.plan.line {
            Line::None => None,
            Line::Key => plan.key.map(|key| OrderKey(key.into())),
            Line::Partition => Some(OrderKey(0)),
        };
        self.trace(|| format!("{name}@{origin} is written: record {rec}, {plan:?}, {order:?}"));
        let rec = Rec::new(plan.job, plan.family, origin, plan.key, order, plan.size);
        self.truth.arrives((name, origin), copy, rec);
    }

    /// What the next call for this job comes to.
    pub fn outcome(&mut self, job: usize) -> Outcome {
        if let Some(code) = self.weather.trouble {
            return Outcome::Fails(code);
        }
        let call = self.calls[job];
        self.calls[job] += 1;
        self.plan.jobs[job].script.get(call).copied().unwrap_or(Outcome::Succeeds(1))
    }

    /// Why outputs cannot be encoded at the moment.
    pub fn encoding(&self) -> Option<Code> {
        self.weather.encoding
    }

    /// Outputs of a key go to one partition.
    pub fn output_for(&mut self, copy: &Copy) -> TopicPartition {
        let partitions = self.plan.outputs;
        log::output(match self.truth.recs[copy.rec].key {
            Some(key) => i32::from(key) % partitions,
            None => self.dice.below(partitions as usize) as i32,
        })
    }

    /// Asks the ledger, which may not be there, or may do what it is asked and not live to say so.
    pub fn ledger<T>(&mut self, ask: impl FnOnce(&mut Ledger) -> T) -> Result<T, Unavailable> {
        if self.weather.ledger && self.dice.percent(90) {
            return Err(Unavailable);
        }
        let answer = ask(&mut self.ledger);
        if self.weather.ledger { Err(Unavailable) } else { Ok(answer) }
    }

    pub fn claim(&mut self, who: Who, work: &Work) -> Result<Begin, Unavailable> {
        let rec = &self.truth.recs[work.copy.rec];
        let until = self.after(self.plan.lease);
        self.lease_is_over = !self.ledger.is_held(work.copy.job, who, self.now);
        let now = self.now;
        let (origin, order) = ((rec.family, rec.origin), rec.order);
        let term = work.term;
        let claim = Claim { copy: &work.copy, at: work.at.clone(), origin, order, until, now, term };
        let row = |ledger: &Ledger| ledger.rows.get(&work.copy.job).map(|row| (row.who, row.token));
        let before = row(&self.ledger);
        let unsettled = self.ledger.is_unsettled(work.copy.job);
        let begin = self.ledger(|ledger| ledger.begin(who, &claim)).and_then(|begin| begin);
        self.trace(|| format!("job {} is claimed by {who:?} for {:?}: {begin:?}", work.copy.job, work.at));
        if unsettled && !matches!(begin, Ok(Begin::Busy | Begin::Ousted | Begin::Finished { .. })) {
            // Whoever had it before may have produced it.
            self.truth.excuse(work.copy.job);
        }
        // It may have been taken without an answer.
        let taken = row(&self.ledger) != before;
        if taken && unsettled && before.is_some_and(|(holder, _)| holder == who) {
            // It could not tell the ledger for longer than its lease.
            self.truth.damaged([work.copy.job]);
        }
        begin
    }

    /// A record leaves a member's hands before it has ended there.
    pub fn lets_go(&mut self, work: &Work) {
        self.truth.void(work.copy.job, work.call);
        if work.loose {
            self.truth.excuse(work.copy.job);
        }
    }

    pub fn aborts(&mut self) -> bool {
        !self.calm && self.dice.below(1000) < self.plan.faults.abort
    }

    pub fn fences(&mut self) -> bool {
        !self.calm && self.dice.below(1000) < self.plan.faults.fence
    }

    pub fn lies(&mut self) -> bool {
        !self.calm && self.dice.below(1000) < self.plan.faults.lie
    }
}
