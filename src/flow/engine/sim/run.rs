//! What happens next: any of the steps that are possible, as the dice say.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::log;
use super::member::Member;
use super::world::Env;
use crate::flow::engine::Course;

/// A step that can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Produce,
    Notice(usize),
    Arrive(usize, usize),
    Fetch(usize, crate::message::TopicPartition),
    Task(usize, usize),
    Transact(usize, Course),
    Tick(usize),
    Refresh(usize),
    Rejoin(usize),
    Close(usize),
    Mark(usize),
    Expire(usize),
    Sync(u64),
    Deal,
}

/// What a run came to.
pub struct End {
    pub steps: usize,
    pub calls: usize,
    pub seen: BTreeMap<&'static str, usize>,
}

fn member(members: &mut [Member], id: usize) -> &mut Member {
    members.iter_mut().find(|member| member.id == id).unwrap_or_else(|| panic!("no member {id}"))
}

/// See the module.
pub struct World {
    pub env: Env,
    pub members: Vec<Member>,
    /// Processes that have ended or died, whose seats the group still counts.
    pub ghosts: Vec<(u64, Timestamp)>,
    pub next_member: usize,
    pub next_name: usize,
    pub steps: usize,
}

impl World {
    pub fn new(seed: u64, traces: bool) -> Self {
        let env = Env::new(seed, traces);
        let mut world =
            Self { env, members: Vec::new(), ghosts: Vec::new(), next_member: 0, next_name: 0, steps: 0 };
        for _ in 0..world.env.plan.members {
            world.start(None, None);
        }
        world
    }

    pub fn run(mut self) -> End {
        for _ in 0..self.env.plan.steps {
            self.steps += 1;
            let fault = self.env.dice.below(1000);
            if self.goes_wrong(fault) {
                continue;
            }
            let possible = self.possible();
            let pass = self.env.dice.percent(8);
            match self.env.dice.of(&possible).filter(|_| !pass) {
                Some(step) => self.take(step),
                None => self.pass(),
            }
        }
        self.come_to_rest();
        End { steps: self.steps, calls: self.env.truth.calls, seen: self.env.seen }
    }

    /// A process is started, under a name that was there before or a new one.
    pub fn start(&mut self, name: Option<usize>, inherits: Option<u64>) {
        let name = name.unwrap_or_else(|| {
            self.next_name += 1;
            self.next_name - 1
        });
        let id = self.next_member;
        self.next_member += 1;
        let mut member = Member::new(id, name, &mut self.env);
        self.env.trace(|| format!("{id}: begins as {name}"));
        // It joins when its producer is known.
        (member.rejoin, member.inherits) = (true, inherits);
        self.members.push(member);
    }

    pub fn possible(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.env.has_more() {
            steps.push(Step::Produce);
        }
        let open = self.env.group.seats();
        if !self.env.group.free().is_empty()
            && self.members.iter().any(|m| open.contains(&m.seat) && !m.stopping)
        {
            steps.push(Step::Deal);
        }
        steps.extend(self.env.broker.unmarked().into_iter().map(Step::Mark));
        steps.extend(self.env.group.behind().into_iter().map(Step::Sync));
        let old = |txn: &usize| self.txn_deadline(*txn) <= self.env.now;
        steps.extend(self.env.broker.open_txns().into_iter().filter(old).map(Step::Expire));
        for member in self.members.iter().filter(|member| !member.frozen) {
            self.possible_of(member, &mut steps);
        }
        steps
    }

    pub fn txn_deadline(&self, txn: usize) -> Timestamp {
        let since = self.env.broker.txns[txn].since;
        since.saturating_add(self.env.plan.transaction).expect("a time")
    }

