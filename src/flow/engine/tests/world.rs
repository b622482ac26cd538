//! A small world around an engine: Kafka's logs and committed offsets, a worker that carries effects out, a
//! provider with bad times, a ledger. It checks after every event that no promise of the engine is broken.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::driver::{fault, ms, rung, spec};
use crate::flow::engine::*;
use crate::flow::ladder::Past;
use crate::flow::{Class, Code};
use crate::message::TopicPartition;

/// What one run of a record comes to. When a record's script is over, it succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Output,
    TooLarge,
    Transient,
    RateLimited,
    Permanent,
    Busy,
}

/// What happens next. Numbers choose among what is possible at the time; when nothing is, nothing happens.
#[derive(Clone, Debug)]
pub enum Action {
    Poll(u8),
    PollAgain(u8),
    Finish(u8),
    Answer(u8),
    /// An answer about a record that the engine gave up.
    LateAnswer(u8),
    Pass(u16),
    /// For so many milliseconds every run fails like this.
    Trouble(u16, Code),
    /// For so many milliseconds Kafka refuses what is produced, or only dead letters.
    Refuse(u16, bool),
    Assign(u8),
    Revoke(u8),
    Lose(u8),
    DrainDeadline,
    Crash,
    Stop,
}

/// A record in a log: a job, or its copy on a rung.
struct Copy {
    job: usize,
    due: Option<Timestamp>,
    past: Past,
    too_large: bool,
    /// Durable ends that it reached.
    ends: u32,
    /// Times that an end may not have been known when the record was read again.
    excuses: u32,
    /// Runs that came to a result of the record's own.
    runs: u32,
    /// It ended, and the engine that holds its partition now was told.
    told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ours {
    No,
    Yes,
    Draining,
}

struct Log {
    name: TopicPartition,
    lane: Lane,
    copies: Vec<Copy>,
    committed: usize,
    position: usize,
    ours: Ours,
}

impl Log {
    fn new(name: TopicPartition, lane: Lane) -> Self {
        Self { name, lane, copies: Vec::new(), committed: 0, position: 0, ours: Ours::No }
    }

    fn frontier(&self) -> usize {
        (self.committed..self.position).find(|at| !self.copies[*at].told).unwrap_or(self.position)
    }

