//! What a seed decides before anything happens: the stage's policy, the records and what becomes of them, how many
//! members there are, and which things go wrong how often.

use std::time::Duration;

use super::dice::Dice;
use crate::flow::Code;
use crate::flow::engine::*;
use crate::flow::ladder::{Ladder, Limits};

/// What the stage keeps in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    None,
    Key,
    Partition,
}

/// What a call of the stage comes to. When a job's script is over, it succeeds with one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeds(usize),
    Fails(Code),
    /// The other side asks for so many seconds.
    Limited(u64),
    Hangs,
}

/// What Kafka takes only in part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fat {
    /// The outputs are larger than their topic takes; said before or after they were produced.
    pub output: Option<bool>,
    pub retry: bool,
    /// The dead letter fits with less detail only.
    pub letter: bool,
    /// The record's time is refused by the dead letter topic.
    pub dated: bool,
}

#[derive(Clone, Debug)]
pub struct JobPlan {
    pub script: Vec<Outcome>,
    pub fat: Fat,
}

#[derive(Clone, Debug)]
pub struct RecordPlan {
    pub key: Option<u8>,
    pub family: i32,
    pub job: usize,
    pub size: usize,
    /// Offsets before it that hold no record.
    pub gap: usize,
}

/// How often something goes wrong, in thousandths of the steps; 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub shift: usize,
    pub crash: usize,
    pub freeze: usize,
    pub evict: usize,
    pub stop: usize,
    pub join: usize,
    pub ledger: usize,
    pub unwritable: usize,
    pub trouble: usize,
    pub encode: usize,
    pub abort: usize,
    pub fence: usize,
    pub lie: usize,
    pub damage: usize,
    pub jump: usize,
    pub redrive: usize,
    pub slow: usize,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    pub spec: Spec,
    pub line: Line,
    pub families: i32,
    pub outputs: i32,
    pub members: usize,
    /// Every rebalance takes everything away first.
    pub eager: bool,
    /// A restarted process takes the seat of the one before.
    pub fixed_seats: bool,
    pub timeout: Duration,
    pub lease: Duration,
    pub drain: Duration,
    pub session: Duration,
    pub transaction: Duration,
    pub jobs: Vec<JobPlan>,
    pub records: Vec<RecordPlan>,
    pub faults: Faults,
    pub steps: usize,
}

impl Plan {
    pub fn new(dice: &mut Dice) -> Self {
        let families = dice.within(1, 3) as i32;
        let line =
            dice.of(&[Line::None, Line::Key, Line::Key, Line::Key, Line::Partition]).unwrap_or(Line::Key);
        let spec = spec(dice, line);
        let records = dice.within(1, 24) as usize;
        let keys = dice.within(1, 6);
        let nulls = dice.of(&[0, 0, 20]).unwrap_or(0);
        let twice = dice.of(&[0, 0, 15]).unwrap_or(0);
        let trouble = dice.within(0, 60) as usize;
        let holes = dice.of(&[0, 30]).unwrap_or(0);
        let mut plan = Self {
            spec,
            line,
            families,
            outputs: dice.within(1, 2) as i32,
            members: dice.within(1, 3) as usize,
            eager: dice.percent(30),
            fixed_seats: dice.percent(20),
            timeout: Duration::from_secs(dice.within(2, 5)),
            lease: Duration::from_secs(dice.within(20, 40)),
            drain: Duration::from_secs(dice.within(1, 4)),
            session: Duration::from_secs(dice.within(2, 12)),
            transaction: Duration::from_secs(dice.within(1, 10)),
            jobs: Vec::new(),
            records: Vec::new(),
            faults: faults(dice),
            steps: dice.within(50, 900) as usize,
        };
        for _ in 0..records {
            plan.record(keys, nulls, twice, trouble, holes, dice);
        }
        plan
    }

    fn record(
        &mut self,
        keys: u64,
        nulls: usize,
        twice: usize,
        trouble: usize,
        holes: usize,
        dice: &mut Dice,
    ) {
        let key = (!dice.percent(nulls)).then(|| dice.within(1, keys) as u8);
        let family = match key {
            Some(key) => i32::from(key) % self.families,
            None => dice.within(0, self.families as u64 - 1) as i32,
        };
        let mut record = RecordPlan { key, family, job: self.jobs.len(), size: 100, gap: 0 };
        if dice.percent(holes) {
            record.gap = dice.within(1, 3) as usize;
        }
        if dice.percent(10) {
            record.size = 1_000_000;
        }
        if dice.percent(twice)
            && let Some(earlier) = dice.of(&self.records)
        {
            // Delivered twice by whoever wrote it; seldom with another key.
            record.job = earlier.job;
            if !dice.percent(10) {
                (record.key, record.family) = (earlier.key, earlier.family);
            }
        } else {
            self.jobs.push(JobPlan { script: script(trouble, dice), fat: fat(dice) });
        }
        self.records.push(record);
    }
}