    fn possible_of(&self, member: &Member, steps: &mut Vec<Step>) {
        let (id, env) = (member.id, &self.env);
        if member.rejoin {
            return steps.push(Step::Rejoin(id));
        }
        let transactions = member.transactions.as_ref();
        let runs = transactions.is_some_and(|transactions| transactions.is_running());
        let tasks = 0..member.hands.tasks.len();
        steps.extend(tasks.filter(|n| !member.hands.tasks[*n].hangs(env.now)).map(|n| Step::Task(id, n)));
        let goes_on =
            |course: &Course| transactions.is_some_and(|transactions| transactions.goes_on(*course, env));
        steps.extend(Course::ALL.into_iter().filter(goes_on).map(|course| Step::Transact(id, course)));
        if member.is_gone() {
            if !runs && member.hands.tasks.is_empty() {
                steps.push(Step::Close(id));
            }
            return;
        }
        if member.may_read_mail(env) {
            steps.push(Step::Notice(id));
        }
        steps.extend(member.arrivals.waiting().into_iter().map(|batch| Step::Arrive(id, batch)));
        for (name, part) in &member.partitions {
            if part.fetched < env.broker.stable_end(name) {
                steps.push(Step::Fetch(id, name.clone()));
            }
        }
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= env.now);
        if due(member.engine.next_wake()) || due(member.drain_deadline) {
            steps.push(Step::Tick(id));
        }
        if member.commit_failed || !member.caught_up(env).is_empty() {
            steps.push(Step::Refresh(id));
        }
    }

    pub fn take(&mut self, step: Step) {
        let (env, members) = (&mut self.env, &mut self.members);
        match step {
            Step::Produce => env.produce(),
            Step::Deal => {
                let there =
                    members.iter().filter(|member| !member.stopping && env.group.has_seat(member.seat));
                let seats: Vec<u64> = there.map(|member| member.seat).collect();
                env.group.deal(&seats, &mut env.dice);
            }
            Step::Mark(txn) => env.broker.mark(txn, &mut env.dice),
            Step::Sync(seat) => env.group.sync(seat),
            Step::Expire(txn) => {
                env.trace(|| format!("transaction {txn} is too old"));
                env.broker.expire(txn);
            }
            Step::Notice(id) => member(members, id).notice(env),
            Step::Arrive(id, batch) => member(members, id).arrive(batch, env),
            Step::Fetch(id, name) => member(members, id).fetch(&name, env),
            Step::Task(id, task) => member(members, id).step_task(task, env),
            Step::Transact(id, course) => member(members, id).step_transaction(course, env),
            Step::Tick(id) => member(members, id).tick(env),
            Step::Refresh(id) => member(members, id).refresh(env),
            Step::Rejoin(id) => member(members, id).join_anew(env),
            Step::Close(id) => {
                env.trace(|| format!("{id}: ends"));
                env.group.remove(member(members, id).seat);
                members.retain(|member| member.id != id);
            }
        }
    }

    /// Time passes; never past the end of what has a limit.
    pub fn pass(&mut self) {
        let dice = &mut self.env.dice;
        let span = match dice.below(10) {
            0..=5 => Duration::from_millis(dice.within(1, 60)),
            6..=8 => Duration::from_millis(dice.within(60, 2_500)),
            _ => match self.next_timer() {
                Some(at) => return self.pass_to(at),
                None => Duration::from_millis(1),
            },
        };
        self.pass_to(self.env.after(span));
    }

    pub fn pass_to(&mut self, at: Timestamp) {
        let live = self.members.iter().filter(|member| !member.frozen);
        let deadline = live.filter_map(|member| member.deadline()).min();
        let at = deadline.map_or(at, |deadline| deadline.min(at));
        self.env.now = self.env.now.max(at);
        let now = self.env.now;
        for (seat, _) in self.ghosts.extract_if(.., |(_, at)| *at <= now) {
            self.env.group.remove(seat);
        }
    }

    /// The next time at which something is to happen by itself.
    pub fn next_timer(&self) -> Option<Timestamp> {
        let live = self.members.iter().filter(|member| !member.frozen && !member.rejoin);
        let of = live.flat_map(|member| {
            member.deadline().into_iter().chain(member.engine.next_wake()).chain(member.drain_deadline)
        });
        let txns = self.env.broker.open_txns();
        let txns = txns.into_iter().map(|txn| self.txn_deadline(txn));
        let ghosts = self.ghosts.iter().map(|(_, at)| *at);
        of.chain(txns).chain(ghosts).filter(|at| *at > self.env.now).min()
    }

    /// Partitions of the stage, satellites too.
    pub fn names(&self) -> Vec<crate::message::TopicPartition> {
        (0..self.env.plan.families).flat_map(|family| log::family(family, self.env.rungs())).collect()
    }
}
