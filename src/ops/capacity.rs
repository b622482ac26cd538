//! How much a stage needs for a rate: records in flight, processes, partitions, memory, room in Kafka, and how long a backlog
//! takes. Arithmetic on means: pure, asks nobody (but for [`measure`]), and knows nothing of bursts.
//!
//! The formulae are Little's law (J. D. C. Little, "A proof for the queuing formula L = λW", Operations Research 9, 1961), the
//! geometric series for attempts, and rate × time × size for what Kafka keeps.

pub mod measure;
mod settings;

use serde::Serialize;

pub use self::settings::{Set, set};
use crate::config::Size;

/// What a process takes before it holds a record, as docs/benchmarks.md measures it.
const PROCESS: u64 = 120 << 20;
/// What is fetched ahead of each partition.
pub const FETCHED: u64 = 512 << 10;
/// What a control block adds to a record on a rung.
const CONTROL: u64 = 1 << 10;
/// What a dead letter tells beside the record: docs/topics.md.
const VERDICT: u64 = 10 << 10;
const DAY: f64 = 86_400.0;

/// What is known, or assumed, of the work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Work {
    /// New records a second.
    pub rate: f64,
    /// How long an attempt takes on average, its call included, seconds.
    pub time: f64,
    /// Share of attempts that fail and are tried again, 0 to 1.
    pub failing: f64,
    /// Share of attempts after which the record is dead, 0 to 1.
    pub dying: f64,
    /// Bytes of a record on average.
    pub record: u64,
    /// Records that wait already.
    pub backlog: u64,
    /// In what time these are to be done as well, seconds.
    pub within: Option<f64>,
    /// The share of its places that a stage is planned to use. The rest is for bursts and for processes that are replaced.
    pub busy: f64,
    pub provider: Provider,
}

/// What a provider lets through, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Provider {
    pub calls_per_minute: Option<f64>,
    pub tokens_per_minute: Option<f64>,
    /// Of a call on average, question and answer.
    pub tokens: Option<f64>,
    pub calls_at_once: Option<u32>,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Capacity {
    /// Of a record, on average.
    pub attempts: f64,
    /// Attempts a second, the backlog included when it is to be done in time.
    pub attempts_per_second: f64,
    /// Attempts at the same time.
    pub in_flight: f64,
    /// Places for them, with what is kept free.
    pub places: u64,
    /// Processes with the configured concurrency.
    pub replicas: u64,
    /// Fewest partitions of the input that give each process one.
    pub partitions: u64,
    /// Records of a partition held at the same time.
    pub window: u64,
    /// Bytes that a process takes at most.
    pub memory: u64,
    /// Attempts a second that the provider lets through; no limit when absent.
    pub ceiling: Option<f64>,
    /// New records a second that can be done with these replicas and this provider at most.
    pub rate_max: f64,
    /// Seconds until the backlog is gone with these replicas; never when absent.
    pub drain: Option<f64>,
    /// Records on rungs at the same time.
    pub waiting: f64,
    /// Share of records that become dead letters.
    pub dead: f64,
    pub dead_per_day: f64,
    pub disk: Disk,
    /// What does not fit, and what to do about it.
    pub advice: Vec<String>,
}

/// Bytes in Kafka, all replicas together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Disk {
    /// What is kept for ever has no bound, and is absent.
    pub input: Option<f64>,
    pub rungs: Option<f64>,
    /// What dead letters add in a day.
    pub dead_per_day: f64,
    /// When they are as many as there will be; for ever more when absent.
    pub dead: Option<f64>,
}

/// How many processes count. Partitions are whole: of five processes with six of them one has two, and a third of the
/// work, so that they do as much as three.
fn even(processes: u64, partitions: u32) -> f64 {
    let (processes, partitions) = (processes.max(1), u64::from(partitions).max(1));
    partitions as f64 / partitions.div_ceil(processes) as f64
}

