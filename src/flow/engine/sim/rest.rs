//! The end of a run: nothing goes wrong any more, everything gets the time that it asks for, and then every record
//! must be accounted for.

use std::collections::BTreeMap;

use super::ledger::State;
use super::log::{self, Copy, What};
use super::run::World;
use crate::flow::engine::Delivery;
use crate::flow::offsets::Committed;

/// Steps, and waits, that a world may take to come to rest.
const STEPS_MAX: usize = 60_000;
const WAITS_MAX: usize = 6_000;
/// A dead letter that is sent back again and again is given up.
const REDRIVES_MAX: u32 = 3;

impl World {
    pub fn come_to_rest(&mut self) {
        self.calm();
        self.go_on_until(Self::nothing_moves_by_itself);
        while let Some(letter) = self.undecided().first().cloned() {
            if !self.holds() && self.env.dice.percent(50) {
                break;
            }
            let discard = letter.redrives >= REDRIVES_MAX || self.env.dice.percent(30);
            self.send_back(&letter, discard);
            self.go_on_until(Self::nothing_moves_by_itself);
        }
        self.go_on_until(|world| world.next_timer().is_none());
        self.check_the_end();
    }

    fn holds(&self) -> bool {
        self.env.plan.spec.ordering.is_some_and(|ordering| ordering.hold)
    }