fn spec(dice: &mut Dice, line: Line) -> Spec {
    let secs = Duration::from_secs;
    let window = dice.within(1, 10) as usize;
    let ordering = Ordering { wait: dice.percent(70), hold: dice.percent(50) };
    let limits = Limits {
        max_attempts: dice.within(1, 5) as u32,
        base: secs(dice.within(1, 4)),
        cap: secs(60),
        max_elapsed: secs(dice.of(&[5, 60, 600]).unwrap_or(60)),
    };
    Spec {
        delivery: dice
            .of(&[Delivery::ExactlyOnce, Delivery::ExactlyOnce, Delivery::AtLeastOnce])
            .unwrap_or_default(),
        ordering: (line != Line::None).then_some(ordering),
        fair: dice.percent(50).then(|| fair(dice)),
        comeback: dice.of(&[None, None, Some(1), Some(50)]).flatten(),
        settles: true,
        waiting: dice.of(&[0, 300, 1_000_000]).unwrap_or(0),
        concurrency: dice.within(1, 6) as usize,
        window,
        followers: dice.below(window / 2 + 1),
        outstanding: dice.of(&[1, 3, 100]).unwrap_or(100),
        bytes: dice.of(&[1_000, 10_000_000]).unwrap_or(1_000),
        outputs: dice.of(&[1_000, 10_000_000]).unwrap_or(1_000),
        ladder: Ladder {
            limits,
            overrides: Default::default(),
            factor: 2.0,
            jitter: dice.of(&[0.0, 0.5]).unwrap_or(0.0),
            rungs: [secs(2), secs(10)].into_iter().take(dice.within(1, 2) as usize).collect(),
            stepwise: false,
        },
        rules: Vec::new(),
        commit_every: Duration::from_millis(dice.of(&[0, 20, 500]).unwrap_or(20)),
        gather: Duration::from_millis(dice.of(&[0, 20, 500]).unwrap_or(20)),
    }
}

fn fair(dice: &mut Dice) -> Fair {
    let weights = [(Tenant(0), dice.within(1, 4) as u32)].into();
    Fair { weights, share: dice.of(&[1, 30, 50, 100]).unwrap_or(50) }
}

fn script(trouble: usize, dice: &mut Dice) -> Vec<Outcome> {
    let mut script = Vec::new();
    while script.len() < 6 && dice.percent(trouble) {
        let all = [
            Outcome::Fails(Code::LlmTimeout),
            Outcome::Fails(Code::LlmConnection),
            Outcome::Fails(Code::SourceUnavailable),
            Outcome::Limited(dice.within(0, 9)),
            Outcome::Fails(Code::ParseCorrupt),
            Outcome::Fails(Code::StagePanicked),
            Outcome::Fails(Code::LlmQuotaExhausted),
            Outcome::Hangs,
        ];
        script.extend(dice.of(&all));
    }
    script.push(Outcome::Succeeds(dice.of(&[1, 1, 1, 0, 2, 3]).unwrap_or(1)));
    script
}

fn fat(dice: &mut Dice) -> Fat {
    Fat {
        output: dice.percent(4).then(|| dice.percent(50)),
        retry: dice.percent(4),
        letter: dice.percent(15),
        dated: dice.percent(15),
    }
}

/// A few kinds of faults at a time: what is rare in one seed is what another one consists of.
fn faults(dice: &mut Dice) -> Faults {
    let calm = dice.percent(10);
    let planned = dice.percent(15);
    let mut some = |share: usize, most: u64| {
        let (is, often) = (dice.percent(share), dice.within(1, most) as usize);
        if is && !calm { often } else { 0 }
    };
    let mut faults = Faults {
        shift: some(60, 30),
        stop: some(30, 8),
        join: some(40, 15),
        redrive: some(60, 40),
        slow: some(20, 40),
        ..Faults::default()
    };
    if !planned {
        faults = Faults {
            crash: some(40, 20),
            freeze: some(30, 15),
            evict: some(30, 15),
            ledger: some(25, 15),
            unwritable: some(25, 20),
            trouble: some(25, 15),
            encode: some(10, 10),
            abort: some(30, 200),
            fence: some(25, 100),
            lie: some(25, 100),
            damage: some(15, 15),
            jump: some(15, 5),
            ..faults
        };
    }
    faults
}