    fn let_go(&mut self) {
        self.ours = Ours::No;
        for copy in &mut self.copies[self.committed..] {
            copy.excuses += u32::from(copy.ends > 0);
            copy.told = false;
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Running { probe: bool },
    Publishing(Publish),
    Refused(Publish),
    Told,
}

struct Held {
    log: usize,
    at: usize,
    not_before: Option<Timestamp>,
    state: State,
}

pub struct World {
    engine: Engine,
    spec: Spec,
    now: Timestamp,
    slots: u64,
    logs: Vec<Log>,
    inputs: usize,
    scripts: Vec<VecDeque<Step>>,
    /// Per job: outputs and dead letters.
    ends: Vec<u32>,
    /// A record whose end the ledger knows is not run again.
    ledger: bool,
    held: BTreeMap<u64, Held>,
    given_up: Vec<u64>,
    /// Revocations not answered yet.
    drains: Vec<Vec<usize>>,
    stopping: bool,
    paused: Option<Code>,
    trouble: Option<(Timestamp, Code)>,
    refuses: Option<(Timestamp, bool)>,
}

impl World {
    /// Jobs with these scripts, dealt out to the input partitions in turn, and one partition per rung.
    pub fn new(scripts: Vec<Vec<Step>>, concurrency: usize, window: usize, ledger: bool) -> Self {
        let spec = Spec { concurrency, window, ..spec() };
        let inputs = 3;
        let mut logs: Vec<Log> =
            (0..).take(inputs).map(|p| Log::new(super::driver::input(p), Lane::Input)).collect();
        logs.extend((0..).take(spec.ladder.rungs.len()).map(|p| Log::new(rung(p), Lane::Rung)));
        for job in 0..scripts.len() {
            let past = Past { failures: 0, first_failure: None, seed: 0 };
            logs[job % inputs].copies.push(Copy::new(job, None, past));
        }
        let mut world = Self {
            engine: Engine::new(spec.clone()),
            spec,
            now: Timestamp::UNIX_EPOCH,
            slots: 0,
            logs,
            inputs,
            ends: vec![0; scripts.len()],
            scripts: scripts.into_iter().map(VecDeque::from).collect(),
            ledger,
            held: BTreeMap::new(),
            given_up: Vec::new(),
            drains: Vec::new(),
            stopping: false,
            paused: None,
            trouble: None,
            refuses: None,
        };
        world.act(Action::Assign(u8::MAX));
        world
    }

    pub fn act(&mut self, action: Action) {
        match action {
            Action::Poll(n) => {
                let open = |log: &Log| log.position < log.copies.len() && self.engine.wants(&log.name);
                let from: Vec<usize> = (0..self.logs.len()).filter(|l| open(&self.logs[*l])).collect();
                if let Some(log) = pick(&from, n) {
                    self.logs[log].position += 1;
                    self.poll(log, self.logs[log].position - 1);
                }
            }
            Action::PollAgain(n) => {
                let open = |l: usize| {
                    let next = self.logs[l].position;
                    self.held.values().any(|held| held.log == l && held.at + 1 == next)
                };
                let ours = |l: usize| self.logs[l].ours == Ours::Yes;
                let from: Vec<usize> = (0..self.logs.len()).filter(|l| ours(*l) && open(*l)).collect();
                if let Some(log) = pick(&from, n) {
                    let before = self.held.len();
                    self.poll(log, self.logs[log].position - 1);
                    assert!(self.held.len() <= before, "a repetition was taken in");
                }
            }
            Action::Finish(n) => {
                let running = self.slots_that(|state| matches!(state, State::Running { .. }));
                if let Some(slot) = pick(&running, n) {
                    self.finish(slot);
                }
            }
            Action::Answer(n) => {
                let publishing = self.slots_that(|state| matches!(state, State::Publishing(_)));
                if let Some(slot) = pick(&publishing, n) {
                    self.answer(slot);
                }
            }
            Action::LateAnswer(n) => {
                if let Some(slot) = pick(&self.given_up, n) {
                    self.tell(Event::Published { slot: SlotId(slot), result: Ok(()) });
                    self.tell(Event::Ran { slot: SlotId(slot), result: Ran::Output });
                }
            }
            Action::Pass(time) => self.pass(self.after(time)),
            Action::Trouble(time, code) => self.trouble = Some((self.after(time), code)),
            Action::Refuse(time, only_dead) => self.refuses = Some((self.after(time), only_dead)),
            Action::Assign(mask) => self.assign(mask),
            Action::Revoke(mask) => {
                let group = self.ours(mask);
                self.drains.push(group.clone());
                group.iter().for_each(|log| self.logs[*log].ours = Ours::Draining);
                self.tell(Event::Revoked(self.names(&group)));
            }
            Action::Lose(mask) => self.lose(mask),
            Action::DrainDeadline => {
                self.tell(Event::DrainDeadline);
                assert_eq!(self.drains, Vec::<Vec<usize>>::new(), "the time for draining was over");
            }
            Action::Crash => self.crash(),
            Action::Stop => {
                if !self.stopping {
                    self.stopping = true;
                    let all = self.ours(u8::MAX);
                    all.iter().for_each(|log| self.logs[*log].ours = Ours::Draining);
                    self.drains.push(all);
                    self.tell(Event::Stop);
                }
            }
        }
        if self.stopping && self.drains.is_empty() {
            self.crash(); // A stopped process that starts anew; it holds nothing.
        }
    }

    /// Everything gets the time it needs; fails when the world does not come to rest.
    pub fn settle(&mut self) {
        for _ in 0..5_000 {
            self.act(Action::Assign(u8::MAX));
            let before = self.slots;
            (0..self.logs.len()).for_each(|n| self.act(Action::Poll(u8::try_from(n).unwrap())));
            let busy = self.slots_that(|s| matches!(s, State::Running { .. } | State::Publishing(_)));
            self.act(Action::Finish(0));
            self.act(Action::Answer(0));
            if busy.is_empty() && self.slots == before {
                match self.engine.next_wake() {
                    Some(wake) => self.pass(wake),
                    None => return self.check_the_end(),
                }
            }
        }
        panic!("the world does not come to rest: {:?}", self.engine);
    }

    /// Results of the record's own that a single copy of a record came to, at most.
    pub fn most_runs(&self) -> u32 {
        self.logs.iter().flat_map(|log| &log.copies).map(|copy| copy.runs).max().unwrap_or_default()
    }

    /// Per job: outputs and dead letters.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    fn check_the_end(&self) {
        assert!(self.held.is_empty(), "held for ever: {:?}", self.engine);
        for log in &self.logs {
            assert_eq!(log.committed, log.copies.len(), "{} is not committed to its end", log.name);
            for copy in &log.copies {
                assert!(
                    (1..=1 + copy.excuses).contains(&copy.ends),
                    "{} ends, {} excuses",
                    copy.ends,
                    copy.excuses
                );
            }
        }
        assert!(self.ends.iter().all(|ends| *ends > 0), "a job has not ended");
    }

    fn after(&self, time: u16) -> Timestamp {
        self.now.saturating_add(ms(time.into())).unwrap()
    }

    fn slots_that(&self, is: impl Fn(&State) -> bool) -> Vec<u64> {
        self.held.iter().filter(|(_, held)| is(&held.state)).map(|(slot, _)| *slot).collect()
    }

    fn ours(&self, mask: u8) -> Vec<usize> {
        (0..self.logs.len()).filter(|l| mask >> l & 1 == 1 && self.logs[*l].ours == Ours::Yes).collect()
    }

    fn names(&self, logs: &[usize]) -> Vec<TopicPartition> {
        logs.iter().map(|log| self.logs[*log].name.clone()).collect()
    }

    fn poll(&mut self, log: usize, at: usize) {
        let Copy { due, past, .. } = self.logs[log].copies[at];
        let slot = self.slots;
        self.slots += 1;
        self.held.insert(slot, Held { log, at, not_before: due, state: State::Idle });
        let (partition, offset) = (self.logs[log].name.clone(), i64::try_from(at).unwrap());
        self.tell(Event::Polled(Arrival { slot: SlotId(slot), partition, offset, size: 10, due, past }));
    }

    fn finish(&mut self, slot: u64) {
        let now = self.now;
        let held = self.held.get_mut(&slot).unwrap();
        let copy = &mut self.logs[held.log].copies[held.at];
        let trouble = self.trouble.filter(|(until, _)| now < *until).map(|(_, code)| code);
        let result = if self.ledger && copy.ends > 0 {
            copy.told = true;
            Ran::Ended
        } else if let Some(code) = trouble {
            Ran::Failed(fault(code))
        } else {
            match self.scripts[copy.job].pop_front().unwrap_or(Step::Output) {
                Step::Output => Ran::Output,
                Step::TooLarge => {
                    copy.too_large = true;
                    Ran::Output
                }
                Step::Transient => Ran::Failed(fault(Code::LlmTimeout)),
                Step::RateLimited => {
                    Ran::Failed(fault(Code::LlmRateLimited).with_retry_after(Some(ms(4321))))
                }
                Step::Permanent => Ran::Failed(fault(Code::ParseCorrupt)),
                Step::Busy => Ran::Busy,
            }
        };
        held.state = match result {
            Ran::Ended => State::Told,
            _ => State::Idle,
        };
        if result == Ran::Busy {
            held.not_before = Some(now.saturating_add(BUSY_WAIT).unwrap());
        }
        let (log, at) = (held.log, held.at);
        let systemic = matches!(&result, Ran::Failed(fault) if fault.class == Class::Systemic);
        self.tell(Event::Ran { slot: SlotId(slot), result });
        let publishes = self.held.get(&slot).is_some_and(|held| matches!(held.state, State::Publishing(_)));
        assert!(!(systemic && publishes), "the stage was sick, and the record was made to pay");
        self.logs[log].copies[at].runs += u32::from(publishes);
    }

    fn answer(&mut self, slot: u64) {
        let held = &self.held[&slot];
        let State::Publishing(what) = held.state.clone() else { panic!("nothing is published") };
        let dead = matches!(what, Publish::Dead { .. });
        let refused = self.refuses.is_some_and(|(until, only_dead)| self.now < until && (dead || !only_dead));
        let code = if refused {
            Some(if dead { Code::DlqUnwritable } else { Code::OutputUnwritable })
        } else if what == Publish::Output && self.logs[held.log].copies[held.at].too_large {
            Some(Code::RecordTooLarge)
        } else {
            None
        };
        let held = self.held.get_mut(&slot).unwrap();
        if let Some(code) = code {
            held.state = State::Refused(what);
            self.tell(Event::Published { slot: SlotId(slot), result: Err(fault(code)) });
        } else {
            held.state = State::Told;
            let (log, at) = (held.log, held.at);
            self.write(log, at, &what);
            self.logs[log].copies[at].told = true;
            self.tell(Event::Published { slot: SlotId(slot), result: Ok(()) });
        }
    }

    /// Kafka has what was produced for this record.
    fn write(&mut self, log: usize, at: usize, what: &Publish) {
        let copy = &mut self.logs[log].copies[at];
        copy.ends += 1;
        let (job, first) = (copy.job, copy.past.first_failure.unwrap_or(self.now));
        match what {
            Publish::Output | Publish::Dead { .. } => self.ends[job] += 1,
            Publish::Retry { rung, due, attempt, .. } => {
                let past = Past { failures: *attempt, first_failure: Some(first), seed: 0 };
                self.logs[self.inputs + rung].copies.push(Copy::new(job, Some(*due), past));
            }
        }
    }

    fn pass(&mut self, end: Timestamp) {
        while let Some(wake) = self.engine.next_wake().filter(|wake| *wake <= end) {
            self.now = wake;
            self.tell(Event::Tick);
        }
        self.now = end;
    }

    fn assign(&mut self, mask: u8) {
        if self.stopping {
            return;
        }
        let free = |l: &usize| mask >> l & 1 == 1 && self.logs[*l].ours == Ours::No;
        let group: Vec<usize> = (0..self.logs.len()).filter(free).collect();
        for log in &group {
            let log = &mut self.logs[*log];
            (log.ours, log.position) = (Ours::Yes, log.committed);
        }
        let named = group.iter().map(|log| (self.logs[*log].name.clone(), self.logs[*log].lane)).collect();
        self.tell(Event::Assigned(named));
    }

    fn lose(&mut self, mask: u8) {
        let lost: Vec<usize> =
            (0..self.logs.len()).filter(|l| mask >> l & 1 == 1 && self.logs[*l].ours != Ours::No).collect();
        lost.iter().for_each(|log| self.logs[*log].ours = Ours::No);
        self.drains.iter_mut().for_each(|group| group.retain(|log| !lost.contains(log)));
        self.tell(Event::Lost(self.names(&lost)));
        lost.iter().for_each(|log| self.logs[*log].let_go());
        assert!(self.held.values().all(|held| !lost.contains(&held.log)), "still held");
    }

    fn crash(&mut self) {
        for slot in self.held.keys().copied().collect::<Vec<_>>() {
            self.give_up(slot);
        }
        self.logs.iter_mut().filter(|log| log.ours != Ours::No).for_each(Log::let_go);
        self.engine = Engine::new(self.spec.clone());
        (self.stopping, self.paused) = (false, None);
        self.drains.clear();
    }

    /// The worker drops a record. Of what it was producing, nobody knows whether Kafka has it.
    fn give_up(&mut self, slot: u64) {
        let held = self.held.remove(&slot).expect("forgets what is held");
        self.given_up.push(slot);
        if let State::Publishing(what) = &held.state
            && slot.is_multiple_of(2)
        {
            self.write(held.log, held.at, what);
        }
    }

    fn tell(&mut self, event: Event) {
        for effect in self.engine.handle(event, self.now) {
            self.carry_out(effect);
        }
        self.check();
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Start(SlotId(slot)) => self.start(slot),
            Effect::Publish { slot, what } => self.publish(slot.0, what),
            Effect::Forget(SlotId(slot)) => self.give_up(slot),
            Effect::Ended(SlotId(slot)) => {
                let held = self.held.remove(&slot).expect("ends what is held");
                assert_eq!(held.state, State::Told, "ended without a durable end");
            }
            Effect::Commit(offsets) => offsets.iter().for_each(|(name, offset)| self.commit(name, *offset)),
            Effect::Drained { partitions, commit } => {
                commit.iter().for_each(|(name, offset)| self.commit(name, *offset));
                let answered = self.drains.iter().position(|group| self.names(group) == partitions);
                for log in self.drains.remove(answered.expect("answers a revocation")) {
                    assert!(self.held.values().all(|held| held.log != log), "drained, but not empty");
                    assert_eq!(
                        self.logs[log].committed,
                        self.logs[log].frontier(),
                        "an end is not committed"
                    );
                    self.logs[log].let_go();
                }
            }
            Effect::Paused(fault) => {
                assert_ne!(self.paused, Some(fault.code), "no news");
                self.paused = Some(fault.code);
            }
            Effect::Resumed => assert!(self.paused.take().is_some(), "did not pause"),
        }
    }