/// What the work needs. `replicas`: with so many processes, instead of as many as it needs.
pub fn plan(work: &Work, set: &Set, replicas: Option<u64>) -> Capacity {
    let odds = Odds::of(work, set.waits.len());
    let hurry = work.within.map_or(0.0, |within| work.backlog as f64 / within);
    let attempts_per_second = (work.rate + hurry) * odds.attempts;
    let in_flight = attempts_per_second * work.time;
    let places = whole(in_flight / work.busy).max(1);
    let concurrency = u64::try_from(set.concurrency).unwrap_or(u64::MAX).max(1);
    let needed = places.div_ceil(concurrency);
    let places_of = |processes: u64| even(processes, set.partitions) * concurrency as f64;
    let enough = |processes: &u64| places_of(*processes) >= places as f64;
    let needed = (needed..=u64::from(set.partitions)).find(enough).unwrap_or(needed);
    let replicas = replicas.unwrap_or(needed).max(1);
    let used = replicas.min(u64::from(set.partitions));
    let ceiling = work.provider.ceiling(work.time);
    let own = places_of(replicas) / work.time;
    let rate_max = ceiling.map_or(own, |ceiling| own.min(ceiling)) / odds.attempts;
    let spare = rate_max - work.rate;
    let waits = set.waits.iter().zip(odds.again(work.failing));
    let capacity = Capacity {
        attempts: odds.attempts,
        attempts_per_second,
        in_flight,
        places,
        replicas,
        partitions: replicas,
        window: whole(in_flight / work.busy / f64::from(set.partitions.max(1))).max(1),
        memory: memory(work, set, used),
        ceiling,
        rate_max,
        drain: (spare > 0.0 || work.backlog == 0).then(|| work.backlog as f64 / spare.max(f64::MIN_POSITIVE)),
        waiting: waits.map(|(wait, again)| work.rate * again * wait).sum(),
        dead: odds.dead,
        dead_per_day: work.rate * odds.dead * DAY,
        disk: disk(work, set, &odds),
        advice: Vec::new(),
    };
    Capacity { advice: advice(work, set, &capacity, needed), ..capacity }
}

/// How often a record is tried, and what becomes of it. Attempts are taken to fail independently of each other.
struct Odds {
    /// Attempts of a record: 1 + f + f² + … of the most that are allowed.
    attempts: f64,
    /// Waits of a record.
    retries: f64,
    dead: f64,
    most: u32,
}

impl Odds {
    /// After the last of the waits there is one more attempt.
    fn of(work: &Work, waits: usize) -> Self {
        let most = u32::try_from(waits).unwrap_or(u32::MAX).saturating_add(1);
        let attempts: f64 = powers(work.failing, most).sum();
        let gives_up = powers(work.failing, most.saturating_add(1)).last().unwrap_or_default();
        Self { attempts, retries: attempts - 1.0, dead: work.dying * attempts + gives_up, most }
    }

    /// Share of records that come to each of the waits.
    fn again(&self, failing: f64) -> impl Iterator<Item = f64> {
        powers(failing, self.most).skip(1)
    }
}

/// 1, f, f², …
fn powers(of: f64, count: u32) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(1.0), move |last| Some(last * of))
        .take(usize::try_from(count).unwrap_or(usize::MAX))
}

impl Provider {
    /// Attempts a second that it lets through: the least of what it says. Calls at once are Little's law the other way.
    fn ceiling(&self, time: f64) -> Option<f64> {
        let calls = self.calls_per_minute.map(|calls| calls / 60.0);
        let tokens = self.tokens_per_minute.zip(self.tokens).map(|(most, each)| most / 60.0 / each);
        let at_once = self.calls_at_once.map(|most| f64::from(most) / time);
        [calls, tokens, at_once].into_iter().flatten().reduce(f64::min)
    }
}

