//! What goes wrong, and what people do.

use std::time::Duration;

use super::log::{self, Copy, What};
use super::run::World;
use crate::flow::Code;
use crate::flow::offsets::{Committed, Position};

/// How often of a thousand times something happens, and what.
type Fault = (usize, fn(&mut World));

impl World {
    /// Perhaps something goes wrong; `draw` is below 1000.
    pub fn goes_wrong(&mut self, draw: usize) -> bool {
        let faults = self.env.plan.faults;
        let all: [Fault; 14] = [
            (faults.shift, Self::shift),
            (faults.crash, Self::crash),
            (faults.freeze, Self::freeze),
            (faults.evict, Self::evict),
            (faults.stop, Self::stop),
            (faults.join, Self::join),
            (faults.ledger, |world| world.env.weather.ledger = !world.env.weather.ledger),
            (faults.unwritable, Self::unwritable),
            (faults.trouble, Self::trouble),
            (faults.encode, Self::encode),
            (faults.damage, Self::damage),
            (faults.jump, Self::jump),
            (faults.redrive, Self::redrive),
            (faults.slow, |world| world.pass_to(world.env.after(Duration::from_secs(15)))),
        ];
        let mut upto = 0;
        for (often, happens) in all {
            upto += often;
            if draw < upto {
                happens(self);
                return true;
            }
        }
        false
    }

    /// One that is not frozen.
    fn somebody(&mut self) -> Option<usize> {
        let all: Vec<usize> = (0..self.members.len()).filter(|n| !self.members[*n].frozen).collect();
        self.env.dice.of(&all)
    }

    /// The group shares its partitions out anew.
    fn shift(&mut self) {
        let owned = self.env.group.owned();
        let which: Vec<i32> =
            if self.env.plan.eager { owned } else { self.env.dice.of(&owned).into_iter().collect() };
        self.env.trace(|| format!("families {which:?} are to go elsewhere"));
        self.env.group.revoke(&which);
    }

    fn crash(&mut self) {
        let Some(which) = self.somebody() else { return };
        let member = self.members.remove(which);
        self.env.saw("crashes");
        self.env.trace(|| format!("{}: dies", member.id));
        member.hands.crash(&mut self.env);
        self.ghosts.push((member.seat, self.env.after(self.env.plan.session)));
        match self.env.dice.below(10) {
            0..=6 => {
                let inherits = self.env.plan.fixed_seats.then_some(member.seat);
                self.start(Some(member.who.name), inherits);
            }
            7..=8 => self.start(None, None),
            _ => {}
        }
    }

    /// A process is stopped for a while and does not know it; or goes on.
    fn freeze(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let which = self.env.dice.below(self.members.len());
        let member = &mut self.members[which];
        member.frozen = !member.frozen;
        self.env.trace(|| format!("{}: is frozen: {}", member.id, member.frozen));
        let (seat, name) = (member.seat, member.who.name);
        if member.frozen {
            self.env.saw("standstills");
            self.ghosts.push((seat, self.env.after(self.env.plan.session)));
            if self.env.dice.percent(20) {
                // Somebody takes it for dead and starts another one of its name.
                let inherits = self.env.plan.fixed_seats.then_some(seat);
                self.start(Some(name), inherits);
            }
        } else {
            self.ghosts.retain(|(of, _)| *of != seat);
        }
    }

    /// The group has not heard of somebody for too long, who does not know it yet.
    fn evict(&mut self) {
        if let Some(which) = self.somebody() {
            self.env.trace(|| format!("{}: loses its seat", self.members[which].id));
            self.env.group.remove(self.members[which].seat);
        }
    }

    fn stop(&mut self) {
        if let Some(which) = self.somebody().filter(|which| !self.members[*which].stopping) {
            let (env, member) = (&mut self.env, &mut self.members[which]);
            env.trace(|| format!("{}: is told to stop", member.id));
            member.stop(env);
        }
    }

    fn join(&mut self) {
        if self.members.len() < 4 {
            let used: Vec<usize> = self.members.iter().map(|member| member.who.name).collect();
            let free: Vec<usize> = (0..self.next_name).filter(|name| !used.contains(name)).collect();
            let name = self.env.dice.of(&free).filter(|_| self.env.dice.percent(50));
            self.start(name, None);
        }
    }