    fn start(&mut self, slot: u64) {
        let probe = self.engine.paused().is_some();
        let held = self.held.get_mut(&slot).expect("starts what is held");
        assert_eq!(held.state, State::Idle, "started twice");
        assert!(held.not_before.is_none_or(|due| due <= self.now), "started before it was due");
        assert_eq!(self.logs[held.log].ours, Ours::Yes, "started on a partition that goes or is gone");
        held.state = State::Running { probe };
    }

    fn publish(&mut self, slot: u64, what: Publish) {
        let held = self.held.get_mut(&slot).expect("publishes what is held");
        let past = self.logs[held.log].copies[held.at].past;
        match &what {
            Publish::Output => {}
            Publish::Retry { due, attempt, .. } => {
                assert_eq!(*attempt, past.failures + 1);
                assert!(matches!(held.state, State::Refused(_)) || *due > self.now, "no wait");
            }
            Publish::Dead { attempts, fault } => {
                assert_eq!(*attempts, past.failures + 1);
                let last = *attempts == self.spec.ladder.limits.max_attempts;
                assert!(fault.class == Class::Permanent || last, "gave up too early: {fault:?}");
                assert!(fault.class != Class::Systemic, "the stage's failure killed a record");
            }
        }
        assert!(matches!(held.state, State::Idle | State::Refused(_)), "publishes what runs or is published");
        held.state = State::Publishing(what);
    }