    fn calm(&mut self) {
        self.env.trace(|| "from here on nothing goes wrong".to_owned());
        self.env.calm = true;
        self.env.weather = Default::default();
        for member in &mut self.members {
            member.frozen = false;
        }
        let live: Vec<u64> = self.members.iter().map(|member| member.seat).collect();
        self.ghosts.retain(|(seat, _)| !live.contains(seat));
        // A process whose name another one has taken cannot go on, and says so; a person ends it.
        let (ledger, env) = (&self.env.ledger, &self.env);
        let (live, out): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.members).into_iter().partition(|member| ledger.knows(member.who));
        self.members = live;
        self.ghosts.extend(out.iter().map(|member| (member.seat, env.after(env.plan.session))));
        out.into_iter().for_each(|member| member.hands.crash(&mut self.env));
        if self.members.iter().all(|member| member.stopping) {
            self.start(None, None);
        }
    }

    fn go_on_until(&mut self, at_rest: impl Fn(&Self) -> bool) {
        let (mut steps, mut waits) = (0, 0);
        loop {
            let possible = self.possible();
            if let Some(step) = self.env.dice.of(&possible) {
                self.steps += 1;
                steps += 1;
                self.take(step);
            } else if at_rest(self) {
                return;
            } else if let Some(at) = self.next_timer() {
                waits += 1;
                self.pass_to(at);
            } else {
                panic!("it sleeps, and there is something to do: {}", self.picture());
            }
            assert!(steps < STEPS_MAX && waits < WAITS_MAX, "it does not come to rest: {}", self.picture());
        }
    }

    /// What is not over waits for a person, and rightly so; and everybody can see it.
    fn nothing_moves_by_itself(&self) -> bool {
        !self.env.has_more()
            && self.env.broker.open_txns().is_empty()
            && self.env.truth.live.values().all(|copy| self.waits_for_a_person(copy))
    }

    fn waits_for_a_person(&self, copy: &Copy) -> bool {
        let (truth, spec) = (&self.env.truth, &self.env.plan.spec);
        let rec = &truth.recs[copy.rec];
        let undecided = truth.recs.iter().filter(|other| {
            self.holds() && other.undecided && other.family == rec.family && other.order.is_some()
        });
        let mut undecided = undecided.filter(|other| {
            let follows = other.order == rec.order && other.origin < rec.origin;
            // With so many outstanding the input waits.
            follows || spec.outstanding < 100
        });
        undecided.next().is_some()
    }

    fn picture(&self) -> String {
        let mut lines = Vec::new();
        for ((name, offset), copy) in &self.env.truth.live {
            let rec = &self.env.truth.recs[copy.rec];
            lines.push(format!("{name}@{offset}: {copy:?} of {:?}, origin {}", rec.order, rec.origin));
        }
        for rec in self.env.truth.recs.iter().filter(|rec| rec.undecided) {
            lines.push(format!("undecided: {rec:?}"));
        }
        for member in &self.members {
            let (load, paused) = (member.engine.load(), member.engine.paused());
            let (id, seat, rejoin) = (member.id, member.seat, member.rejoin);
            let wake = member.engine.next_wake();
            lines.push(format!(
                "{id}: seat {seat}, rejoins: {rejoin}, {load:?}, paused: {paused:?}, wakes {wake:?}"
            ));
            for (name, part) in &member.partitions {
                let (wants, end) = (member.engine.wants(name), self.env.broker.stable_end(name));
                lines.push(format!("   {name}: at {} of {end}, wanted: {wants}, of {part:?}", part.position));
            }
            if self.env.traces {
                lines.push(format!("{:#?}", member.engine));
            }
        }
        lines.push(format!("{:?}", self.env.group));
        lines.join("\n")
    }

    fn check_the_end(&mut self) {
        for member in &self.members {
            assert_eq!(member.engine.load().held, 0, "{}", self.picture());
        }
        assert!(self.env.truth.live.is_empty(), "{}", self.picture());
        for job in 0..self.env.truth.jobs.len() {
            assert!(self.env.truth.is_over_or_dead(job), "job {job} is lost: {:?}", self.env.truth.jobs[job]);
        }
        for name in self.names() {
            let end = self.env.broker.stable_end(&name);
            let committed = self.env.broker.offsets.get(&name).map_or(0, |at| at.offset);
            assert_eq!(committed, end, "{name} is not committed to its end");
        }
        self.check_ledger();
        self.check_outputs();
    }

    /// What the ledger will have learnt when it is asked the next time.
    fn check_ledger(&mut self) {
        let env = &mut self.env;
        let seen = env.broker.offsets.iter().map(|(name, at)| (name.clone(), Committed::bare(at.offset)));
        let _ = env.ledger.recover(0, &seen.collect(), &[], false);
        for (job, of) in env.truth.jobs.iter().enumerate() {
            let state = env.ledger.rows.get(&job).map(|row| row.state);
            let right = match state {
                Some(State::Done) => of.done > 0,
                Some(State::Discarded) => of.discarded,
                Some(State::Dead) => of.done == 0 || env.truth.excuses(job) > 0,
                _ => false,
            };
            assert!(right, "the ledger has job {job} as {state:?}: {of:?}");
        }
    }

    /// Nothing is in the next topic twice, and where an order is kept to the end, it is kept there.
    fn check_outputs(&self) {
        let (truth, spec) = (&self.env.truth, &self.env.plan.spec);
        let strict = spec.ordering.is_some_and(|ordering| ordering.wait && ordering.hold)
            && spec.delivery == Delivery::ExactlyOnce;
        let mut seen = BTreeMap::new();
        for partition in 0..self.env.plan.outputs {
            let mut last = BTreeMap::new();
            let Some(log) = self.env.broker.logs.get(&log::output(partition)) else { continue };
            for (offset, what) in log.all_visible() {
                let What::Output { copy, child } = what else { continue };
                let times = seen.entry((copy.job, *child)).or_insert(0);
                *times += 1;
                let most = 1 + truth.excuses(copy.job);
                assert!(*times <= most, "output {child} of {copy:?} is there {times} times");
                let rec = &truth.recs[copy.rec];
                let counts = rec.order.is_some() && truth.is_alone(rec) && !truth.is_damaged(copy.job);
                if strict && counts {
                    let before = last.insert((rec.family, rec.order), rec.origin);
                    assert!(before <= Some(rec.origin), "{rec:?} overtook {before:?} at {offset}");
                }
            }
        }
    }
}