    fn unwritable(&mut self) {
        let topics = ["out", "dlq", "rung0", "rung1", "park"];
        let topics =
            if self.env.dice.percent(40) { &topics[..] } else { &topics[self.env.dice.below(5)..][..1] };
        for topic in topics {
            if !self.env.weather.unwritable.remove(*topic) {
                self.env.weather.unwritable.insert((*topic).to_owned());
            }
        }
    }

    fn trouble(&mut self) {
        let codes =
            [Code::LlmUnauthorized, Code::LlmConnection, Code::LlmServerError, Code::IndexUnavailable];
        let code = self.env.dice.of(&codes);
        self.env.weather.trouble = code.filter(|_| self.env.weather.trouble.is_none());
    }

    fn encode(&mut self) {
        let codes = [Code::RegistryUnavailable, Code::RecordSchemaViolation, Code::SourceUnavailable];
        let code = self.env.dice.of(&codes);
        self.env.weather.encoding = code.filter(|_| self.env.weather.encoding.is_none());
    }

    /// Somebody else commits for the group, without a map or with one that makes no sense.
    fn damage(&mut self) {
        let env = &mut self.env;
        let with_map: Vec<_> = env
            .broker
            .offsets
            .iter()
            .filter(|(_, at)| !at.map.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        let Some(name) = env.dice.of(&with_map) else { return };
        env.trace(|| format!("the map of {name} is damaged"));
        let Some(Position { offset, map }) = env.broker.offsets.get_mut(&name) else { return };
        *map = if env.dice.percent(50) { format!("{map}x") } else { String::new() };
        assert!(Committed::parse(*offset, map).map_or(true, |committed| committed.ranges().is_empty()));
        let from = *offset;
        let log = &env.broker.logs[&name];
        let jobs: Vec<usize> = (from..log.end())
            .filter_map(|offset| match log.visible(offset) {
                Some(What::Copy(copy)) => Some(copy.job),
                _ => None,
            })
            .collect();
        env.truth.damaged(jobs);
    }

    /// The clock is set forward: leases end before their time.
    fn jump(&mut self) {
        self.env.truth.damaged(self.env.ledger.unsettled());
        let span = self.env.dice.within(1, 100);
        self.env.now = self.env.after(Duration::from_secs(span));
        self.pass_to(self.env.now);
    }

    /// A person sends a dead letter back, or gives it up.
    fn redrive(&mut self) {
        let letters: Vec<Copy> = self.undecided();
        if let Some(letter) = self.env.dice.of(&letters) {
            let (discard, twice) = (self.env.dice.percent(20), self.env.dice.percent(10));
            self.send_back(&letter, discard);
            if twice {
                // By force, since the ledger says no.
                self.send_back(&letter, discard);
            }
        }
    }

    /// Dead letters that nobody has decided about.
    pub fn undecided(&self) -> Vec<Copy> {
        let Some(log) = self.env.broker.logs.get(&log::letters()) else { return Vec::new() };
        let letters = log.all_visible().filter_map(|(_, what)| match what {
            What::Letter(copy) => Some(copy.clone()),
            _ => None,
        });
        let truth = &self.env.truth;
        letters
            .filter(|copy| truth.recs[copy.rec].undecided && copy.redrives == truth.jobs[copy.job].redrives)
            .collect()
    }

    pub fn send_back(&mut self, letter: &Copy, discard: bool) {
        let env = &mut self.env;
        let copy = Copy {
            attempt: 0,
            redrives: letter.redrives + 1,
            due: None,
            first_failure: None,
            discard,
            ..letter.clone()
        };
        env.saw("redrives");
        let name = log::redrive(env.truth.recs[copy.rec].family);
        let offset = env.broker.log(&name).append(What::Copy(copy.clone()), None);
        env.trace(|| format!("{name}@{offset}: a dead letter comes back: {copy:?}"));
        env.truth.sent_back((name, offset), copy);
    }
}