    fn commit(&mut self, name: &TopicPartition, offset: i64) {
        let log = self.logs.iter_mut().find(|log| log.name == *name).unwrap();
        let offset = usize::try_from(offset).unwrap();
        assert_ne!(log.ours, Ours::No, "commits what is not ours");
        assert!(log.committed < offset, "a commit goes backwards or comes twice");
        assert!(offset <= log.frontier(), "a commit passes a record that has not ended");
        log.committed = offset;
    }

    /// What must hold after every event.
    fn check(&self) {
        let count = |is: &dyn Fn(&Held) -> bool| self.held.values().filter(|held| is(held)).count();
        let running = count(&|held| matches!(held.state, State::Running { .. }));
        assert!(running <= self.spec.concurrency, "too many run");
        for log in 0..self.logs.len() {
            assert!(count(&|held| held.log == log) <= self.spec.window, "too many held");
        }
        assert_eq!(self.engine.paused().map(|fault| fault.code), self.paused, "a pause was not told");
        let wake = self.engine.next_wake();
        assert!(wake.is_none_or(|wake| wake > self.now), "the worker would spin");

        let due = |held: &Held| held.not_before.is_none_or(|due| due <= self.now);
        let waiting = count(&|held| held.state == State::Idle && !due(held));
        assert_eq!(self.engine.load(), Load { held: self.held.len(), running, waiting });
        let startable = count(&|held| held.state == State::Idle && due(held));
        let probes = count(&|held| held.state == State::Running { probe: true });
        let publishing = count(&|held| matches!(held.state, State::Publishing(_)));
        let refused = count(&|held| matches!(held.state, State::Refused(_)));
        if self.paused.is_none() {
            let full = running == self.spec.concurrency || publishing + refused >= self.spec.concurrency;
            assert!(startable == 0 || full, "a record waits for nothing");
            assert_eq!(refused, 0, "kept back for nothing");
        } else {
            assert!(probes <= 1, "more than one probe");
            let idle = probes == 0 && publishing == 0;
            assert!(!idle || startable + refused == 0 || wake.is_some(), "nothing will be tried again");
        }
        let behind = self.logs.iter().any(|log| log.ours != Ours::No && log.frontier() > log.committed);
        assert!(!behind || wake.is_some(), "nothing will be committed");
    }
}

impl Copy {
    fn new(job: usize, due: Option<Timestamp>, past: Past) -> Self {
        Self { job, due, past, too_large: false, ends: 0, excuses: 0, runs: 0, told: false }
    }
}

fn pick<T: std::marker::Copy>(from: &[T], n: u8) -> Option<T> {
    from.get(usize::from(n).checked_rem(from.len())?).copied()
}