/// A process, what it fetched, its windows or the bytes that bound them, and twice what is worked on: as it came and as it
/// goes.
fn memory(work: &Work, set: &Set, used: u64) -> u64 {
    let partitions = u64::from(set.partitions).div_ceil(used.max(1));
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let windows = partitions.saturating_mul(count(set.window)).saturating_mul(work.record).min(set.held);
    let running = count(set.concurrency).saturating_mul(work.record).saturating_mul(2);
    [PROCESS, partitions.saturating_mul(FETCHED), windows, running].into_iter().fold(0, u64::saturating_add)
}

/// Kafka keeps a record for its time, whether it was read or not.
fn disk(work: &Work, set: &Set, odds: &Odds) -> Disk {
    let replicas = f64::from(set.replication);
    let of = |rate: f64, more: u64| rate * (work.record + more) as f64 * replicas;
    let dead = of(work.rate * odds.dead, VERDICT);
    Disk {
        input: set.retention.map(|kept| of(work.rate, 0) * kept),
        rungs: set.waiting_retention.map(|kept| of(work.rate * odds.retries, CONTROL) * kept),
        dead_per_day: dead * DAY,
        dead: set.dlq_retention.map(|kept| dead * kept),
    }
}

fn advice(work: &Work, set: &Set, capacity: &Capacity, needed: u64) -> Vec<String> {
    let mut advice = Vec::new();
    let partitions = u64::from(set.partitions);
    if let Some(ceiling) = capacity.ceiling.filter(|ceiling| *ceiling < capacity.attempts_per_second) {
        advice.push(format!(
            "the provider lets {ceiling:.2} calls a second through and {:.2} are wanted: ask for a higher limit, send fewer, \
             or share the work among providers; more processes would not help",
            capacity.attempts_per_second
        ));
    }
    if capacity.replicas > partitions {
        advice.push(format!(
            "{} processes share {partitions} partitions, and some would have none: raise `partitions` of the input to {} or \
             more, or `concurrency` of the stage to {}",
            capacity.replicas,
            capacity.replicas,
            capacity.places.div_ceil(partitions.max(1))
        ));
    }
    if capacity.replicas < needed {
        advice.push(format!(
            "{needed} processes are needed, or `concurrency: {}`",
            capacity.places.div_ceil(capacity.replicas)
        ));
    }
    if capacity.window > u64::try_from(set.window).unwrap_or(u64::MAX) {
        advice.push(format!(
            "`window` holds {} records of a partition, and {} are wanted",
            set.window, capacity.window
        ));
    }
    if capacity.window.saturating_mul(partitions).saturating_mul(work.record)
        > set.held.saturating_mul(capacity.replicas.min(partitions))
    {
        advice.push(format!(
            "records of {} fill what a process may hold ({}) before all places are: more processes with fewer places each",
            Size(work.record),
            Size(set.held)
        ));
    }
    if capacity.drain.is_none() {
        advice.push(
            "the backlog never becomes less: new records come as fast as they can be done, or faster"
                .to_owned(),
        );
    }
    if capacity.disk.input.is_none() {
        advice.push("the input is kept for ever, and its disk has no bound, because other topics of the configuration share it: `dlq_retention` bounds dead letters".to_owned());
    }
    if work.failing > 0.0 && set.code.is_none() && !set.others.is_empty() {
        let others = set.others.iter().map(|(code, waits)| format!("{code} (up to {waits} waits)"));
        advice.push(format!(
            "these have limits of their own, and --code counts with them: {}",
            others.collect::<Vec<_>>().join(", ")
        ));
    }
    if capacity.disk.dead.is_none() && capacity.dead_per_day >= 1.0 {
        advice.push("dead letters are kept for ever: `dlq_retention` bounds them, `lazaret sweep` and `lazaret archive` empty them".to_owned());
    }
    advice
}

/// Rounded up. What is too large for any machine is as large as can be said.
fn whole(number: f64) -> u64 {
    // What is a whole number but for rounding is one.
    (number - 1e-9).ceil().max(0.0) as u64
}

#[cfg(test)]
mod tests;
